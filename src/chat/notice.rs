//! What one session is told that answers no request of its own.

use super::{Actor, CloseReason, Mail, MessageId, News, Nickname, Position, PrivateMessage, RoomId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The session is to end.
    Closing(CloseReason),
    /// The session's node goes away, and closes it when so much time has passed.
    Reconnect {
        after_ms: u64,
        /// It may be gone on with.
        resume: bool,
    },
    /// The last that it is told: why it ends.
    Farewell {
        reason: CloseReason,
        /// Microseconds since the Unix epoch.
        time_us: i64,
    },
    /// The room is gone, and the session with the name that it bore there is out.
    PutOut { room: RoomId, own_name: Option<Nickname> },
    /// Part of a room's stream is lost: it goes on after this position.
    Gap { room: RoomId, position: Position },
    /// Somebody in the room is writing. Kept nowhere, and dropped where there is much else to tell.
    Typing { room: RoomId, who: Actor },
    /// A private message that is not kept for anybody.
    Private {
        message: PrivateMessage,
        id: MessageId,
        /// Microseconds since the Unix epoch.
        time_us: i64,
    },
    /// Something waits in the inbox of the session's account.
    MailWaiting,
    /// Something from the inbox.
    Mail(Mail),
    /// Something about an account that the session's account knows.
    News {
        account: Nickname,
        news: News,
        /// Microseconds since the Unix epoch.
        time_us: i64,
    },
    /// Somebody asks to be let into a room that the session's account runs.
    Asked { room: RoomId, identifier: String },
    /// The session asked to be let into a room, and its owner or an admin decided.
    Decided { room: RoomId, approved: bool },
}
