//! Inboxes on Redis: a stream per account, in the slot of its user hash, so each step is one script and nothing is left half
//! done. A push whose answer never came may be in the inbox, and be put there again: it is told at least once.

use async_trait::async_trait;
use redis::Value;
use redis::streams::{StreamId, StreamRangeReply};

use super::super::pushes::{decode_push, encode_push};
use super::super::{BackendError, Holder, INBOX_MAX, Inbox, Put};
use super::Redis;
use crate::chat::{Mail, Nickname, Push, SessionId};

/// Numbers that one call of the script forgets.
const DISCARDED_AT_ONCE: usize = 500;

#[async_trait]
impl Inbox for Redis {
    async fn put(&self, to: &Nickname, push: &Push, friend: Option<&Nickname>) -> Result<Put, BackendError> {
        let mut connection = self.pooled().await?;
        let mut call = self.scripts.put.prepare_invoke();
        call.key(self.keys.user(to)).key(self.keys.nickname(to));
        call.key(self.keys.user_friends(to)).key(self.keys.user_inbox(to));
        call.arg(encode_push(push)).arg(friend.map_or("", Nickname::as_str)).arg(INBOX_MAX);
        let answer: Vec<String> = self.timed(call.invoke_async(&mut *connection)).await?;
        match answer.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["kept", session, reads_inbox] => Ok(Put::Kept { holder: read_holder(session, reads_inbox) }),
            ["unknown"] => Ok(Put::Unknown),
            ["strangers"] => Ok(Put::NotFriends),
            ["full"] => Ok(Put::Full),
            other => Err(BackendError::Failed(format!("an inbox answered {other:?}"))),
        }
    }

    async fn mail(&self, account: &Nickname, after: u64, limit: usize) -> Result<Vec<Mail>, BackendError> {
        let mut connection = self.pooled().await?;
        let mut read = redis::cmd("XRANGE");
        read.arg(self.keys.user_inbox(account)).arg(format!("({after}-0")).arg("+").arg("COUNT").arg(limit);
        let entries: StreamRangeReply = self.timed(read.query_async(&mut *connection)).await?;
        Ok(entries.ids.iter().filter_map(read_mail).collect())
    }

    async fn discard(&self, account: &Nickname, numbers: &[u64]) -> Result<(), BackendError> {
        let mut connection = self.pooled().await?;
        for numbers in numbers.chunks(DISCARDED_AT_ONCE) {
            let mut call = self.scripts.discard.prepare_invoke();
            call.key(self.keys.user_inbox(account));
            for number in numbers {
                call.arg(format!("{number}-0"));
            }
            let () = self.timed(call.invoke_async(&mut *connection)).await?;
        }
        Ok(())
    }
}

/// Who bears a nickname, from the fields of its hash.
pub(super) fn read_holder(session: &str, reads_inbox: &str) -> Option<Holder> {
    SessionId::parse(session).map(|session| Holder { session, reads_inbox: reads_inbox == "1" })
}

fn read_mail(entry: &StreamId) -> Option<Mail> {
    let number = entry.id.split_once('-')?.0.parse().ok()?;
    let Value::BulkString(push) = entry.map.get("p")? else { return None };
    match decode_push(push) {
        Ok(push) => Some(Mail { number, push }),
        Err(error) => {
            tracing::warn!(%error, "a kept push cannot be read");
            None
        }
    }
}
