//! Names reserved for identities, and the logins under which they are used.

use async_trait::async_trait;

use super::super::{BackendError, Directory, Registered};
use super::Embedded;
use super::search::Kind;
use super::state::{State, Work};
use super::store::Mark;
use crate::chat::{Identity, Login, Nickname, Revocation};

impl State {
    /// Reserves a name; `borne` says whether a guest bears it at the moment.
    pub fn register(
        &mut self,
        identity: Identity,
        name: Nickname,
        borne: bool,
        work: &mut Work,
    ) -> Result<Registered, BackendError> {
        let now_us = self.clock.unix_us();
        let known_as = self.accounts.call(&name).map(str::to_owned);
        let batch = self.batch(work)?;
        let registered = self.accounts.register(identity, name.clone(), borne, now_us, batch)?;
        self.account_made(&name, known_as.as_deref(), work)?;
        Ok(registered)
    }

    /// Has a new account found and counted.
    pub fn account_made(
        &mut self,
        name: &Nickname,
        known_as: Option<&str>,
        work: &mut Work,
    ) -> Result<(), BackendError> {
        let called = self.accounts.call(name).map(str::to_owned);
        self.index_again(Kind::User, name.as_str(), known_as, called.as_deref(), work);
        let users = self.accounts.count();
        self.batch(work)?.raise(Mark::Users, users)
    }

    fn revoke(&mut self, account: &Nickname, which: Revocation, work: &mut Work) -> Result<(), BackendError> {
        let now_s = self.now_s();
        let batch = self.batch(work)?;
        self.accounts.revoke(account, which, now_s, batch)
    }
}

#[async_trait]
impl Directory for Embedded {
    async fn account_of(&self, identity: &Identity) -> Result<Option<Nickname>, BackendError> {
        let identity = identity.clone();
        self.ask(move |state, _| Ok(state.accounts.account_of(&identity))).await
    }

    async fn register(&self, identity: &Identity, name: &Nickname) -> Result<Registered, BackendError> {
        let (identity, name) = (identity.clone(), name.clone());
        self.ask(move |state, work| {
            let borne = state.nicknames.contains_key(&name);
            state.register(identity, name, borne, work)
        })
        .await
    }

    async fn stands(&self, login: &Login) -> Result<bool, BackendError> {
        let login = login.clone();
        self.ask(move |state, work| {
            // A login of an account that was deleted is none of whoever has the name since.
            let deleted_us = state.batch(work)?.deletion(&login.account)?;
            let until_s = deleted_us.map(|time_us| Revocation::BegunUntil(time_us / 1_000_000));
            Ok(state.accounts.stands(&login) && !until_s.is_some_and(|until| until.covers(&login)))
        })
        .await
    }

    async fn revoke(&self, account: &Nickname, which: Revocation) -> Result<(), BackendError> {
        let account = account.clone();
        self.ask(move |state, work| state.revoke(&account, which, work)).await
    }
}
