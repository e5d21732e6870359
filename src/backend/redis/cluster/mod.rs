//! A Redis Cluster: a connection to each primary, and the map of which owns what.
//!
//! The library has a client for clusters, but it sends a command again when its connection broke, which may say a message
//! twice. This one sends again only what a server refused to do.

mod request;
mod slots;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use parking_lot::{Mutex, RwLock};
use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionInfo};
use tokio::sync::{Notify, watch};

use super::link::within;
use super::servers::{at, connection_config};
use super::{BackendError, Settings, check_server};
pub use request::ClusterConnection;
pub use slots::{Address, SlotMap, slot_of};

/// Which of a node's two connections: what is rare and may be large does not hold up messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    Messages,
    Rare,
}

pub struct Cluster {
    seeds: Vec<ConnectionInfo>,
    settings: Settings,
    nodes: RwLock<HashMap<Address, Node>>,
    /// Which run of each primary was connected to last.
    runs: Mutex<HashMap<Address, String>>,
    /// How often there was a primary, or a run of one, that had not been there before.
    successions: AtomicU64,
    map: watch::Sender<Arc<SlotMap>>,
    /// Somebody found that the map is not right any more.
    outdated: Notify,
}

#[derive(Clone)]
struct Node {
    messages: MultiplexedConnection,
    rare: MultiplexedConnection,
}

impl Cluster {
    /// # Errors
    /// When no node answers, the servers are no cluster, or one of them is too old.
    pub async fn connect(seeds: Vec<ConnectionInfo>, settings: Settings) -> Result<Arc<Self>, BackendError> {
        let map = watch::Sender::new(Arc::default());
        let outdated = Notify::new();
        let (runs, successions) = (Mutex::default(), AtomicU64::new(0));
        let cluster = Arc::new(Self { seeds, settings, nodes: RwLock::default(), runs, successions, map, outdated });
        cluster.refresh().await?;
        Ok(cluster)
    }

    /// The map as it is known, and every change of it.
    pub fn map(&self) -> watch::Receiver<Arc<SlotMap>> {
        self.map.subscribe()
    }

    /// How to reach a node.
    pub fn info(&self, (host, port): &Address) -> Option<ConnectionInfo> {
        self.seeds.first().map(|seed| at(seed, host, *port))
    }

    /// Whether a node answered when it was looked at last.
    pub fn answers(&self, address: &Address) -> bool {
        self.nodes.read().contains_key(address)
    }

    pub fn successions(&self) -> u64 {
        self.successions.load(Ordering::Acquire)
    }

    pub fn suspect(&self) {
        self.outdated.notify_one();
    }

    /// Returns when somebody found the map outdated.
    pub async fn suspected(&self) {
        self.outdated.notified().await;
    }

    /// Asks for the map, connects to who is new, looks whether everybody answers; whether all do.
    ///
    /// # Errors
    /// When nobody answers.
    pub async fn refresh(&self) -> Result<bool, BackendError> {
        self.drop_silent().await;
        let map = Arc::new(self.ask_for_map().await?);
        let missing: Vec<Address> = {
            let nodes = self.nodes.read();
            map.primaries().iter().filter(|address| !nodes.contains_key(*address)).cloned().collect()
        };
        let connected = join_all(missing.iter().map(|address| self.connect_node(address))).await;
        let mut complete = map.is_complete();
        for (address, outcome) in missing.into_iter().zip(connected) {
            match outcome {
                Ok((node, run)) => {
                    // Before anything is sent there.
                    if self.runs.lock().insert(address.clone(), run.clone()) != Some(run) {
                        self.successions.fetch_add(1, Ordering::AcqRel);
                    }
                    self.nodes.write().insert(address, node);
                }
                Err(BackendError::Unavailable(error)) => {
                    tracing::debug!(%error, host = address.0, port = address.1, "a cluster node does not answer");
                    complete = false;
                }
                Err(error) => return Err(error),
            }
        }
        self.nodes.write().retain(|address, _| map.primaries().contains(address));
        // One that comes back after another was in its place is a successor, too.
        self.runs.lock().retain(|address, _| map.primaries().contains(address));
        self.map.send_if_modified(|known| {
            let changed = *known != map;
            *known = map;
            changed
        });
        Ok(complete)
    }

    async fn drop_silent(&self) {
        let nodes: Vec<(Address, Node)> =
            self.nodes.read().iter().map(|(address, node)| (address.clone(), node.clone())).collect();
        let looks = nodes.into_iter().map(async |(address, node)| {
            for mut connection in [node.messages, node.rare] {
                let ping = redis::cmd("PING");
                if within(self.settings.command_timeout, ping.exec_async(&mut connection)).await.is_err() {
                    return Some(address);
                }
            }
            None
        });
        for silent in join_all(looks).await.into_iter().flatten() {
            tracing::warn!(host = silent.0, port = silent.1, "a cluster node does not answer");
            self.nodes.write().remove(&silent);
        }
    }

    async fn ask_for_map(&self) -> Result<SlotMap, BackendError> {
        let known: Vec<(Address, Node)> =
            self.nodes.read().iter().map(|(address, node)| (address.clone(), node.clone())).collect();
        for ((host, _), node) in known {
            if let Ok(map) = self.map_from(node.rare, &host).await {
                return Ok(map);
            }
        }
        let mut last = BackendError::Unavailable("no node of the cluster answers".to_owned());
        for seed in &self.seeds {
            match self.map_from_seed(seed).await {
                Ok(map) => return Ok(map),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn map_from_seed(&self, seed: &ConnectionInfo) -> Result<SlotMap, BackendError> {
        let mut connection = self.open(seed).await?;
        check_server(&mut connection, "cluster").await?;
        let host = match seed.addr() {
            redis::ConnectionAddr::Tcp(host, _) | redis::ConnectionAddr::TcpTls { host, .. } => host.clone(),
            _ => String::new(),
        };
        self.map_from(connection, &host).await
    }

    async fn map_from(&self, mut connection: MultiplexedConnection, host: &str) -> Result<SlotMap, BackendError> {
        let mut ask = redis::cmd("CLUSTER");
        ask.arg("SLOTS");
        let answer: redis::Value = within(self.settings.command_timeout, ask.query_async(&mut connection)).await?;
        // Until it has joined the others, a node knows of no slots.
        SlotMap::read(&answer, host)
            .filter(|map| !map.primaries().is_empty())
            .ok_or_else(|| BackendError::Unavailable("the cluster has no slots yet".to_owned()))
    }

    async fn connect_node(&self, address: &Address) -> Result<(Node, String), BackendError> {
        let info = self.info(address).ok_or_else(|| BackendError::Unavailable("no seeds".to_owned()))?;
        let (mut messages, rare) = (self.open(&info).await?, self.open(&info).await?);
        let run = check_server(&mut messages, "cluster").await?;
        Ok((Node { messages, rare }, run))
    }

    async fn open(&self, info: &ConnectionInfo) -> Result<MultiplexedConnection, BackendError> {
        let client =
            Client::open(info.clone()).map_err(|error| BackendError::Failed(format!("storage.redis: {error}")))?;
        let config = connection_config(&self.settings);
        within(self.settings.connect_timeout, client.get_multiplexed_async_connection_with_config(&config)).await
    }

    fn connection_to(&self, address: &Address, lane: Lane) -> Option<MultiplexedConnection> {
        let nodes = self.nodes.read();
        let node = nodes.get(address)?;
        Some(match lane {
            Lane::Messages => node.messages.clone(),
            Lane::Rare => node.rare.clone(),
        })
    }
}
