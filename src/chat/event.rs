//! What happens in a room, and the envelope in which it travels.

use std::fmt;

use super::{Nickname, Position};

/// The author shown for a session that has not claimed a nickname.
const ANONYMOUS: &str = "Anonymous";

/// One live connection, unique in the cluster and over time (a version 4 UUID).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u128);

impl SessionId {
    /// A session id from random bits, marked as a version 4 UUID.
    pub fn from_random(bits: u128) -> Self {
        let version_cleared = bits & !(0xF << 76) & !(0x3 << 62);
        Self(version_cleared | (0x4 << 76) | (0x2 << 62))
    }

    pub fn from_u128(value: u128) -> Self {
        Self(value)
    }

    pub fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            v >> 96,
            (v >> 80) & 0xFFFF,
            (v >> 64) & 0xFFFF,
            (v >> 48) & 0xFFFF,
            v & 0xFFFF_FFFF_FFFF
        )
    }
}

/// Who did it, as the others see them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor {
    pub session: SessionId,
    pub nickname: Option<Nickname>,
}

impl Actor {
    /// The name to show: the nickname, or `Anonymous`.
    pub fn shown_name(&self) -> &str {
        self.nickname.as_ref().map_or(ANONYMOUS, Nickname::as_str)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    Joined,
    Left,
    Message { text: String },
}

/// Something that happened in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_reads_as_a_version_4_uuid() {
        let id = SessionId::from_random(u128::MAX).to_string();
        assert_eq!(id, "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(SessionId::from_random(0).to_string(), "00000000-0000-4000-8000-000000000000");
    }
}
