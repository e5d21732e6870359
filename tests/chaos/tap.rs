//! What Redis itself has: every room's stream, read all the time, and what is held there at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::cluster::ClusterClient;
use redis::{Client, ConnectionLike, RedisResult};
use serde::Serialize;
use serde_json::Value;

use crate::broker::Broker;

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

/// Where streams are read.
pub enum Source {
    Alone(Client),
    /// Sentinels, any of which knows the master under this name.
    Sentinels(Vec<Client>, String),
    Cluster(Box<ClusterClient>),
}

impl Source {
    /// # Panics
    /// When the broker's address cannot be read.
    pub fn of(broker: &Broker) -> Self {
        let url = broker.url();
        let client = |url: String| Client::open(url).expect("the address can be read");
        let hosts = |list: &str| -> Vec<String> { list.split(',').map(|host| format!("redis://{host}/")).collect() };
        match broker {
            Broker::Alone(..) => Self::Alone(client(url)),
            Broker::Sentinels(_) => {
                let list = url.trim_start_matches("redis+sentinel://");
                let (list, service) = list.split_once('/').expect("the address names the master");
                Self::Sentinels(hosts(list).into_iter().map(client).collect(), service.to_owned())
            }
            Broker::Cluster(_) => {
                let hosts = hosts(url.trim_start_matches("redis+cluster://"));
                let built = ClusterClient::builder(hosts)
                    .connection_timeout(Duration::from_secs(1))
                    .response_timeout(Duration::from_secs(5))
                    .build();
                Self::Cluster(Box::new(built.expect("the addresses can be read")))
            }
        }
    }

    fn connection(&self) -> RedisResult<Box<dyn ConnectionLike>> {
        let to = |client: &Client| -> RedisResult<redis::Connection> {
            let connection = client.get_connection_with_timeout(Duration::from_secs(1))?;
            connection.set_read_timeout(Some(Duration::from_secs(5)))?;
            Ok(connection)
        };
        Ok(match self {
            Self::Alone(client) => Box::new(to(client)?),
            Self::Sentinels(sentinels, service) => {
                let mut sentinel = to(&sentinels[0])?;
                let (host, port): (String, u16) =
                    redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(service).query(&mut sentinel)?;
                Box::new(to(&Client::open(format!("redis://{host}:{port}/"))?)?)
            }
            Self::Cluster(client) => Box::new(client.get_connection()?),
        })
    }
}

pub struct Tap {
    source: Source,
    rooms: Vec<String>,
    streams: Mutex<Streams>,
    is_over: AtomicBool,
}

type Entries = Vec<(String, Vec<String>)>;
/// Epoch, the former ones, each with the offset up to where it is the same, and the events.
type Found = ((Option<u64>, Option<String>), Entries);

impl Tap {
    /// Reads on until [`Self::stop`].
    pub fn open(source: Source, rooms: &[String]) -> Arc<Self> {
        let streams = Mutex::new(rooms.iter().map(|room| (room.clone(), Vec::new())).collect());
        let tap = Arc::new(Self { source, rooms: rooms.to_vec(), streams, is_over: AtomicBool::new(false) });
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

    /// Reads what is new in all rooms; with `and_flush` everything is deleted in the same step, so that nothing of it is unread.
    pub fn read(&self, and_flush: bool) -> RedisResult<()> {
        let mut connection = self.source.connection()?;
        let mut streams = self.streams.lock().unwrap();
        let after = |room: &String| streams[room].last().map_or(0, |last| last.offset);
        let read: Vec<Found> = if and_flush {
            let mut transaction = redis::pipe();
            transaction.atomic();
            for room in &self.rooms {
                transaction.add_command(find(room, after(room)));
            }
            transaction.cmd("FLUSHALL").ignore().query(connection.as_mut())?
        } else {
            let found = self.rooms.iter().map(|room| find(room, after(room)).query(connection.as_mut()));
            found.collect::<RedisResult<_>>()?
        };
        for (room, ((epoch, past), newer)) in self.rooms.iter().zip(read) {
            let Some(epoch) = epoch else { continue };
            let kept = streams.get_mut(room).expect("every room has its list");
            let last = kept.last().map_or((0, epoch, 0), |last| (last.era, last.epoch, last.offset));
            let (era, of_last, offset) = last;
            // Another stream by now, of which nothing is known yet; or the old one without its end.
            let floor = past.as_deref().and_then(|past| shared(past, of_last)).unwrap_or(0);
            let newer = match of_last == epoch {
                true => newer,
                false => {
                    let (_, entries): Found = find(room, floor.min(offset)).query(connection.as_mut())?;
                    entries
                }
            };
            let is_same =
                |id: &str| id.split_once('-').and_then(|(id, _)| id.parse().ok()).is_some_and(|id: u64| id <= floor);
            let read = newer.iter().filter_map(|(id, fields)| match of_last == epoch || is_same(id) {
                true => Kept::read(era, of_last, id, fields),
                false => Kept::read(era + 1, epoch, id, fields),
            });
            kept.extend(read);
        }
        Ok(())
    }

    pub fn streams(&self) -> Streams {
        self.streams.lock().unwrap().clone()
    }

    /// What is held at this moment.
    pub fn held(&self) -> RedisResult<Held> {
        let mut connection = self.source.connection()?;
        let mut held = Held::default();
        for room in &self.rooms {
            let who: BTreeMap<String, String> =
                redis::cmd("HGETALL").arg(format!("ct:room:{{{room}}}:who")).query(connection.as_mut())?;
            let members: BTreeSet<String> =
                redis::cmd("SMEMBERS").arg(format!("ct:room:{{{room}}}:members")).query(connection.as_mut())?;
            let mut names: Vec<String> =
                who.values().map(|value| value.split_once(' ').map_or("", |(_, name)| name).to_owned()).collect();
            names.sort();
            held.sessions.insert(room.clone(), names);
            let accounts = members.iter().filter_map(|member| member.strip_prefix("u:"));
            held.accounts.insert(room.clone(), accounts.map(str::to_owned).collect());
            let sessions = members.iter().filter_map(|member| member.strip_prefix("s:"));
            held.members.insert(room.clone(), sessions.map(|session| session.replace('-', "")).collect());
        }
        let keys: Vec<String> = redis::cmd("KEYS").arg("ct:*").query(connection.as_mut())?;
        for key in &keys {
            if key.starts_with("ct:nicks:") {
                held.names.extend(redis::cmd("SMEMBERS").arg(key).query::<Vec<String>>(connection.as_mut())?);
            } else if let Some(name) = key.strip_prefix("ct:nick:{") {
                held.holders.insert(name.trim_end_matches('}').to_owned());
            }
        }
        let leases: Vec<String> = redis::cmd("SMEMBERS").arg("ct:nodes").query(connection.as_mut())?;
        held.leases = leases.len();
        held.live_leases = leases.iter().filter(|lease| keys.contains(&format!("ct:node:{{{lease}}}"))).count();
        let notes = keys.iter().filter(|key| key.starts_with("ct:node:{") && key.ends_with("}:claims"));
        held.orphans = notes.filter(|key| !leases.iter().any(|lease| key.contains(lease))).cloned().collect();
        Ok(held)
    }
}

/// What is in a room's stream after this offset, and under which epoch; in one step, and in a cluster on the server that has it.
fn find(room: &str, after: u64) -> redis::Cmd {
    let script = "return {redis.call('HMGET', KEYS[1], 'epoch', 'past'), redis.call('XRANGE', KEYS[2], ARGV[1], '+')}";
    let key = format!("ct:room:{{{room}}}");
    let mut command = redis::cmd("EVAL");
    command.arg(script).arg(2).arg(&key).arg(format!("{key}:log")).arg(format!("({after}-0"));
    command
}

/// Up to which offset a stream's events are those of a former epoch; `past` has them by turns.
fn shared(past: &str, epoch: u64) -> Option<u64> {
    let numbers: Vec<u64> = past.split(' ').filter_map(|number| number.parse().ok()).collect();
    numbers.chunks_exact(2).find(|pair| pair[0] == epoch).map(|pair| pair[1])
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
