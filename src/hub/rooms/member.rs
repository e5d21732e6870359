//! A session as a member of a room on this node: what it is shown, and how far in the room it is.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::chat::{Actor, Envelope, EventKind, Nickname, Notice, Position, RoomId, SessionId};
use crate::hub::Mailbox;
use crate::wire::{Fanout, WireFormat};

/// The most that is put by for one member while it is told what it missed in a room.
pub(super) const WAITING_BYTES_MAX: usize = 256 * 1024;

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
}

pub(super) enum Phase {
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
pub(super) struct Heard {
    pub events: Vec<(Position, Bytes)>,
    bytes: usize,
    /// More was heard than may be put by, and all of it dropped: it is to be read from the stream.
    pub overrun: bool,
}

impl Heard {
    pub fn put_by(&mut self, position: Position, bytes: &Bytes) {
        self.bytes += bytes.len();
        self.overrun |= self.bytes > WAITING_BYTES_MAX;
        if self.overrun {
            *self = Self { overrun: true, ..Self::default() };
        } else {
            self.events.push((position, bytes.clone()));
        }
    }
}
