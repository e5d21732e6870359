//! Accounts with a password of their own: who they are and how they present themselves.

use async_trait::async_trait;

use super::BackendError;
use crate::chat::{Nickname, User, UserChange};

/// Knows the accounts. Outlives every restart.
#[async_trait]
pub trait Users: Send + Sync {
    /// Makes an account; `false` when the name is another account's, or a guest bears it at the moment.
    async fn sign_up(&self, account: &Nickname, password_hash: &str, nickname: &str) -> Result<bool, BackendError>;

    /// All about an account, however it was made.
    async fn user(&self, account: &Nickname) -> Result<Option<User>, BackendError>;

    /// Changes an account, and the search for it; `false` when there is none.
    async fn change_user(&self, account: &Nickname, change: &UserChange) -> Result<bool, BackendError>;

    /// Forgets an account with its inbox, its requests and what is left of its friends and rooms. Repeating it is harmless:
    /// a deletion that a crash cut off is completed by another. The time of it is remembered for as long as messages are.
    async fn delete_user(&self, account: &Nickname) -> Result<(), BackendError>;

    /// When accounts of these names were deleted last, microseconds since the Unix epoch: what they said until then was
    /// said by somebody who is gone, whoever bears the name now.
    async fn deletions(&self, accounts: &[Nickname]) -> Result<Vec<Option<i64>>, BackendError>;
}
