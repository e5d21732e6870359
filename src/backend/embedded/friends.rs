//! Who is whose friend, and who wants to be.

use async_trait::async_trait;

use super::super::{Asked, BackendError, FRIENDS_MAX, Friends, REQUESTS_MAX, Settled};
use super::Embedded;
use super::state::{State, Work};
use super::store::RequestRow;
use crate::chat::{Nickname, PendingRequest, RequestId, RequestKind};

impl State {
    fn ask_friend(&self, to: &Nickname, request: PendingRequest, work: &mut Work) -> Result<Asked, BackendError> {
        let PendingRequest { id, kind, from, text, asked_s } = request;
        let RequestKind::Friend(asker) = kind else {
            return Err(BackendError::Failed("a friend request of nobody".into()));
        };
        if self.accounts.owner_of(to).is_none() {
            return Ok(Asked::Unknown);
        }
        let batch = self.batch(work)?;
        if batch.are_friends(to, &asker)? {
            return Ok(Asked::AlreadyFriends);
        }
        if batch.asked(&asker, to)?.is_some() {
            return Ok(Asked::Before);
        }
        if batch.requests(to)?.len() >= REQUESTS_MAX {
            return Ok(Asked::TooMany);
        }
        batch.put_request(to, id, &RequestRow { asker: asker.to_string(), from, text, asked_s })?;
        Ok(Asked::Done)
    }

    fn friend_requests(&self, account: &Nickname, work: &mut Work) -> Result<Vec<PendingRequest>, BackendError> {
        let mut rows = self.batch(work)?.requests(account)?;
        rows.sort_by_key(|(number, row)| (row.asked_s, *number));
        Ok(rows.into_iter().filter_map(|(number, row)| pending(number, row)).collect())
    }

    fn settle_friend(
        &self,
        account: &Nickname,
        number: RequestId,
        approve: bool,
        work: &mut Work,
    ) -> Result<Settled, BackendError> {
        let batch = self.batch(work)?;
        let Some(request) = batch.request(account, number)?.and_then(|row| pending(number, row)) else {
            return Ok(Settled::Nothing);
        };
        let RequestKind::Friend(asker) = &request.kind else { return Ok(Settled::Nothing) };
        if approve {
            let is_full = |of: &Nickname| batch.friends(of).map(|friends| friends.len() >= FRIENDS_MAX);
            if !batch.are_friends(account, asker)? && (is_full(account)? || is_full(asker)?) {
                return Ok(Settled::TooMany);
            }
            batch.befriend(account, asker)?;
            if let Some(back) = batch.asked(account, asker)? {
                batch.end_request(account.as_str(), asker, back)?;
            }
        }
        batch.end_request(asker.as_str(), account, number)?;
        Ok(Settled::Done(request))
    }
}

fn pending(id: RequestId, row: RequestRow) -> Option<PendingRequest> {
    let RequestRow { asker, from, text, asked_s } = row;
    Some(PendingRequest { id, kind: RequestKind::Friend(Nickname::parse(&asker).ok()?), from, text, asked_s })
}

#[async_trait]
impl Friends for Embedded {
    async fn friends(&self, account: &Nickname) -> Result<Vec<Nickname>, BackendError> {
        let account = account.clone();
        self.ask(move |state, work| state.batch(work)?.friends(&account)).await
    }

    async fn ask_friend(&self, to: &Nickname, request: &PendingRequest) -> Result<Asked, BackendError> {
        let (to, request) = (to.clone(), request.clone());
        self.ask(move |state, work| state.ask_friend(&to, request, work)).await
    }

    async fn friend_requests(&self, account: &Nickname) -> Result<Vec<PendingRequest>, BackendError> {
        let account = account.clone();
        self.ask(move |state, work| state.friend_requests(&account, work)).await
    }

    async fn settle_friend(
        &self,
        account: &Nickname,
        request: RequestId,
        approve: bool,
    ) -> Result<Settled, BackendError> {
        let account = account.clone();
        self.ask(move |state, work| state.settle_friend(&account, request, approve, work)).await
    }

    async fn part(&self, one: &Nickname, other: &Nickname) -> Result<bool, BackendError> {
        let (one, other) = (one.clone(), other.clone());
        self.ask(move |state, work| state.batch(work)?.part(&one, &other)).await
    }
}
