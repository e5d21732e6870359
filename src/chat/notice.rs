//! What one session is told that answers no request of its own.

use super::{CloseReason, Nickname, PrivateMessage, RoomId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The server ends the session.
    Closing(CloseReason),
    /// The room is gone, and the session with the name that it bore there is out.
    PutOut {
        room: RoomId,
        own_name: Option<Nickname>,
    },
    Private(PrivateMessage),
    /// Somebody asks to be let into a room that the session's account runs.
    Asked {
        room: RoomId,
        identifier: String,
    },
    /// The session asked to be let into a room, and its owner or an admin decided.
    Decided {
        room: RoomId,
        approved: bool,
    },
}
