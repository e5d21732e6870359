//! Names: guests claim free ones, accounts bear their own.

use super::{Chat, Participant, unavailable};
use crate::backend::{Claimant, Claimed, Delivery, Entry};
use crate::chat::{CloseReason, Credential, Login, Nickname, Notice, Refusal, Reply, RoomId, SessionId};

impl Chat {
    /// Begins the extended mode, logged in where a token is given.
    pub(super) async fn greet(&self, who: &mut Participant, token: Option<String>) -> Result<Reply, Refusal> {
        if let Some(token) = token {
            self.login_by_token(who, None, &token).await?;
        }
        Ok(Reply::Welcome { session: who.id, nickname: who.name.clone() })
    }

    pub(super) async fn login(
        &self,
        who: &mut Participant,
        nickname: Option<Nickname>,
        credential: Credential,
    ) -> Result<Reply, Refusal> {
        if let (true, Some(name)) = (who.conduct.login_once, &who.name) {
            return Err(Refusal::AlreadyLoggedIn(name.clone()));
        }
        match credential {
            Credential::Token(token) => return self.login_by_token(who, nickname, &token).await,
            Credential::Password(_) | Credential::PasswordOfAccount(_) => todo!(),
            Credential::None => {}
        }
        let nickname = nickname.ok_or(Refusal::NicknameInvalid)?;
        if who.holds_name && who.name.as_ref() == Some(&nickname) {
            return Ok(Reply::LoggedIn { nickname });
        }
        if let Some(account) = who.account() {
            return Err(Refusal::AlreadyLoggedIn(account.clone()));
        }
        self.login_as_guest(who, nickname).await
    }

    async fn login_as_guest(&self, who: &mut Participant, nickname: Nickname) -> Result<Reply, Refusal> {
        let claimed = match self.claim(who, &nickname, Claimant::Guest).await? {
            Claimed::Done { .. } => true,
            Claimed::Reserved => return Err(Refusal::NicknameReserved),
            Claimed::InUse if who.conduct.login_tolerates_clash => false,
            Claimed::InUse => return Err(Refusal::NicknameInUse),
        };
        self.take_name(who, nickname.clone(), claimed).await;
        Ok(Reply::LoggedIn { nickname })
    }

    async fn login_by_token(
        &self,
        who: &mut Participant,
        nickname: Option<Nickname>,
        token: &str,
    ) -> Result<Reply, Refusal> {
        let verified = self.tokens.as_ref().and_then(|tokens| tokens.verify(token).ok());
        let login = verified.ok_or(Refusal::TokenInvalid)?;
        if nickname.is_some_and(|nickname| nickname != login.account) {
            return Err(Refusal::TokenInvalid);
        }
        self.sign_in(who, login).await
    }

    /// Makes the session one of an account; what other session bears the account's name is ended.
    ///
    /// # Errors
    /// [`Refusal::TokenInvalid`] when the login was revoked, [`Refusal::AlreadyLoggedIn`] when the session is one of another
    /// account.
    pub async fn sign_in(&self, who: &mut Participant, login: Login) -> Result<Reply, Refusal> {
        let nickname = login.account.clone();
        match who.account() {
            Some(account) if *account == nickname => return Ok(Reply::LoggedIn { nickname }),
            Some(account) => return Err(Refusal::AlreadyLoggedIn(account.clone())),
            None => {}
        }
        // Known as one of the login before it is asked whether that stands: a revocation meanwhile finds it.
        self.sessions.set_login(who.id, Some(login.clone()));
        let from = match self.claim_own(who, &login).await {
            Ok(from) => from,
            Err(refusal) => {
                self.sessions.set_login(who.id, None);
                return Err(refusal);
            }
        };
        let was_barred = self.is_barred(who);
        who.login = Some(Box::new(login));
        if let (true, Some(format)) = (was_barred, self.sessions.format(who.id)) {
            self.enter_lobby(who, format).await;
        }
        if let Some(older) = from {
            self.supersede(older).await;
        }
        self.take_name(who, nickname.clone(), true).await;
        Ok(Reply::LoggedIn { nickname })
    }

    /// Claims an account's name, if its login stands; the session that it was taken from, if there was one.
    async fn claim_own(&self, who: &Participant, login: &Login) -> Result<Option<SessionId>, Refusal> {
        let stands = self.backend.directory.stands(login).await;
        if !stands.map_err(|error| unavailable("login", &error))? {
            return Err(Refusal::TokenInvalid);
        }
        match self.claim(who, &login.account, Claimant::Account).await? {
            Claimed::Done { from } => Ok(from),
            Claimed::InUse | Claimed::Reserved => Err(Refusal::NicknameInUse),
        }
    }

    async fn supersede(&self, older: SessionId) {
        match self.backend.post.deliver(older, &Notice::Closing(CloseReason::Superseded)).await {
            Ok(Delivery::Done | Delivery::NoSession) => {}
            // It has lost the name in any case, and finds out when its node restores what its sessions hold.
            Ok(Delivery::NoNode) => tracing::debug!(session = %older, "a superseded session's node does not hear"),
            Err(error) => tracing::debug!(%error, session = %older, "a superseded session was not told"),
        }
    }

    /// The session bears a name from now on, and its former one is free.
    async fn take_name(&self, who: &mut Participant, nickname: Nickname, claimed: bool) {
        let former = who.name.replace(nickname.clone()).filter(|former| who.holds_name && *former != nickname);
        who.holds_name = claimed;
        self.tell_new_name(who).await;
        if let Some(former) = former {
            // On failure it stays noted, and is released before the next claim, or with the session.
            let _ = self.give_up_name(who, &former).await;
        }
    }

    pub(super) async fn claim(
        &self,
        who: &Participant,
        nickname: &Nickname,
        claimant: Claimant,
    ) -> Result<Claimed, Refusal> {
        self.settle_doubts(who, None).await?;
        // Noted before it is claimed, so that a restore meanwhile knows of it.
        self.roster.note_name(who, nickname);
        match self.backend.presence.claim(nickname, who.holder(), claimant).await {
            Ok(claimed @ Claimed::Done { .. }) => {
                self.roster.hold_name(who, nickname, claimant);
                self.metrics.logins_total.inc();
                Ok(claimed)
            }
            Ok(refused) => {
                self.roster.forget_name(who, nickname);
                Ok(refused)
            }
            // It may have been claimed: it stays noted, and is released before the next claim, or with the session.
            Err(error) => Err(unavailable("claim", &error)),
        }
    }

    /// Releases what calls with an unknown end may have claimed, before anything else is claimed: so a session never holds more
    /// than one thing that it does not know of. `wanted` is about to be entered anyway.
    pub(super) async fn settle_doubts(&self, who: &Participant, wanted: Option<&RoomId>) -> Result<(), Refusal> {
        let doubts = self.roster.doubts(who);
        for nickname in &doubts.names {
            self.give_up_name(who, nickname).await?;
        }
        for room in doubts.rooms.iter().filter(|room| Some(*room) != wanted) {
            self.give_up_room(who, room).await?;
        }
        Ok(())
    }

    /// Frees a nickname; it stays noted until that is certain.
    pub(super) async fn give_up_name(&self, who: &Participant, nickname: &Nickname) -> Result<(), Refusal> {
        self.backend.presence.release(nickname, who.id).await.map_err(|error| unavailable("release", &error))?;
        self.roster.forget_name(who, nickname);
        Ok(())
    }

    /// Has the rooms' member lists show the present nickname.
    async fn tell_new_name(&self, who: &Participant) {
        for room in &who.rooms {
            if let Err(error) = self
                .backend
                .presence
                .enter(room, &who.actor(), &Entry::Restore { known: None, account: who.account().cloned() })
                .await
            {
                unavailable("rename in room", &error);
            }
        }
    }
}
