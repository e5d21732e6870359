//! What the rest of the server asks and tells the directory of accounts.

use std::sync::Arc;

use crate::backend::{BackendError, Directory, Post, Proclamation, Registered};
use crate::chat::{Identity, Login, Nickname, Revocation};

/// The accounts, as the use cases see them.
pub struct Accounts {
    directory: Arc<dyn Directory>,
    post: Arc<dyn Post>,
}

impl Accounts {
    pub fn new(directory: Arc<dyn Directory>, post: Arc<dyn Post>) -> Self {
        Self { directory, post }
    }

    /// The account of an identity, if it has one.
    pub async fn account_of(&self, identity: &Identity) -> Result<Option<Nickname>, BackendError> {
        self.directory.account_of(identity).await
    }

    /// Reserves a name for an identity.
    pub async fn register(&self, identity: &Identity, name: &Nickname) -> Result<Registered, BackendError> {
        self.directory.register(identity, name).await
    }

    /// Whether a login was not revoked.
    pub async fn stands(&self, login: &Login) -> Result<bool, BackendError> {
        self.directory.stands(login).await
    }

    /// Ends logins, and their sessions on every node. Kept first and told then: a node that does not hear at the moment looks
    /// at its logins again when it does.
    pub async fn revoke(&self, account: &Nickname, which: Revocation) -> Result<(), BackendError> {
        self.directory.revoke(account, which).await?;
        self.post.proclaim(&Proclamation::Revoked { account: account.clone(), which }).await
    }
}
