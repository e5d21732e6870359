//! What the tests stand on: processes, clients, waits.

pub mod browser;
pub mod client;
pub mod dialect;
pub mod http;
pub mod node;
pub mod oidc;
pub mod page;
pub mod ports;
pub mod process;
pub mod random;
pub mod redis;
pub mod scrp;
pub mod talk;
pub mod token;
pub mod transcript;
pub mod visitor;

use std::time::{Duration, Instant};

/// How long a test waits for anything before it fails. Generous: only a broken server ever uses it up.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The promised ceiling for a dead node's names and memberships.
pub const GHOST_CEILING: Duration = Duration::from_secs(15);

/// How often a condition that cannot announce itself is looked at.
pub const POLL: Duration = Duration::from_millis(20);

/// Repeats `attempt` until it succeeds; its `Err` says what was seen instead.
pub async fn eventually<T>(what: &str, attempt: impl AsyncFnMut() -> Result<T, String>) -> T {
    within(DEADLINE, what, attempt).await
}

/// [`eventually`] with a ceiling of its own.
pub async fn within<T>(ceiling: Duration, what: &str, mut attempt: impl AsyncFnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + ceiling;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(seen) if Instant::now() >= end => panic!("waited {ceiling:?} for: {what}\nlast seen: {seen}"),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// [`eventually`] for a plain condition.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    eventually(what, async || if condition().await { Ok(()) } else { Err("not so".to_owned()) }).await;
}
