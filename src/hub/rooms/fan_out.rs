//! What is heard goes to the room's members here, each in its format.

use super::member::{Entry, LocalMember, Phase, is_coming};
use super::{Hub, RoomState};
use crate::chat::{Actor, Envelope, Event, EventKind, Notice, Position, RoomId, TokenBucket};
use crate::hub::{Flush, Step};

/// How many who write a room's members are told of each second: what a person can take in.
const TYPISTS_PER_SECOND: u32 = 10;

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

impl Hub {
    /// Hands an event to the room's members here; `flush` is to be run then.
    pub fn deliver(&self, id: &RoomId, envelope: &Envelope, flush: &mut Flush) -> Delivered {
        let Some(room) = self.room(id) else { return Delivered::Ignored };
        let mut state = room.state.lock();
        if state.catching_up {
            state.heard = Some(envelope.position);
            return Delivered::Ignored;
        }
        let delivered = match state.stream.accept(envelope.position) {
            Step::Deliver => Delivered::To(self.fan_out(id, &mut state, envelope, flush)),
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

    pub(super) fn fan_out(&self, id: &RoomId, state: &mut RoomState, envelope: &Envelope, flush: &mut Flush) -> usize {
        let Event { actor, kind, .. } = &envelope.event;
        let mut receivers = 0;
        for (format, alike) in state.members.groups_mut() {
            match format.event(id.as_str(), envelope) {
                Some(bytes) => {
                    for entry in alike.values_mut() {
                        receivers += usize::from(entry.take(id, envelope, Some(&bytes), flush));
                    }
                }
                // Of those who are told nothing, only the one whose doing it is notices.
                None => {
                    if let Some(entry) = alike.get_mut(&actor.session) {
                        entry.take(id, envelope, None, flush);
                    }
                }
            }
        }
        match kind {
            EventKind::Destroyed { room } if room == id => state.put_all_out(id, envelope.position),
            EventKind::Removed { .. } => state.put_out(id, envelope.position, kind),
            _ => {}
        }
        state.members.drop_departed(envelope.position);
        self.metrics.fanout_receivers.observe(receivers as f64);
        self.metrics.deliveries_total.inc_by(receivers as u64);
        receivers
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
        for (format, alike) in state.members.groups() {
            let Some(bytes) = format.tell(&notice) else { continue };
            for Entry { member: LocalMember { session, mailbox, .. }, phase, going } in alike.values() {
                let is_in = going.is_none() && matches!(phase, Phase::Active | Phase::Ahead(_));
                if is_in && *session != who.session {
                    mailbox.hint(bytes.clone());
                }
            }
        }
        true
    }
}

impl RoomState {
    /// A join that another member here was told from the stream, before it was heard: the one who joins still waits for it.
    fn let_in_late(&mut self, id: &RoomId, envelope: &Envelope) {
        if !is_coming(&envelope.event.kind) {
            return;
        }
        let Some(entry) = self.members.get_mut(envelope.event.actor.session) else { return };
        if matches!(entry.phase, Phase::Joining) {
            entry.phase = Phase::Active;
            entry.member.tell(id, envelope);
            entry.member.mailbox.own_passed();
        }
    }
}
