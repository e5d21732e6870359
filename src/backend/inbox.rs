//! What is kept for accounts until they were told.

use async_trait::async_trait;

use super::{BackendError, Holder};
use crate::chat::{Mail, Nickname, Push};

/// Pushes that may wait for one account; more are refused.
pub const INBOX_MAX: usize = 1_000;

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is in the inbox; `holder` is the session that bears the account's name at this moment, to be told that something
    /// waits.
    Kept { holder: Option<Holder> },
    /// There is no such account.
    Unknown,
    /// The sender had to be a friend, and is not.
    NotFriends,
    /// As much waits as may.
    Full,
}

/// Keeps pushes, in order. Outlives every restart.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Puts a push into an account's inbox; with `friend` only if that one is a friend of the account.
    async fn put(&self, to: &Nickname, push: &Push, friend: Option<&Nickname>) -> Result<Put, BackendError>;

    /// What waits with a number above `after`, oldest first, at most `limit`.
    async fn mail(&self, account: &Nickname, after: u64, limit: usize) -> Result<Vec<Mail>, BackendError>;

    /// Forgets what was told for sure.
    async fn discard(&self, account: &Nickname, numbers: &[u64]) -> Result<(), BackendError>;
}
