//! Accounts with a password: made, logged in and out, changed, found, deleted.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::errands::Audience;
use super::names::Proof;
use super::{CALLS_AT_ONCE, Chat, Outcome, Participant, unavailable};
use crate::backend::{BackendError, Holder, Proclamation};
use crate::chat::{
    Credential, Login, LoginId, News, Nickname, Push, Refusal, Reply, Revocation, User, UserChange, UserView,
};

impl Chat {
    pub(super) async fn sign_up(&self, account: &Nickname, password: String, nickname: &str) -> Result<Reply, Refusal> {
        let failed = |error: BackendError| unavailable("sign up", &error);
        // Before the hash, which is dear.
        if self.backend.users.user(account).await.map_err(failed)?.is_some() {
            return Err(Refusal::UserExists);
        }
        if self.backend.census.census().await.map_err(failed)?.users >= self.limits.users {
            return Err(Refusal::TooMany);
        }
        let hash = self.passwords.hash(password).await?;
        if self.backend.users.sign_up(account, &hash, nickname).await.map_err(failed)? {
            Ok(Reply::Done)
        } else {
            Err(Refusal::UserExists)
        }
    }

    /// Logs a session in with an account's password.
    pub(super) async fn login_by_password(
        &self,
        who: &mut Participant,
        account: &Nickname,
        password: String,
    ) -> Outcome {
        match who.account() {
            Some(own) if own == account && !who.conduct.enrols => {
                return Outcome { result: Ok(Reply::LoggedIn { nickname: account.clone() }), afterwards: None };
            }
            Some(own) => return Outcome::refused(Refusal::AlreadyLoggedIn(own.clone())),
            None => {}
        }
        match self.prove(who, account, password).await {
            Ok(hash) => self.begin_login(who, self.fresh_login(account), Proof::Password(hash)).await,
            Err(refusal) => Outcome::refused(refusal),
        }
    }

    pub(super) async fn has_password(&self, account: &Nickname, hash: &str) -> Result<bool, BackendError> {
        let user = self.backend.users.user(account).await?;
        Ok(user.is_some_and(|user| user.password_hash.as_deref() == Some(hash)))
    }

    /// A password's login ends with its session, so it has no end of its own.
    fn fresh_login(&self, account: &Nickname) -> Login {
        let began_s = self.clock.unix_us() / 1_000_000;
        Login { account: account.clone(), id: LoginId(self.entropy.bits()), began_s, ends_s: i64::MAX }
    }

    /// The rest of the line after a pychat login's name: a password where the name is an account's that has one.
    pub(super) async fn credential_for(&self, account: &Nickname, rest: String) -> Result<Credential, Refusal> {
        let user = self.backend.users.user(account).await.map_err(|error| unavailable("user", &error))?;
        Ok(match user {
            Some(user) if user.password_hash.is_some() => Credential::Password(rest),
            _ => Credential::None,
        })
    }

    /// The session goes on as a guest without a name.
    pub(super) async fn log_off(&self, who: &mut Participant) -> Result<Reply, Refusal> {
        let account = who.account().cloned().ok_or(Refusal::LoginRequired)?;
        let audience = self.audience(&account).await;
        self.give_up_name(who, &account).await?;
        self.be_nobody(who);
        self.spread_to(audience, &account, News::Offline).await;
        Ok(Reply::Done)
    }

    /// The session has no account any more, and is in none of its rooms.
    fn be_nobody(&self, who: &mut Participant) {
        self.stop_hearing(who);
        self.sessions.set_login(who.id, None);
        (who.name, who.holds_name, who.login, who.correspondence) = (None, false, None, None);
        who.owes_attendance = false;
    }

    fn stop_hearing(&self, who: &mut Participant) {
        for room in std::mem::take(&mut who.rooms) {
            self.hub.remove(&room, who.id);
        }
    }

    /// Deletes the session's account: its rooms are left or handed over, its friends are told, nothing but its messages
    /// stays. What a crash leaves undone, the next attempt does. The answer is all that the session hears of it.
    pub(super) async fn delete_account(&self, who: &mut Participant, password: String) -> Result<Reply, Refusal> {
        let account = who.account().cloned().ok_or(Refusal::LoginRequired)?;
        let failed = |error: BackendError| unavailable("delete", &error);
        self.prove(who, &account, password).await?;
        self.stop_hearing(who);
        // Unless it comes to the end.
        who.owes_attendance = true;
        let enrolments = self.backend.members.enrolments(&account).await.map_err(failed)?;
        let rooms = enrolments.into_iter().map(|enrolment| enrolment.room).collect();
        // What becomes of its rooms is no news for it. If the deletion fails further on, it goes back to those that it is in.
        std::mem::take(&mut who.rooms).iter().for_each(|room| self.hub.remove(room, who.id));
        who.owes_attendance = true;
        self.resign_from_all(who, &account).await?;
        let friends = self.backend.friends.friends(&account).await.map_err(failed)?;
        let push = Push::FriendDeleted { account: account.clone() };
        stream::iter(&friends).for_each_concurrent(CALLS_AT_ONCE, |friend| self.notify(friend, &push)).await;
        if let Err(error) = self.proclaim_news(&account, News::Deleted, Audience { friends, rooms }).await {
            tracing::debug!(%error, "those in the rooms were not told");
        }
        self.backend.users.delete_user(&account).await.map_err(failed)?;
        self.backend.presence.release(&account, who.id).await.map_err(failed)?;
        self.roster.forget_name(who, &account);
        self.be_nobody(who);
        self.end_other_sessions(&account).await?;
        Ok(Reply::Done)
    }

    /// Ends every session of an account but those that are known under no login of it.
    async fn end_other_sessions(&self, account: &Nickname) -> Result<(), Refusal> {
        let which = Revocation::BegunUntil(self.clock.unix_us() / 1_000_000);
        let proclaimed = self.backend.post.proclaim(&Proclamation::Revoked { account: account.clone(), which }).await;
        proclaimed.map_err(|error| unavailable("end sessions", &error))
    }

    /// Changes the account's password and ends its other sessions.
    pub(super) async fn change_password(
        &self,
        who: &mut Participant,
        old: String,
        new: String,
    ) -> Result<Reply, Refusal> {
        let account = who.account().cloned().ok_or(Refusal::LoginRequired)?;
        self.prove(who, &account, old).await?;
        let password_hash = Some(self.passwords.hash(new).await?);
        self.change_user(&account, UserChange { password_hash, ..UserChange::default() }).await?;
        // This session's login begins after those that end.
        let mut login = self.fresh_login(&account);
        login.began_s += 1;
        self.sessions.set_login(who.id, Some(login.clone()));
        who.login = Some(Box::new(login));
        self.end_other_sessions(&account).await?;
        let which = Revocation::BegunUntil(self.clock.unix_us() / 1_000_000);
        let revoked = self.backend.directory.revoke(&account, which).await;
        revoked.map_err(|error| unavailable("revoke", &error))?;
        Ok(Reply::Done)
    }

    /// Changes how the account presents itself, and tells those who know it.
    pub(super) async fn change_profile(
        &self,
        who: &Participant,
        nickname: Option<String>,
        description: Option<String>,
    ) -> Result<Reply, Refusal> {
        let account = who.account().ok_or(Refusal::LoginRequired)?;
        let change = UserChange { password_hash: None, nickname: nickname.clone(), description: description.clone() };
        self.change_user(account, change).await?;
        for news in nickname.map(News::Nickname).into_iter().chain(description.map(News::Description)) {
            self.spread(account, news).await;
        }
        Ok(Reply::Done)
    }

    async fn change_user(&self, account: &Nickname, change: UserChange) -> Result<(), Refusal> {
        let changed = self.backend.users.change_user(account, &change).await;
        match changed.map_err(|error| unavailable("change user", &error))? {
            true => Ok(()),
            false => Err(Refusal::UserNotFound),
        }
    }

    /// How an account presents itself.
    pub(super) async fn user(&self, account: &Nickname) -> Result<UserView, Refusal> {
        let user = self.backend.users.user(account).await.map_err(|error| unavailable("user", &error))?;
        user.map(UserView::from).ok_or(Refusal::UserNotFound)
    }

    /// The account of a name, and the session that bears the name at this moment.
    pub(super) async fn bearer(&self, name: &Nickname) -> Result<(Option<User>, Option<Holder>), Refusal> {
        let asked = tokio::try_join!(self.backend.users.user(name), self.backend.presence.holder(name));
        asked.map_err(|error| unavailable("bearer", &error))
    }

    pub(super) async fn must_exist(&self, account: &Nickname) -> Result<(), Refusal> {
        self.user(account).await.map(drop)
    }

    /// Those of the accounts that are still there, in the same order.
    pub(super) async fn users(&self, accounts: Vec<Nickname>) -> Result<Vec<UserView>, Refusal> {
        let looks = stream::iter(accounts).map(async |account| self.backend.users.user(&account).await);
        let found: Result<Vec<_>, _> = looks.buffered(CALLS_AT_ONCE).try_collect().await;
        let found = found.map_err(|error| unavailable("users", &error))?;
        Ok(found.into_iter().flatten().map(UserView::from).collect())
    }

    pub(super) async fn search_users(&self, query: &str, after: Option<&str>, limit: usize) -> Result<Reply, Refusal> {
        let page = self.backend.search.search_users(query, after, limit).await;
        let page = page.map_err(|error| unavailable("search", &error))?;
        Ok(Reply::Users { users: self.users(page.found).await?, next: page.next })
    }

    /// What follows a login: the account's friends are told, and the account what waits for it.
    pub(super) async fn welcome(&self, who: &mut Participant, was_there: bool) {
        if let (Some(account), false) = (who.account().cloned(), was_there) {
            self.spread(&account, News::Online).await;
        }
        self.attend(who).await;
    }
}
