//! Accounts with a password of their own: who they are and how they present themselves.

use async_trait::async_trait;

use super::super::{BackendError, Users};
use super::Embedded;
use super::room::Room;
use super::search::Kind;
use super::state::{State, Work};
use crate::chat::{Actor, Nickname, RoomId, User, UserChange};

impl State {
    fn sign_up(&mut self, account: &Nickname, change: &UserChange, work: &mut Work) -> Result<bool, BackendError> {
        if self.accounts.owner_of(account).is_some() || self.nicknames.contains_key(account) {
            return Ok(false);
        }
        let now_us = self.clock.unix_us();
        let batch = self.batch(work)?;
        self.accounts.sign_up(account, change, now_us, batch)?;
        self.account_made(account, None, work)?;
        Ok(true)
    }

    fn user(&self, account: &Nickname) -> Option<User> {
        let online = self.nicknames.contains_key(account);
        self.accounts.user(account).map(|user| User { online, ..user })
    }

    fn change_user(&mut self, account: &Nickname, change: &UserChange, work: &mut Work) -> Result<bool, BackendError> {
        let Some(known_as) = self.accounts.call(account).map(str::to_owned) else { return Ok(false) };
        let batch = self.batch(work)?;
        self.accounts.change_user(account, change, batch)?;
        let called = self.accounts.call(account).map(str::to_owned);
        self.index_again(Kind::User, account.as_str(), Some(&known_as), called.as_deref(), work);
        Ok(true)
    }

    fn delete_user(&mut self, account: &Nickname, work: &mut Work) -> Result<(), BackendError> {
        let Some(known_as) = self.accounts.call(account).map(str::to_owned) else { return Ok(()) };
        self.forget_in_rooms(account, work)?;
        let now_us = self.clock.unix_us();
        let batch = self.batch(work)?;
        for friend in batch.friends(account)? {
            batch.part(account, &friend)?;
        }
        for (number, row) in batch.requests(account)? {
            batch.end_request(&row.asker, account, number)?;
        }
        for asked in batch.asked_by(account)? {
            if let Some(number) = batch.asked(account, &asked)? {
                batch.end_request(account.as_str(), &asked, number)?;
            }
        }
        batch.forget_mail(account)?;
        self.accounts.forget(account, now_us, batch)?;
        self.index_again(Kind::User, account.as_str(), Some(&known_as), None, work);
        Ok(())
    }

    /// Whoever bears the name next is a member of nothing, runs nothing and was permitted nothing.
    fn forget_in_rooms(&mut self, account: &Nickname, work: &mut Work) -> Result<(), BackendError> {
        for (room, _) in self.batch(work)?.enrolments(account)? {
            // A room that it was to have left before; where it is no member there is nothing to end.
            let _ = self.resign(&room, Actor::account(account.clone()), true, work)?;
            self.batch(work)?.forget_enrolment(account, &room)?;
        }
        let knows = |room: &Room| room.kept.as_ref().is_some_and(|kept| kept.knows_account(account));
        let ids: Vec<RoomId> = self.rooms.iter().filter(|(_, room)| knows(room)).map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.amend_kept(&id, work, |kept| kept.forget_account(account))?;
        }
        Ok(())
    }
}

#[async_trait]
impl Users for Embedded {
    async fn sign_up(&self, account: &Nickname, password_hash: &str, nickname: &str) -> Result<bool, BackendError> {
        let change = UserChange {
            password_hash: Some(password_hash.to_owned()),
            nickname: Some(nickname.to_owned()),
            description: None,
        };
        let account = account.clone();
        self.ask(move |state, work| state.sign_up(&account, &change, work)).await
    }

    async fn user(&self, account: &Nickname) -> Result<Option<User>, BackendError> {
        let account = account.clone();
        self.ask(move |state, _| Ok(state.user(&account))).await
    }

    async fn change_user(&self, account: &Nickname, change: &UserChange) -> Result<bool, BackendError> {
        let (account, change) = (account.clone(), change.clone());
        self.ask(move |state, work| state.change_user(&account, &change, work)).await
    }

    async fn delete_user(&self, account: &Nickname) -> Result<(), BackendError> {
        let account = account.clone();
        self.ask(move |state, work| state.delete_user(&account, work)).await
    }

    async fn deletions(&self, accounts: &[Nickname]) -> Result<Vec<Option<i64>>, BackendError> {
        let accounts = accounts.to_vec();
        self.ask(move |state, work| {
            let batch = state.batch(work)?;
            accounts.iter().map(|account| batch.deletion(account)).collect()
        })
        .await
    }
}
