//! Numbered heartbeats: they go out through the link and must come back on the connection that hears.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Channel, Shared};
use crate::backend::Heard;

/// A heartbeat that Redis took and that is not heard for so long, on a connection that is silent anyway, proves deafness.
const ANSWER_WITHIN_MS: u64 = 1_000;

/// Somebody waits until everything was dispatched that any connection heard before: until a heartbeat came by on each.
pub struct Barrier {
    /// Connections on which it did not come by yet.
    left: AtomicUsize,
    reached: Mutex<Option<oneshot::Sender<()>>>,
}

impl Barrier {
    pub fn new(connections: usize, reached: oneshot::Sender<()>) -> Self {
        Self { left: AtomicUsize::new(connections), reached: Mutex::new(Some(reached)) }
    }

    fn pass(&self, shared: &Shared) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(reached) = self.reached.lock().take()
        {
            shared.inbound.send(Heard::Barrier(reached));
        }
    }
}

pub struct Heartbeats {
    channel: Channel,
    sent: AtomicU64,
    heard_at_ms: AtomicU64,
    /// Those that Redis took and that were not heard yet, by their numbers: when they went out. One goes out a second, and
    /// after a few seconds the connection counts as deaf, so there are few.
    under_way: Mutex<BTreeMap<u64, u64>>,
    /// Who waits until what came before a heartbeat was dispatched.
    barriers: Mutex<HashMap<u64, Arc<Barrier>>>,
}

impl Heartbeats {
    pub fn new(channel: Channel) -> Self {
        Self {
            channel,
            sent: AtomicU64::new(0),
            heard_at_ms: AtomicU64::new(0),
            under_way: Mutex::default(),
            barriers: Mutex::default(),
        }
    }

    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Begins anew on a new connection; what is still under way was sent to the former one, and is lost.
    pub fn begin(&self, shared: &Shared) {
        self.heard_at_ms.store(shared.clock.now_ms(), Ordering::Release);
        let lost = std::mem::take(&mut *self.under_way.lock()).len();
        shared.metrics.bus_heartbeats_lost_total.inc_by(lost as u64);
    }

    /// For how long the connection was silent, in milliseconds, if that proves it deaf.
    pub fn deaf_for_ms(&self, shared: &Shared) -> Option<u64> {
        let now_ms = shared.clock.now_ms();
        let silent_ms = now_ms.saturating_sub(self.heard_at_ms.load(Ordering::Acquire));
        // While the link is down no heartbeat goes out, and silence alone proves nothing.
        let oldest_ms =
            self.under_way.lock().first_key_value().map_or(0, |(_, sent_ms)| now_ms.saturating_sub(*sent_ms));
        (silent_ms > shared.settings.deaf.as_millis() as u64 && oldest_ms >= ANSWER_WITHIN_MS).then_some(silent_ms)
    }

    /// Sends on the side, because a link that hangs must not keep the bus from its work. A slow one cannot pile them up: the
    /// command timeout ends each, and one goes out a second.
    pub fn send(self: &Arc<Self>, shared: &Arc<Shared>, barrier: Option<Arc<Barrier>>) {
        let number = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(barrier) = barrier {
            self.barriers.lock().insert(number, barrier);
        }
        let (heartbeats, shared) = (self.clone(), shared.clone());
        let sent_ms = shared.clock.now_ms();
        tokio::spawn(async move {
            // Before it is sent, because it may be heard before its sending is acknowledged.
            if shared.link.check_up().is_ok() {
                heartbeats.under_way.lock().insert(number, sent_ms);
            }
            if let Err(error) = shared.link.publish(&heartbeats.channel, number).await {
                tracing::debug!(%error, "a heartbeat did not go out");
                heartbeats.barriers.lock().remove(&number);
                heartbeats.under_way.lock().remove(&number);
            }
        });
    }

    pub fn heard(&self, payload: &[u8], shared: &Shared) {
        let Some(number) = std::str::from_utf8(payload).ok().and_then(|text| text.parse::<u64>().ok()) else { return };
        let now_ms = shared.clock.now_ms();
        self.heard_at_ms.store(now_ms, Ordering::Release);
        let (sent_ms, lost) = {
            let mut under_way = self.under_way.lock();
            let later = under_way.split_off(&number);
            let earlier = std::mem::replace(&mut *under_way, later);
            (under_way.remove(&number), earlier.len())
        };
        if let Some(sent_ms) = sent_ms {
            shared.metrics.bus_heartbeat_seconds.observe(now_ms.saturating_sub(sent_ms) as f64 / 1000.0);
        }
        shared.metrics.bus_heartbeats_lost_total.inc_by(lost as u64);
        let barrier = self.barriers.lock().remove(&number);
        if let Some(barrier) = barrier {
            barrier.pass(shared);
        }
    }
}
