//! What hears: subscriptions, their order, and proof that they still work.
//!
//! One connection hears everything, in a cluster one for each primary (`ear`). What is wanted is kept here and shared out by
//! `router`, so that a new connection subscribes to all of its own again; no client library is trusted with that. Every
//! second a numbered heartbeat goes out through the link and must come back on each connection: one that is half open or
//! lost its subscriptions is noticed and built again, and its rooms are then caught up from their streams.

mod ear;
mod heard;
mod heartbeat;
mod router;

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::keys::Keys;
use super::link::Link;
use super::{BackendError, Settings};
use crate::ambient::Clock;
use crate::backend::InboundSender;
use crate::chat::RoomId;
use crate::telemetry::Metrics;
use ear::State;
use heard::{Receipt, Receipts};
use router::Router;

/// A channel's name, shared by all who keep it.
type Channel = Arc<str>;

pub struct Bus {
    wishes: mpsc::UnboundedSender<Wish>,
    shared: Arc<Shared>,
}

enum Wish {
    Subscribe(RoomId, oneshot::Sender<bool>),
    Unsubscribe(RoomId),
    Barrier(oneshot::Sender<()>),
}

/// What all connections that hear have in common.
struct Shared {
    settings: Settings,
    keys: Keys,
    /// The node's own channels: what is for its sessions, what is for all nodes.
    node_channel: Channel,
    all_nodes_channel: Channel,
    link: Arc<Link>,
    inbound: InboundSender,
    receipts: Receipts,
    /// The connections there are, whether they hear or not.
    ears: RwLock<Vec<Arc<State>>>,
    clock: Clock,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
}

impl Bus {
    pub async fn connect(
        settings: &Settings,
        keys: Keys,
        link: Arc<Link>,
        inbound: InboundSender,
        clock: Clock,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Result<Self, BackendError> {
        let shared = Arc::new(Shared {
            node_channel: keys.node_channel(settings.id).into(),
            all_nodes_channel: keys.all_nodes_channel().into(),
            settings: settings.clone(),
            keys,
            link,
            inbound,
            receipts: Receipts::default(),
            ears: RwLock::default(),
            clock,
            metrics,
            stop: stop.clone(),
        });
        // Unbounded, but each session waits for its own subscription, and rooms are given up once: the number of wishes is
        // bounded by the number of sessions and rooms.
        let (wishes, receiver) = mpsc::unbounded_channel();
        let router = Router::connect(shared.clone(), receiver).await?;
        tokio::spawn(async move { stop.run_until_cancelled(router.run()).await });
        Ok(Self { wishes, shared })
    }

    pub fn subscribe(&self, room: &RoomId) -> oneshot::Receiver<bool> {
        let (ready, receiver) = oneshot::channel();
        // A stopped task drops the sender, and the receiver sees that.
        let _ = self.wishes.send(Wish::Subscribe(room.clone(), ready));
        receiver
    }

    pub fn unsubscribe(&self, room: &RoomId) {
        let _ = self.wishes.send(Wish::Unsubscribe(room.clone()));
    }

    pub fn barrier(&self) -> oneshot::Receiver<()> {
        let (reached, receiver) = oneshot::channel();
        let _ = self.wishes.send(Wish::Barrier(reached));
        receiver
    }

    /// Expects the answer to a letter that is about to be sent.
    pub fn await_receipt(&self, number: u64) -> Receipt {
        self.shared.receipts.expect(number)
    }

    /// Whether every connection hears whose server answers this node.
    pub fn hears(&self) -> bool {
        self.shared.ears.read().iter().all(|ear| ear.hears() || ear.server_is_away(&self.shared.link))
    }
}

impl Shared {
    /// Says on the gauge whether everything is heard.
    fn note_hearing(&self) {
        let ears = self.ears.read();
        let all = !ears.is_empty() && ears.iter().all(|ear| ear.hears());
        self.metrics.bus_up.set(i64::from(all));
    }
}
