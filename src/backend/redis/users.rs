//! Accounts with a password of their own, on Redis.
//!
//! What is kept of an account is in one slot; the words by which it is found and the set that counts it are in others. The
//! words are written first, then the account, then the words are looked at again: a crash in between leaves words for nothing,
//! which the search passes over and removes. A deletion begins with what is elsewhere (friends' lists, words, the identity's
//! choice, the count) and ends with the account itself, so one that was cut off is found by its rest, and completed by another.

use async_trait::async_trait;

use super::super::search::words;
use super::super::{BackendError, Users};
use super::Redis;
use super::connection::Connection;
use crate::chat::{Identity, Nickname, User, UserChange};

/// The provider of accounts that have a password here.
const PASSWORD: &str = "password";
/// The fields of an account, as [`read_user`] reads them.
const STORED: &[&str] = &["identity", "password", "nickname", "description", "created_us", "active_s"];
/// How often a deletion begins again because somebody became a friend meanwhile.
const TRIES: usize = 10;

#[async_trait]
impl Users for Redis {
    async fn sign_up(&self, account: &Nickname, password_hash: &str, nickname: &str) -> Result<bool, BackendError> {
        let mut connection = self.pooled().await?;
        let index = self.keys.search_users();
        self.add_words(&index, account.as_str(), &words(account.as_str(), nickname), &mut connection).await?;
        let identity = Identity { provider: PASSWORD.to_owned(), subject: account.to_string() };
        let mut call = self.scripts.sign_up.prepare_invoke();
        call.key(self.keys.user(account)).key(self.keys.nickname(account));
        call.arg(identity.to_string()).arg(password_hash).arg(nickname);
        let made: bool = self.timed(call.invoke_async(&mut *connection)).await?;
        if made {
            self.count_user(account, &mut connection).await?;
        } else {
            self.index_user(account, &words(account.as_str(), nickname), &mut connection).await?;
        }
        Ok(made)
    }

    async fn user(&self, account: &Nickname) -> Result<Option<User>, BackendError> {
        let mut connection = self.pooled().await?;
        self.read_user(account, &mut connection).await
    }

    async fn change_user(&self, account: &Nickname, change: &UserChange) -> Result<bool, BackendError> {
        let mut connection = self.pooled().await?;
        let former = match &change.nickname {
            Some(nickname) => {
                let Some(user) = self.read_user(account, &mut connection).await? else { return Ok(false) };
                let index = self.keys.search_users();
                self.add_words(&index, account.as_str(), &words(account.as_str(), nickname), &mut connection).await?;
                [words(account.as_str(), &user.nickname), words(account.as_str(), nickname)].concat()
            }
            None => Vec::new(),
        };
        let mut call = self.scripts.change_user.prepare_invoke();
        call.key(self.keys.user(account));
        let fields =
            [("password", &change.password_hash), ("nickname", &change.nickname), ("description", &change.description)];
        for (field, value) in fields {
            if let Some(value) = value {
                call.arg(field).arg(value);
            }
        }
        let changed: bool = self.timed(call.invoke_async(&mut *connection)).await?;
        if change.nickname.is_some() {
            self.index_user(account, &former, &mut connection).await?;
        }
        Ok(changed)
    }

    async fn delete_user(&self, account: &Nickname) -> Result<(), BackendError> {
        let mut connection = self.pooled().await?;
        for _ in 0..TRIES {
            self.forget_elsewhere(account, &mut connection).await?;
            let mut call = self.scripts.delete_user.prepare_invoke();
            call.key(self.keys.user(account)).key(self.keys.user_friends(account));
            call.key(self.keys.user_requests(account)).key(self.keys.user_inbox(account));
            call.key(self.keys.user_rooms(account)).key(self.keys.user_revoked(account));
            call.key(self.keys.deleted(account)).arg(self.settings.history_age.as_millis() as u64);
            let deleted: bool = self.timed(call.invoke_async(&mut *connection)).await?;
            if deleted {
                return Ok(());
            }
        }
        Err(BackendError::Failed("an account that is being deleted makes friends".into()))
    }

    async fn deletions(&self, accounts: &[Nickname]) -> Result<Vec<Option<i64>>, BackendError> {
        let mut connection = self.pooled().await?;
        self.deleted_us(&accounts.iter().collect::<Vec<_>>(), &mut connection).await
    }
}

impl Redis {
    async fn read_user(&self, account: &Nickname, connection: &mut Connection) -> Result<Option<User>, BackendError> {
        let mut ask = redis::pipe();
        ask.hmget(self.keys.user(account), STORED).exists(self.keys.nickname(account));
        let (stored, online): (Vec<Option<String>>, bool) = self.timed(ask.query_async(connection)).await?;
        Ok(read_user(account, &stored, online))
    }

    /// Takes an account out of whatever is not in its slot.
    async fn forget_elsewhere(&self, account: &Nickname, connection: &mut Connection) -> Result<(), BackendError> {
        let mut ask = redis::cmd("HMGET");
        ask.arg(self.keys.user(account)).arg(STORED);
        let stored: Vec<Option<String>> = self.timed(ask.query_async(connection)).await?;
        let mut forget = redis::pipe();
        for friend in self.friends_of(account, connection).await? {
            forget.srem(self.keys.user_friends(&friend), account.as_str());
            forget.srem(self.keys.user_friends(account), friend.as_str());
        }
        self.sever_ties(account, connection).await?;
        let nickname = read_user(account, &stored, false).map_or_else(String::new, |user| user.nickname);
        for word in words(account.as_str(), &nickname) {
            forget.zrem(self.keys.search_users(), super::search::entry(&word, account.as_str()));
        }
        forget.srem(self.keys.users(), account.as_str());
        self.timed(forget.exec_async(connection)).await?;
        if let Some(identity) = stored.first().and_then(Option::as_deref).and_then(Identity::decode) {
            let mut call = self.scripts.forget_identity.prepare_invoke();
            call.key(self.keys.identity(&identity)).arg(account.as_str());
            let _: i64 = self.timed(call.invoke_async(connection)).await?;
        }
        Ok(())
    }

    pub(super) async fn deleted_us(
        &self,
        accounts: &[&Nickname],
        connection: &mut Connection,
    ) -> Result<Vec<Option<i64>>, BackendError> {
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let mut ask = redis::pipe();
        for account in accounts {
            ask.get(self.keys.deleted(account));
        }
        self.timed(ask.query_async(connection)).await
    }
}

fn read_user(account: &Nickname, stored: &[Option<String>], online: bool) -> Option<User> {
    let [Some(_), password_hash, nickname, description, created_us, active_s] = stored else { return None };
    let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<i64>().ok());
    let signed_up_s = number(created_us).unwrap_or_default() / 1_000_000;
    Some(User {
        account: account.clone(),
        nickname: nickname.clone().unwrap_or_else(|| account.to_string()),
        description: description.clone().unwrap_or_default(),
        signed_up_s,
        last_active_s: number(active_s).unwrap_or(signed_up_s),
        password_hash: password_hash.clone(),
        online,
    })
}
