//! One connection that hears. Its task takes orders, and builds the connection again when it is lost, deaf, or was moved.

mod orders;
mod state;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionAddr, ConnectionInfo};
use tokio::sync::{Notify, mpsc};

use super::heartbeat::Heartbeats;
use super::{Channel, Shared};
use crate::backend::redis::cluster::Address;
use crate::backend::redis::servers::{connection_config, hearing};
use crate::backend::{BackendError, Heard};
use crate::planted::{self, Bug};
pub use orders::{Order, Stray};
use state::Pending;
pub use state::State;

const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
const RECONNECT_EVERY: Duration = Duration::from_millis(250);
/// Channels subscribed with one round trip when many are: large enough to be quick, small enough to let others in between.
const CHANNELS_AT_ONCE: usize = 500;
/// Orders worked through with one round trip.
const ORDERS_AT_ONCE: usize = 1_024;

/// Why a connection is built again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// It broke.
    Lost,
    /// Heartbeats were sent and not heard.
    Deaf,
    /// Subscriptions were not taken, or not in time.
    Refused,
    /// The link talks to another server by now.
    Moved,
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Deaf => "deaf",
            Self::Refused => "refused",
            Self::Moved => "moved",
        }
    }
}

pub struct Ear {
    state: Arc<State>,
    shared: Arc<Shared>,
    orders: mpsc::UnboundedReceiver<Order>,
    strays: mpsc::UnboundedSender<Vec<Stray>>,
    ended: mpsc::UnboundedReceiver<Channel>,
    wanted: HashSet<Channel>,
    pending: Pending,
    /// Where the present connection leads.
    server: Option<ConnectionAddr>,
}

impl Ear {
    pub fn new(
        shared: Arc<Shared>,
        address: Option<Address>,
        heartbeat_channel: Channel,
        orders: mpsc::UnboundedReceiver<Order>,
        strays: mpsc::UnboundedSender<Vec<Stray>>,
    ) -> Self {
        // One for each subscription that the server ends: bounded by the channels that are wanted.
        let (ended_sender, ended) = mpsc::unbounded_channel();
        let state = Arc::new(State {
            address,
            hears: AtomicBool::new(false),
            heartbeats: Arc::new(Heartbeats::new(heartbeat_channel)),
            generation: AtomicU64::new(0),
            disconnected: Notify::new(),
            ended: ended_sender,
        });
        let pending = Pending { channels: HashSet::new(), metrics: shared.metrics.clone() };
        Self { state, shared, orders, strays, ended, wanted: HashSet::new(), pending, server: None }
    }

    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Hears until nobody gives orders any more. `connection`: the first one, where it is made already.
    pub async fn run(mut self, connection: Option<MultiplexedConnection>) {
        let mut connection = connection;
        while !self.orders.is_closed() || !self.orders.is_empty() {
            match connection.take() {
                Some(connection) => {
                    let cause = self.serve(connection).await;
                    self.set_hearing(false);
                    let Some(cause) = cause else { return };
                    tracing::warn!(cause = cause.name(), "the bus is lost");
                    self.shared.metrics.bus_rebuilds_total.with_label_values(&[cause.name()]).inc();
                }
                None => match self.connect().await {
                    Ok(renewed) => connection = Some(renewed),
                    Err(error) => {
                        tracing::debug!(%error, "the bus cannot be built yet");
                        self.wait_while_away().await;
                    }
                },
            }
        }
    }

    /// A connection that hears its own heartbeats; all that is wanted is to be subscribed on it yet.
    pub async fn connect(&mut self) -> Result<MultiplexedConnection, BackendError> {
        let info = self.info()?;
        let (state, shared) = (self.state.clone(), self.shared.clone());
        let generation = state.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let config = connection_config(&shared.settings).set_push_sender(move |push| {
            state.hear(generation, push, &shared);
            Ok::<(), std::convert::Infallible>(())
        });
        let client =
            Client::open(hearing(&info)).map_err(|error| BackendError::Failed(format!("storage.redis: {error}")))?;
        let attempt = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = self.shared.link.timed(attempt).await?;
        let own = [self.state.heartbeat_channel().clone()];
        if !self.take(&mut connection, &own).await?.is_empty() {
            return Err(BackendError::Unavailable("the heartbeats' channel is not this server's".to_owned()));
        }
        self.server = Some(info.addr().clone());
        let is_room = |channel: &Channel| self.shared.keys.room_of_channel(channel.as_bytes()).is_some();
        for channel in &self.wanted {
            if !(planted::has(Bug::ForgetResubscribe) && is_room(channel)) {
                self.pending.insert(channel.clone());
            }
        }
        self.state.heartbeats.begin(&self.shared);
        if self.pending.channels.is_empty() {
            self.set_hearing(true);
        }
        Ok(connection)
    }

    fn info(&self) -> Result<ConnectionInfo, BackendError> {
        match (&self.state.address, self.shared.link.cluster()) {
            (Some(address), Some(cluster)) => {
                cluster.info(address).ok_or_else(|| BackendError::Unavailable("the cluster is gone".to_owned()))
            }
            _ => self.shared.link.server(),
        }
    }

    fn set_hearing(&self, hears: bool) {
        self.state.hears.store(hears, Ordering::Release);
        self.shared.note_hearing();
    }

    /// Serves orders and heartbeats until the connection is no good any more; `None` when nobody gives orders.
    async fn serve(&mut self, mut connection: MultiplexedConnection) -> Option<Cause> {
        let mut ticks = tokio::time::interval(HEARTBEAT_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        let state = self.state.clone();
        loop {
            let outcome = tokio::select! {
                () = state.disconnected.notified() => return Some(Cause::Lost),
                _ = ticks.tick() => self.beat(),
                Some(channel) = self.ended.recv() => {
                    self.lose(channel);
                    Ok(())
                }
                count = self.orders.recv_many(&mut batch, ORDERS_AT_ONCE) => {
                    if count == 0 {
                        return None;
                    }
                    self.carry_out(std::mem::take(&mut batch), Some(&mut connection)).await
                }
                // Always ready: between orders, not instead of them.
                () = std::future::ready(()), if !self.pending.channels.is_empty() => {
                    self.take_some_pending(&mut connection).await
                }
            };
            if let Err(cause) = outcome {
                return Some(cause);
            }
        }
    }

    fn beat(&mut self) -> Result<(), Cause> {
        let moved = || {
            let server = self.shared.link.server().ok()?;
            Some(Some(server.addr()) != self.server.as_ref())
        };
        if self.state.address.is_none() && moved() == Some(true) {
            return Err(Cause::Moved);
        }
        if let Some(silent_ms) = self.state.heartbeats.deaf_for_ms(&self.shared) {
            tracing::warn!(silent_ms, "the bus is deaf");
            return Err(Cause::Deaf);
        }
        self.state.heartbeats.send(&self.shared, None);
        Ok(())
    }

    /// The server ended a subscription by itself: the channel's slot is another's now.
    fn lose(&mut self, channel: Channel) {
        if self.wanted.contains(&channel) && !self.pending.channels.contains(&channel) {
            self.stray(vec![Stray { channel, waiting: None }]);
        }
    }

    fn stray(&mut self, strays: Vec<Stray>) {
        for stray in &strays {
            self.wanted.remove(&stray.channel);
            self.pending.remove(&stray.channel);
        }
        // The router ends with the node.
        let _ = self.strays.send(strays);
    }

    /// Subscribes a few of those that wait, and has what may have been missed in them looked for.
    async fn take_some_pending(&mut self, connection: &mut MultiplexedConnection) -> Result<(), Cause> {
        let some: Vec<Channel> = self.pending.channels.iter().take(CHANNELS_AT_ONCE).cloned().collect();
        let strays = self.take(connection, &some).await.map_err(refused)?;
        let taken: Vec<&Channel> = some.iter().filter(|channel| !strays.contains(channel)).collect();
        for channel in &some {
            self.pending.remove(channel);
        }
        let rooms = taken.iter().filter_map(|channel| self.shared.keys.room_of_channel(channel.as_bytes())).collect();
        self.shared.inbound.send(Heard::MissedIn(rooms));
        if taken
            .iter()
            .any(|channel| **channel == self.shared.node_channel || **channel == self.shared.all_nodes_channel)
        {
            self.shared.inbound.send(Heard::MissedNotices);
        }
        if !strays.is_empty() {
            self.stray(strays.into_iter().map(|channel| Stray { channel, waiting: None }).collect());
        }
        if self.pending.channels.is_empty() && !self.state.hears() {
            tracing::info!(channels = self.wanted.len(), "the bus is heard");
            self.set_hearing(true);
        }
        Ok(())
    }

    /// Between two attempts: orders are remembered and refused, so that nobody waits for a broker that is away.
    async fn wait_while_away(&mut self) {
        let pause = tokio::time::sleep(RECONNECT_EVERY);
        tokio::pin!(pause);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                () = &mut pause => return,
                count = self.orders.recv_many(&mut batch, ORDERS_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    // The answer is a refusal, which is what this is for.
                    let _ = self.carry_out(std::mem::take(&mut batch), None).await;
                }
            }
        }
    }
}

fn refused(error: BackendError) -> Cause {
    tracing::warn!(%error, "the bus does not take subscriptions");
    Cause::Refused
}
