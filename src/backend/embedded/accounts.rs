//! The accounts of the embedded backend: names reserved for identities, ended logins. All of them are in memory, and every
//! change goes into the batch of the request that makes it.

use std::collections::{BTreeMap, HashMap};

use super::super::{BackendError, REVOCATIONS_MAX, Registered};
use super::store::{AccountRow, Batch, Profile};
use crate::chat::{Identity, Login, LoginId, Nickname, Revocation, User, UserChange};

/// The provider of accounts that have a password here. Nobody logs in by it elsewhere, so no identity leads to them.
const PASSWORD: &str = "password";

/// Who has which account.
#[derive(Default)]
pub struct Accounts {
    by_name: HashMap<Nickname, Account>,
    names: HashMap<Identity, Nickname>,
    /// Names that are somebody's.
    count: u64,
    /// Accounts as they were before this batch, to be put back if the commit fails.
    before: HashMap<Nickname, Option<Account>>,
}

#[derive(Clone, Default)]
struct Account {
    row: AccountRow,
    profile: Profile,
    /// Ended logins, each with the time until which it must be remembered.
    revoked: BTreeMap<u128, i64>,
}

impl Accounts {
    pub fn load(batch: &Batch) -> Result<Self, BackendError> {
        let mut accounts = Self::default();
        for (name, row) in batch.accounts()? {
            let Ok(name) = Nickname::parse(&name) else { continue };
            accounts.by_name.insert(name, Account { row, ..Account::default() });
        }
        for (name, profile) in batch.profiles()? {
            let Ok(name) = Nickname::parse(&name) else { continue };
            accounts.by_name.entry(name).or_default().profile = profile;
        }
        for (name, login, ends_s) in batch.revocations()? {
            let Ok(name) = Nickname::parse(&name) else { continue };
            accounts.by_name.entry(name).or_default().revoked.insert(login, ends_s);
        }
        accounts.sort_names();
        Ok(accounts)
    }

    /// Finds anew which identity has which account, and how many accounts there are.
    fn sort_names(&mut self) {
        let mut names = HashMap::new();
        self.count = 0;
        for (name, account) in &self.by_name {
            let Some(identity) = &account.row.identity else { continue };
            self.count += 1;
            if identity.provider != PASSWORD {
                names.insert(identity.clone(), name.clone());
            }
        }
        self.names = names;
    }

    pub fn account_of(&self, identity: &Identity) -> Option<Nickname> {
        self.names.get(identity).cloned()
    }

    /// Whose name this is, if it is reserved.
    pub fn owner_of(&self, name: &Nickname) -> Option<&Identity> {
        self.by_name.get(name)?.row.identity.as_ref()
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// All accounts with what they call themselves.
    pub fn called(&self) -> impl Iterator<Item = (&Nickname, &str)> {
        let accounts = self.by_name.iter().filter(|(_, account)| account.row.identity.is_some());
        accounts.map(|(name, account)| (name, account.called(name)))
    }

    /// What an account calls itself.
    pub fn call(&self, name: &Nickname) -> Option<&str> {
        let (name, account) = self.by_name.get_key_value(name)?;
        account.row.identity.as_ref()?;
        Some(account.called(name))
    }

    /// An account's user; whether it is there now, others know.
    pub fn user(&self, name: &Nickname) -> Option<User> {
        let Account { row, profile, .. } = self.by_name.get(name)?;
        row.identity.as_ref()?;
        let signed_up_s = row.created_us / 1_000_000;
        Some(User {
            account: name.clone(),
            nickname: profile.nickname.clone().unwrap_or_else(|| name.to_string()),
            description: profile.description.clone(),
            signed_up_s,
            last_active_s: profile.active_s.unwrap_or(signed_up_s),
            password_hash: profile.password_hash.clone(),
            online: false,
        })
    }

    /// Makes an account with a password of a name that is free.
    pub fn sign_up(
        &mut self,
        name: &Nickname,
        change: &UserChange,
        now_us: i64,
        batch: &Batch,
    ) -> Result<(), BackendError> {
        let account = self.change(name);
        account.row.identity = Some(Identity { provider: PASSWORD.to_owned(), subject: name.to_string() });
        account.row.created_us = now_us;
        batch.put_account(name, &account.row)?;
        self.count += 1;
        self.change_profile(name, batch, |profile| profile.apply(change))
    }

    pub fn change_user(&mut self, name: &Nickname, change: &UserChange, batch: &Batch) -> Result<(), BackendError> {
        self.change_profile(name, batch, |profile| profile.apply(change))
    }

    pub fn was_active(&mut self, name: &Nickname, now_s: i64, batch: &Batch) -> Result<(), BackendError> {
        self.change_profile(name, batch, |profile| profile.active_s = Some(now_s))
    }

    fn change_profile(
        &mut self,
        name: &Nickname,
        batch: &Batch,
        change: impl FnOnce(&mut Profile),
    ) -> Result<(), BackendError> {
        let profile = &mut self.change(name).profile;
        change(profile);
        batch.put_profile(name, profile)
    }

    pub fn forget(&mut self, name: &Nickname, now_us: i64, batch: &Batch) -> Result<(), BackendError> {
        let identity = self.change(name).row.identity.take();
        self.count = self.count.saturating_sub(u64::from(identity.is_some()));
        if let Some(identity) = identity {
            self.names.remove(&identity);
        }
        self.by_name.remove(name);
        batch.forget_account(name, now_us)
    }

    /// Reserves a name; `borne` says whether a guest bears it at the moment.
    pub fn register(
        &mut self,
        identity: Identity,
        name: Nickname,
        borne: bool,
        now_us: i64,
        batch: &Batch,
    ) -> Result<Registered, BackendError> {
        match self.names.get(&identity) {
            Some(account) if *account == name => return Ok(Registered::Done),
            Some(account) => return Ok(Registered::Already(account.clone())),
            None if borne || self.owner_of(&name).is_some() => return Ok(Registered::Taken),
            None => {}
        }
        let account = self.change(&name);
        account.row.identity = Some(identity.clone());
        account.row.created_us = now_us;
        batch.put_account(&name, &account.row)?;
        self.count += 1;
        self.names.insert(identity, name);
        Ok(Registered::Done)
    }

    /// A login of an account that is not known here stands: its token was signed by whoever has the key.
    pub fn stands(&self, login: &Login) -> bool {
        let Some(account) = self.by_name.get(&login.account) else { return true };
        let ended = account.row.valid_after_s.is_some_and(|time_s| Revocation::BegunUntil(time_s).covers(login));
        !ended && !account.revoked.contains_key(&login.id.0)
    }

    pub fn revoke(
        &mut self,
        name: &Nickname,
        which: Revocation,
        now_s: i64,
        batch: &Batch,
    ) -> Result<(), BackendError> {
        match which {
            Revocation::BegunUntil(time_s) => self.revoke_begun(name, time_s, batch),
            Revocation::One { id, ends_s } => self.revoke_one(name, id, ends_s, now_s, batch),
        }
    }

    fn revoke_begun(&mut self, name: &Nickname, time_s: i64, batch: &Batch) -> Result<(), BackendError> {
        let row = &mut self.change(name).row;
        row.valid_after_s = row.valid_after_s.max(Some(time_s));
        batch.put_account(name, row)
    }

    fn revoke_one(
        &mut self,
        name: &Nickname,
        id: LoginId,
        ends_s: i64,
        now_s: i64,
        batch: &Batch,
    ) -> Result<(), BackendError> {
        self.forget_ended(name, now_s, batch)?;
        let revoked = &mut self.change(name).revoked;
        if revoked.len() >= REVOCATIONS_MAX && !revoked.contains_key(&id.0) {
            return self.revoke_begun(name, now_s, batch);
        }
        revoked.insert(id.0, ends_s);
        batch.put_revocation(name, id.0, ends_s)
    }

    /// Forgets the revocations of logins that have ended by themselves.
    pub fn tidy(&mut self, now_s: i64, batch: &Batch) -> Result<(), BackendError> {
        let ended = |account: &Account| account.revoked.values().any(|ends_s| *ends_s < now_s);
        let names: Vec<_> =
            self.by_name.iter().filter(|(_, account)| ended(account)).map(|(name, _)| name.clone()).collect();
        names.iter().try_for_each(|name| self.forget_ended(name, now_s, batch))
    }

    fn forget_ended(&mut self, name: &Nickname, now_s: i64, batch: &Batch) -> Result<(), BackendError> {
        let revoked = &mut self.change(name).revoked;
        let ended: Vec<u128> = revoked.iter().filter(|(_, ends_s)| **ends_s < now_s).map(|(login, _)| *login).collect();
        for login in ended {
            revoked.remove(&login);
            batch.forget_revocation(name, login)?;
        }
        if self.by_name.get(name).is_some_and(Account::is_empty) {
            self.by_name.remove(name);
        }
        Ok(())
    }

    /// An account that is about to change, made if it is new; how it was is remembered until the batch is settled.
    fn change(&mut self, name: &Nickname) -> &mut Account {
        self.before.entry(name.clone()).or_insert_with(|| self.by_name.get(name).cloned());
        self.by_name.entry(name.clone()).or_default()
    }

    /// The batch is durable.
    pub fn keep(&mut self) {
        self.before.clear();
    }

    /// The batch was not kept.
    pub fn put_back(&mut self) {
        for (name, account) in self.before.drain() {
            match account {
                Some(account) => self.by_name.insert(name, account),
                None => self.by_name.remove(&name),
            };
        }
        self.sort_names();
    }
}

impl Account {
    fn is_empty(&self) -> bool {
        self.row == AccountRow::default() && self.revoked.is_empty()
    }

    fn called<'a>(&'a self, name: &'a Nickname) -> &'a str {
        self.profile.nickname.as_deref().unwrap_or(name.as_str())
    }
}
