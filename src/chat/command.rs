//! What a client can ask for, and what it is answered, in no dialect's words.

use super::{Envelope, Nickname, Position, RoomId};

/// The room a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomRef {
    Named(RoomId),
    /// The one room of a session that is in one room at a time.
    Current,
}

/// A closed interval of time in microseconds since the Unix epoch; an open end is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeRange {
    pub from_us: Option<i64>,
    pub to_us: Option<i64>,
}

impl TimeRange {
    pub fn contains(&self, time_us: i64) -> bool {
        self.from_us.is_none_or(|from| from <= time_us) && self.to_us.is_none_or(|to| time_us <= to)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Login { nickname: Nickname },
    Join { room: RoomId },
    Leave { room: RoomRef },
    Send { room: RoomRef, text: String },
    History { room: RoomRef, range: TimeRange },
}

/// The answer to a command that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    LoggedIn { nickname: Nickname },
    Joined { room: RoomId, position: Position, members: u64 },
    Left { room: RoomId },
    Sent { position: Position },
    History { room: RoomId, records: Vec<Envelope> },
}
