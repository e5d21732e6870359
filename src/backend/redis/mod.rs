//! The Redis backend: any number of nodes on one Redis.
//!
//! Three kinds of connection: one multiplexed connection for the hot path (`link`), a pool for the rare transactional
//! commands, and one connection that only hears (`bus`). The scripts in `lua/` are the only writers of room state.

mod applicants;
mod attempts;
mod broker;
mod bus;
mod catalogue;
mod census;
mod directory;
mod enrolments;
mod format;
mod friends;
mod inbox;
mod keys;
mod lease;
mod link;
mod members;
mod outbox;
mod post;
mod presence;
mod resumption;
mod rooms;
mod scripts;
mod search;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::io::tcp::TcpSettings;
use ::redis::{AsyncConnectionConfig, ConnectionInfo, IntoConnectionInfo};
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::{BackendError, InboundSender};
use crate::ambient::{Clock, Entropy};
use crate::chat::NodeId;
use crate::telemetry::Metrics;
use bus::Bus;
use keys::Keys;
use lease::HeldLease;
use link::Link;
use outbox::Outbox;
use scripts::Scripts;

/// Oldest server with everything used here.
const OLDEST_SERVER: (u32, u32) = (7, 0);
/// After this time without an acknowledgement of what was sent, the kernel gives a connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(4);

/// What a node needs to know to use a Redis.
#[derive(Debug, Clone)]
pub struct Settings {
    pub url: String,
    pub key_prefix: String,
    pub pool_size: usize,
    pub connect_timeout: Duration,
    pub command_timeout: Duration,
    /// Rooms that may be created on purpose.
    pub kept_rooms: u64,
    /// Newest events kept per room, about.
    pub history_count: u64,
    /// Newest entries kept for backends that follow, about; 0: none are written.
    pub outbox_count: u64,
    /// How long a room's events outlive its last member, and the age at which they are no longer shown.
    pub history_age: Duration,
    pub lease: Duration,
    /// For how long what a session held is kept for its heir once its node is gone.
    pub resume: Duration,
    /// Silence on the subscription connection after which it is built again.
    pub deaf: Duration,
    /// The node, by which its sessions are found.
    pub id: NodeId,
    /// Name of this node in its lease, for people.
    pub node: String,
}

/// All of the backend on a Redis.
pub struct Redis {
    settings: Settings,
    keys: Keys,
    scripts: Scripts,
    link: Arc<Link>,
    pool: deadpool_redis::Pool,
    bus: Bus,
    outbox: Outbox,
    /// Numbers of the letters that are to be answered for.
    letters: AtomicU64,
    /// The lease under which this node claims.
    lease: RwLock<HeldLease>,
    /// On the monotonic clock: until then nobody else may sweep what this node holds.
    lease_sure_until_ms: AtomicU64,
    /// On the monotonic clock: since then every attempt to keep the lease has succeeded.
    lease_kept_since_ms: AtomicU64,
    clock: Clock,
    entropy: Entropy,
    metrics: Arc<Metrics>,
}

impl Redis {
    /// Connects, checks the server, and starts the connections' supervisors, which end with `stop`.
    ///
    /// # Errors
    /// When the URL is wrong, the server cannot be reached, or is too old, or what lies under the prefix is a later version's. Later outages are not errors: they are waited out.
    pub async fn connect(
        settings: Settings,
        inbound: InboundSender,
        clock: Clock,
        entropy: Entropy,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Result<Self, BackendError> {
        let info = connection_info(&settings)?;
        let keys = Keys::new(&settings.key_prefix);
        let link = Link::connect(&info, &settings, clock.clone(), metrics.clone(), stop.clone()).await?;
        let pool = pool(&info, &settings)?;
        let bus =
            Bus::connect(&info, &settings, keys.clone(), link.clone(), inbound, clock.clone(), metrics.clone(), stop)
                .await?;
        let redis = Self {
            scripts: Scripts::new(),
            outbox: Outbox::of(settings.outbox_count, false),
            lease: RwLock::default(),
            lease_sure_until_ms: AtomicU64::new(0),
            lease_kept_since_ms: AtomicU64::new(0),
            settings,
            keys,
            link,
            pool,
            bus,
            letters: AtomicU64::new(0),
            clock,
            entropy,
            metrics,
        };
        redis.check_format().await?;
        Ok(redis)
    }

    /// A pooled connection, for transactional commands.
    async fn pooled(&self) -> Result<deadpool_redis::Connection, BackendError> {
        self.link.check_up()?;
        self.pool.get().await.map_err(|error| {
            self.metrics.broker_errors_total.inc();
            BackendError::Unavailable(error.to_string())
        })
    }

    /// Runs one command within the command timeout.
    async fn timed<T>(&self, command: impl Future<Output = ::redis::RedisResult<T>>) -> Result<T, BackendError> {
        self.link.timed(command).await
    }

    /// The lease to claim under, while it is sure that nobody sweeps it.
    fn sure_lease(&self) -> Result<HeldLease, BackendError> {
        if self.clock.now_ms() >= self.lease_sure_until_ms.load(Ordering::Acquire) {
            return Err(BackendError::Unavailable("this node's lease is not sure".into()));
        }
        Ok(self.lease.read().clone())
    }
}

fn connection_info(settings: &Settings) -> Result<ConnectionInfo, BackendError> {
    let wrong = |error: ::redis::RedisError| BackendError::Failed(format!("storage.redis: {error}"));
    let info = settings.url.as_str().into_connection_info().map_err(wrong)?;
    let keepalive = socket2::TcpKeepalive::new().with_time(USER_TIMEOUT).with_interval(Duration::from_secs(1));
    let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive).set_user_timeout(USER_TIMEOUT);
    Ok(info.set_tcp_settings(tcp))
}

fn connection_config(settings: &Settings) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(settings.connect_timeout))
        .set_response_timeout(Some(settings.command_timeout))
}

fn pool(info: &ConnectionInfo, settings: &Settings) -> Result<deadpool_redis::Pool, BackendError> {
    let failed = |error: &dyn std::fmt::Display| BackendError::Failed(format!("redis pool: {error}"));
    let manager = deadpool_redis::Manager::new_with_config(info.clone(), connection_config(settings))
        .map_err(|error| failed(&error))?;
    deadpool_redis::Pool::builder(manager)
        .max_size(settings.pool_size)
        .wait_timeout(Some(settings.command_timeout))
        .create_timeout(Some(settings.connect_timeout))
        .recycle_timeout(Some(settings.command_timeout))
        .runtime(deadpool_redis::Runtime::Tokio1)
        .build()
        .map_err(|error| failed(&error))
}

/// Asks a server for its version and refuses one that is too old.
async fn check_server(connection: &mut MultiplexedConnection) -> Result<(), BackendError> {
    let info: String = ::redis::cmd("INFO")
        .arg("server")
        .query_async(connection)
        .await
        .map_err(|error| BackendError::Unavailable(error.to_string()))?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("").trim().to_owned();
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found < OLDEST_SERVER {
        let (major, minor) = OLDEST_SERVER;
        return Err(BackendError::Failed(format!(
            "storage.redis: the server is Redis {version}, at least {major}.{minor} is needed"
        )));
    }
    Ok(())
}
