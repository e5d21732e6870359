//! A session as the service knows it.

use std::net::IpAddr;
use std::sync::Arc;

use super::correspondence::Correspondence;
use super::resume::{Heirship, Resumable};
use crate::backend::{Holder, Key};
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
    /// Rooms in which it was writing lately, and since when, on the node's own clock.
    pub(super) typed: Vec<(RoomId, u64)>,
    /// Where its connection comes from.
    pub(super) peer: IpAddr,
    /// Rooms of its account could not be attended yet.
    pub(super) owes_attendance: bool,
    /// It is not sure that all its rooms have its account as a member still.
    pub(super) doubts_rooms: bool,
    /// What its account was told here. Boxed, because most sessions are guests.
    pub(super) correspondence: Option<Box<Correspondence>>,
    /// Another session can go on in its place: it was given a token for that. Boxed, because most have none.
    pub(super) resumable: Option<Box<Resumable>>,
    /// Whether it goes on in another one's place.
    pub(super) heirship: Heirship,
    /// The first of the sessions in whose place it goes on; itself where there is none.
    pub(super) first: SessionId,
}

impl Participant {
    pub fn new(id: SessionId, mailbox: Arc<Mailbox>, conduct: Conduct, peer: IpAddr) -> Self {
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
            typed: Vec::new(),
            peer: peer.to_canonical(),
            owes_attendance: false,
            doubts_rooms: false,
            correspondence: None,
            resumable: None,
            heirship: Heirship::None,
            first: id,
        }
    }

    /// A key of what it publishes.
    pub(super) fn key<'a>(&self, text: &'a str) -> Key<'a> {
        Key { text, of: self.first }
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

    /// Whether it caused an event that has to be shown before its next request is looked at.
    pub(super) fn must_see_own(&self) -> bool {
        self.conduct.in_step && self.caused > self.mailbox.own_seen()
    }

    /// As whom others see what it does: under a name only while the name is its own.
    pub(super) fn actor(&self) -> Actor {
        Actor { session: self.id, nickname: self.own_name().cloned() }
    }

    /// Its name, while that is its own.
    pub(super) fn own_name(&self) -> Option<&Nickname> {
        self.name.as_ref().filter(|_| self.holds_name)
    }

    /// The session as a member of rooms on this node.
    pub(super) fn member(&self, format: WireFormat) -> LocalMember {
        let Self { id: session, conduct: Conduct { sees_own_leaving, sees_own_messages, .. }, .. } = *self;
        let (mailbox, account) = (self.mailbox.clone(), self.account().cloned());
        LocalMember { session, mailbox, format, account, sees_own_leaving, sees_own_messages }
    }

    /// The session as the bearer of its nickname.
    pub(super) fn holder(&self) -> Holder {
        Holder { session: self.id, reads_inbox: self.conduct.reads_inbox }
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
