//! Wrong attempts, on Redis: one key each with a TTL, changed by one script on Redis's own clock.

use async_trait::async_trait;

use super::super::{ATTEMPTS_MAX, Attempts, BackendError, FIRST_WAIT, LONGEST_WAIT};
use super::Redis;

#[async_trait]
impl Attempts for Redis {
    async fn attempt(&self, key: &str) -> Result<bool, BackendError> {
        let mut connection = self.pooled().await?;
        let mut call = self.scripts.attempt.prepare_invoke();
        call.key(self.keys.attempts(key)).arg(ATTEMPTS_MAX);
        for time in [FIRST_WAIT, LONGEST_WAIT, 2 * LONGEST_WAIT] {
            call.arg(time.as_millis() as u64);
        }
        self.timed(call.invoke_async(&mut *connection)).await
    }

    async fn succeeded(&self, key: &str) -> Result<(), BackendError> {
        let mut connection = self.pooled().await?;
        self.timed(redis::cmd("DEL").arg(self.keys.attempts(key)).exec_async(&mut *connection)).await
    }
}
