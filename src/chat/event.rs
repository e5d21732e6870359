//! What happens in a room, and the envelope in which it travels.

use super::{AccessType, Actor, Nickname, Position, RoomId};

/// Number of a message, unique over all messages of the cluster until 2^32 were sent. Handed out in blocks, so a larger
/// one is not always a later one. 0: a message of a version that had no numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct MessageId(pub u32);

/// What was changed of a room; what is `None` stayed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RoomNews {
    pub access: Option<AccessType>,
    pub nickname: Option<String>,
    pub description: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EventKind {
    Joined,
    Left,
    /// A session of an account that is a member anyway is there from now on.
    Came,
    /// And is no longer.
    Went,
    Message {
        id: MessageId,
        text: String,
    },
    /// The actor put somebody out. The session is the nil one where none is known.
    Removed {
        who: Actor,
    },
    /// The actor made an account an admin, or no longer one.
    Appointed {
        account: Nickname,
        admin: bool,
    },
    /// The account is the owner from now on.
    Handed {
        to: Nickname,
    },
    Changed(RoomNews),
    /// In the lobby: a room was created on purpose.
    Created {
        room: RoomId,
    },
    /// In the room and in the lobby: it was destroyed; its members are out.
    Destroyed {
        room: RoomId,
    },
}

/// Something that happened in a room.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Event {
    pub actor: Actor,
    pub kind: EventKind,
    /// W3C trace context of the request that caused it, only when that request is sampled.
    pub traceparent: Option<String>,
}

impl Event {
    pub fn new(actor: Actor, kind: EventKind) -> Self {
        Self { actor, kind, traceparent: None }
    }
}

/// An event with the place and time that the broker gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub position: Position,
    /// The broker's clock, microseconds since the Unix epoch.
    pub time_us: i64,
    pub event: Event,
}
