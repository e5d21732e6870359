//! Accounts: whose they are, how they present themselves, which of their logins ended, and when one was deleted.

use redb::{ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::super::super::BackendError;
use super::{Batch, failed};
use crate::chat::{Identity, Nickname, UserChange};

/// Name → (identity, empty where nobody registered it; when it was registered in microseconds; the second at or before
/// which its logins began that no longer stand, -1 for none).
const ACCOUNTS: TableDefinition<'_, &str, (&str, i64, i64)> = TableDefinition::new("accounts");
/// Name → how the account presents itself, as JSON.
const PROFILES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("profiles");
/// (name, ended login) → until when it must be remembered, in seconds.
const REVOCATIONS: TableDefinition<'_, (&str, u128), i64> = TableDefinition::new("revocations");
/// Name → when an account of that name was deleted last, in microseconds.
const DELETIONS: TableDefinition<'_, &str, i64> = TableDefinition::new("deletions");

/// An account as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountRow {
    pub identity: Option<Identity>,
    pub created_us: i64,
    pub valid_after_s: Option<i64>,
}

/// How an account presents itself; one that was made by a login elsewhere has none until it says something of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// `None`: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    pub description: String,
    /// `None`: since it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_s: Option<i64>,
}

impl Profile {
    pub fn apply(&mut self, change: &UserChange) {
        let UserChange { password_hash, nickname, description } = change.clone();
        self.password_hash = password_hash.or(self.password_hash.take());
        self.nickname = nickname.or(self.nickname.take());
        self.description = description.unwrap_or_else(|| std::mem::take(&mut self.description));
    }
}

impl Batch {
    /// Every account, for the start.
    pub fn accounts(&self) -> Result<Vec<(String, AccountRow)>, BackendError> {
        let accounts = self.read(ACCOUNTS)?;
        let rows = accounts.iter().map_err(failed)?.map(|row| {
            let (name, value) = row.map_err(failed)?;
            let (identity, created_us, valid_after_s) = value.value();
            let valid_after_s = (valid_after_s >= 0).then_some(valid_after_s);
            let row = AccountRow { identity: Identity::decode(identity), created_us, valid_after_s };
            Ok((name.value().to_owned(), row))
        });
        rows.collect()
    }

    /// Every account's profile, for the start.
    pub fn profiles(&self) -> Result<Vec<(String, Profile)>, BackendError> {
        let profiles = self.read(PROFILES)?;
        let rows = profiles.iter().map_err(failed)?.map(|row| {
            let (name, bytes) = row.map_err(failed)?;
            Ok((name.value().to_owned(), serde_json::from_slice(bytes.value()).map_err(failed)?))
        });
        rows.collect()
    }

    /// Every ended login that is still remembered, for the start.
    pub fn revocations(&self) -> Result<Vec<(String, u128, i64)>, BackendError> {
        let revocations = self.read(REVOCATIONS)?;
        let rows = revocations.iter().map_err(failed)?.map(|row| {
            let (key, ends_s) = row.map_err(failed)?;
            let (name, login) = key.value();
            Ok((name.to_owned(), login, ends_s.value()))
        });
        rows.collect()
    }

    pub fn put_account(&self, name: &Nickname, row: &AccountRow) -> Result<(), BackendError> {
        let mut accounts = self.write(ACCOUNTS)?;
        let identity = row.identity.as_ref().map(Identity::to_string).unwrap_or_default();
        let value = (identity.as_str(), row.created_us, row.valid_after_s.unwrap_or(-1));
        accounts.insert(name.as_str(), value).map_err(failed)?;
        Ok(())
    }

    pub fn put_profile(&self, name: &Nickname, profile: &Profile) -> Result<(), BackendError> {
        let bytes = serde_json::to_vec(profile).map_err(failed)?;
        self.write(PROFILES)?.insert(name.as_str(), bytes.as_slice()).map_err(failed)?;
        Ok(())
    }

    pub fn put_revocation(&self, name: &Nickname, login: u128, ends_s: i64) -> Result<(), BackendError> {
        self.write(REVOCATIONS)?.insert((name.as_str(), login), ends_s).map_err(failed)?;
        Ok(())
    }

    pub fn forget_revocation(&self, name: &Nickname, login: u128) -> Result<(), BackendError> {
        self.write(REVOCATIONS)?.remove((name.as_str(), login)).map_err(failed)?;
        Ok(())
    }

    /// Forgets an account, and notes when.
    pub fn forget_account(&self, name: &Nickname, now_us: i64) -> Result<(), BackendError> {
        self.write(ACCOUNTS)?.remove(name.as_str()).map_err(failed)?;
        self.write(PROFILES)?.remove(name.as_str()).map_err(failed)?;
        let range = (name.as_str(), 0)..=(name.as_str(), u128::MAX);
        self.write(REVOCATIONS)?.retain_in(range, |_, _| false).map_err(failed)?;
        self.write(DELETIONS)?.insert(name.as_str(), now_us).map_err(failed)?;
        Ok(())
    }

    pub fn deletion(&self, name: &Nickname) -> Result<Option<i64>, BackendError> {
        Ok(self.read(DELETIONS)?.get(name.as_str()).map_err(failed)?.map(|time_us| time_us.value()))
    }

    /// Forgets deletions before a time, whose messages are forgotten, too.
    pub fn forget_deletions(&self, before_us: i64) -> Result<(), BackendError> {
        self.write(DELETIONS)?.retain(|_, time_us| time_us >= before_us).map_err(failed)
    }
}
