//! Friends on Redis.
//!
//! Two accounts live in two slots. The list of the one that asked is written first, then the list of the one that approves,
//! together with the end of the request: a crash in between leaves the request, and approving it again completes it. If it is
//! rejected at the same moment, the first half is taken back; a crash before that leaves a friend in one list alone, which
//! parting ends. Parting takes each out of the other's list, and is done when either was in.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::super::{Asked, BackendError, FRIENDS_MAX, Friends, REQUESTS_MAX, Settled};
use super::Redis;
use super::connection::Connection;
use crate::chat::{Nickname, PendingRequest, RequestId, RequestKind};

/// Between the account that asks and the rest of a request: no name holds it.
const SEPARATOR: char = '\u{1f}';

/// A friend request as it is kept, after the account that asks: `f` who asks as they are shown, `t` what they say, `s` when.
#[derive(Serialize, Deserialize)]
struct Row {
    f: String,
    t: String,
    s: i64,
}

fn encode_request(asker: &Nickname, request: &PendingRequest) -> String {
    let row = Row { f: request.from.clone(), t: request.text.clone(), s: request.asked_s };
    format!("{asker}{SEPARATOR}{}", serde_json::to_string(&row).unwrap_or_default())
}

fn read_request(id: RequestId, text: &str) -> Option<(Nickname, PendingRequest)> {
    let (asker, row) = text.split_once(SEPARATOR)?;
    let asker = Nickname::parse(asker).ok()?;
    let Row { f, t, s } = serde_json::from_str(row).ok()?;
    let kind = RequestKind::Friend(asker.clone());
    Some((asker, PendingRequest { id, kind, from: f, text: t, asked_s: s }))
}

#[async_trait]
impl Friends for Redis {
    async fn friends(&self, account: &Nickname) -> Result<Vec<Nickname>, BackendError> {
        let mut connection = self.pooled().await?;
        self.friends_of(account, &mut connection).await
    }

    async fn ask_friend(&self, to: &Nickname, request: &PendingRequest) -> Result<Asked, BackendError> {
        let RequestKind::Friend(asker) = &request.kind else {
            return Err(BackendError::Failed("a friend request of nobody".into()));
        };
        let mut connection = self.pooled().await?;
        let mut call = self.friends_call(&self.scripts.ask_friend, to);
        call.arg(request.id.0).arg(asker.as_str()).arg(encode_request(asker, request)).arg(REQUESTS_MAX);
        let word: String = self.timed(call.invoke_async(&mut *connection)).await?;
        match word.as_str() {
            "done" => Ok(Asked::Done),
            "before" => Ok(Asked::Before),
            "friends" => Ok(Asked::AlreadyFriends),
            "unknown" => Ok(Asked::Unknown),
            "full" => Ok(Asked::TooMany),
            other => Err(odd_answer(other)),
        }
    }

    async fn friend_requests(&self, account: &Nickname) -> Result<Vec<PendingRequest>, BackendError> {
        let mut connection = self.pooled().await?;
        let mut ask = redis::cmd("HGETALL");
        ask.arg(self.keys.user_requests(account));
        let rows: Vec<(u32, String)> = self.timed(ask.query_async(&mut *connection)).await?;
        let waiting = rows.iter().filter_map(|(id, row)| read_request(RequestId(*id), row)).collect();
        let (mut requests, stale) = self.of_present_accounts(waiting, &mut connection).await?;
        for request in stale {
            self.end_request(account, request.id, None, &mut connection).await?;
        }
        requests.sort_by_key(|request| (request.asked_s, request.id));
        Ok(requests)
    }

    async fn settle_friend(
        &self,
        account: &Nickname,
        request: RequestId,
        approve: bool,
    ) -> Result<Settled, BackendError> {
        let mut connection = self.pooled().await?;
        let mut ask = redis::cmd("HGET");
        ask.arg(self.keys.user_requests(account)).arg(request.0);
        let row: Option<String> = self.timed(ask.query_async(&mut *connection)).await?;
        let Some((asker, pending)) = row.and_then(|row| read_request(request, &row)) else {
            return Ok(Settled::Nothing);
        };
        if !approve {
            return Ok(match self.end_request(account, request, None, &mut connection).await? {
                Ended::Done => Settled::Done(pending),
                _ => Settled::Nothing,
            });
        }
        let (_, stale) = self.of_present_accounts(vec![(asker.clone(), pending.clone())], &mut connection).await?;
        if !stale.is_empty() {
            self.end_request(account, request, None, &mut connection).await?;
            return Ok(Settled::Nothing);
        }
        self.approve_friend(account, &asker, pending, &mut connection).await
    }

    async fn part(&self, one: &Nickname, other: &Nickname) -> Result<bool, BackendError> {
        let mut connection = self.pooled().await?;
        let mut part = redis::pipe();
        part.srem(self.keys.user_friends(other), one.as_str()).srem(self.keys.user_friends(one), other.as_str());
        let (there, here): (u64, u64) = self.timed(part.query_async(&mut *connection)).await?;
        Ok(there + here > 0)
    }
}

/// What became of a request.
enum Ended {
    Done,
    Nothing { are_friends: bool },
    Full,
}

impl Redis {
    pub(super) async fn friends_of(
        &self,
        account: &Nickname,
        connection: &mut Connection,
    ) -> Result<Vec<Nickname>, BackendError> {
        let mut ask = redis::cmd("SMEMBERS");
        ask.arg(self.keys.user_friends(account));
        let names: Vec<String> = self.timed(ask.query_async(connection)).await?;
        let mut friends: Vec<Nickname> = names.iter().filter_map(|name| Nickname::parse(name).ok()).collect();
        friends.sort();
        Ok(friends)
    }

    /// A call of a script that changes an account's friends or requests.
    fn friends_call<'a>(&self, script: &'a redis::Script, account: &Nickname) -> redis::ScriptInvocation<'a> {
        let mut call = script.prepare_invoke();
        call.key(self.keys.user(account)).key(self.keys.user_friends(account)).key(self.keys.user_requests(account));
        call
    }

    async fn approve_friend(
        &self,
        account: &Nickname,
        asker: &Nickname,
        pending: PendingRequest,
        connection: &mut Connection,
    ) -> Result<Settled, BackendError> {
        let mut call = self.friends_call(&self.scripts.befriend, asker);
        call.arg(account.as_str()).arg(FRIENDS_MAX);
        let word: String = self.timed(call.invoke_async(connection)).await?;
        match word.as_str() {
            "done" => {}
            "full" => return Ok(Settled::TooMany),
            "unknown" => {
                self.end_request(account, pending.id, None, connection).await?;
                return Ok(Settled::Nothing);
            }
            other => return Err(odd_answer(other)),
        }
        let settled = match self.end_request(account, pending.id, Some(asker), connection).await? {
            Ended::Done => return Ok(Settled::Done(pending)),
            // Somebody else approved it at the same moment.
            Ended::Nothing { are_friends: true } => return Ok(Settled::Nothing),
            Ended::Nothing { are_friends: false } => Settled::Nothing,
            Ended::Full => Settled::TooMany,
        };
        let mut take_back = redis::cmd("SREM");
        take_back.arg(self.keys.user_friends(asker)).arg(account.as_str());
        self.timed(take_back.exec_async(connection)).await?;
        Ok(settled)
    }

    async fn end_request(
        &self,
        account: &Nickname,
        request: RequestId,
        friend: Option<&Nickname>,
        connection: &mut Connection,
    ) -> Result<Ended, BackendError> {
        let mut call = self.friends_call(&self.scripts.settle_friend, account);
        call.arg(request.0).arg(friend.map_or("", Nickname::as_str)).arg(FRIENDS_MAX);
        let (word, rest): (String, String) = self.timed(call.invoke_async(connection)).await?;
        match word.as_str() {
            "done" => Ok(Ended::Done),
            "nothing" => Ok(Ended::Nothing { are_friends: rest == "1" }),
            "full" => Ok(Ended::Full),
            other => Err(odd_answer(other)),
        }
    }

    /// The requests of accounts that were not deleted since, and the others.
    async fn of_present_accounts(
        &self,
        requests: Vec<(Nickname, PendingRequest)>,
        connection: &mut Connection,
    ) -> Result<(Vec<PendingRequest>, Vec<PendingRequest>), BackendError> {
        let askers: Vec<&Nickname> = requests.iter().map(|(asker, _)| asker).collect();
        let deleted = self.deleted_us(&askers, connection).await?;
        let mut present = Vec::new();
        let mut stale = Vec::new();
        for ((_, request), deleted_us) in requests.into_iter().zip(deleted) {
            let is_stale = deleted_us.is_some_and(|deleted_us| deleted_us / 1_000_000 > request.asked_s);
            if is_stale { &mut stale } else { &mut present }.push(request);
        }
        Ok((present, stale))
    }
}

fn odd_answer(answer: &str) -> BackendError {
    BackendError::Failed(format!("a script about friends said {answer:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_comes_back() {
        let asker = Nickname::parse("a {b} c").unwrap();
        let kind = RequestKind::Friend(asker.clone());
        let request = PendingRequest {
            id: RequestId(7),
            kind,
            from: "A \"B\"".into(),
            text: "it's me\u{1f}".into(),
            asked_s: 17,
        };
        assert_eq!(read_request(RequestId(7), &encode_request(&asker, &request)), Some((asker, request)));
    }
}
