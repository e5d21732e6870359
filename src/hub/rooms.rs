//! Rooms with local members. Two locks, always taken in this order: the shard (which rooms exist), the room (who is in it).

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use indexmap::IndexMap;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Mailbox, PutOut, RoomStream, Step};
use crate::chat::{Actor, Envelope, Epoch, EventKind, Nickname, Notice, Position, RoomId, SessionId, TokenBucket};
use crate::telemetry::Metrics;
use crate::wire::{Fanout, WireFormat};

const SHARDS: usize = 64;
/// The most that is put by for one member while it is told what it missed in a room.
const WAITING_BYTES_MAX: usize = 256 * 1024;

/// How many who write a room's members are told of each second: what a person can take in.
const TYPISTS_PER_SECOND: u32 = 10;

/// Asks for a room's traffic with its first local member and gives it up with the last.
///
/// The hub calls these under the room's shard lock, so that the order of calls is the order of what happened; the calls
/// must not block, and their effects must come about in the order of the calls.
pub trait Interest: Send + Sync {
    /// The receiver gets `true` once the room's traffic is sure to arrive; an error or `false` means it will not.
    fn begin(&self, room: &RoomId) -> oneshot::Receiver<bool>;
    fn end(&self, room: &RoomId);
}

/// A session as a member of a room on this node.
pub struct LocalMember {
    pub session: SessionId,
    pub mailbox: Arc<Mailbox>,
    pub format: WireFormat,
    /// The account under which the session is logged in.
    pub account: Option<Nickname>,
    /// Whether it is shown its own leaving like everybody else's.
    pub sees_own_leaving: bool,
    /// Whether it is shown what it says, or the account in another session, like what everybody else says.
    pub sees_own_messages: bool,
}

impl LocalMember {
    /// Tells it of one event, past the room, if it is shown it.
    pub fn tell(&self, room: &RoomId, envelope: &Envelope) {
        let fanout = Fanout::new(room.as_str(), envelope);
        if let Some(bytes) = self.is_shown(envelope).then(|| fanout.bytes(self.format)).flatten() {
            self.mailbox.event(room, bytes.clone(), envelope.event.actor.session == self.session);
        }
    }

    /// Tells it that the room goes on after this position, and that something before it is lost to it. `own`: after the answer
    /// to the request in flight.
    pub fn tell_gap(&self, room: &RoomId, position: Position, own: bool) {
        // No client knows where it stands in the lobby.
        if *room == RoomId::lobby() {
            return;
        }
        if let Some(bytes) = self.format.tell(&Notice::Gap { room: room.clone(), position }) {
            self.mailbox.event(room, bytes, own);
        }
    }

    /// Whether an event is one of its account's doing, in whatever session.
    fn is_of_account(&self, actor: &Actor) -> bool {
        self.account.is_some() && self.account == actor.nickname
    }

    /// Whether it is shown an event at all.
    fn is_shown(&self, envelope: &Envelope) -> bool {
        let actor = &envelope.event.actor;
        let own = actor.session == self.session;
        match &envelope.event.kind {
            EventKind::Left | EventKind::Went => !own || self.sees_own_leaving,
            EventKind::Message { .. } => self.sees_own_messages || !(own || self.is_of_account(actor)),
            _ => true,
        }
    }

    /// Whether an event puts it out of the room.
    fn is_put_out_by(&self, kind: &EventKind) -> bool {
        match kind {
            EventKind::Removed { who } => who.session == self.session || self.is_of_account(who),
            _ => false,
        }
    }
}

/// What [`Hub::enter`] began.
pub struct Arrival {
    /// To be awaited before the broker is told of the new member; `None` when traffic flows already.
    pub ready: Option<oneshot::Receiver<bool>>,
}

/// How a departure ends.
pub enum Departure {
    /// The member is out.
    Done,
    /// The member is out once its own leaving was delivered to it.
    Pending(oneshot::Receiver<()>),
}

/// What became of an event.
#[derive(Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It went to this many mailboxes.
    To(usize),
    /// It was known, or nobody here is in that room, or the room is being caught up anyway.
    Ignored,
    /// Something before it is missing; the caller is to catch the room up from this position.
    CatchUpFrom(Position),
}

pub struct Hub {
    shards: Vec<Mutex<HashMap<RoomId, Arc<Room>>>>,
    hasher: RandomState,
    interest: Arc<dyn Interest>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Room {
    state: Mutex<RoomState>,
    /// Traffic was once confirmed; after that, losses are the broker's to repair.
    ready: AtomicBool,
}

#[derive(Default)]
struct RoomState {
    stream: RoomStream,
    /// By session, so that coming and going costs the same however many are in; in one piece, so that fan-out walks along it.
    members: IndexMap<SessionId, Entry>,
    /// Somebody reads the stream; live events are not delivered until that is done.
    catching_up: bool,
    /// The newest event heard while catching up.
    heard: Option<Position>,
    /// How often the members are told that somebody writes. Boxed, because in most rooms nobody says so.
    typing: Option<Box<TokenBucket>>,
}

struct Entry {
    member: LocalMember,
    phase: Phase,
}

enum Phase {
    /// Being told what it missed: what is heard meanwhile is put by.
    Waiting(Heard),
    /// Was told everything up to this position, which the others may still have to hear.
    Ahead(Position),
    /// Entering: nothing is delivered before its own join.
    Joining,
    Active,
    /// Gets everything up to and including this position.
    Leaving {
        last: Position,
        done: Option<oneshot::Sender<()>>,
    },
}

/// What was heard in a room for a member that is still told of what came before.
#[derive(Default)]
struct Heard {
    events: Vec<(Position, Bytes)>,
    bytes: usize,
    /// More was heard than may be put by, and all of it dropped: it is to be read from the stream.
    overrun: bool,
}

impl Heard {
    fn put_by(&mut self, position: Position, bytes: &Bytes) {
        self.bytes += bytes.len();
        self.overrun |= self.bytes > WAITING_BYTES_MAX;
        if self.overrun {
            *self = Self { overrun: true, ..Self::default() };
        } else {
            self.events.push((position, bytes.clone()));
        }
    }
}

impl Hub {
    pub fn new(interest: Arc<dyn Interest>, metrics: Arc<Metrics>) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new(), interest, metrics }
    }

    fn shard(&self, room: &RoomId) -> &Mutex<HashMap<RoomId, Arc<Room>>> {
        &self.shards[self.hasher.hash_one(room) as usize % SHARDS]
    }

    fn room(&self, room: &RoomId) -> Option<Arc<Room>> {
        self.shard(room).lock().get(room).cloned()
    }

    /// Places a session in a room; it gets nothing until its own join arrives or [`Hub::entered`] says so.
    pub fn enter(&self, id: &RoomId, member: LocalMember) -> Arrival {
        self.place(id, member, Phase::Joining)
    }

    /// Places a session in a room that nobody joins or leaves; it gets what is heard from now on.
    pub fn listen(&self, id: &RoomId, member: LocalMember) -> Arrival {
        self.place(id, member, Phase::Active)
    }

    /// Places a session in a room in which it is to be told first what it missed; then [`Hub::activate`] it.
    pub fn wait(&self, id: &RoomId, member: LocalMember) -> Arrival {
        self.place(id, member, Phase::Waiting(Heard::default()))
    }

    /// A waiting member was told everything up to this position: what was heard since follows. `false` when that is not all,
    /// and the stream is to be read once more.
    pub fn activate(&self, id: &RoomId, session: SessionId, told: Position) -> bool {
        let Some(room) = self.room(id) else { return true };
        let mut state = room.state.lock();
        state.stream.begin_after(told);
        let Some(entry) = state.members.get_mut(&session) else { return true };
        let Phase::Waiting(heard) = &mut entry.phase else { return true };
        let heard = std::mem::take(heard);
        if heard.overrun {
            return false;
        }
        for (position, bytes) in heard.events {
            if past(told, position) {
                entry.member.mailbox.event(id, bytes, false);
            }
        }
        entry.phase = Phase::Ahead(told);
        true
    }

    /// What a waiting member missed cannot be told: it is told so, and hears what comes.
    pub fn activate_past_gap(&self, id: &RoomId, session: SessionId) {
        let Some(room) = self.room(id) else { return };
        let mut state = room.state.lock();
        let delivered = state.stream.delivered();
        let Some(entry) = state.members.get_mut(&session) else { return };
        entry.phase = Phase::Active;
        if let Some(position) = delivered {
            entry.member.tell_gap(id, position, false);
        }
    }

    /// The sessions of accounts among a room's members here, but those of one.
    pub fn accounts_in(&self, id: &RoomId, except: &Nickname) -> Vec<SessionId> {
        let Some(room) = self.room(id) else { return Vec::new() };
        let state = room.state.lock();
        let members = state.members.values().map(|entry| &entry.member);
        let accounts = members.filter(|member| member.account.as_ref().is_some_and(|account| account != except));
        accounts.map(|member| member.session).collect()
    }

    /// How far a room's members here were told of its stream.
    pub fn position(&self, id: &RoomId) -> Option<Position> {
        self.room(id)?.state.lock().stream.delivered()
    }

    fn place(&self, id: &RoomId, member: LocalMember, phase: Phase) -> Arrival {
        let mut shard = self.shard(id).lock();
        let room = shard.entry(id.clone()).or_insert_with(|| {
            self.metrics.rooms.inc();
            Arc::default()
        });
        room.state.lock().members.insert(member.session, Entry { member, phase });
        let ready = (!room.ready.load(Ordering::Acquire)).then(|| self.interest.begin(id));
        Arrival { ready }
    }

    /// Nothing after this position is to be missed, though nobody entered at it.
    pub fn begin_after(&self, id: &RoomId, last: Position) {
        if let Some(room) = self.room(id) {
            room.state.lock().stream.begin_after(last);
        }
    }

    /// The room's traffic is known to arrive.
    pub fn confirm(&self, id: &RoomId) {
        if let Some(room) = self.room(id) {
            room.ready.store(true, Ordering::Release);
        }
    }

    /// The broker accepted the member at this position. `repeated`: it had accepted it before, so that no new join will
    /// be heard.
    pub fn entered(&self, id: &RoomId, session: SessionId, position: Position, repeated: bool) {
        let Some(room) = self.room(id) else { return };
        let mut state = room.state.lock();
        if repeated {
            // No join of its own is there: what is at the position already happened before it came.
            state.stream.begin_after(position);
        } else {
            state.stream.begin_at(position);
        }
        if repeated
            && let Some(entry) = state.members.get_mut(&session)
            && matches!(entry.phase, Phase::Joining)
        {
            entry.phase = Phase::Active;
        }
    }

    /// Takes a session out at once.
    pub fn remove(&self, id: &RoomId, session: SessionId) {
        if let Some(room) = self.room(id) {
            room.state.lock().members.swap_remove(&session);
            self.reap(id);
        }
    }

    /// Takes a session out once everything up to its own leaving, at `last`, has passed it.
    pub fn remove_after(&self, id: &RoomId, session: SessionId, last: Position) -> Departure {
        let Some(room) = self.room(id) else { return Departure::Done };
        let mut state = room.state.lock();
        if state.stream.delivered().is_some_and(|delivered| reached(delivered, last)) {
            drop(state);
            self.remove(id, session);
            return Departure::Done;
        }
        let Some(entry) = state.members.get_mut(&session) else { return Departure::Done };
        let (done, pending) = oneshot::channel();
        entry.phase = Phase::Leaving { last, done: Some(done) };
        Departure::Pending(pending)
    }

    /// Hands an event to the room's members here.
    pub fn deliver(&self, id: &RoomId, envelope: &Envelope) -> Delivered {
        let Some(room) = self.room(id) else { return Delivered::Ignored };
        let mut state = room.state.lock();
        if state.catching_up {
            state.heard = Some(envelope.position);
            return Delivered::Ignored;
        }
        let delivered = match state.stream.accept(envelope.position) {
            Step::Deliver => Delivered::To(self.fan_out(id, &mut state, envelope)),
            Step::Duplicate => {
                self.metrics.duplicates_total.inc();
                state.let_in_late(id, envelope);
                Delivered::Ignored
            }
            Step::Missed => {
                state.heard = Some(envelope.position);
                state.begin_catch_up().map_or(Delivered::Ignored, Delivered::CatchUpFrom)
            }
        };
        self.reap_if_empty(id, state);
        delivered
    }

    /// Tells a room's members here, but the one who does it, that somebody is writing: in no place among the room's events, to
    /// each who has room for it, and only so often. `false` when nobody was told for that.
    pub fn tell_typing(&self, id: &RoomId, who: &Actor, now_ms: u64) -> bool {
        let Some(room) = self.room(id) else { return true };
        let mut state = room.state.lock();
        let bucket = state
            .typing
            .get_or_insert_with(|| Box::new(TokenBucket::new(TYPISTS_PER_SECOND, TYPISTS_PER_SECOND, now_ms)));
        if !bucket.take(now_ms) {
            return false;
        }
        let notice = Notice::Typing { room: id.clone(), who: who.clone() };
        let mut encoded: Vec<(WireFormat, Option<Bytes>)> = Vec::new();
        for entry in state.members.values() {
            let LocalMember { session, mailbox, format, .. } = &entry.member;
            if *session == who.session || !matches!(entry.phase, Phase::Active | Phase::Ahead(_)) {
                continue;
            }
            let index = encoded.iter().position(|(known, _)| known == format).unwrap_or_else(|| {
                encoded.push((*format, format.tell(&notice)));
                encoded.len() - 1
            });
            if let Some(bytes) = &encoded[index].1 {
                mailbox.hint(bytes.clone());
            }
        }
        true
    }

    /// The rooms with local members.
    pub fn rooms(&self) -> Vec<RoomId> {
        self.shards.iter().flat_map(|shard| shard.lock().keys().cloned().collect::<Vec<_>>()).collect()
    }

    /// The epoch of a room's stream as its members here know it.
    pub fn epoch(&self, id: &RoomId) -> Option<Epoch> {
        self.position(id).map(|position| position.epoch)
    }

    /// Stops live delivery for a room until [`Hub::caught_up`]; says from where the stream is to be read. `None` when
    /// somebody does it already, or nothing was ever delivered.
    pub fn begin_catch_up(&self, id: &RoomId) -> Option<Position> {
        self.room(id)?.state.lock().begin_catch_up()
    }

    /// Delivers what was read from the stream, which may go on under another epoch though nothing is lost. With `skipped_to`,
    /// what lies between is lost and the room goes on from
    /// there. Returns the position to read on from, when more was heard meanwhile.
    pub fn caught_up(
        &self,
        id: &RoomId,
        missed: &[Envelope],
        skipped_to: Option<(Epoch, u64)>,
        epoch: Option<Epoch>,
    ) -> Option<Position> {
        let room = self.room(id)?;
        let mut state = room.state.lock();
        if let Some((epoch, offset)) = skipped_to {
            state.stream.skip_to(epoch, offset);
            state.settle_after_skip(id, Position { epoch, offset });
        } else if let Some(epoch) = epoch {
            state.go_on_under(epoch);
        }
        for envelope in missed {
            if state.stream.accept(envelope.position) == Step::Deliver {
                self.fan_out(id, &mut state, envelope);
            }
        }
        state.catching_up = false;
        let heard = state.heard.take();
        let behind = match (heard, state.stream.delivered()) {
            (Some(heard), Some(delivered)) if !reached(delivered, heard) => state.begin_catch_up(),
            _ => None,
        };
        self.reap_if_empty(id, state);
        behind
    }

    /// Gives a catch-up up; the next event heard starts another.
    pub fn abandon_catch_up(&self, id: &RoomId) {
        if let Some(room) = self.room(id) {
            let mut state = room.state.lock();
            state.catching_up = false;
            state.heard = None;
        }
    }

    fn fan_out(&self, id: &RoomId, state: &mut RoomState, envelope: &Envelope) -> usize {
        let fanout = Fanout::new(id.as_str(), envelope);
        let kind = &envelope.event.kind;
        let actor = envelope.event.actor.session;
        let mut receivers = 0;
        let mut someone_goes = false;
        for (session, entry) in &mut state.members {
            let own = *session == actor;
            match &mut entry.phase {
                Phase::Joining if own && matches!(kind, EventKind::Joined | EventKind::Came) => {
                    entry.phase = Phase::Active;
                }
                Phase::Joining => continue,
                Phase::Active | Phase::Waiting(_) => {}
                Phase::Ahead(told) if past(*told, envelope.position) => entry.phase = Phase::Active,
                Phase::Ahead(_) => continue,
                Phase::Leaving { last, .. } => {
                    someone_goes = true;
                    if past(*last, envelope.position) {
                        continue;
                    }
                }
            }
            let bytes = entry.member.is_shown(envelope).then(|| fanout.bytes(entry.member.format)).flatten();
            match (bytes, &mut entry.phase) {
                (Some(bytes), Phase::Waiting(heard)) => heard.put_by(envelope.position, bytes),
                (Some(bytes), _) => {
                    entry.member.mailbox.event(id, bytes.clone(), own);
                    receivers += 1;
                }
                (None, _) => {}
            }
            if own && is_of_member(kind) {
                entry.member.mailbox.own_passed();
            }
        }
        match kind {
            EventKind::Destroyed { room } if room == id => state.put_all_out(id, envelope.position),
            EventKind::Removed { .. } => state.put_out(id, envelope.position, kind),
            _ => {}
        }
        if someone_goes {
            state.drop_departed(envelope.position);
        }
        self.metrics.fanout_receivers.observe(receivers as f64);
        self.metrics.deliveries_total.inc_by(receivers as u64);
        receivers
    }

    fn reap_if_empty(&self, id: &RoomId, state: parking_lot::MutexGuard<'_, RoomState>) {
        let empty = state.members.is_empty();
        drop(state);
        if empty {
            self.reap(id);
        }
    }

    /// Forgets a room without members. Decided under the shard lock: a member that enters meanwhile is seen.
    fn reap(&self, id: &RoomId) {
        let mut shard = self.shard(id).lock();
        let empty = shard.get(id).is_some_and(|room| room.state.lock().members.is_empty());
        if empty {
            shard.remove(id);
            self.metrics.rooms.dec();
            self.interest.end(id);
        }
    }
}

impl RoomState {
    fn begin_catch_up(&mut self) -> Option<Position> {
        if self.catching_up {
            return None;
        }
        let from = self.stream.delivered()?;
        self.catching_up = true;
        Some(from)
    }

    /// A join that another member here was told from the stream, before it was heard: the one who joins still waits for it.
    fn let_in_late(&mut self, id: &RoomId, envelope: &Envelope) {
        if !matches!(envelope.event.kind, EventKind::Joined | EventKind::Came) {
            return;
        }
        let Some(entry) = self.members.get_mut(&envelope.event.actor.session) else { return };
        if matches!(entry.phase, Phase::Joining) {
            entry.phase = Phase::Active;
            entry.member.tell(id, envelope);
            entry.member.mailbox.own_passed();
        }
    }

    /// The stream has another epoch by now, and is the same up to where it was delivered.
    fn go_on_under(&mut self, epoch: Epoch) {
        let Some(delivered) = self.stream.delivered().filter(|delivered| delivered.epoch != epoch) else { return };
        self.stream.skip_to(epoch, delivered.offset);
        for entry in self.members.values_mut() {
            match &mut entry.phase {
                Phase::Ahead(position) | Phase::Leaving { last: position, .. } if position.epoch == delivered.epoch => {
                    position.epoch = epoch;
                }
                _ => {}
            }
        }
    }

    /// After a hole nobody can wait for an event that may lie in it. Who may have missed something is told so.
    fn settle_after_skip(&mut self, id: &RoomId, skipped_to: Position) {
        self.members.retain(|_, entry| match &mut entry.phase {
            Phase::Joining => {
                entry.phase = Phase::Active;
                // After the answer to the join.
                entry.member.tell_gap(id, skipped_to, true);
                true
            }
            Phase::Active => {
                entry.member.tell_gap(id, skipped_to, false);
                true
            }
            Phase::Ahead(told) => {
                if told.epoch != skipped_to.epoch || told.offset < skipped_to.offset {
                    entry.phase = Phase::Active;
                    entry.member.tell_gap(id, skipped_to, false);
                }
                true
            }
            Phase::Waiting(heard) => {
                heard.overrun = true;
                true
            }
            Phase::Leaving { .. } => false,
        });
    }

    /// Somebody was removed.
    fn put_out(&mut self, id: &RoomId, at: Position, kind: &EventKind) {
        self.members.retain(|_, entry| {
            let out = entry.member.is_put_out_by(kind);
            if out {
                entry.member.mailbox.put_out(PutOut { room: id.clone(), at, shown: true });
            }
            !out
        });
    }

    /// The room is gone. Who is still joining joins its next life.
    fn put_all_out(&mut self, id: &RoomId, at: Position) {
        self.members.retain(|_, entry| match entry.phase {
            Phase::Joining => true,
            Phase::Active | Phase::Ahead(_) | Phase::Waiting(_) => {
                entry.member.mailbox.put_out(PutOut { room: id.clone(), at, shown: false });
                false
            }
            Phase::Leaving { .. } => false,
        });
    }

    fn drop_departed(&mut self, delivered: Position) {
        self.members.retain(|_, entry| match &mut entry.phase {
            Phase::Leaving { last, done } if reached(delivered, *last) => {
                if let Some(done) = done.take() {
                    // Nobody may be waiting any more; that is fine.
                    let _ = done.send(());
                }
                false
            }
            _ => true,
        });
    }
}

/// `delivered` is at or after `wanted`; another epoch counts as after, because what was wanted will not come any more.
fn reached(delivered: Position, wanted: Position) -> bool {
    delivered.epoch != wanted.epoch || delivered.offset >= wanted.offset
}

/// Whether an event is one that members cause by their own requests in the room, and wait to see.
fn is_of_member(kind: &EventKind) -> bool {
    use EventKind::{Came, Joined, Left, Message, Went};
    matches!(kind, Joined | Came | Left | Went | Message { .. })
}

fn past(last: Position, position: Position) -> bool {
    last.epoch != position.epoch || position.offset > last.offset
}

#[cfg(test)]
mod tests;
