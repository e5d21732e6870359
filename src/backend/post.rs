//! What one node tells another about single sessions, past all rooms.

use async_trait::async_trait;

use super::BackendError;
use crate::chat::{Actor, News, Nickname, Notice, Revocation, RoomId, SessionId};

/// What became of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is in the session's mailbox.
    Done,
    /// Its node has no such session, or the session is ending.
    NoSession,
    /// Nobody hears for its node: there is none, or it is cut off.
    NoNode,
}

/// What concerns every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proclamation {
    /// These logins have ended.
    Revoked { account: Nickname, which: Revocation },
    /// Those who know an account are to be told this, while they are there.
    News(Bulletin),
    /// Somebody in a room is writing.
    Typing { room: RoomId, who: Actor },
}

/// News of an account and whom it concerns: sessions of its friends, and members of its rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulletin {
    pub account: Nickname,
    pub news: News,
    /// Microseconds since the Unix epoch.
    pub time_us: i64,
    pub friends: Vec<Nickname>,
    pub rooms: Vec<RoomId>,
}

/// Carries notices between nodes. Nothing is kept: a notice that is not answered for was perhaps not delivered.
#[async_trait]
pub trait Post: Send + Sync {
    /// Hands a notice to a session, wherever it is, and waits until its node has queued it.
    async fn deliver(&self, to: SessionId, notice: &Notice) -> Result<Delivery, BackendError>;

    /// Tells every node that hears, this one included.
    async fn proclaim(&self, proclamation: &Proclamation) -> Result<(), BackendError>;
}
