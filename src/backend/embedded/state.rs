//! The state of the embedded backend and what each request does to it. Single-threaded on purpose: requests are carried
//! out one after the other, as Redis carries out scripts.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::super::{
    BackendError, CatchUp, Entered, Entry, Heard, InboundSender, Registered, decode_event, encode_event,
};
use super::accounts::Accounts;
use super::store::{Batch, LogRow, RoomRow, Store};
use super::{Answer, Ask, Request, Retention};
use crate::ambient::{Clock, Entropy};
use crate::chat::{
    Actor, Envelope, Epoch, Event, EventKind, Identity, Nickname, Position, Revocation, RoomId, SessionId,
};

/// Microseconds between two looks for rooms that outlived their retention.
const TIDY_EVERY_US: i64 = 60_000_000;
/// Rooms forgotten in one look, so that it never holds the others up for long.
const TIDY_ROOMS: usize = 1_000;

pub struct State {
    store: Store,
    retention: Retention,
    inbound: InboundSender,
    clock: Clock,
    entropy: Entropy,
    nicknames: HashMap<Nickname, SessionId>,
    accounts: Accounts,
    rooms: HashMap<RoomId, Room>,
    /// Rooms without members, those quiet for longest first.
    empty: BTreeSet<(i64, RoomId)>,
    tidied_us: i64,
}

struct Room {
    row: RoomRow,
    members: HashSet<SessionId>,
}

/// One batch of requests on its way to one commit.
struct Work {
    batch: Option<Batch>,
    /// Rooms as they were before this batch, to be put back if the commit fails.
    before: HashMap<RoomId, Option<RoomRow>>,
    events: Vec<Heard>,
}

impl State {
    pub fn load(
        store: Store,
        retention: Retention,
        inbound: InboundSender,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, BackendError> {
        let mut rooms = HashMap::new();
        let mut empty = BTreeSet::new();
        for (name, row) in store.rooms()? {
            let Ok(room) = RoomId::parse(&name) else { continue };
            empty.insert((row.newest_us, room.clone()));
            rooms.insert(room, Room { row, members: HashSet::new() });
        }
        Ok(Self {
            accounts: Accounts::load(&store)?,
            store,
            retention,
            inbound,
            clock,
            entropy,
            nicknames: HashMap::new(),
            rooms,
            empty,
            tidied_us: i64::MIN,
        })
    }

    /// Carries the requests out in order, makes what they changed durable with one commit, then answers.
    pub fn carry_out(&mut self, asks: Vec<Ask>) {
        let mut work = Work { batch: None, before: HashMap::new(), events: Vec::new() };
        let mut answers = Vec::with_capacity(asks.len());
        for ask in asks {
            let result = self.one(ask.request, &mut work);
            answers.push((ask.answer, result));
        }
        let committed = work.batch.take().map_or(Ok(()), Batch::commit);
        match &committed {
            Ok(()) => {
                self.accounts.keep();
                work.events.into_iter().for_each(|event| self.inbound.send(event));
            }
            Err(error) => {
                tracing::error!(%error, "the embedded store cannot keep what it was given");
                self.accounts.put_back();
                self.put_back(work.before);
            }
        }
        for (answer, result) in answers {
            // A session that went away meanwhile does not want its answer.
            let _ = answer.send(result.and_then(|answer| committed.clone().map(|()| answer)));
        }
    }

    fn put_back(&mut self, before: HashMap<RoomId, Option<RoomRow>>) {
        for (room, row) in before {
            match row {
                Some(row) => {
                    if let Some(known) = self.rooms.get_mut(&room) {
                        known.row = row;
                    }
                }
                None => {
                    self.rooms.remove(&room);
                }
            }
        }
        let quiet = self.rooms.iter().filter(|(_, room)| room.members.is_empty());
        self.empty = quiet.map(|(id, room)| (room.row.newest_us, id.clone())).collect();
    }

    fn one(&mut self, request: Request, work: &mut Work) -> Result<Answer, BackendError> {
        match request {
            Request::Publish(room, event) => self.append(&room, event, work).map(Answer::Published),
            Request::CatchUp(room, last) => self.catch_up(&room, last, work).map(Answer::CatchUp),
            Request::History(room) => self.history(&room, work).map(Answer::History),
            Request::Barrier(reached) => {
                work.events.push(Heard::Barrier(reached));
                Ok(Answer::Done)
            }
            Request::Stop => Ok(Answer::Done),
            Request::Claim(nickname, session) => {
                let holder = *self.nicknames.entry(nickname).or_insert(session);
                Ok(Answer::Claimed(holder == session))
            }
            Request::Release(nickname, session) => {
                if self.nicknames.get(&nickname) == Some(&session) {
                    self.nicknames.remove(&nickname);
                }
                Ok(Answer::Done)
            }
            Request::Enter(room, who, entry) => self.enter(&room, who, entry, work).map(Answer::Entered),
            Request::Leave(room, who) => self.leave(&room, who, work).map(Answer::Left),
            Request::Members(room) => {
                Ok(Answer::Members(self.rooms.get(&room).map_or(0, |room| room.members.len() as u64)))
            }
            Request::AccountOf(identity) => Ok(Answer::Account(self.accounts.account_of(&identity))),
            Request::Register(identity, name) => self.register(identity, name, work).map(Answer::Registered),
            Request::Stands(login) => Ok(Answer::Stands(self.accounts.stands(&login))),
            Request::Revoke(account, which) => self.revoke(&account, which, work).map(|()| Answer::Done),
            Request::Tidy => self.tidy(work).map(|()| Answer::Done),
        }
    }

    fn register(&mut self, identity: Identity, name: Nickname, work: &mut Work) -> Result<Registered, BackendError> {
        let borne = self.nicknames.contains_key(&name);
        let now_us = self.clock.unix_us();
        let batch = self.batch(work)?;
        self.accounts.register(identity, name, borne, now_us, batch)
    }

    fn revoke(&mut self, account: &Nickname, which: Revocation, work: &mut Work) -> Result<(), BackendError> {
        let now_s = self.clock.unix_us() / 1_000_000;
        let batch = self.batch(work)?;
        self.accounts.revoke(account, which, now_s, batch)
    }

    fn batch<'a>(&self, work: &'a mut Work) -> Result<&'a Batch, BackendError> {
        if work.batch.is_none() {
            work.batch = Some(self.store.begin()?);
        }
        work.batch.as_ref().ok_or_else(|| BackendError::Failed("no transaction".into()))
    }

    fn append(&mut self, id: &RoomId, event: Event, work: &mut Work) -> Result<Position, BackendError> {
        self.make_place(id, work)?;
        let time_us = self.clock.unix_us();
        let row = self.rooms.get(id).map(|room| room.row);
        work.before.entry(id.clone()).or_insert(row);
        let row = match row {
            Some(row) => RoomRow { top: row.top + 1, newest_us: time_us, ..row },
            None => RoomRow { epoch: Epoch::from_random(self.entropy.bits()).value(), top: 1, newest_us: time_us },
        };
        let batch = self.batch(work)?;
        let log_row = LogRow { offset: row.top, time_us, event: encode_event(&event) };
        batch.append(id, &log_row, self.retention.count)?;
        batch.put_room(id, row)?;
        self.note(id, row);
        let position = Position { epoch: Epoch::new(row.epoch), offset: row.top };
        work.events.push(Heard::Event { room: id.clone(), envelope: Envelope { position, time_us, event } });
        Ok(position)
    }

    /// Remembers a room's new row, and its place among the empty ones.
    fn note(&mut self, id: &RoomId, row: RoomRow) {
        let room = self.rooms.entry(id.clone()).or_insert_with(|| Room { row, members: HashSet::new() });
        self.empty.remove(&(room.row.newest_us, id.clone()));
        room.row = row;
        if room.members.is_empty() {
            self.empty.insert((row.newest_us, id.clone()));
        }
    }

    fn make_place(&mut self, id: &RoomId, work: &mut Work) -> Result<(), BackendError> {
        if (self.rooms.len() as u64) < self.retention.rooms || self.rooms.contains_key(id) {
            return Ok(());
        }
        if let Some((_, quietest)) = self.empty.pop_first() {
            self.forget(&quietest, work)?;
        }
        Ok(())
    }

    fn forget(&mut self, id: &RoomId, work: &mut Work) -> Result<(), BackendError> {
        if let Some(room) = self.rooms.remove(id) {
            self.empty.remove(&(room.row.newest_us, id.clone()));
        }
        self.batch(work)?.forget(id)
    }

    fn enter(&mut self, id: &RoomId, who: Actor, entry: Entry, work: &mut Work) -> Result<Entered, BackendError> {
        let room = self.rooms.get(id);
        let repeated = room.is_some_and(|room| room.members.contains(&who.session));
        // Nothing is ever lost in this process, so a restored member is one that was there all the time.
        let silent = repeated || matches!(entry, Entry::Restore { .. });
        let session = who.session;
        let position = match room {
            Some(room) if silent => Position { epoch: Epoch::new(room.row.epoch), offset: room.row.top },
            _ => self.append(id, Event::new(who, EventKind::Joined), work)?,
        };
        let mut members = 0;
        if let Some(room) = self.rooms.get_mut(id) {
            self.empty.remove(&(room.row.newest_us, id.clone()));
            room.members.insert(session);
            members = room.members.len() as u64;
        }
        Ok(Entered { position, members, repeated: silent })
    }

    fn leave(&mut self, id: &RoomId, who: Actor, work: &mut Work) -> Result<Option<Position>, BackendError> {
        let was_in = self.rooms.get_mut(id).is_some_and(|room| room.members.remove(&who.session));
        if !was_in {
            return Ok(None);
        }
        self.append(id, Event::new(who, EventKind::Left), work).map(Some)
    }

    fn catch_up(&mut self, id: &RoomId, last: Position, work: &mut Work) -> Result<CatchUp, BackendError> {
        let Some(row) = self.rooms.get(id).map(|room| room.row) else {
            return Ok(CatchUp { missed: Vec::new(), skipped_to: None });
        };
        let after = if row.epoch == last.epoch.value() { last.offset } else { 0 };
        let missed = self.read(id, row.epoch, after, work)?;
        let oldest = missed.first().map_or(row.top + 1, |envelope| envelope.position.offset);
        let skipped = row.epoch != last.epoch.value() || oldest > after + 1;
        Ok(CatchUp { missed, skipped_to: skipped.then_some((Epoch::new(row.epoch), oldest - 1)) })
    }

    fn history(&mut self, id: &RoomId, work: &mut Work) -> Result<Vec<Envelope>, BackendError> {
        let Some(row) = self.rooms.get(id).map(|room| room.row) else { return Ok(Vec::new()) };
        let oldest_us = self.clock.unix_us().saturating_sub(self.retention.age_us);
        let mut kept = self.read(id, row.epoch, 0, work)?;
        kept.retain(|envelope| envelope.time_us >= oldest_us);
        Ok(kept)
    }

    fn read(&self, id: &RoomId, epoch: u64, after: u64, work: &mut Work) -> Result<Vec<Envelope>, BackendError> {
        let rows = self.batch(work)?.events_after(id, after)?;
        let envelope = |row: LogRow| {
            let event = decode_event(&row.event).map_err(|error| BackendError::Failed(error.to_string()))?;
            let position = Position { epoch: Epoch::new(epoch), offset: row.offset };
            Ok(Envelope { position, time_us: row.time_us, event })
        };
        rows.into_iter().map(envelope).collect()
    }

    /// Forgets empty rooms whose newest event is older than the retention, and revocations of logins that have ended.
    fn tidy(&mut self, work: &mut Work) -> Result<(), BackendError> {
        let now_us = self.clock.unix_us();
        if now_us < self.tidied_us.saturating_add(TIDY_EVERY_US) {
            return Ok(());
        }
        self.tidied_us = now_us;
        let oldest_us = now_us.saturating_sub(self.retention.age_us);
        let outlived: Vec<RoomId> = self
            .empty
            .iter()
            .take_while(|(newest_us, _)| *newest_us < oldest_us)
            .take(TIDY_ROOMS)
            .map(|(_, id)| id.clone())
            .collect();
        outlived.iter().try_for_each(|id| self.forget(id, work))?;
        let batch = self.batch(work)?;
        self.accounts.tidy(now_us / 1_000_000, batch)
    }
}
