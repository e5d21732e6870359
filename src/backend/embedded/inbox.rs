//! What is kept for accounts until they were told.

use async_trait::async_trait;

use super::super::{BackendError, INBOX_MAX, Inbox, Put};
use super::Embedded;
use super::state::{State, Work};
use crate::chat::{Mail, Nickname, Push};

impl State {
    fn put(&self, to: &Nickname, push: &Push, friend: Option<&Nickname>, work: &mut Work) -> Result<Put, BackendError> {
        if self.accounts.owner_of(to).is_none() {
            return Ok(Put::Unknown);
        }
        let batch = self.batch(work)?;
        if let Some(friend) = friend
            && !batch.are_friends(to, friend)?
        {
            return Ok(Put::NotFriends);
        }
        let (count, last) = batch.mail_count(to)?;
        if count >= INBOX_MAX as u64 {
            return Ok(Put::Full);
        }
        let now_us = u64::try_from(self.clock.unix_us()).unwrap_or_default();
        batch.put_mail(to, now_us.max(last + 1), push)?;
        Ok(Put::Kept { holder: self.nicknames.get(to).copied() })
    }
}

#[async_trait]
impl Inbox for Embedded {
    async fn put(&self, to: &Nickname, push: &Push, friend: Option<&Nickname>) -> Result<Put, BackendError> {
        let (to, push, friend) = (to.clone(), push.clone(), friend.cloned());
        self.ask(move |state, work| state.put(&to, &push, friend.as_ref(), work)).await
    }

    async fn mail(&self, account: &Nickname, after: u64, limit: usize) -> Result<Vec<Mail>, BackendError> {
        let account = account.clone();
        self.ask(move |state, work| state.batch(work)?.mail(&account, after, limit)).await
    }

    async fn discard(&self, account: &Nickname, numbers: &[u64]) -> Result<(), BackendError> {
        let (account, numbers) = (account.clone(), numbers.to_vec());
        self.ask(move |state, work| state.batch(work)?.discard_mail(&account, &numbers)).await
    }
}
