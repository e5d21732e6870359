//! A session as a member of a room on this node: what it is shown, and how far in the room it is.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{past, precedes};
use crate::chat::{Actor, Envelope, Epoch, EventKind, Nickname, Notice, Position, RoomId, SessionId};
use crate::hub::{Flush, Mailbox};
use crate::wire::WireFormat;

/// The most that is put by for one member while it is told what it missed in a room.
pub(super) const WAITING_BYTES_MAX: usize = 256 * 1024;
/// So often a stream is read once more because a member and the room know it by different epochs. After that the room has not found
/// out what became of its stream, and the member had better hear something twice than nothing.
pub(super) const READS_AGAIN_MAX: u32 = 3;

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
        if let Some(bytes) = self.is_shown(envelope).then(|| self.format.event(room.as_str(), envelope)).flatten() {
            self.mailbox.event(room, bytes, envelope.event.actor.session == self.session);
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
    pub(super) fn is_shown(&self, envelope: &Envelope) -> bool {
        let actor = &envelope.event.actor;
        let own = actor.session == self.session;
        match &envelope.event.kind {
            EventKind::Left | EventKind::Went => !own || self.sees_own_leaving,
            EventKind::Message { .. } => self.sees_own_messages || !(own || self.is_of_account(actor)),
            _ => true,
        }
    }

    /// Whether an event puts it out of the room.
    pub(super) fn is_put_out_by(&self, kind: &EventKind) -> bool {
        match kind {
            EventKind::Removed { who } => who.session == self.session || self.is_of_account(who),
            _ => false,
        }
    }
}

pub(super) struct Entry {
    pub member: LocalMember,
    pub phase: Phase,
    /// It is leaving. Boxed, because most are not.
    pub going: Option<Box<Going>>,
}

/// A member that gets everything up to and including its own leaving.
pub(super) struct Going {
    pub last: Position,
    /// The epoch by which the room was known here when it left.
    pub known: Epoch,
    pub done: oneshot::Sender<()>,
}

pub(super) enum Phase {
    /// Being told what it missed: what is heard meanwhile is put by. Boxed like a leave, because most members are neither way.
    Waiting(Box<Heard>),
    /// Was told everything up to this position, which the others may still have to hear.
    Ahead(Position),
    /// Entering: nothing is delivered before its own join.
    Joining,
    Active,
}

impl Entry {
    /// Has it take an event that comes by; `bytes`: in its format, if that has words for it. Whether it was put into its mailbox.
    pub fn take(&mut self, room: &RoomId, envelope: &Envelope, bytes: Option<&Bytes>, flush: &mut Flush) -> bool {
        // Most are in for good, and nothing else is to be looked at.
        let is_settled = matches!(self.phase, Phase::Active) && self.going.is_none();
        if !is_settled && !self.hears(envelope) {
            return false;
        }
        let own = envelope.event.actor.session == self.member.session;
        let bytes = bytes.filter(|_| self.member.is_shown(envelope));
        let told = match (bytes, &mut self.phase) {
            (Some(bytes), Phase::Waiting(heard)) => {
                heard.put_by(envelope.position, bytes);
                false
            }
            (Some(bytes), _) => {
                let mailbox = &self.member.mailbox;
                flush.add(mailbox, mailbox.post(room, bytes.clone(), own));
                true
            }
            (None, _) => false,
        };
        if own && is_of_member(&envelope.event.kind) {
            self.member.mailbox.own_passed();
        }
        told
    }

    /// Whether an event is one for it, as far as it is in the room; its own join lets it in.
    fn hears(&mut self, envelope: &Envelope) -> bool {
        let Envelope { position, event, .. } = envelope;
        let is_after = |going: &Going| !precedes(*position, going.last, going.known) && past(going.last, *position);
        if self.going.as_deref().is_some_and(is_after) {
            return false;
        }
        match &self.phase {
            Phase::Active | Phase::Waiting(_) => return true,
            Phase::Ahead(told) if !past(*told, *position) => return false,
            Phase::Joining if !(event.actor.session == self.member.session && is_coming(&event.kind)) => return false,
            Phase::Ahead(_) | Phase::Joining => {}
        }
        self.phase = Phase::Active;
        true
    }
}

/// Whether an event is one that members cause by their own requests in the room, and wait to see.
fn is_of_member(kind: &EventKind) -> bool {
    use EventKind::{Came, Joined, Left, Message, Went};
    matches!(kind, Joined | Came | Left | Went | Message { .. })
}

/// Whether an event lets its actor in.
pub(super) fn is_coming(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Joined | EventKind::Came)
}

/// What was heard in a room for a member that is still told of what came before.
#[derive(Default)]
pub(super) struct Heard {
    pub events: Vec<(Position, Bytes)>,
    bytes: usize,
    /// More was heard than may be put by, and all of it dropped: it is to be read from the stream.
    pub overrun: bool,
    /// How often the stream was read once more before its member could go on.
    pub reads_again: u32,
}

impl Heard {
    /// Nothing yet, after the stream was read once more.
    pub fn read_again(&self) -> Self {
        Self { reads_again: self.reads_again + 1, ..Self::default() }
    }

    pub fn put_by(&mut self, position: Position, bytes: &Bytes) {
        self.bytes += bytes.len();
        self.overrun |= self.bytes > WAITING_BYTES_MAX;
        if self.overrun {
            *self = Self { overrun: true, reads_again: self.reads_again, ..Self::default() };
        } else {
            self.events.push((position, bytes.clone()));
        }
    }
}
