//! What others see of a connection that hears, and what of its channels is still to be done.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use redis::{PushInfo, PushKind, Value};
use tokio::sync::{Notify, mpsc};

use super::super::heard::message;
use super::super::heartbeat::Heartbeats;
use super::super::{Channel, Shared};
use crate::backend::redis::cluster::Address;
use crate::backend::redis::link::Link;
use crate::telemetry::Metrics;

/// What others see of a connection that hears.
pub struct State {
    /// The node of the cluster that it hears; `None` for the server of the link.
    pub(super) address: Option<Address>,
    pub(super) hears: AtomicBool,
    pub(super) heartbeats: Arc<Heartbeats>,
    /// Which connection is the present one; what an older one still says counts no more.
    pub(super) generation: AtomicU64,
    pub(super) disconnected: Notify,
    /// Channels of which the server ended the subscription.
    pub(super) ended: mpsc::UnboundedSender<Channel>,
}

impl State {
    pub fn address(&self) -> Option<&Address> {
        self.address.as_ref()
    }

    pub fn heartbeat_channel(&self) -> &Channel {
        self.heartbeats.channel()
    }

    pub fn hears(&self) -> bool {
        self.hears.load(Ordering::Acquire)
    }

    /// Whether it is the server that does not answer, and not this connection.
    pub fn server_is_away(&self, link: &Link) -> bool {
        match (&self.address, link.cluster()) {
            (Some(address), Some(cluster)) => !cluster.answers(address),
            _ => false,
        }
    }

    pub(super) fn hear(&self, generation: u64, push: PushInfo, shared: &Shared) {
        if generation != self.generation.load(Ordering::Acquire) {
            return;
        }
        match push.kind {
            PushKind::Message | PushKind::SMessage => match message(push.data) {
                Some((channel, payload)) if channel == self.heartbeat_channel().as_bytes() => {
                    self.heartbeats.heard(&payload, shared);
                }
                Some((channel, payload)) => shared.take(&channel, payload),
                None => {}
            },
            PushKind::SUnsubscribe => {
                if let Some(Value::BulkString(channel)) = push.data.first() {
                    // The task ends only with this connection.
                    let _ = self.ended.send(String::from_utf8_lossy(channel).into());
                }
            }
            PushKind::Disconnection => self.disconnected.notify_one(),
            _ => {}
        }
    }
}

/// Channels that are wanted and that the server has not taken yet; counted on a gauge.
pub(super) struct Pending {
    pub(super) channels: HashSet<Channel>,
    pub(super) metrics: Arc<Metrics>,
}

impl Pending {
    pub(super) fn insert(&mut self, channel: Channel) {
        if self.channels.insert(channel) {
            self.metrics.bus_channels_waiting.inc();
        }
    }

    pub(super) fn remove(&mut self, channel: &Channel) {
        if self.channels.remove(channel) {
            self.metrics.bus_channels_waiting.dec();
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.metrics.bus_channels_waiting.sub(self.channels.len() as i64);
    }
}
