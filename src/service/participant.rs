//! A session as the service knows it.

use std::sync::Arc;

use crate::chat::{Actor, Conduct, Login, Nickname, Refusal, RoomId, RoomRef, SessionId};
use crate::hub::{LocalMember, Mailbox, WireFormat};

/// One participant; owned by its session, so that requests of one session are never carried out at once.
pub struct Participant {
    pub(super) id: SessionId,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) conduct: Conduct,
    pub(super) name: Option<Nickname>,
    /// The name is claimed in the cluster; a tolerated clash leaves a name without a claim.
    pub(super) holds_name: bool,
    /// The login of an account, whose name is then the session's. Boxed, because most sessions are guests.
    pub(super) login: Option<Box<Login>>,
    /// In the order of joining.
    pub(super) rooms: Vec<RoomId>,
    /// Rooms whose permission it waits for.
    pub(super) asked: Vec<RoomId>,
    /// Events that this session caused and will see pass.
    pub(super) caused: u64,
}

impl Participant {
    pub fn new(id: SessionId, mailbox: Arc<Mailbox>, conduct: Conduct) -> Self {
        Self {
            id,
            mailbox,
            conduct,
            name: None,
            holds_name: false,
            login: None,
            rooms: Vec::new(),
            asked: Vec::new(),
            caused: 0,
        }
    }

    pub fn name(&self) -> Option<&Nickname> {
        self.name.as_ref()
    }

    pub fn conduct(&self) -> &Conduct {
        &self.conduct
    }

    pub fn is_in_a_room(&self) -> bool {
        !self.rooms.is_empty()
    }

    /// As whom others see what it does: under a name only while the name is its own.
    pub(super) fn actor(&self) -> Actor {
        Actor { session: self.id, nickname: self.name.clone().filter(|_| self.holds_name) }
    }

    /// The session as a member of rooms on this node.
    pub(super) fn member(&self, format: WireFormat) -> LocalMember {
        let Self { id: session, conduct: Conduct { sees_own_leaving, .. }, .. } = *self;
        LocalMember { session, mailbox: self.mailbox.clone(), format, sees_own_leaving }
    }

    pub(super) fn account(&self) -> Option<&Nickname> {
        self.login.as_ref().map(|login| &login.account)
    }

    /// The room a request is about, if the session is in it.
    pub(super) fn resolve(&self, room: &RoomRef) -> Result<RoomId, Refusal> {
        match room {
            RoomRef::Named(room) if self.rooms.contains(room) => Ok(room.clone()),
            RoomRef::Named(_) => Err(Refusal::NotJoined),
            RoomRef::Current => self.rooms.last().cloned().ok_or(Refusal::NoCurrentRoom),
        }
    }
}
