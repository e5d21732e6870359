//! The hot-path connection and the node's view of whether Redis answers.
//!
//! One supervisor connects, pings and connects again. Everybody else takes what is there or fails at once: no request
//! ever waits for a reconnection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionInfo, RedisResult};
use tokio_util::sync::CancellationToken;

use super::{BackendError, Settings, check_server, connection_config};
use crate::ambient::Clock;
use crate::telemetry::Metrics;

const PING_EVERY: Duration = Duration::from_secs(1);
const RECONNECT_EVERY: Duration = Duration::from_millis(250);

pub struct Link {
    client: Client,
    settings: Settings,
    connection: RwLock<Option<MultiplexedConnection>>,
    /// On the monotonic clock, since when Redis answers without a break.
    up_since_ms: AtomicU64,
    /// Something failed: the supervisor is to look at once.
    suspicion: tokio::sync::Notify,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl Link {
    pub async fn connect(
        info: &ConnectionInfo,
        settings: &Settings,
        clock: Clock,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, BackendError> {
        let client =
            Client::open(info.clone()).map_err(|error| BackendError::Failed(format!("storage.redis: {error}")))?;
        let link = Arc::new(Self {
            client,
            settings: settings.clone(),
            connection: RwLock::new(None),
            up_since_ms: AtomicU64::new(0),
            suspicion: tokio::sync::Notify::new(),
            clock,
            metrics,
        });
        link.establish().await?;
        tokio::spawn({
            let link = link.clone();
            async move { stop.run_until_cancelled(link.supervise()).await }
        });
        Ok(link)
    }

    async fn establish(&self) -> Result<(), BackendError> {
        let config = connection_config(&self.settings);
        let attempt = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = within(self.settings.connect_timeout, attempt).await?;
        check_server(&mut connection).await?;
        *self.connection.write() = Some(connection);
        self.up_since_ms.store(self.clock.now_ms(), Ordering::Release);
        self.metrics.broker_up.set(1);
        Ok(())
    }

    async fn supervise(&self) {
        loop {
            if self.connection().is_ok() {
                // A suspicion only hastens the next look; the ping decides.
                let _ = tokio::time::timeout(PING_EVERY, self.suspicion.notified()).await;
                self.look().await;
            } else {
                tokio::time::sleep(RECONNECT_EVERY).await;
                match self.establish().await {
                    Ok(()) => tracing::info!("redis answers again"),
                    Err(error) => tracing::debug!(%error, "redis does not answer yet"),
                }
            }
        }
    }

    async fn look(&self) {
        let Ok(mut connection) = self.connection() else { return };
        let ping = within(self.settings.command_timeout, redis::cmd("PING").exec_async(&mut connection)).await;
        if let Err(error) = ping {
            tracing::warn!(%error, "redis does not answer");
            *self.connection.write() = None;
            self.metrics.broker_up.set(0);
        }
    }

    /// The connection, or `Unavailable` at once.
    pub fn connection(&self) -> Result<MultiplexedConnection, BackendError> {
        self.connection.read().clone().ok_or_else(|| BackendError::Unavailable("redis does not answer".into()))
    }

    /// `Unavailable` while Redis does not answer.
    pub fn check_up(&self) -> Result<(), BackendError> {
        match &*self.connection.read() {
            Some(_) => Ok(()),
            None => Err(BackendError::Unavailable("redis does not answer".into())),
        }
    }

    /// How long Redis has answered without a break.
    pub fn up_for_ms(&self) -> u64 {
        match self.check_up() {
            Ok(()) => self.clock.now_ms().saturating_sub(self.up_since_ms.load(Ordering::Acquire)),
            Err(_) => 0,
        }
    }

    /// Runs a command within the command timeout; a failure makes the supervisor look.
    pub async fn timed<T>(&self, command: impl Future<Output = RedisResult<T>>) -> Result<T, BackendError> {
        let result = within(self.settings.command_timeout, command).await;
        if let Err(error) = &result {
            self.metrics.broker_errors_total.inc();
            if matches!(error, BackendError::Unavailable(_)) {
                self.suspicion.notify_one();
            }
        }
        result
    }
}

/// Publishes on a channel through the link; how many hear it.
pub async fn publish(link: &Link, channel: &str, payload: impl redis::ToRedisArgs) -> Result<u64, BackendError> {
    let mut connection = link.connection()?;
    let mut publish = redis::cmd("PUBLISH");
    publish.arg(channel).arg(payload);
    link.timed(publish.query_async(&mut connection)).await
}

async fn within<T>(limit: Duration, command: impl Future<Output = RedisResult<T>>) -> Result<T, BackendError> {
    match tokio::time::timeout(limit, command).await {
        Err(_) => Err(BackendError::Unavailable("redis took too long".into())),
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if is_fault_of_script(&error) => Err(BackendError::Failed(error.to_string())),
        Ok(Err(error)) => Err(BackendError::Unavailable(error.to_string())),
    }
}

/// Whether the server understood and refused for good: a key of another type, a wrong script, a right that is not given. What
/// passes by itself is not meant: loading, read-only, out of memory or disk, too few replicas, a slot or a master on its way.
fn is_fault_of_script(error: &redis::RedisError) -> bool {
    use redis::{ErrorKind, ServerErrorKind as Server};
    match error.kind() {
        ErrorKind::UnexpectedReturnType | ErrorKind::InvalidClientConfig => true,
        ErrorKind::Server(kind) => {
            matches!(kind, Server::ResponseError | Server::NoScript | Server::CrossSlot | Server::NoPerm)
        }
        // The client knows no kind for it, and of a pipeline's errors not even the code.
        ErrorKind::Extension => error.to_string().contains("WRONGTYPE"),
        _ => false,
    }
}
