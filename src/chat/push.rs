//! What is kept for an account until it was told: one by one, in order, at least once.

use super::{MessageId, Nickname, Notice, PrivateMessage, RequestId, RequestKind, RoomId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Push {
    Private {
        id: MessageId,
        /// When it was accepted, microseconds since the Unix epoch; the sender was told the same.
        time_us: i64,
        message: PrivateMessage,
    },
    /// Somebody wants to be a friend.
    FriendRequest {
        request: RequestId,
        from: Nickname,
        /// The display nickname of the one who asks.
        nickname: String,
        text: String,
    },
    /// Somebody wants to be let into a room that the account runs.
    EnterRequest {
        request: RequestId,
        /// The account's name, or of a guest its nickname or UUID.
        identifier: String,
        room: RoomId,
    },
    /// What the account asked for was decided.
    Decided {
        request: RequestId,
        kind: RequestKind,
        approved: bool,
    },
    FriendRemoved {
        account: Nickname,
    },
    /// A friend has deleted its account.
    FriendDeleted {
        account: Nickname,
    },
}

/// A push in somebody's inbox. Its number is its time on the broker's clock in microseconds since the Unix epoch, made to
/// grow within one inbox; fits the 53 bits that a JSON number keeps exactly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub number: u64,
    pub push: Push,
}

impl Mail {
    /// When it was put into the inbox, seconds since the Unix epoch.
    pub fn time_s(&self) -> i64 {
        (self.number / 1_000_000) as i64
    }

    /// A private message as one who is there would have been told it; `None` for anything else.
    pub fn as_private(&self) -> Option<Notice> {
        let Push::Private { id, time_us, message } = &self.push else { return None };
        Some(Notice::Private { message: message.clone(), id: *id, time_us: *time_us })
    }
}
