//! How often something secret may be guessed, counted over all nodes.

use std::time::Duration;

use async_trait::async_trait;

use super::BackendError;

/// Wrong attempts in a row after which one has to wait.
pub const ATTEMPTS_MAX: u32 = 5;
/// How long one has to wait first; each further wrong attempt doubles it, up to the longest.
pub const FIRST_WAIT: Duration = Duration::from_secs(30);
pub const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// Counts wrong attempts. What nobody tried for twice the longest wait is forgotten.
#[async_trait]
pub trait Attempts: Send + Sync {
    /// Counts an attempt before it is looked at, so that many at once are counted, too; `false` when one has to wait. `key`
    /// says what is guessed and from where.
    async fn attempt(&self, key: &str) -> Result<bool, BackendError>;

    /// The attempt was right: the count begins anew.
    async fn succeeded(&self, key: &str) -> Result<(), BackendError>;
}
