//! Which sessions may be gone on with, on Redis. What is kept of a session belongs to its node's lease, like what it holds.

use std::time::Duration;

use async_trait::async_trait;

use super::super::{BackendError, Memo, Resumption};
use super::Redis;
use super::lease::Claim;
use super::presence::fenced;
use crate::chat::{Login, LoginId, Nickname, SessionId};

/// For how long it is remembered that a session has an heir: a node that was cut off for longer lets a session live on that
/// bears no name and is in no room, until its peer is found to be silent.
const HEIR_LIFE: Duration = Duration::from_secs(3_600);

#[async_trait]
impl Resumption for Redis {
    /// Noted under the lease, like every claim.
    async fn remember(&self, session: SessionId, memo: &Memo) -> Result<bool, BackendError> {
        let mut connection = self.link.for_comings().await?;
        loop {
            let lease = self.sure_lease()?;
            let mut call = self.scripts.remember.prepare_invoke();
            call.key(self.keys.session(session)).arg(&*lease).arg(&memo.secret_hash);
            call.arg(memo.nickname.as_ref().map_or("", Nickname::as_str));
            call.arg(memo.login.as_ref().map_or_else(String::new, encode_login)).arg(lease.ends_ms);
            call.arg(memo.first.to_string());
            self.note_by(&mut call, &lease, &Claim::Memo { session }, &mut connection).await?;
            let kept: i64 = self.timed(call.invoke_async(&mut *connection)).await?;
            if kept < 0 {
                return Err(fenced());
            }
            if kept == 0 || self.is_current(&lease) {
                return Ok(kept > 0);
            }
        }
    }

    async fn take_over(
        &self,
        session: SessionId,
        secret_hash: &str,
        heir: SessionId,
    ) -> Result<Option<Memo>, BackendError> {
        let mut connection = self.link.for_comings().await?;
        let mut call = self.scripts.take_over.prepare_invoke();
        call.key(self.keys.session(session)).arg(secret_hash).arg(heir.to_string()).arg(HEIR_LIFE.as_millis() as u64);
        let found: Vec<String> = self.timed(call.invoke_async(&mut *connection)).await?;
        let [nickname, login, first] = found.as_slice() else { return Ok(None) };
        Ok(Some(Memo {
            secret_hash: secret_hash.to_owned(),
            first: SessionId::parse(first).unwrap_or(session),
            nickname: Nickname::parse(nickname).ok(),
            login: decode_login(login),
        }))
    }

    async fn forget(&self, session: SessionId) -> Result<(), BackendError> {
        let mut connection = self.link.for_comings().await?;
        self.timed(redis::cmd("DEL").arg(self.keys.session(session)).exec_async(&mut *connection)).await?;
        let lease = self.lease.read().clone();
        self.forget_note(&lease, &Claim::Memo { session }, &mut connection).await
    }

    async fn bequeath(&self) -> Result<bool, BackendError> {
        self.give_lease_up(Some(self.settings.resume)).await.map(|()| true)
    }

    fn outlives_nodes(&self) -> bool {
        true
    }
}

/// `<id> <began, seconds> <ends, seconds> <account>`.
fn encode_login(login: &Login) -> String {
    let Login { account, id, began_s, ends_s } = login;
    format!("{:032x} {began_s} {ends_s} {account}", id.0)
}

fn decode_login(text: &str) -> Option<Login> {
    let mut parts = text.splitn(4, ' ');
    let id = LoginId(u128::from_str_radix(parts.next()?, 16).ok()?);
    let (began_s, ends_s) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(Login { account: Nickname::parse(parts.next()?).ok()?, id, began_s, ends_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_comes_back_whatever_the_name() {
        for name in ["mia", "ä\u{1F600}"] {
            let login = Login { account: Nickname::parse(name).unwrap(), id: LoginId(7), began_s: -1, ends_s: 9 };
            assert_eq!(decode_login(&encode_login(&login)), Some(login));
        }
        assert_eq!(decode_login(""), None);
    }
}
