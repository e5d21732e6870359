//! Coming into a room and going out of it, by one's own will or another's.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::member::{Entry, Going, LocalMember, Phase, READS_AGAIN_MAX};
use super::{Hub, RoomState, past, reached};
use crate::chat::{EventKind, Position, RoomId, SessionId};
use crate::hub::PutOut;

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

impl Hub {
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
        self.place(id, member, Phase::Waiting(Box::default()))
    }

    fn place(&self, id: &RoomId, member: LocalMember, phase: Phase) -> Arrival {
        let mut shard = self.shard(id).lock();
        let room = shard.entry(id.clone()).or_insert_with(|| {
            self.metrics.rooms.inc();
            Arc::default()
        });
        room.state.lock().members.insert(member.session, Entry { member, phase, going: None });
        let ready = (!room.ready.load(Ordering::Acquire)).then(|| self.interest.begin(id));
        Arrival { ready }
    }

    /// A waiting member was told everything up to this position: what was heard since follows. `false` when that is not all,
    /// and the stream is to be read once more, for the room and for the member.
    pub fn activate(&self, id: &RoomId, session: SessionId, told: Position) -> bool {
        let Some(room) = self.room(id) else { return true };
        let mut state = room.state.lock();
        // Under another epoch nobody can say which of the two is the former one, until both sides have read the stream.
        let is_elsewhere = state.stream.known().is_some_and(|known| known.epoch != told.epoch);
        state.stream.begin_after(told);
        let Some(entry) = state.members.get_mut(session) else { return true };
        let Phase::Waiting(heard) = &mut entry.phase else { return true };
        let heard = std::mem::take(&mut **heard);
        if heard.overrun || (is_elsewhere && heard.reads_again < READS_AGAIN_MAX) {
            entry.phase = Phase::Waiting(Box::new(heard.read_again()));
            return false;
        }
        for (position, bytes) in heard.events {
            let is_former = !is_elsewhere && position.epoch != told.epoch;
            if !is_former && past(told, position) {
                entry.member.mailbox.event(id, bytes, false);
            }
        }
        entry.phase = Phase::Ahead(told);
        true
    }

    /// What a waiting member missed after this position cannot be told: it hears what comes, and is told of the gap, if there is
    /// one. There is none where the room itself did not get beyond that position yet.
    pub fn activate_past_gap(&self, id: &RoomId, session: SessionId, told: Position) {
        let Some(room) = self.room(id) else { return };
        let mut state = room.state.lock();
        let known = state.stream.known();
        let Some(entry) = state.members.get_mut(session) else { return };
        match known {
            Some(at) if at.epoch == told.epoch && reached(told, at) => entry.phase = Phase::Ahead(told),
            Some(at) => {
                entry.phase = Phase::Active;
                entry.member.tell_gap(id, at, false);
            }
            None => entry.phase = Phase::Active,
        }
    }

    /// The broker accepted the member at this position. `repeated`: it had accepted it before, so that no new join will
    /// be heard. The former one may still have been on its way; `true` when its own join is to be heard, or was.
    pub fn entered(&self, id: &RoomId, session: SessionId, position: Position, repeated: bool) -> bool {
        let Some(room) = self.room(id) else { return !repeated };
        let mut state = room.state.lock();
        if !repeated {
            state.stream.begin_at(position);
            return !state.has_passed_over(id, session, position);
        }
        // No join of its own is there: what is at the position already happened before it came.
        state.stream.begin_after(position);
        match state.members.get_mut(session).map(|entry| &mut entry.phase) {
            Some(phase @ Phase::Joining) => {
                *phase = Phase::Ahead(position);
                false
            }
            Some(Phase::Active) => true,
            _ => false,
        }
    }

    /// Takes a session out at once.
    pub fn remove(&self, id: &RoomId, session: SessionId) {
        if let Some(room) = self.room(id) {
            room.state.lock().members.remove(session);
            self.reap(id);
        }
    }

    /// Takes a session out once everything up to its own leaving, at `last`, has passed it.
    pub fn remove_after(&self, id: &RoomId, session: SessionId, last: Position) -> Departure {
        let Some(room) = self.room(id) else { return Departure::Done };
        let mut state = room.state.lock();
        let (delivered, known) = (state.stream.delivered(), state.stream.known());
        // Of another epoch than what was delivered is what is still to come: the broker has begun one of which nobody heard yet.
        if delivered.is_some_and(|delivered| delivered.epoch == last.epoch && reached(delivered, last)) {
            drop(state);
            self.remove(id, session);
            return Departure::Done;
        }
        let Some(entry) = state.members.get_mut(session) else { return Departure::Done };
        let (done, pending) = oneshot::channel();
        let known = known.map_or(last.epoch, |known| known.epoch);
        entry.going = Some(Box::new(Going { last, known, done }));
        state.members.note_going(session);
        Departure::Pending(pending)
    }
}

impl RoomState {
    /// Whether a session's join was not heard, though the room was delivered beyond it: while it was not known, the stream was read from where
    /// another one had entered. It goes on from there, and is told so after the answer.
    fn has_passed_over(&mut self, id: &RoomId, session: SessionId, join: Position) -> bool {
        let is_beyond = |delivered: &Position| delivered.epoch == join.epoch && reached(*delivered, join);
        let Some(delivered) = self.stream.delivered().filter(is_beyond) else { return false };
        match self.members.get_mut(session) {
            Some(entry) if matches!(entry.phase, Phase::Joining) => {
                entry.phase = Phase::Active;
                entry.member.tell_gap(id, delivered, true);
                true
            }
            _ => false,
        }
    }

    /// Somebody was removed.
    pub(super) fn put_out(&mut self, id: &RoomId, at: Position, kind: &EventKind) {
        self.members.retain(|entry| {
            let out = entry.member.is_put_out_by(kind);
            if out {
                entry.member.mailbox.put_out(PutOut { room: id.clone(), at, shown: true });
            }
            !out
        });
    }

    /// The room is gone. Who is still joining joins its next life.
    pub(super) fn put_all_out(&mut self, id: &RoomId, at: Position) {
        self.members.retain(|entry| match entry.phase {
            _ if entry.going.is_some() => false,
            Phase::Joining => true,
            Phase::Active | Phase::Ahead(_) | Phase::Waiting(_) => {
                entry.member.mailbox.put_out(PutOut { room: id.clone(), at, shown: false });
                false
            }
        });
    }
}
