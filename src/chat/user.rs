//! What an account is beyond its name: how it presents itself, whom it knows, what is asked of it.

use super::{MessageId, Nickname, Position, RoomId, Source};

/// An account as its directory knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub account: Nickname,
    /// Shown to people; not unique, unlike the account's name (scrp, section 1.4).
    pub nickname: String,
    pub description: String,
    /// Seconds since the Unix epoch.
    pub signed_up_s: i64,
    /// When it logged off last, or signed up; seconds since the Unix epoch.
    pub last_active_s: i64,
    /// Argon2id in the PHC string format; `None` for an account that logs in elsewhere.
    pub password_hash: Option<String>,
    /// Somebody is logged in under it.
    pub online: bool,
}

/// What an account changes of itself; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserChange {
    pub password_hash: Option<String>,
    pub nickname: Option<String>,
    pub description: Option<String>,
}

/// Number of a request that waits for somebody's decision; unique in the cluster, from the same blocks as message ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct RequestId(pub u32);

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestKind {
    /// To be the friend of the one it is sent to. In news for the one who asked: whose friend.
    Friend(Nickname),
    /// To be let into a room.
    Room(RoomId),
}

/// A request that waits for the decision of the account it was sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRequest {
    pub id: RequestId,
    /// [`RequestKind::Friend`] holds who asks.
    pub kind: RequestKind,
    /// Who asks, as the one who decides sees them.
    pub from: String,
    /// What they say to be recognised by.
    pub text: String,
    /// Seconds since the Unix epoch.
    pub asked_s: i64,
}

/// How a request is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Approve,
    /// The one who asked is told.
    Reject,
    /// The one who asked is not told.
    Ignore,
}

/// What an account has in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Owner,
    Admin,
    Member,
}

impl Role {
    pub fn label(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }
}

/// Somebody who is a member of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The account's name; of a guest its nickname, or its session's UUID.
    pub identifier: String,
    /// `None` for a guest.
    pub role: Option<Role>,
}

impl Member {
    /// What it has in the room, as protocols write it.
    pub fn role_label(&self) -> &'static str {
        self.role.map_or("guest", Role::label)
    }
}

/// Something about an account that those who know it are told while they are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    Online,
    Offline,
    Nickname(String),
    Description(String),
    Deleted,
}

/// An account as others see it. Times are seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserView {
    pub account: Nickname,
    pub nickname: String,
    pub description: String,
    pub online: bool,
    pub signed_up_s: i64,
    pub last_active_s: i64,
}

impl std::convert::From<User> for UserView {
    fn from(user: User) -> Self {
        let User { account, nickname, description, online, signed_up_s, last_active_s, .. } = user;
        Self { account, nickname, description, online, signed_up_s, last_active_s }
    }
}

/// A message that is told again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub id: MessageId,
    pub position: Position,
    /// Microseconds since the Unix epoch.
    pub time_us: i64,
    /// Who said it; `None` when the account is deleted since.
    pub sender: Option<String>,
    /// The room, or with whom the asker talks; never [`Source::Everywhere`].
    pub source: Source,
    pub text: String,
}
