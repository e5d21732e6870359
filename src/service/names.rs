//! Names: guests claim free ones, accounts bear their own.

use super::{Chat, Outcome, Participant, Settling, unavailable};
use crate::backend::{Claimant, Claimed, Delivery, Entry};
use crate::chat::{CloseReason, Credential, Login, Nickname, Notice, Refusal, Reply, RoomId, SessionId};

/// By what a login was proven.
pub(super) enum Proof {
    Token,
    /// The password of this hash.
    Password(String),
}

impl Chat {
    /// Begins the extended mode, logged in where a token is given.
    pub async fn greet(&self, who: &mut Participant, token: Option<String>) -> Outcome {
        let mut afterwards = None;
        if let Some(token) = token {
            let outcome = self.login_by_token(who, None, &token).await;
            if outcome.result.is_err() {
                return outcome;
            }
            afterwards = outcome.afterwards;
        }
        let resume = self.give_token(who).await;
        Outcome { result: Ok(Reply::Welcome { session: who.id, nickname: who.name.clone(), resume }), afterwards }
    }

    pub(super) async fn login(
        &self,
        who: &mut Participant,
        nickname: Option<Nickname>,
        credential: Credential,
    ) -> Outcome {
        if let (true, Some(name)) = (who.conduct.login_once, &who.name) {
            return Outcome::refused(Refusal::AlreadyLoggedIn(name.clone()));
        }
        let credential = match (credential, &nickname) {
            (Credential::PasswordOfAccount(rest), Some(name)) => match self.credential_for(name, rest).await {
                Ok(credential) => credential,
                Err(refusal) => return Outcome::refused(refusal),
            },
            (credential, _) => credential,
        };
        match (credential, nickname) {
            (Credential::Token(token), nickname) => self.login_by_token(who, nickname, &token).await,
            (Credential::Password(password), Some(name)) => self.login_by_password(who, &name, password).await,
            (_, Some(name)) => Outcome { result: self.login_by_name(who, name).await, afterwards: None },
            (_, None) => Outcome::refused(Refusal::NicknameInvalid),
        }
    }

    async fn login_by_name(&self, who: &mut Participant, nickname: Nickname) -> Result<Reply, Refusal> {
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

    async fn login_by_token(&self, who: &mut Participant, nickname: Option<Nickname>, token: &str) -> Outcome {
        let verified = self.tokens.as_ref().and_then(|tokens| tokens.verify(token).ok());
        let fits = |login: &Login| nickname.as_ref().is_none_or(|nickname| *nickname == login.account);
        match verified.filter(fits) {
            Some(login) => self.sign_in(who, login).await,
            None => Outcome::refused(Refusal::TokenInvalid),
        }
    }

    /// Makes the session one of an account, by a login that a token tells of; what other session bears the account's name is
    /// ended. Refused with [`Refusal::TokenInvalid`] when the login was revoked, with [`Refusal::AlreadyLoggedIn`] when the
    /// session is one of another account.
    pub async fn sign_in(&self, who: &mut Participant, login: Login) -> Outcome {
        match who.account() {
            Some(account) if *account == login.account => {
                Outcome { result: Ok(Reply::LoggedIn { nickname: login.account }), afterwards: None }
            }
            Some(account) => Outcome::refused(Refusal::AlreadyLoggedIn(account.clone())),
            None => self.begin_login(who, login, Proof::Token).await,
        }
    }

    pub(super) async fn begin_login(&self, who: &mut Participant, login: Login, proof: Proof) -> Outcome {
        let nickname = login.account.clone();
        // Known as one of the login before it is asked whether that stands: a revocation meanwhile finds it.
        self.sessions.set_login(who.id, Some(login.clone()));
        let from = match self.claim_own(who, &login, proof).await {
            Ok(from) => from,
            Err(refusal) => {
                self.sessions.set_login(who.id, None);
                return Outcome::refused(refusal);
            }
        };
        self.bear_login(who, login).await;
        if let Some(older) = from {
            self.end_elsewhere(older, CloseReason::Superseded).await;
        }
        self.take_name(who, nickname.clone(), true).await;
        let afterwards = Some(Settling::Arrival { was_there: from.is_some() });
        Outcome { result: Ok(Reply::LoggedIn { nickname }), afterwards }
    }

    /// The session is one of this login from now on.
    pub(super) async fn bear_login(&self, who: &mut Participant, login: Login) {
        let was_barred = self.is_barred(who);
        who.login = Some(Box::new(login));
        if let (true, Some(format)) = (was_barred, self.sessions.format(who.id)) {
            self.enter_lobby(who, format).await;
        }
    }

    /// Claims an account's name, if its login stands; the session that it was taken from, if there was one.
    async fn claim_own(&self, who: &Participant, login: &Login, proof: Proof) -> Result<Option<SessionId>, Refusal> {
        let stands = match proof {
            Proof::Token => self.backend.directory.stands(login).await,
            // Proven this very moment, unless it was changed meanwhile.
            Proof::Password(hash) => self.has_password(&login.account, &hash).await,
        };
        if !stands.map_err(|error| unavailable("login", &error))? {
            return Err(Refusal::TokenInvalid);
        }
        match self.claim(who, &login.account, Claimant::Account).await? {
            Claimed::Done { from } => Ok(from),
            Claimed::InUse | Claimed::Reserved => Err(Refusal::NicknameInUse),
        }
    }

    /// Ends a session, on whatever node, that has lost its name to another one.
    pub(super) async fn end_elsewhere(&self, older: SessionId, reason: CloseReason) {
        match self.backend.post.deliver(older, &Notice::Closing(reason)).await {
            Ok(Delivery::Done | Delivery::NoSession) => {}
            // It has lost the name in any case, and finds out when its node restores what its sessions hold.
            Ok(Delivery::NoNode) => tracing::debug!(session = %older, "a superseded session's node does not hear"),
            Err(error) => tracing::debug!(%error, session = %older, "a superseded session was not told"),
        }
    }

    /// The session bears a name from now on, and its former one is free.
    pub(super) async fn take_name(&self, who: &mut Participant, nickname: Nickname, claimed: bool) {
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
                self.roster.hold_name(who, nickname, claimant, self.backend.presence.tenure().number);
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

    /// Asked before anything is done under the session's name, with no waiting in between. Refused while the lease that the name
    /// belongs to may have ended, or was replaced and the name not yet claimed again: then it may be another's.
    pub(super) fn may_act(&self, who: &Participant) -> Result<(), Refusal> {
        let tenure = self.backend.presence.tenure();
        let is_its_own = tenure.is_sure && self.roster.holds_under(who.id, tenure.number);
        if is_its_own || !who.holds_name { Ok(()) } else { Err(Refusal::Unavailable) }
    }

    /// Releases what calls with an unknown end may have claimed, before anything else is claimed: so a session never holds more
    /// than one thing that it does not know of. `wanted` is about to be entered anyway.
    pub(super) async fn settle_doubts(&self, who: &Participant, wanted: Option<&RoomId>) -> Result<(), Refusal> {
        let doubts = self.roster.doubts(who);
        for nickname in doubts.names.iter() {
            self.give_up_name(who, nickname).await?;
        }
        for room in doubts.rooms.iter().filter(|room| Some(*room) != wanted) {
            self.give_up_room(who, room).await?;
        }
        Ok(())
    }

    /// Frees a nickname; it stays noted until that is certain. `true` when the session held it.
    pub(super) async fn give_up_name(&self, who: &Participant, nickname: &Nickname) -> Result<bool, Refusal> {
        let released = self.backend.presence.release(nickname, who.id).await;
        let held = released.map_err(|error| unavailable("release", &error))?;
        self.roster.forget_name(who, nickname);
        Ok(held)
    }

    /// Has the rooms' member lists show the present nickname.
    async fn tell_new_name(&self, who: &Participant) {
        for room in who.rooms.iter().filter(|room| !who.mailbox.is_put_out_of(room)) {
            // Where the others saw it leave, because its node was held for dead, it comes under its new name.
            let entry = Entry::Restore { known: self.hub.epoch(room), account: who.account().cloned() };
            if let Err(error) = self.backend.presence.enter(room, &who.actor(), &entry).await {
                unavailable("rename in room", &error);
            }
        }
    }
}
