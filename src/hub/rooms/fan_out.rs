//! What is heard goes to the room's members here, each in its format.

use bytes::Bytes;

use super::member::{LocalMember, Phase};
use super::{Hub, RoomState, past};
use crate::chat::{Actor, Envelope, EventKind, Notice, Position, RoomId, TokenBucket};
use crate::hub::{Flush, Step};
use crate::wire::{Fanout, WireFormat};

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
        let fanout = Fanout::new(id.as_str(), envelope);
        let kind = &envelope.event.kind;
        let actor = envelope.event.actor.session;
        let mut receivers = 0;
        let mut someone_goes = false;
        for (session, entry) in &mut state.members {
            let own = *session == actor;
            if let Some(going) = &entry.going {
                someone_goes = true;
                if past(going.last, envelope.position) {
                    continue;
                }
            }
            match &mut entry.phase {
                Phase::Joining if own && matches!(kind, EventKind::Joined | EventKind::Came) => {
                    entry.phase = Phase::Active;
                }
                Phase::Joining => continue,
                Phase::Active | Phase::Waiting(_) => {}
                Phase::Ahead(told) if past(*told, envelope.position) => entry.phase = Phase::Active,
                Phase::Ahead(_) => continue,
            }
            let bytes = entry.member.is_shown(envelope).then(|| fanout.bytes(entry.member.format)).flatten();
            match (bytes, &mut entry.phase) {
                (Some(bytes), Phase::Waiting(heard)) => heard.put_by(envelope.position, bytes),
                (Some(bytes), _) => {
                    flush.add(&entry.member.mailbox, entry.member.mailbox.post(id, bytes.clone(), own));
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
            if *session == who.session
                || entry.going.is_some()
                || !matches!(entry.phase, Phase::Active | Phase::Ahead(_))
            {
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
}

impl RoomState {
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
}

/// Whether an event is one that members cause by their own requests in the room, and wait to see.
fn is_of_member(kind: &EventKind) -> bool {
    use EventKind::{Came, Joined, Left, Message, Went};
    matches!(kind, Joined | Came | Left | Went | Message { .. })
}
