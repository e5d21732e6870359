//! What the node hears from its broker, on the way to the dispatcher: a queue bounded by bytes.
//!
//! The sender never blocks, because it runs inside the broker connection's own task. What does not fit is dropped and
//! remembered: the dispatcher is told, and reads every room's stream again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::Proclamation;
use crate::chat::{Envelope, EventKind, Notice, RoomId, SessionId};
use crate::telemetry::Metrics;

/// Roughly what an item costs beside its payload.
const ITEM_BYTES: usize = 128;

/// One thing heard.
#[derive(Debug)]
pub enum Heard {
    /// A room's event, as the broker sent it.
    Raw { room: RoomId, bytes: Bytes },
    /// A room's event, decoded already.
    Event { room: RoomId, envelope: Envelope },
    /// For one session; the answer says whether it was queued there.
    Notice { session: SessionId, notice: Notice, delivered: oneshot::Sender<bool> },
    /// For every node.
    Proclamation(Proclamation),
    /// Anything may have been missed: every room must be caught up, every login looked at again.
    Interrupted,
    /// In these rooms something may have been missed.
    MissedIn(Vec<RoomId>),
    /// What was for the node's sessions or for all nodes may have been missed.
    MissedNotices,
    /// Somebody waits until everything before this was dispatched.
    Barrier(oneshot::Sender<()>),
}

impl Heard {
    fn cost(&self) -> usize {
        ITEM_BYTES
            + match self {
                Self::Raw { bytes, .. } => bytes.len(),
                Self::Event { envelope, .. } => match &envelope.event.kind {
                    EventKind::Message { text, .. } => text.len(),
                    _ => 0,
                },
                Self::Notice { notice: Notice::Private { message, .. }, .. } => message.text.len(),
                Self::Notice { .. } | Self::Proclamation(_) | Self::Barrier(_) => 0,
                Self::Interrupted | Self::MissedIn(_) | Self::MissedNotices => 0,
            }
    }
}

/// The broker's end.
#[derive(Clone)]
pub struct InboundSender {
    items: mpsc::UnboundedSender<Heard>,
    shared: Arc<Shared>,
}

/// The dispatcher's end.
pub struct Inbound {
    items: mpsc::UnboundedReceiver<Heard>,
    shared: Arc<Shared>,
}

struct Shared {
    bytes: AtomicUsize,
    bytes_max: usize,
    overflowed: AtomicBool,
    metrics: Arc<Metrics>,
}

/// A queue that holds at most `bytes_max` bytes.
pub fn inbound(bytes_max: usize, metrics: Arc<Metrics>) -> (InboundSender, Inbound) {
    // The channel itself is unbounded; the byte count in front of it is the bound.
    let (sender, receiver) = mpsc::unbounded_channel();
    let shared =
        Arc::new(Shared { bytes: AtomicUsize::new(0), bytes_max, overflowed: AtomicBool::new(false), metrics });
    (InboundSender { items: sender, shared: shared.clone() }, Inbound { items: receiver, shared })
}

impl InboundSender {
    /// Hands something over, or drops it and has every room caught up.
    pub fn send(&self, heard: Heard) {
        let cost = heard.cost();
        let before = self.shared.bytes.fetch_add(cost, Ordering::Relaxed);
        let word = matches!(heard, Heard::Interrupted | Heard::MissedIn(_) | Heard::MissedNotices | Heard::Barrier(_));
        let fits = word || before + cost <= self.shared.bytes_max;
        if !fits {
            self.shared.bytes.fetch_sub(cost, Ordering::Relaxed);
            self.shared.metrics.bus_dropped_total.inc();
            if !self.shared.overflowed.swap(true, Ordering::AcqRel) {
                // Whoever waits for something to be heard finds out: no rooms, so it is nothing but a knock.
                self.send(Heard::MissedIn(Vec::new()));
            }
            return;
        }
        self.shared.metrics.bus_queue_bytes.add(cost as i64);
        // The dispatcher ends only with the node.
        let _ = self.items.send(heard);
    }
}

impl Inbound {
    /// The next thing heard; `None` when the broker is gone for good.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            // What was dropped lies behind what is queued: it is reported as soon as the queue has run empty, and again when
            // more is dropped.
            if self.items.is_empty() && self.shared.overflowed.swap(false, Ordering::AcqRel) {
                return Some(Heard::Interrupted);
            }
            let heard = self.items.recv().await?;
            let heard = self.taken(heard);
            if !matches!(&heard, Heard::MissedIn(rooms) if rooms.is_empty()) {
                return Some(heard);
            }
        }
    }

    /// What waits already.
    pub fn try_next(&mut self) -> Option<Heard> {
        let heard = self.items.try_recv().ok()?;
        Some(self.taken(heard))
    }

    fn taken(&self, heard: Heard) -> Heard {
        let cost = heard.cost();
        self.shared.bytes.fetch_sub(cost, Ordering::Relaxed);
        self.shared.metrics.bus_queue_bytes.sub(cost as i64);
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(length: usize) -> Heard {
        Heard::Raw { room: RoomId::parse("red").unwrap(), bytes: vec![b'x'; length].into() }
    }

    #[tokio::test]
    async fn what_does_not_fit_is_dropped_counted_and_caught_up() {
        let metrics = Arc::new(Metrics::new());
        let (sender, mut inbound) = inbound(1_000, metrics.clone());
        for _ in 0..10 {
            sender.send(raw(300));
        }
        assert_eq!(metrics.bus_dropped_total.get(), 8);
        assert!(metrics.bus_queue_bytes.get() <= 1_000);
        assert!(matches!(inbound.next().await, Some(Heard::Raw { .. })));
        assert!(matches!(inbound.next().await, Some(Heard::Raw { .. })));
        assert!(matches!(inbound.next().await, Some(Heard::Interrupted)));
        sender.send(raw(300));
        assert!(matches!(inbound.next().await, Some(Heard::Raw { .. })));
        assert_eq!(metrics.bus_queue_bytes.get(), 0);
    }
    /// Nothing else may be said for a long time.
    #[tokio::test]
    async fn who_waits_on_an_empty_queue_is_told_of_what_was_dropped() {
        let (sender, mut inbound) = inbound(1_000, Arc::new(Metrics::new()));
        let waiting = tokio::spawn(async move { inbound.next().await });
        tokio::task::yield_now().await;
        sender.send(raw(2_000));
        let told = tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await;
        assert!(matches!(told.expect("it is told at all").unwrap(), Some(Heard::Interrupted)));
    }
}
