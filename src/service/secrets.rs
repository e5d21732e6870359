//! Guessing: what is secret may be tried a few times in a row, counted over all nodes.

use super::{Chat, Participant, unavailable};
use crate::chat::{Nickname, Refusal};

impl Chat {
    /// Whether a password is the one of a hash; the inner refusal is `wrong`, or that one has to wait. Counted before it is
    /// looked at, so that many attempts at once do not get past the limit.
    pub(super) async fn guess(
        &self,
        key: &str,
        wrong: Refusal,
        password: String,
        hash: String,
    ) -> Result<Result<(), Refusal>, Refusal> {
        let attempts = &self.backend.attempts;
        if !attempts.attempt(key).await.map_err(|error| unavailable("attempts", &error))? {
            return Ok(Err(Refusal::TooManyAttempts));
        }
        if !self.passwords.fits(password, hash).await? {
            return Ok(Err(wrong));
        }
        attempts.succeeded(key).await.map_err(|error| unavailable("attempts", &error))?;
        Ok(Ok(()))
    }

    /// Proves that somebody at this address knows an account's password; its hash. An account that is not there, or has none, costs as
    /// much time as one that is.
    pub(super) async fn prove(
        &self,
        who: &Participant,
        account: &Nickname,
        password: String,
    ) -> Result<String, Refusal> {
        let user = self.backend.users.user(account).await.map_err(|error| unavailable("user", &error))?;
        let hash = user.and_then(|user| user.password_hash);
        let key = format!("login {account} {}", who.peer);
        match hash {
            Some(hash) => {
                self.guess(&key, Refusal::LoginWrong, password, hash.clone()).await??;
                Ok(hash)
            }
            None => {
                let decoy = self.passwords.decoy().await?;
                self.guess(&key, Refusal::LoginWrong, password, decoy).await??;
                Err(Refusal::LoginWrong)
            }
        }
    }
}
