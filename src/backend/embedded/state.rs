//! The state of the embedded backend, and what every request does to it: single-threaded on purpose, one request after the
//! other, as Redis carries out scripts. What a batch changed is put back when its commit fails.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::super::{BackendError, Heard, Holder, InboundSender};
use super::accounts::Accounts;
use super::attempts::Tries;
use super::kept::Kept;
use super::resumption::Remembered;
use super::room::Room;
use super::search::Index;
use super::store::{Batch, RoomRow, Store};
use super::stream::Keys;
use super::{Job, Retention};
use crate::ambient::{Clock, Entropy};
use crate::backend::NodeCount;
use crate::chat::{Epoch, Nickname, RoomId, SessionId};

/// Microseconds between two looks for what outlived its retention.
const TIDY_EVERY_US: i64 = 60_000_000;
/// Rooms forgotten in one look, so that it never holds the others up for long.
const TIDY_ROOMS: usize = 1_000;

pub struct State {
    store: Store,
    pub retention: Retention,
    inbound: InboundSender,
    pub clock: Clock,
    pub entropy: Entropy,
    pub nicknames: HashMap<Nickname, Holder>,
    /// Sessions that may be gone on with.
    pub memos: HashMap<SessionId, Remembered>,
    pub accounts: Accounts,
    pub rooms: HashMap<RoomId, Room>,
    /// Rooms that were created, in the order of their ids.
    pub kept: BTreeSet<RoomId>,
    /// Rooms that nobody is in and nobody keeps, those quiet for longest first.
    pub empty: BTreeSet<(i64, RoomId)>,
    pub index: Index,
    pub keys: Keys,
    pub tries: Tries,
    pub count: NodeCount,
    tidied_us: i64,
}

/// A room as it was before a batch; who was in it is put back step by step.
struct Before {
    row: RoomRow,
    kept: Option<Arc<Kept>>,
}

type Undo = Box<dyn FnOnce(&mut State)>;

/// One batch of requests on its way to one commit.
#[derive(Default)]
pub struct Work {
    batch: Option<Batch>,
    /// Rooms as they were before this batch, to be put back if the commit fails.
    before: HashMap<RoomId, Option<Before>>,
    /// How to take other changes back, the last one first.
    undo: Vec<Undo>,
    events: Vec<Heard>,
}

impl Work {
    /// Has the node hear something, once the batch is kept.
    pub fn tell(&mut self, heard: Heard) {
        self.events.push(heard);
    }

    /// How to take a change back if the commit fails.
    pub fn or_else(&mut self, undo: impl FnOnce(&mut State) + 'static) {
        self.undo.push(Box::new(undo));
    }

    /// The same for a change of one room, which may be gone by then.
    pub fn or_else_in(&mut self, id: &RoomId, undo: impl FnOnce(&mut Room) + 'static) {
        let id = id.clone();
        self.or_else(move |state| {
            state.rooms.get_mut(&id).map(undo);
        });
    }
}

impl State {
    pub fn load(
        store: Store,
        retention: Retention,
        inbound: InboundSender,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, BackendError> {
        let batch = store.begin()?;
        let (accounts, rooms, keys) = (Accounts::load(&batch)?, load_rooms(&batch)?, Keys::load(&batch)?);
        batch.commit()?;
        let mut state = Self {
            index: Index::of(&accounts, &rooms),
            store,
            retention,
            inbound,
            clock,
            entropy,
            accounts,
            rooms,
            nicknames: HashMap::new(),
            memos: HashMap::new(),
            kept: BTreeSet::new(),
            empty: BTreeSet::new(),
            keys,
            tries: Tries::default(),
            count: NodeCount::default(),
            tidied_us: i64::MIN,
        };
        state.sort_rooms();
        Ok(state)
    }

    /// Carries the requests out in order, makes what they changed durable with one commit, then answers.
    pub fn carry_out(&mut self, jobs: Vec<Job>) {
        let mut work = Work::default();
        let answers: Vec<_> = jobs.into_iter().map(|job| job(self, &mut work)).collect();
        let committed = work.batch.take().map_or(Ok(()), Batch::commit);
        match &committed {
            Ok(()) => {
                self.accounts.keep();
                work.events.into_iter().for_each(|event| self.inbound.send(event));
            }
            Err(error) => {
                tracing::error!(%error, "the embedded store cannot keep what it was given");
                self.put_back(work);
            }
        }
        answers.into_iter().for_each(|answer| answer(&committed));
    }

    fn put_back(&mut self, work: Work) {
        self.accounts.put_back();
        for (room, former) in work.before {
            match former {
                Some(Before { row, kept }) => {
                    // It may have been forgotten.
                    let known = self.rooms.entry(room).or_insert_with(|| Room::new(row));
                    (known.row, known.kept) = (row, kept);
                }
                None => {
                    self.rooms.remove(&room);
                }
            }
        }
        work.undo.into_iter().rev().for_each(|undo| undo(self));
        self.sort_rooms();
    }

    /// Finds the kept rooms and the idle ones anew.
    fn sort_rooms(&mut self) {
        let kept = self.rooms.iter().filter(|(_, room)| room.kept.is_some());
        self.kept = kept.map(|(id, _)| id.clone()).collect();
        let idle = self.rooms.iter().filter(|(id, room)| room.is_idle(id));
        self.empty = idle.map(|(id, room)| (room.row.newest_us, id.clone())).collect();
    }

    pub fn now_s(&self) -> i64 {
        self.clock.unix_us() / 1_000_000
    }

    pub fn batch<'a>(&self, work: &'a mut Work) -> Result<&'a Batch, BackendError> {
        if work.batch.is_none() {
            work.batch = Some(self.store.begin()?);
        }
        work.batch.as_ref().ok_or_else(|| BackendError::Failed("no transaction".into()))
    }

    /// How a room is before this batch changes it.
    pub fn remember(&self, id: &RoomId, work: &mut Work) {
        let before = |room: &Room| Before { row: room.row, kept: room.kept.clone() };
        work.before.entry(id.clone()).or_insert_with(|| self.rooms.get(id).map(before));
    }

    /// The row of a room that has had no event.
    pub fn fresh_row(&self) -> RoomRow {
        let epoch = Epoch::from_random(self.entropy.bits()).value();
        RoomRow { epoch, top: 0, newest_us: self.clock.unix_us() }
    }

    /// Remembers a room's new row, and its place among the idle ones.
    pub fn note(&mut self, id: &RoomId, row: RoomRow) {
        let room = self.rooms.entry(id.clone()).or_insert_with(|| Room::new(row));
        self.empty.remove(&(room.row.newest_us, id.clone()));
        room.row = row;
        if room.is_idle(id) {
            self.empty.insert((row.newest_us, id.clone()));
        }
    }

    pub fn make_place(&mut self, id: &RoomId, work: &mut Work) -> Result<(), BackendError> {
        if (self.rooms.len() as u64) < self.retention.rooms || self.rooms.contains_key(id) {
            return Ok(());
        }
        if let Some((_, quietest)) = self.empty.pop_first() {
            self.forget(&quietest, work)?;
        }
        Ok(())
    }

    fn forget(&mut self, id: &RoomId, work: &mut Work) -> Result<(), BackendError> {
        self.remember(id, work);
        if let Some(room) = self.rooms.remove(id) {
            self.empty.remove(&(room.row.newest_us, id.clone()));
        }
        self.batch(work)?.forget(id)
    }

    /// Forgets empty rooms whose newest event is older than the retention, deletions that no message reminds of, and
    /// revocations of logins that have ended.
    pub fn tidy(&mut self, work: &mut Work) -> Result<(), BackendError> {
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
        batch.forget_deletions(oldest_us)?;
        self.accounts.tidy(now_us / 1_000_000, batch)
    }
}

fn load_rooms(batch: &Batch) -> Result<HashMap<RoomId, Room>, BackendError> {
    let mut rooms = HashMap::new();
    for (name, row) in batch.rooms()? {
        let Ok(id) = RoomId::parse_stored(&name) else { continue };
        rooms.insert(id, Room::new(row));
    }
    for (name, kept) in batch.kept()? {
        let Ok(id) = RoomId::parse(&name) else { continue };
        if let Some(room) = rooms.get_mut(&id) {
            room.kept = Some(Arc::new(kept));
        }
    }
    for (name, account, since_us) in batch.rolls()? {
        let (Ok(id), Ok(account)) = (RoomId::parse(&name), Nickname::parse(&account)) else { continue };
        if let Some(room) = rooms.get_mut(&id) {
            room.roll.insert(account, since_us);
        }
    }
    enrol_owners(batch, &mut rooms)?;
    Ok(rooms)
}

/// An earlier version did not make owners members.
fn enrol_owners(batch: &Batch, rooms: &mut HashMap<RoomId, Room>) -> Result<(), BackendError> {
    for (id, room) in rooms {
        let owner = room.kept.as_ref().and_then(|kept| kept.owner().cloned());
        if let Some(owner) = owner.filter(|owner| !room.roll.contains(owner)) {
            let since_us = room.roll.next_us(room.row.newest_us);
            batch.put_roll(id, &owner, Some(since_us))?;
            batch.put_enrolment(&owner, id, room.position())?;
            room.roll.insert(owner, since_us);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
