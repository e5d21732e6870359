//! The state of the embedded backend and what each request does to it. Single-threaded on purpose: requests are carried
//! out one after the other, as Redis carries out scripts.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use super::super::{
    BackendError, CatchUp, Claimant, Claimed, Creation, Denial, Entered, Entry, Heard, Holder, InboundSender,
    Published, Registered, RoomFault, Ticket, decode_event, encode_event,
};
use super::accounts::Accounts;
use super::kept::Kept;
use super::store::{Batch, LogRow, RoomRow, Store};
use super::{Answer, Ask, Request, Retention};
use crate::ambient::{Clock, Entropy};
use crate::chat::{
    Actor, Envelope, Epoch, Event, EventKind, Identity, MessageId, Nickname, Position, Revocation, RoomId, RoomRecord,
    RoomSummary, SessionId,
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
    nicknames: HashMap<Nickname, Holder>,
    accounts: Accounts,
    rooms: HashMap<RoomId, Room>,
    /// Rooms that were created, in the order of their ids.
    kept: BTreeSet<RoomId>,
    /// Rooms that nobody is in and nobody keeps, those quiet for longest first.
    empty: BTreeSet<(i64, RoomId)>,
    tidied_us: i64,
}

struct Room {
    row: RoomRow,
    members: HashSet<SessionId>,
    /// Shared with how it was before the batch, and copied only when it changes.
    kept: Option<Arc<Kept>>,
}

impl Room {
    /// Whether it may be forgotten: nobody is in it and nobody keeps it.
    fn is_idle(&self, id: &RoomId) -> bool {
        self.members.is_empty() && self.kept.is_none() && *id != RoomId::lobby()
    }
}

/// Whether a registration minds that somebody bears the name at the moment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Borne {
    Minds,
    Whatever,
}

/// A room as it was before a batch.
struct Before {
    row: RoomRow,
    kept: Option<Arc<Kept>>,
    /// Where the batch put everybody out.
    members: Option<HashSet<SessionId>>,
}

/// One batch of requests on its way to one commit.
struct Work {
    batch: Option<Batch>,
    /// Rooms as they were before this batch, to be put back if the commit fails.
    before: HashMap<RoomId, Option<Before>>,
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
        for (name, row) in store.rooms()? {
            let Ok(room) = RoomId::parse_stored(&name) else { continue };
            rooms.insert(room, Room { row, members: HashSet::new(), kept: None });
        }
        let mut names = BTreeSet::new();
        for (name, kept) in store.kept()? {
            let Ok(id) = RoomId::parse(&name) else { continue };
            if let Some(room) = rooms.get_mut(&id) {
                room.kept = Some(Arc::new(kept));
                names.insert(id);
            }
        }
        let idle = rooms.iter().filter(|(id, room)| room.is_idle(id));
        let empty = idle.map(|(id, room)| (room.row.newest_us, id.clone())).collect();
        Ok(Self {
            accounts: Accounts::load(&store)?,
            store,
            retention,
            inbound,
            clock,
            entropy,
            nicknames: HashMap::new(),
            rooms,
            kept: names,
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

    fn put_back(&mut self, before: HashMap<RoomId, Option<Before>>) {
        for (room, former) in before {
            match former {
                Some(Before { row, kept, members }) => {
                    // It may have been forgotten.
                    let blank = || Room { row, members: HashSet::new(), kept: None };
                    let known = self.rooms.entry(room).or_insert_with(blank);
                    (known.row, known.kept) = (row, kept);
                    known.members.extend(members.unwrap_or_default());
                }
                None => {
                    self.rooms.remove(&room);
                }
            }
        }
        let kept = self.rooms.iter().filter(|(_, room)| room.kept.is_some());
        self.kept = kept.map(|(id, _)| id.clone()).collect();
        let idle = self.rooms.iter().filter(|(id, room)| room.is_idle(id));
        self.empty = idle.map(|(id, room)| (room.row.newest_us, id.clone())).collect();
    }

    fn one(&mut self, request: Request, work: &mut Work) -> Result<Answer, BackendError> {
        match request {
            Request::Publish(room, event, members, _) => {
                self.publish(&room, event, members.is_some(), work).map(Answer::Published)
            }
            Request::LeaseNumbers(count) => self.batch(work)?.lease_numbers(count).map(Answer::Leased),
            Request::CatchUp(room, last) => self.catch_up(&room, last, work).map(Answer::CatchUp),
            Request::History(room) => self.history(&room, work).map(Answer::History),
            Request::Barrier(reached) => {
                work.events.push(Heard::Barrier(reached));
                Ok(Answer::Done)
            }
            Request::Stop => Ok(Answer::Done),
            Request::Claim(nickname, holder, claimant) => {
                self.claim(nickname, holder, claimant, work).map(Answer::Claimed)
            }
            Request::Release(nickname, session) => {
                let held = self.nicknames.get(&nickname).is_some_and(|holder| holder.session == session);
                if held {
                    self.nicknames.remove(&nickname);
                }
                Ok(Answer::Released(held))
            }
            Request::Holder(nickname) => Ok(Answer::Holder(self.nicknames.get(&nickname).copied())),
            Request::Enter(room, who, entry) => self.enter(&room, who, &entry, work).map(Answer::Entered),
            Request::Leave(room, who) => self.leave(&room, who, work).map(Answer::Left),
            Request::Members(room) => {
                Ok(Answer::Members(self.rooms.get(&room).map_or(0, |room| room.members.len() as u64)))
            }
            Request::Create(room, record) => self.create(&room, record, work).map(Answer::Created),
            Request::Destroy(room, by, account) => self.destroy(&room, by, account.as_ref(), work).map(Answer::Changed),
            Request::Change(room, by, change) => {
                let Some(by) = by.nickname else { return Ok(Answer::Changed(Err(RoomFault::Forbidden))) };
                self.change_kept(&room, work, |kept| kept.change(&by, change)).map(Answer::Changed)
            }
            Request::Decide(room, by, who, approve) => {
                self.change_kept(&room, work, |kept| kept.decide(&by, &who, approve)).map(Answer::Decided)
            }
            Request::Withdraw(room, account) => {
                self.change_kept(&room, work, |kept| kept.withdraw(account)).map(Answer::Changed)
            }
            Request::Appoint(room, by, account, admin, _) => {
                let Some(by) = by.nickname else { return Ok(Answer::Changed(Err(RoomFault::Forbidden))) };
                self.change_kept(&room, work, |kept| kept.appoint(&by, account, admin)).map(Answer::Changed)
            }
            Request::View(room) => Ok(Answer::View(self.view(&room))),
            Request::List(after, limit) => Ok(Answer::List(self.list(after.as_ref(), limit))),
            Request::Deliver(session, notice, delivered) => {
                work.events.push(Heard::Notice { session, notice, delivered });
                Ok(Answer::Done)
            }
            Request::Proclaim(proclamation) => {
                work.events.push(Heard::Proclamation(proclamation));
                Ok(Answer::Done)
            }
            Request::AccountOf(identity) => Ok(Answer::Account(self.accounts.account_of(&identity))),
            Request::Register(identity, name) => {
                self.register(identity, name, work, Borne::Minds).map(Answer::Registered)
            }
            Request::Stands(login) => Ok(Answer::Stands(self.accounts.stands(&login))),
            Request::Revoke(account, which) => self.revoke(&account, which, work).map(|()| Answer::Done),
            Request::Tidy => self.tidy(work).map(|()| Answer::Done),
        }
    }

    fn register(
        &mut self,
        identity: Identity,
        name: Nickname,
        work: &mut Work,
        by_guest: Borne,
    ) -> Result<Registered, BackendError> {
        let borne = by_guest == Borne::Minds && self.nicknames.contains_key(&name);
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

    fn claim(
        &mut self,
        nickname: Nickname,
        claiming: Holder,
        claimant: Claimant,
        work: &mut Work,
    ) -> Result<Claimed, BackendError> {
        match (claimant, self.accounts.owner_of(&nickname)) {
            (Claimant::Guest, Some(_)) => return Ok(Claimed::Reserved),
            (Claimant::Account, None) => {
                self.register(Identity::of_token(&nickname), nickname.clone(), work, Borne::Whatever)?;
            }
            _ => {}
        }
        let holder = self.nicknames.get(&nickname).map(|holder| holder.session);
        let holder = holder.filter(|holder| *holder != claiming.session);
        if holder.is_some() && claimant != Claimant::Account {
            return Ok(Claimed::InUse);
        }
        self.nicknames.insert(nickname, claiming);
        Ok(Claimed::Done { from: holder })
    }

    fn publish(
        &mut self,
        id: &RoomId,
        event: Event,
        members_only: bool,
        work: &mut Work,
    ) -> Result<Option<Published>, BackendError> {
        let is_member = || self.rooms.get(id).is_some_and(|room| room.members.contains(&event.actor.session));
        if members_only && !is_member() {
            return Ok(None);
        }
        let message = match &event.kind {
            EventKind::Message { id, .. } => *id,
            _ => MessageId::default(),
        };
        let position = self.append(id, event, work)?;
        let time_us = self.rooms.get(id).map_or(0, |room| room.row.newest_us);
        Ok(Some(Published { position, time_us, id: message, repeated: false }))
    }

    fn append(&mut self, id: &RoomId, event: Event, work: &mut Work) -> Result<Position, BackendError> {
        self.make_place(id, work)?;
        let time_us = self.clock.unix_us();
        self.remember(id, work);
        let row = match self.rooms.get(id).map(|room| room.row) {
            Some(row) => RoomRow { top: row.top + 1, newest_us: time_us, ..row },
            None => RoomRow { top: 1, ..self.fresh_row() },
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

    /// How a room is before this batch changes it.
    fn remember(&self, id: &RoomId, work: &mut Work) {
        let before = |room: &Room| Before { row: room.row, kept: room.kept.clone(), members: None };
        work.before.entry(id.clone()).or_insert_with(|| self.rooms.get(id).map(before));
    }

    /// The row of a room that has had no event.
    fn fresh_row(&self) -> RoomRow {
        let epoch = Epoch::from_random(self.entropy.bits()).value();
        RoomRow { epoch, top: 0, newest_us: self.clock.unix_us() }
    }

    /// Remembers a room's new row, and its place among the idle ones.
    fn note(&mut self, id: &RoomId, row: RoomRow) {
        let room = self.rooms.entry(id.clone()).or_insert_with(|| Room { row, members: HashSet::new(), kept: None });
        self.empty.remove(&(room.row.newest_us, id.clone()));
        room.row = row;
        if room.is_idle(id) {
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
        self.remember(id, work);
        if let Some(room) = self.rooms.remove(id) {
            self.empty.remove(&(room.row.newest_us, id.clone()));
        }
        self.batch(work)?.forget(id)
    }

    fn enter(
        &mut self,
        id: &RoomId,
        who: Actor,
        entry: &Entry,
        work: &mut Work,
    ) -> Result<Result<Entered, Denial>, BackendError> {
        let is_member = |room: &Room| room.members.contains(&who.session);
        let repeated = self.rooms.get(id).is_some_and(is_member);
        if let Entry::Join(ticket) = entry
            && !repeated
            && let Err(denial) = self.admit(id, &who, ticket, work)?
        {
            return Ok(Err(denial));
        }
        // Nothing is ever lost in this process, so a restored member is one that was there all the time.
        let silent = repeated || matches!(entry, Entry::Restore { .. });
        let session = who.session;
        let position = match self.rooms.get(id) {
            Some(room) if silent => Position { epoch: Epoch::new(room.row.epoch), offset: room.row.top },
            _ => self.append(id, Event::new(who, EventKind::Joined), work)?,
        };
        let mut members = 0;
        if let Some(room) = self.rooms.get_mut(id) {
            self.empty.remove(&(room.row.newest_us, id.clone()));
            room.members.insert(session);
            members = room.members.len() as u64;
        }
        Ok(Ok(Entered { position, members, repeated: silent }))
    }

    fn admit(
        &mut self,
        id: &RoomId,
        who: &Actor,
        ticket: &Ticket,
        work: &mut Work,
    ) -> Result<Result<(), Denial>, BackendError> {
        let room = self.rooms.get(id);
        if ticket.must_exist && !room.is_some_and(|room| room.kept.is_some() || !room.members.is_empty()) {
            return Ok(Err(Denial::Unknown));
        }
        match room.and_then(|room| room.kept.clone()) {
            Some(kept) if kept.is_open() => Ok(Ok(())),
            Some(mut kept) => {
                let now_s = self.clock.unix_us() / 1_000_000;
                let admitted = Arc::make_mut(&mut kept).admit(who, ticket, now_s, false);
                self.keep_if_changed(id, kept, work)?;
                Ok(admitted)
            }
            None => Ok(Ok(())),
        }
    }

    fn leave(&mut self, id: &RoomId, who: Actor, work: &mut Work) -> Result<Option<Position>, BackendError> {
        let kept = self.rooms.get(id).and_then(|room| room.kept.clone());
        if let Some(mut kept) = kept.filter(|kept| kept.knows_guest(who.session)) {
            Arc::make_mut(&mut kept).forget_guest(who.session);
            self.keep_if_changed(id, kept, work)?;
        }
        let was_in = self.rooms.get_mut(id).is_some_and(|room| room.members.remove(&who.session));
        if !was_in {
            return Ok(None);
        }
        self.append(id, Event::new(who, EventKind::Left), work).map(Some)
    }

    fn create(&mut self, id: &RoomId, record: RoomRecord, work: &mut Work) -> Result<Creation, BackendError> {
        if self.rooms.get(id).is_some_and(|room| room.kept.is_some() || !room.members.is_empty()) {
            return Ok(Creation::Exists);
        }
        if self.kept.len() as u64 >= self.retention.kept_rooms {
            return Ok(Creation::TooMany);
        }
        self.make_place(id, work)?;
        self.remember(id, work);
        let row = self.rooms.get(id).map_or_else(|| self.fresh_row(), |room| room.row);
        self.batch(work)?.put_room(id, row)?;
        self.note(id, row);
        self.keep_if_changed(id, Arc::new(Kept::new(record)), work)?;
        Ok(Creation::Done)
    }

    fn destroy(
        &mut self,
        id: &RoomId,
        by: Actor,
        account: Option<&Nickname>,
        work: &mut Work,
    ) -> Result<Result<(), RoomFault>, BackendError> {
        let room = self.rooms.get(id).filter(|room| room.kept.is_some() || !room.members.is_empty());
        let Some(room) = room else { return Ok(Err(RoomFault::Unknown)) };
        if room.kept.as_ref().is_some_and(|kept| !kept.may_destroy(account)) {
            return Ok(Err(RoomFault::Forbidden));
        }
        self.remember(id, work);
        self.batch(work)?.put_kept(id, None)?;
        self.kept.remove(id);
        if let Some(room) = self.rooms.get_mut(id) {
            room.kept = None;
            let members = std::mem::take(&mut room.members);
            if let Some(Some(before)) = work.before.get_mut(id) {
                before.members.get_or_insert(members);
            }
        }
        self.append(id, Event::new(by, EventKind::Destroyed { room: id.clone() }), work)?;
        Ok(Ok(()))
    }

    /// Changes what is known of a kept room.
    fn change_kept<T>(
        &mut self,
        id: &RoomId,
        work: &mut Work,
        change: impl FnOnce(&mut Kept) -> Result<T, RoomFault>,
    ) -> Result<Result<T, RoomFault>, BackendError> {
        let Some(mut kept) = self.rooms.get(id).and_then(|room| room.kept.clone()) else {
            return Ok(Err(RoomFault::Unknown));
        };
        let changed = change(Arc::make_mut(&mut kept));
        self.keep_if_changed(id, kept, work)?;
        Ok(changed)
    }

    fn keep_if_changed(&mut self, id: &RoomId, kept: Arc<Kept>, work: &mut Work) -> Result<(), BackendError> {
        let same = |room: &Room| room.kept.as_ref() == Some(&kept);
        if self.rooms.get(id).is_some_and(same) {
            return Ok(());
        }
        self.remember(id, work);
        self.batch(work)?.put_kept(id, Some(&kept))?;
        self.kept.insert(id.clone());
        if let Some(room) = self.rooms.get_mut(id) {
            self.empty.remove(&(room.row.newest_us, id.clone()));
            room.kept = Some(kept);
        }
        Ok(())
    }

    fn view(&self, id: &RoomId) -> Option<crate::chat::RoomView> {
        let room = self.rooms.get(id)?;
        Some(room.kept.as_ref()?.view(room.members.len() as u64))
    }

    fn list(&self, after: Option<&RoomId>, limit: usize) -> Vec<RoomSummary> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let summary = |id: &RoomId| {
            let room = self.rooms.get(id)?;
            Some(room.kept.as_ref()?.summary(id.clone(), room.members.len() as u64))
        };
        self.kept.range((from, Bound::Unbounded)).filter_map(summary).take(limit).collect()
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

#[cfg(test)]
mod tests;
