//! Who is whose friend, and who wants to be.

use async_trait::async_trait;

use super::BackendError;
use crate::chat::{Nickname, PendingRequest, RequestId};

/// Friends that an account may have, and requests that may wait for it.
pub const FRIENDS_MAX: usize = 1_000;
pub const REQUESTS_MAX: usize = 1_000;

/// What became of a friend request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Done,
    /// It waits already; nothing was done.
    Before,
    AlreadyFriends,
    /// There is no such account.
    Unknown,
    /// The other has as many requests as allowed.
    TooMany,
}

/// What became of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// Decided: the request as it was.
    Done(PendingRequest),
    /// No such request waits.
    Nothing,
    /// One of the two has as many friends as allowed; the request waits on.
    TooMany,
}

/// Knows who is whose friend: always both ways, or about to be. Outlives every restart.
#[async_trait]
pub trait Friends: Send + Sync {
    /// An account's friends, in the order of their names.
    async fn friends(&self, account: &Nickname) -> Result<Vec<Nickname>, BackendError>;

    /// Has a request wait for `to`: its kind is a friend request of the one who asks.
    async fn ask_friend(&self, to: &Nickname, request: &PendingRequest) -> Result<Asked, BackendError>;

    /// Friend requests that wait for an account, oldest first.
    async fn friend_requests(&self, account: &Nickname) -> Result<Vec<PendingRequest>, BackendError>;

    /// Ends a request that waits for `account`. Approved, the two are friends, and a request the other way round is ended,
    /// too. On Redis the two live in different slots: the other's friend list is written first, so that a crash in between
    /// leaves the request, and approving it again completes it.
    async fn settle_friend(
        &self,
        account: &Nickname,
        request: RequestId,
        approve: bool,
    ) -> Result<Settled, BackendError>;

    /// Ends a friendship, both ways; `false` when there was none.
    async fn part(&self, one: &Nickname, other: &Nickname) -> Result<bool, BackendError>;
}
