//! What others are to be told of, after the answer to the one who caused it.

use futures_util::{StreamExt, stream};

use super::{CALLS_AT_ONCE, Chat};
use crate::backend::{BackendError, Bulletin, Delivery, Proclamation};
use crate::chat::{Applicant, News, Nickname, Notice, PersonKey, Push, RequestId, RequestKind, RoomId};

/// Somebody asks to be let into a room.
pub struct Asking {
    pub room: RoomId,
    /// As those who decide see them.
    pub identifier: String,
    pub request: RequestId,
}

/// Those who are to be told news of an account: its friends, in the order of their names, and the members of its rooms.
#[derive(Default)]
pub(super) struct Audience {
    pub friends: Vec<Nickname>,
    pub rooms: Vec<RoomId>,
}

impl Chat {
    /// Tells those who run a room that somebody asks to be let in.
    pub(super) async fn ask(&self, runners: Vec<Nickname>, asking: &Asking) {
        let Asking { room, identifier, request } = asking;
        let notice = Notice::Asked { room: room.clone(), identifier: identifier.clone() };
        let push = Push::EnterRequest { request: *request, identifier: identifier.clone(), room: room.clone() };
        stream::iter(runners)
            .for_each_concurrent(CALLS_AT_ONCE, async |runner| {
                if !self.tell_directly(&runner, &notice).await {
                    self.notify(&runner, &push).await;
                }
            })
            .await;
    }

    /// Tells somebody who asked to be let into a room what was decided.
    pub(super) async fn tell_decision(&self, applicant: Applicant, room: RoomId, approved: bool) {
        let notice = Notice::Decided { room: room.clone(), approved };
        match &applicant.key {
            PersonKey::Guest(session) => {
                if let Err(error) = self.backend.post.deliver(*session, &notice).await {
                    tracing::debug!(%error, "a guest was not told");
                }
            }
            PersonKey::Account(account) => {
                if !self.tell_directly(account, &notice).await {
                    let kind = RequestKind::Room(room);
                    self.notify(account, &Push::Decided { request: applicant.request, kind, approved }).await;
                }
            }
        }
    }

    /// Tells an account's session that does not read the inbox; `false` when there is none.
    async fn tell_directly(&self, account: &Nickname, notice: &Notice) -> bool {
        let told = async {
            match self.backend.presence.holder(account).await? {
                Some(holder) if !holder.reads_inbox => {
                    let delivered = self.backend.post.deliver(holder.session, notice).await?;
                    Ok::<_, BackendError>(delivered == Delivery::Done)
                }
                _ => Ok(false),
            }
        };
        told.await.unwrap_or_else(|error| {
            tracing::debug!(%error, "somebody was not told");
            false
        })
    }

    /// Tells those who know an account, while they are there, something about it. Nothing is lost with it: who comes later
    /// sees how things are.
    pub(super) async fn spread(&self, account: &Nickname, news: News) {
        let audience = self.audience(account).await;
        self.spread_to(audience, account, news).await;
    }

    /// Who knows an account at this moment.
    pub(super) async fn audience(&self, account: &Nickname) -> Audience {
        let (friends, rooms) =
            tokio::join!(self.backend.friends.friends(account), self.backend.members.enrolments(account));
        let unknown = |error: &BackendError| tracing::debug!(%error, "not all who know an account are known");
        let rooms = rooms.inspect_err(unknown).unwrap_or_default();
        let rooms = rooms.into_iter().filter(|enrolment| enrolment.is_member).map(|enrolment| enrolment.room);
        Audience { friends: friends.inspect_err(unknown).unwrap_or_default(), rooms: rooms.collect() }
    }

    pub(super) async fn spread_to(&self, audience: Audience, account: &Nickname, news: News) {
        if let Err(error) = self.proclaim_news(account, news, audience).await {
            tracing::debug!(%error, "news of an account were not told");
        }
    }

    pub(super) async fn proclaim_news(
        &self,
        account: &Nickname,
        news: News,
        audience: Audience,
    ) -> Result<(), BackendError> {
        let Audience { friends, rooms } = audience;
        if friends.is_empty() && rooms.is_empty() {
            return Ok(());
        }
        let bulletin = Bulletin { account: account.clone(), news, time_us: self.clock.unix_us(), friends, rooms };
        self.backend.post.proclaim(&Proclamation::News(bulletin)).await
    }

    /// Tells the sessions here that know an account its news, each once.
    pub(super) fn tell_news(&self, bulletin: &Bulletin) {
        let Bulletin { account, news, time_us, friends, rooms } = bulletin;
        let notice = Notice::News { account: account.clone(), news: news.clone(), time_us: *time_us };
        let friends = self.sessions.of_accounts(friends);
        let mut receivers: Vec<_> = rooms.iter().flat_map(|room| self.hub.accounts_in(room, account)).collect();
        if *news == News::Deleted {
            // It is in their inboxes.
            receivers.retain(|receiver| !friends.contains(receiver));
        } else {
            receivers.extend(friends);
        }
        receivers.sort_unstable();
        receivers.dedup();
        for receiver in receivers {
            self.metrics.news_total.inc();
            self.sessions.tell(receiver, &notice);
        }
    }

    /// The names of accounts that a dead node's sessions bore were freed.
    pub async fn mourn(&self, accounts: &[Nickname]) {
        stream::iter(accounts).for_each_concurrent(CALLS_AT_ONCE, |account| self.spread(account, News::Offline)).await;
    }
}
