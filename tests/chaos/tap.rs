//! What Redis itself has: every room's stream, read all the time, and what is held there at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::RedisResult;
use serde::Serialize;
use serde_json::Value;

const POLL: Duration = Duration::from_millis(100);

/// One event of a room's stream.
#[derive(Debug, Clone, Serialize)]
pub struct Kept {
    /// Which of the streams that the room had, one after the other.
    pub era: usize,
    pub epoch: u64,
    pub offset: u64,
    /// On the clock of Redis, in microseconds since 1970.
    pub time_us: u64,
    pub kind: String,
    pub session: String,
    pub name: Option<String>,
    /// A message's, without padding.
    pub text: Option<String>,
}

pub type Streams = BTreeMap<String, Vec<Kept>>;

/// Who is where at the end, as Redis has it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Held {
    /// Room → the names of the sessions there, an empty one for each without.
    pub sessions: BTreeMap<String, Vec<String>>,
    /// Room → the accounts that are members for good.
    pub accounts: BTreeMap<String, BTreeSet<String>>,
    /// Room → the members as they stand in the set, sessions alone.
    pub members: BTreeMap<String, BTreeSet<String>>,
    /// The names in the sets of names in use.
    pub names: BTreeSet<String>,
    /// The names that have a holder.
    pub holders: BTreeSet<String>,
    /// Leases in the list, and those of them that live.
    pub leases: usize,
    pub live_leases: usize,
    /// Notes of what leases hold that no lease in the list has.
    pub orphans: Vec<String>,
}

pub struct Tap {
    client: redis::Client,
    rooms: Vec<String>,
    streams: Mutex<Streams>,
    is_over: AtomicBool,
}

type Entries = Vec<(String, Vec<String>)>;

impl Tap {
    /// Reads on until [`Self::stop`].
    pub fn open(url: &str, rooms: &[String]) -> Arc<Self> {
        let client = redis::Client::open(url).expect("the address can be read");
        let streams = Mutex::new(rooms.iter().map(|room| (room.clone(), Vec::new())).collect());
        let tap = Arc::new(Self { client, rooms: rooms.to_vec(), streams, is_over: AtomicBool::new(false) });
        let reader = tap.clone();
        std::thread::spawn(move || {
            while !reader.is_over.load(Ordering::Relaxed) {
                // Redis may be away.
                let _ = reader.read(false);
                std::thread::sleep(POLL);
            }
        });
        tap
    }

    pub fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn connection(&self) -> RedisResult<redis::Connection> {
        let connection = self.client.get_connection_with_timeout(Duration::from_secs(1))?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(connection)
    }

    /// Reads what is new in all rooms; with `and_flush` everything is deleted in the same step, so that nothing of it is unread.
    pub fn read(&self, and_flush: bool) -> RedisResult<()> {
        let mut connection = self.connection()?;
        let mut streams = self.streams.lock().unwrap();
        let mut transaction = redis::pipe();
        transaction.atomic();
        for room in &self.rooms {
            let last = streams[room].last().map_or((0, 0), |last| (last.epoch, last.offset));
            transaction.hget(format!("ct:room:{{{room}}}"), "epoch");
            transaction.cmd("XRANGE").arg(log_key(room)).arg(format!("({}-0", last.1)).arg("+");
        }
        if and_flush {
            transaction.cmd("FLUSHALL").ignore();
        }
        let read: Vec<redis::Value> = transaction.query(&mut connection)?;
        for (room, pair) in self.rooms.iter().zip(read.chunks_exact(2)) {
            let Some(epoch) = redis::from_redis_value_ref::<Option<u64>>(&pair[0])? else { continue };
            let newer: Entries = redis::from_redis_value_ref(&pair[1])?;
            let kept = streams.get_mut(room).expect("every room has its list");
            let (era, entries) = match kept.last().map(|last| (last.era, last.epoch)) {
                None => (0, newer),
                Some((era, last)) if last == epoch => (era, newer),
                // Another stream by now: nothing of it is known yet.
                Some((era, _)) => (era + 1, whole(room, &mut connection)?),
            };
            kept.extend(entries.iter().filter_map(|(id, fields)| Kept::read(era, epoch, id, fields)));
        }
        Ok(())
    }

    pub fn streams(&self) -> Streams {
        self.streams.lock().unwrap().clone()
    }

    /// What is held at this moment.
    pub fn held(&self) -> RedisResult<Held> {
        let mut connection = self.connection()?;
        let mut held = Held::default();
        for room in &self.rooms {
            let who: BTreeMap<String, String> =
                redis::cmd("HGETALL").arg(format!("ct:room:{{{room}}}:who")).query(&mut connection)?;
            let members: BTreeSet<String> =
                redis::cmd("SMEMBERS").arg(format!("ct:room:{{{room}}}:members")).query(&mut connection)?;
            let mut names: Vec<String> =
                who.values().map(|value| value.split_once(' ').map_or("", |(_, name)| name).to_owned()).collect();
            names.sort();
            held.sessions.insert(room.clone(), names);
            let accounts = members.iter().filter_map(|member| member.strip_prefix("u:"));
            held.accounts.insert(room.clone(), accounts.map(str::to_owned).collect());
            let sessions = members.iter().filter_map(|member| member.strip_prefix("s:"));
            held.members.insert(room.clone(), sessions.map(|session| session.replace('-', "")).collect());
        }
        let keys: Vec<String> = redis::cmd("KEYS").arg("ct:*").query(&mut connection)?;
        for key in &keys {
            if key.starts_with("ct:nicks:") {
                held.names.extend(redis::cmd("SMEMBERS").arg(key).query::<Vec<String>>(&mut connection)?);
            } else if let Some(name) = key.strip_prefix("ct:nick:{") {
                held.holders.insert(name.trim_end_matches('}').to_owned());
            }
        }
        let leases: Vec<String> = redis::cmd("SMEMBERS").arg("ct:nodes").query(&mut connection)?;
        held.leases = leases.len();
        held.live_leases = leases.iter().filter(|lease| keys.contains(&format!("ct:node:{{{lease}}}"))).count();
        let notes = keys.iter().filter(|key| key.starts_with("ct:node:{") && key.ends_with("}:claims"));
        held.orphans = notes.filter(|key| !leases.iter().any(|lease| key.contains(lease))).cloned().collect();
        Ok(held)
    }
}

fn log_key(room: &str) -> String {
    format!("ct:room:{{{room}}}:log")
}

fn whole(room: &str, connection: &mut redis::Connection) -> RedisResult<Entries> {
    redis::cmd("XRANGE").arg(log_key(room)).arg("-").arg("+").query(connection)
}

impl Kept {
    fn read(era: usize, epoch: u64, id: &str, fields: &[String]) -> Option<Self> {
        let field = |name: &str| fields.chunks_exact(2).find(|pair| pair[0] == name).map(|pair| pair[1].as_str());
        let event: Value = serde_json::from_str(field("e")?).ok()?;
        let text = |key: &str| event[key].as_str().map(str::to_owned);
        Some(Self {
            era,
            epoch,
            offset: id.split_once('-')?.0.parse().ok()?,
            time_us: field("t")?.parse().ok()?,
            kind: text("k")?,
            session: text("s")?,
            name: text("n"),
            text: text("t").map(|text| text.split(' ').next().unwrap_or_default().to_owned()),
        })
    }
}
