//! What happens in a room, and the envelope in which it travels.

use super::{Actor, Position, RoomId};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EventKind {
    Joined,
    Left,
    Message {
        text: String,
    },
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
