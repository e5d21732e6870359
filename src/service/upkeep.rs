//! The ends of sessions, and what the node does for them when the backend lost sight of it.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::errands::Audience;
use super::roster::{Debt, Standing};
use super::{CALLS_AT_ONCE, Chat, Participant};
use crate::backend::{BackendError, Claimant, Claimed, Entry, Holder};
use crate::chat::{CloseReason, Login, News, Revocation, RoomId};
use crate::planted::{self, Bug};

impl Chat {
    /// The session is over: its rooms are left and its nickname is freed, now or as soon as the backend can.
    pub async fn depart(&self, who: Participant) {
        self.sessions.unseat(who.id);
        if who.conduct.in_lobby {
            self.hub.remove(&RoomId::lobby(), who.id);
        }
        if who.conduct.enrols {
            // Its account stays a member; only nobody hears the rooms any more.
            who.rooms.iter().for_each(|room| self.hub.remove(room, who.id));
        }
        // A thousand that vanish together take turns here instead of timing out behind one another.
        let _turn = self.departures.acquire().await;
        // Everything ever noted, what a call with an unknown end may have claimed included.
        let noted = self.roster.take(&who);
        // Before what it has is freed: from here on there is nothing to go on with.
        if noted.memo.is_some() && self.backend.resumption.forget(who.id).await.is_err() {
            self.roster.owe(Debt::Forget { session: who.id });
        }
        let left = noted.rooms.into_iter().filter(|_| !planted::has(Bug::StaleRoster));
        for room in left.chain(noted.asked) {
            if self.give_up_room(&who, &room).await.is_err() {
                self.roster.owe(Debt::Leave { room, who: who.actor() });
            }
        }
        // Who knew it while it was there.
        let audience = match who.account() {
            Some(account) => self.audience(account).await,
            None => Audience::default(),
        };
        let mut is_gone = false;
        for nickname in noted.names {
            match self.give_up_name(&who, &nickname).await {
                Ok(true) if who.account() == Some(&nickname) => is_gone = true,
                Ok(_) => {}
                Err(_) => self.roster.owe(Debt::Release { nickname, session: who.id }),
            }
        }
        if let (true, Some(account)) = (is_gone, who.account()) {
            self.spread_to(audience, account, News::Offline).await;
        }
        self.roster.strike(&who);
    }

    /// The node goes away, after all its sessions: its lease is given up, or left to the heirs of those that may be gone on
    /// with.
    ///
    /// # Errors
    /// When the backend does not answer; then the lease runs out by itself.
    pub async fn retire(&self) -> Result<(), BackendError> {
        if self.backend.resumption.bequeath().await? {
            return Ok(());
        }
        self.backend.presence.retire().await
    }

    /// Claims again what the node's sessions hold, after the lease was lost. `false` when it must be tried again.
    pub async fn restore(&self) -> bool {
        let standings = stream::iter(self.roster.standings().into_iter().map(Ok));
        let restore = async |standing| passed_over(self.restore_one(standing).await, "a session is not restored");
        standings.try_for_each_concurrent(CALLS_AT_ONCE, restore).await.is_ok()
    }

    /// What a session gives up while it is restored is given up again, unless it has claimed it once more meanwhile.
    async fn restore_one(&self, standing: Standing) -> Result<(), BackendError> {
        let (actor, roster, presence) = (&standing.actor, &self.roster, &self.backend.presence);
        if let Some(memo) = &standing.memo {
            if !self.backend.resumption.remember(actor.session, memo).await? {
                // While this node was cut off, its client has gone on elsewhere, with all that it had.
                standing.mailbox.close(CloseReason::Resumed);
                return Ok(());
            }
            if !roster.has_memo(actor.session) {
                self.backend.resumption.forget(actor.session).await?;
            }
        }
        if self.has_lost_its_account(&standing).await? {
            standing.mailbox.close(CloseReason::AccountLost);
            return Ok(());
        }
        if let Some(nickname) = &actor.nickname {
            let claimant = if standing.account { Claimant::AccountAgain } else { Claimant::Guest };
            let holder = Holder { session: actor.session, reads_inbox: standing.reads_inbox };
            let held = || roster.holds(actor.session, nickname);
            // A lease lost meanwhile is not the one that this number stands for, and brings about another restore.
            let lease = presence.tenure().number;
            let claimed = presence.claim(nickname, holder, claimant).await?;
            if !matches!(claimed, Claimed::Done { .. }) {
                let reason = if standing.account { CloseReason::Superseded } else { CloseReason::NicknameLost };
                standing.mailbox.close(reason);
                // Its rooms would see somebody come and go under the name of another.
                return Ok(());
            } else if !held() {
                presence.release(nickname, actor.session).await?;
                if held() {
                    presence.claim(nickname, holder, claimant).await?;
                }
            }
            roster.hold_still(actor.session, nickname, lease);
        }
        for room in standing.rooms.iter().filter(|room| !standing.mailbox.is_put_out_of(room)) {
            let account = actor.nickname.clone().filter(|_| standing.account);
            let entry = Entry::Restore { known: self.hub.epoch(room), account };
            let is_in = || roster.is_sure_of(actor.session, room);
            // Looked at after the epoch: a session that left meanwhile may have been the last here, and would be made a member
            // without a word, to be said to leave once more. So would one whose join failed, which is left or asked for again, and
            // then never said to have come.
            if !is_in() {
                continue;
            }
            // A restored member is let in by every room.
            let _ = presence.enter(room, actor, &entry).await?;
            if !is_in() {
                presence.leave(room, actor).await?;
                if is_in() {
                    let _ = presence.enter(room, actor, &entry).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether the session stood for an account that went with the backend's data: its rooms know it only as that, so nothing of it
    /// can be claimed again.
    async fn has_lost_its_account(&self, standing: &Standing) -> Result<bool, BackendError> {
        match &standing.actor.nickname {
            Some(account) if standing.account && standing.enrols => {
                Ok(self.backend.users.user(account).await?.is_none())
            }
            _ => Ok(false),
        }
    }

    /// Releases what sessions that ended while the backend was away still hold, and says what could not be said.
    pub async fn pay_debts(&self) {
        let debts = stream::iter(self.roster.debts().into_iter().map(Ok));
        let pay = async |debt| passed_over(self.pay(debt).await, "a debt is not paid");
        let paid = debts.try_for_each_concurrent(CALLS_AT_ONCE, pay).await;
        if let Err(error) = paid {
            tracing::debug!(%error, "debts wait for the backend");
        }
    }

    async fn pay(&self, debt: Debt) -> Result<(), BackendError> {
        match &debt {
            Debt::Release { nickname, session } => {
                self.backend.presence.release(nickname, *session).await.map(drop)?;
            }
            Debt::Forget { session } => self.backend.resumption.forget(*session).await?,
            Debt::Leave { room, who } => self.backend.presence.leave(room, who).await.map(drop)?,
            Debt::Announce(announcement) => self.publish_in_lobby(announcement).await?,
        }
        self.roster.settle(&debt);
        Ok(())
    }

    /// Ends the sessions whose login was revoked while this node did not hear. `false` when it must be tried again.
    pub(super) async fn look_at_logins(&self) -> bool {
        let look = async |login: Login| match self.backend.directory.stands(&login).await {
            Ok(true) => true,
            Ok(false) => {
                self.sessions.revoke(&login.account, &Revocation::One { id: login.id, ends_s: login.ends_s });
                true
            }
            Err(_) => false,
        };
        let looks = stream::iter(self.sessions.logins()).map(look).buffer_unordered(CALLS_AT_ONCE);
        looks.all(async |looked| looked).await
    }
}

/// Of many that are done one after the other, what fails for good is passed over: the others are not to wait for whoever mends
/// that. What passes by itself ends the turn.
fn passed_over(done: Result<(), BackendError>, what: &str) -> Result<(), BackendError> {
    match done {
        Err(error @ BackendError::Failed(_)) => {
            error.log(what);
            Ok(())
        }
        done => done,
    }
}
