//! The Redis backend: any number of nodes on one Redis, one that Sentinels name, or a cluster (`servers`).
//!
//! Three kinds of connection: one multiplexed connection for the hot path (`link`), a pool for the rare transactional
//! commands, and one connection that only hears (`bus`); in a cluster these for each primary (`cluster`). The scripts in `lua/` are the only writers of room state.

mod applicants;
mod attempts;
mod broker;
mod bus;
mod catalogue;
mod census;
mod cluster;
mod connection;
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
mod publishing;
mod resumption;
mod rooms;
mod scripts;
mod search;
mod sentinel;
mod servers;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::{BackendError, InboundSender};
use crate::ambient::{Clock, Entropy};
use crate::chat::NodeId;
use crate::telemetry::Metrics;
use bus::Bus;
use connection::Pooled;
use keys::Keys;
use lease::HeldLease;
use link::Link;
use outbox::Outbox;
use publishing::Publishing;
use scripts::Scripts;
pub use servers::Access;
use servers::Servers;

/// Oldest server with everything used here.
const OLDEST_SERVER: (u32, u32) = (7, 0);
/// Of the forty digits that name one run of a server, so many are plenty.
const RUN_DIGITS: usize = 16;

/// What a node needs to know to use a Redis.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the servers are, as `storage.redis` says it.
    pub url: String,
    pub access: Access,
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
    bus: Bus,
    publishing: Publishing,
    outbox: Outbox,
    /// Numbers of the letters that are to be answered for.
    letters: AtomicU64,
    /// The lease under which this node claims.
    lease: RwLock<HeldLease>,
    /// How many leases it has had.
    lease_number: AtomicU64,
    /// On the monotonic clock: until then nobody else may sweep what this node holds.
    lease_sure_until_ms: AtomicU64,
    /// On the monotonic clock: since then every attempt to keep the lease has succeeded.
    lease_kept_since_ms: AtomicU64,
    clock: Clock,
    entropy: Entropy,
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
        let servers = Servers::of(&settings)?;
        let keys = Keys::new(&settings.key_prefix);
        let link = Link::connect(servers, &settings, clock.clone(), metrics.clone(), stop.clone()).await?;
        let bus =
            Bus::connect(&settings, keys.clone(), link.clone(), inbound, clock.clone(), metrics, stop.clone()).await?;
        let scripts = Scripts::new(link.cluster().is_some());
        let redis = Self {
            publishing: Publishing::start(scripts.publish.clone(), link.clone(), stop),
            scripts,
            outbox: Outbox::of(settings.outbox_count, link.cluster().is_some()),
            lease: RwLock::default(),
            lease_number: AtomicU64::new(0),
            lease_sure_until_ms: AtomicU64::new(0),
            lease_kept_since_ms: AtomicU64::new(0),
            settings,
            keys,
            link,
            bus,
            letters: AtomicU64::new(0),
            clock,
            entropy,
        };
        redis.check_format().await?;
        Ok(redis)
    }

    /// A connection for what is rare.
    async fn pooled(&self) -> Result<Pooled, BackendError> {
        self.link.pooled().await
    }

    /// Runs one command within the command timeout.
    async fn timed<T>(&self, command: impl Future<Output = ::redis::RedisResult<T>>) -> Result<T, BackendError> {
        self.link.timed(command).await
    }

    /// The lease to claim under, while it is sure that nobody sweeps it.
    fn sure_lease(&self) -> Result<HeldLease, BackendError> {
        self.check_lease()?;
        Ok(self.lease.read().clone())
    }

    fn check_lease(&self) -> Result<(), BackendError> {
        match self.is_lease_sure() {
            true => Ok(()),
            false => Err(BackendError::Unavailable("this node's lease is not sure".into())),
        }
    }

    fn is_lease_sure(&self) -> bool {
        self.clock.now_ms() < self.lease_sure_until_ms.load(Ordering::Acquire)
    }
}

/// Asks a server for its version and its mode, and refuses one that is too old or of another mode (`standalone`, `cluster`).
/// Returns what tells this run of the server from every other.
async fn check_server(connection: &mut MultiplexedConnection, mode: &str) -> Result<String, BackendError> {
    let info: String = ::redis::cmd("INFO")
        .arg("server")
        .query_async(connection)
        .await
        .map_err(|error| BackendError::Unavailable(error.to_string()))?;
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim();
    let version = field("redis_version:");
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found < OLDEST_SERVER {
        let (major, minor) = OLDEST_SERVER;
        return Err(BackendError::Failed(format!(
            "storage.redis: the server is Redis {version}, at least {major}.{minor} is needed"
        )));
    }
    let run = field("run_id:").chars().take(RUN_DIGITS).collect();
    let scheme = match field("redis_mode:") {
        found if found == mode => return Ok(run),
        "cluster" => "redis+cluster://",
        "sentinel" => "redis+sentinel://",
        "standalone" => "redis://",
        // Whoever says nothing of it is taken at the operator's word.
        _ => return Ok(run),
    };
    Err(BackendError::Failed(format!("storage.redis: the server is one for a URL that begins with {scheme}")))
}
