//! Accounts: names reserved for identities, and the logins under which they are used.

use async_trait::async_trait;

use super::BackendError;
use crate::chat::{Identity, Login, Nickname, Revocation};

/// Ended logins of one account that are remembered one by one; when there are more, all that the account has had end.
pub const REVOCATIONS_MAX: usize = 1_000;

/// What became of a wish for a reserved name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// The name is the identity's from now on, or was already.
    Done,
    /// Another account has the name, or a guest bears it at the moment.
    Taken,
    /// The identity has an account already, under this name.
    Already(Nickname),
}

/// Knows the accounts: names reserved for identities, and which logins no longer stand. Outlives every restart.
#[async_trait]
pub trait Directory: Send + Sync {
    /// The account of an identity, if it has one.
    async fn account_of(&self, identity: &Identity) -> Result<Option<Nickname>, BackendError>;

    /// Reserves a name for an identity.
    async fn register(&self, identity: &Identity, name: &Nickname) -> Result<Registered, BackendError>;

    /// Whether a login was not revoked.
    async fn stands(&self, login: &Login) -> Result<bool, BackendError>;

    /// Ends logins; kept for as long as it takes.
    async fn revoke(&self, account: &Nickname, which: Revocation) -> Result<(), BackendError>;
}
