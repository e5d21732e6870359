//! The accounts, on Redis: names reserved for identities, ended logins.
//!
//! An account is two keys in two slots: the identity's, which says the name it chose, and the user hash of that name, which
//! says whose it is. Only where both agree there is an account. The identity's key is written first, so a crash in between
//! leaves a choice without an account; whoever next asks for that identity completes it, or forgets it where the name is
//! somebody else's by then.

use async_trait::async_trait;

use super::super::{BackendError, Directory, REVOCATIONS_MAX, Registered};
use super::Redis;
use super::connection::Connection;
use crate::chat::{Identity, Login, LoginId, Nickname, Revocation};

/// Choices of one identity that may have to be cleared away before its new one stands: one, unless others meddle.
const ATTEMPTS: usize = 3;

#[async_trait]
impl Directory for Redis {
    async fn account_of(&self, identity: &Identity) -> Result<Option<Nickname>, BackendError> {
        let mut connection = self.pooled().await?;
        let chosen: Option<String> =
            self.timed(redis::cmd("GET").arg(self.keys.identity(identity)).query_async(&mut *connection)).await?;
        match chosen {
            None => Ok(None),
            Some(name) => self.settle(identity, &name, &mut connection).await,
        }
    }

    async fn register(&self, identity: &Identity, name: &Nickname) -> Result<Registered, BackendError> {
        let mut connection = self.pooled().await?;
        for _ in 0..ATTEMPTS {
            let mut choose = redis::cmd("SET");
            choose.arg(self.keys.identity(identity)).arg(name.as_str()).arg("NX").arg("GET");
            let former: Option<String> = self.timed(choose.query_async(&mut *connection)).await?;
            match former {
                Some(former) if former != name.as_str() => {
                    if let Some(account) = self.settle(identity, &former, &mut connection).await? {
                        return Ok(Registered::Already(account));
                    }
                }
                _ => {
                    let settled = self.settle(identity, name.as_str(), &mut connection).await?;
                    return Ok(settled.map_or(Registered::Taken, |_| Registered::Done));
                }
            }
        }
        Err(BackendError::Failed("an identity registers in too many places at once".into()))
    }

    async fn stands(&self, login: &Login) -> Result<bool, BackendError> {
        let mut connection = self.pooled().await?;
        let mut ask = redis::pipe();
        ask.hget(self.keys.user(&login.account), "valid_after_s");
        ask.zscore(self.keys.user_revoked(&login.account), login_member(login.id));
        ask.get(self.keys.deleted(&login.account));
        let (valid_after_s, revoked, deleted_us): (Option<i64>, Option<f64>, Option<i64>) =
            self.timed(ask.query_async(&mut *connection)).await?;
        // A login of an account that was deleted is none of whoever has the name since.
        let ends_s = [valid_after_s, deleted_us.map(|time_us| time_us / 1_000_000)];
        let ended = ends_s.into_iter().flatten().any(|time_s| Revocation::BegunUntil(time_s).covers(login));
        Ok(!ended && revoked.is_none())
    }

    async fn revoke(&self, account: &Nickname, which: Revocation) -> Result<(), BackendError> {
        let mut connection = self.pooled().await?;
        let now_s = self.clock.unix_us() / 1_000_000;
        match which {
            Revocation::BegunUntil(time_s) => self.revoke_begun(account, time_s, &mut connection).await,
            Revocation::One { id, ends_s } => {
                let mut call = self.scripts.revoke_one.prepare_invoke();
                call.key(self.keys.user_revoked(account)).arg(login_member(id)).arg(ends_s).arg(now_s);
                call.arg(REVOCATIONS_MAX);
                let remembered: bool = self.timed(call.invoke_async(&mut *connection)).await?;
                if remembered {
                    return Ok(());
                }
                self.revoke_begun(account, now_s, &mut connection).await
            }
        }
    }
}

impl Redis {
    /// Makes the account of an identity that chose this name, if it is not made yet; `None`, and the choice forgotten, when
    /// the name is not to be had.
    async fn settle(
        &self,
        identity: &Identity,
        name: &str,
        connection: &mut Connection,
    ) -> Result<Option<Nickname>, BackendError> {
        if let Ok(account) = Nickname::parse(name) {
            let mut call = self.scripts.register.prepare_invoke();
            call.key(self.keys.user(&account)).key(self.keys.nickname(&account)).arg(identity.to_string());
            let made: bool = self.timed(call.invoke_async(connection)).await?;
            if made {
                self.count_user(&account, connection).await?;
                return Ok(Some(account));
            }
        }
        let mut forget = self.scripts.forget_identity.prepare_invoke();
        forget.key(self.keys.identity(identity)).arg(name);
        let _: i64 = self.timed(forget.invoke_async(connection)).await?;
        Ok(None)
    }

    async fn revoke_begun(
        &self,
        account: &Nickname,
        time_s: i64,
        connection: &mut Connection,
    ) -> Result<(), BackendError> {
        let mut call = self.scripts.revoke_begun.prepare_invoke();
        call.key(self.keys.user(account)).arg(time_s);
        self.timed(call.invoke_async(connection)).await
    }
}

/// How a login stands in the set of ended ones.
fn login_member(id: LoginId) -> String {
    format!("{:032x}", id.0)
}
