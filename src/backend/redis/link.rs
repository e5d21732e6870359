//! The hot-path connection and the node's view of whether Redis answers.
//!
//! One supervisor connects, pings and connects again. Everybody else takes what is there or fails at once: no request
//! ever waits for a reconnection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_redis::{Hook, HookError, PoolError};
use futures_util::FutureExt as _;
use parking_lot::{Mutex, RwLock};
use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionInfo, RedisResult, Script, ServerErrorKind};
use tokio::sync::Semaphore;
use tokio_util::future::FutureExt as _;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cluster::{Cluster, ClusterConnection, Lane};
use super::connection::{Connection, Place, Pooled};
use super::sentinel::Sentinels;
use super::servers::{Servers, connection_config};
use super::{BackendError, Settings, check_server};
use crate::ambient::Clock;
use crate::telemetry::Metrics;

const PING_EVERY: Duration = Duration::from_secs(1);
/// Commands of comings and goings that are under way at once, on the messages' connection: as many as a message may have before it.
const COMINGS_AT_ONCE: usize = 64;
const RECONNECT_EVERY: Duration = Duration::from_millis(250);

pub struct Link {
    way: Way,
    settings: Settings,
    up: RwLock<Option<Up>>,
    /// On the monotonic clock, since when Redis answers without a break.
    up_since_ms: AtomicU64,
    /// How often another server, or another run of one, took the place of what was there, in a cluster the cluster counts.
    successions: AtomicU64,
    /// The run of the server that was connected to last, where it is one.
    last_run: Mutex<Arc<str>>,
    /// Something failed: the supervisor is to look at once.
    suspicion: tokio::sync::Notify,
    publish: Script,
    clock: Clock,
    metrics: Arc<Metrics>,
}

/// How the server is found.
enum Way {
    One(ConnectionInfo),
    Sentinels(Sentinels),
    Cluster(Arc<Cluster>),
}

/// What there is while Redis answers.
struct Up {
    messages: Connection,
    /// On the messages' connection, where those of many sessions share what a round trip costs.
    comings: Arc<Semaphore>,
    rare: Rare,
    /// The server, where it is one.
    server: Option<ConnectionInfo>,
    /// Cancelled when this is given up: nobody waits any longer for what it may still answer.
    gone: CancellationToken,
    _gone: DropGuard,
}

impl Up {
    fn new(messages: Connection, rare: Rare, server: Option<ConnectionInfo>) -> Self {
        let gone = CancellationToken::new();
        let comings = Arc::new(Semaphore::new(COMINGS_AT_ONCE));
        Self { messages, comings, rare, server, gone: gone.clone(), _gone: gone.drop_guard() }
    }
}

/// Connections for the commands that are rare.
#[derive(Clone)]
enum Rare {
    /// All of them lead to this run of the server.
    Pool(deadpool_redis::Pool, Arc<str>),
    /// In a cluster one connection to each node has room for as many commands.
    Places(ClusterConnection, Arc<Semaphore>),
}

impl Link {
    pub async fn connect(
        servers: Servers,
        settings: &Settings,
        clock: Clock,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, BackendError> {
        let way = match servers {
            Servers::One(info) => Way::One(info),
            Servers::Sentinels { sentinels, service, master } => {
                Way::Sentinels(Sentinels::new(sentinels, service, master))
            }
            Servers::Cluster(seeds) => Way::Cluster(Cluster::connect(seeds, settings.clone()).await?),
        };
        let link = Arc::new(Self {
            way,
            settings: settings.clone(),
            up: RwLock::new(None),
            up_since_ms: AtomicU64::new(0),
            successions: AtomicU64::new(0),
            last_run: Mutex::new("".into()),
            suspicion: tokio::sync::Notify::new(),
            publish: Script::new("return redis.call('SPUBLISH', KEYS[1], ARGV[1])"),
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
        let up = match &self.way {
            Way::One(info) => self.one(info).await?,
            Way::Sentinels(sentinels) => {
                let info = sentinels.master(&self.settings).await?;
                let found = async {
                    let up = self.one(&info).await?;
                    check_master(&mut up.messages.clone(), &self.settings).await.map(|()| up)
                };
                found.await.inspect_err(|_| sentinels.doubt()).map_err(|error| sentinels.named(&info, error))?
            }
            Way::Cluster(cluster) => {
                cluster.refresh().await?;
                let places = Arc::new(Semaphore::new(self.settings.pool_size));
                let lane = |lane| ClusterConnection::new(cluster.clone(), lane);
                Up::new(Connection::Cluster(lane(Lane::Messages)), Rare::Places(lane(Lane::Rare), places), None)
            }
        };
        *self.up.write() = Some(up);
        self.up_since_ms.store(self.clock.now_ms(), Ordering::Release);
        self.metrics.broker_up.set(1);
        Ok(())
    }

    async fn one(&self, info: &ConnectionInfo) -> Result<Up, BackendError> {
        let mut connection = open(info, &self.settings).await?;
        let run: Arc<str> = check_server(&mut connection, "standalone").await?.into();
        if std::mem::replace(&mut *self.last_run.lock(), run.clone()) != run {
            self.successions.fetch_add(1, Ordering::AcqRel);
        }
        let rare = Rare::Pool(pool(info, run.clone(), &self.settings)?, run.clone());
        Ok(Up::new(Connection::One(connection, run), rare, Some(info.clone())))
    }

    async fn supervise(&self) {
        loop {
            if self.check_up().is_ok() {
                // A suspicion only hastens the next look; the answer decides.
                let _ = tokio::time::timeout(PING_EVERY, self.suspected()).await;
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

    async fn suspected(&self) {
        match &self.way {
            Way::One(_) | Way::Sentinels(_) => self.suspicion.notified().await,
            Way::Cluster(cluster) => tokio::select! {
                () = self.suspicion.notified() => {}
                () = cluster.suspected() => {}
            },
        }
    }

    async fn look(&self) {
        let Ok(mut connection) = self.connection() else { return };
        let answer = match &self.way {
            Way::One(_) => within(self.settings.command_timeout, redis::cmd("PING").exec_async(&mut connection)).await,
            // One that was demoted answers still, and takes no writes any more.
            Way::Sentinels(sentinels) => match check_master(&mut connection, &self.settings).await {
                Ok(()) => self.check_elected(sentinels).await,
                refused => refused,
            },
            Way::Cluster(cluster) => match cluster.refresh().await {
                Ok(true) => Ok(()),
                Ok(false) => {
                    // What the other nodes have goes on; a lease on this one may not have been renewed.
                    self.up_since_ms.store(self.clock.now_ms(), Ordering::Release);
                    tokio::time::sleep(RECONNECT_EVERY).await;
                    Ok(())
                }
                Err(error) => Err(error),
            },
        };
        if let Err(error) = answer {
            tracing::warn!(%error, "redis does not answer");
            *self.up.write() = None;
            self.metrics.broker_up.set(0);
        }
    }

    /// `Unavailable` when most of the Sentinels have another master.
    async fn check_elected(&self, sentinels: &Sentinels) -> Result<(), BackendError> {
        let server = self.server()?;
        match sentinels.name_another(&server, &self.settings).await {
            true => Err(BackendError::Unavailable("the Sentinels have another master".to_owned())),
            false => Ok(()),
        }
    }

    /// The connection for messages, or `Unavailable` at once.
    pub fn connection(&self) -> Result<Connection, BackendError> {
        self.up.read().as_ref().map(|up| up.messages.clone()).ok_or_else(away)
    }

    /// The connection for messages, for somebody who comes or goes, as soon as not too many do.
    pub async fn for_comings(&self) -> Result<Pooled, BackendError> {
        let up = self.up.read().as_ref().map(|up| (up.messages.clone(), up.comings.clone(), up.gone.clone()));
        let (messages, comings, gone) = up.ok_or_else(away)?;
        self.place(messages, comings).with_cancellation_token_owned(gone).await.unwrap_or_else(|| Err(away()))
    }

    /// A connection for what is rare, as soon as there is one.
    pub async fn pooled(&self) -> Result<Pooled, BackendError> {
        let up = self.up.read().as_ref().map(|up| (up.rare.clone(), up.gone.clone()));
        let (rare, gone) = up.ok_or_else(away)?;
        self.one_of(rare).with_cancellation_token_owned(gone).await.unwrap_or_else(|| Err(away()))
    }

    async fn one_of(&self, rare: Rare) -> Result<Pooled, BackendError> {
        match rare {
            Rare::Pool(pool, run) => {
                let connection = pool.get().await.map_err(|error| {
                    self.metrics.broker_errors_total.inc();
                    if matches!(error, PoolError::PostCreateHook(HookError::Message(_))) {
                        self.give_up(&run);
                    }
                    self.suspicion.notify_one();
                    BackendError::Unavailable(error.to_string())
                })?;
                Ok(Pooled::new(Connection::One(connection.clone(), run), Place::Pool { _connection: connection }))
            }
            Rare::Places(connection, places) => self.place(Connection::Cluster(connection), places).await,
        }
    }

    /// A shared connection, for one of those that may use it at once.
    async fn place(&self, connection: Connection, places: Arc<Semaphore>) -> Result<Pooled, BackendError> {
        let permit = tokio::time::timeout(self.settings.command_timeout, places.acquire_owned()).await;
        let Ok(Ok(permit)) = permit else {
            self.metrics.broker_errors_total.inc();
            return Err(BackendError::Unavailable("too many commands wait for redis".to_owned()));
        };
        Ok(Pooled::new(connection, Place::Permit { _permit: permit }))
    }

    /// Another run of the server answers new connections: the old ones are given up, also those that seem to work.
    fn give_up(&self, run: &str) {
        let mut up = self.up.write();
        if up.as_ref().is_some_and(|up| up.messages.run() == run) {
            tracing::warn!("another server, or another run of it, answers");
            *up = None;
            self.metrics.broker_up.set(0);
        }
    }

    /// Publishes on a channel; how many hear it. In a cluster a script does it, because a server that was demoted refuses a
    /// script, and takes a bare `SPUBLISH` that nobody hears.
    ///
    /// # Errors
    /// When Redis does not take it.
    pub async fn publish(&self, channel: &str, payload: impl redis::ToRedisArgs) -> Result<u64, BackendError> {
        let mut connection = self.connection()?;
        if let Way::Cluster(_) = &self.way {
            let mut call = self.publish.prepare_invoke();
            call.key(channel).arg(payload);
            return self.timed(call.invoke_async(&mut connection)).await;
        }
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(channel).arg(payload);
        self.timed(publish.query_async(&mut connection)).await
    }

    /// Changes whenever a server took the place of another, or came back as another run: what was acknowledged before may be lost.
    pub fn successions(&self) -> u64 {
        match &self.way {
            Way::Cluster(cluster) => cluster.successions(),
            Way::One(_) | Way::Sentinels(_) => self.successions.load(Ordering::Acquire),
        }
    }

    /// The server that is connected to, where it is one.
    pub fn server(&self) -> Result<ConnectionInfo, BackendError> {
        self.up.read().as_ref().and_then(|up| up.server.clone()).ok_or_else(away)
    }

    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        match &self.way {
            Way::Cluster(cluster) => Some(cluster),
            Way::One(_) | Way::Sentinels(_) => None,
        }
    }

    /// `Unavailable` while Redis does not answer.
    pub fn check_up(&self) -> Result<(), BackendError> {
        if self.up.read().is_some() { Ok(()) } else { Err(away()) }
    }

    /// How long Redis has answered without a break.
    pub fn up_for_ms(&self) -> u64 {
        match self.check_up() {
            Ok(()) => self.clock.now_ms().saturating_sub(self.up_since_ms.load(Ordering::Acquire)),
            Err(_) => 0,
        }
    }

    /// Runs a command within the command timeout, and only as long as Redis is there; a failure makes the supervisor look.
    // Composed of futures, because an async function would hold the command once for each layer.
    pub fn timed<T>(
        &self,
        command: impl Future<Output = RedisResult<T>>,
    ) -> impl Future<Output = Result<T, BackendError>> {
        let gone = self.up.read().as_ref().map_or_else(ended, |up| up.gone.clone());
        let timed = within(self.settings.command_timeout, command).with_cancellation_token_owned(gone);
        timed.map(|result| {
            let result = result.unwrap_or_else(|| Err(away()));
            if let Err(error) = &result {
                self.metrics.broker_errors_total.inc();
                if matches!(error, BackendError::Unavailable(_)) {
                    self.suspicion.notify_one();
                }
            }
            result
        })
    }
}

/// What stands for connections that are gone already.
fn ended() -> CancellationToken {
    let ended = CancellationToken::new();
    ended.cancel();
    ended
}

fn away() -> BackendError {
    BackendError::Unavailable("redis does not answer".to_owned())
}

async fn open(info: &ConnectionInfo, settings: &Settings) -> Result<MultiplexedConnection, BackendError> {
    let client = Client::open(info.clone()).map_err(|error| BackendError::Failed(format!("storage.redis: {error}")))?;
    let config = connection_config(settings);
    within(settings.connect_timeout, client.get_multiplexed_async_connection_with_config(&config)).await
}

/// A pool whose connections all lead to this run of the server: one that meets another run is not taken in.
fn pool(info: &ConnectionInfo, run: Arc<str>, settings: &Settings) -> Result<deadpool_redis::Pool, BackendError> {
    let failed = |error: &dyn std::fmt::Display| BackendError::Failed(format!("redis pool: {error}"));
    let manager = deadpool_redis::Manager::new_with_config(info.clone(), connection_config(settings))
        .map_err(|error| failed(&error))?;
    deadpool_redis::Pool::builder(manager)
        .max_size(settings.pool_size)
        .wait_timeout(Some(settings.command_timeout))
        .create_timeout(Some(settings.connect_timeout))
        .recycle_timeout(Some(settings.command_timeout))
        .runtime(deadpool_redis::Runtime::Tokio1)
        .post_create(only_of(run))
        .build()
        .map_err(|error| failed(&error))
}

/// Has a new connection prove that it leads to this run of the server.
fn only_of(run: Arc<str>) -> Hook {
    Hook::async_fn(move |connection, _| {
        let run = run.clone();
        Box::pin(async move {
            match check_server(connection, "standalone").await {
                Ok(found) if *found == *run => Ok(()),
                Ok(_) => Err(HookError::message("another run of the server answers")),
                // Too old, or of another kind: another server, too.
                Err(BackendError::Failed(error)) => Err(HookError::message(error)),
                Err(BackendError::Unavailable(_)) => {
                    Err(HookError::Backend((redis::ErrorKind::Io, "the server does not say what it is").into()))
                }
            }
        })
    })
}

/// `Unavailable` unless the server answers that it is a master.
async fn check_master(connection: &mut Connection, settings: &Settings) -> Result<(), BackendError> {
    let role: redis::Value = within(settings.command_timeout, redis::cmd("ROLE").query_async(connection)).await?;
    let is_master = matches!(&role, redis::Value::Array(parts) if matches!(
        parts.first(), Some(redis::Value::BulkString(role)) if role == b"master"
    ));
    if is_master { Ok(()) } else { Err(BackendError::Unavailable("the server is no master any more".to_owned())) }
}

/// Runs a command within a limit, and says whether its failure passes.
pub fn within<T>(
    limit: Duration,
    command: impl Future<Output = RedisResult<T>>,
) -> impl Future<Output = Result<T, BackendError>> {
    tokio::time::timeout(limit, command).map(|answer| match answer {
        Err(_) => Err(BackendError::Unavailable("redis took too long".into())),
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if is_fault_of_script(&error) => Err(BackendError::Failed(error.to_string())),
        Ok(Err(error)) => Err(BackendError::Unavailable(error.to_string())),
    })
}

/// Whether the server understood and refused for good: a key of another type, a wrong script, a right that is not given. What
/// passes by itself is not meant: loading, read-only, out of memory or disk, too few replicas, a slot or a master on its way.
fn is_fault_of_script(error: &redis::RedisError) -> bool {
    use redis::ErrorKind;
    match error.kind() {
        ErrorKind::UnexpectedReturnType | ErrorKind::InvalidClientConfig => true,
        ErrorKind::Server(kind) => {
            matches!(
                kind,
                ServerErrorKind::ResponseError
                    | ServerErrorKind::NoScript
                    | ServerErrorKind::CrossSlot
                    | ServerErrorKind::NoPerm
            )
        }
        // The client knows no kind for it, and of a pipeline's errors not even the code.
        ErrorKind::Extension => error.to_string().contains("WRONGTYPE"),
        _ => false,
    }
}
