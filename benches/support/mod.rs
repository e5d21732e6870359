//! A Redis of the benchmark's own, and the backend on it.

// Each benchmark uses its part.
#![allow(dead_code)]

#[path = "../../tests/house/support.rs"]
pub mod house;

use std::sync::Arc;
use std::time::Duration;

use crosstalk::ambient::{Clock, Entropy};
use crosstalk::backend::redis::{Access, Redis, Settings};
use crosstalk::backend::{Inbound, Presence, inbound};
use crosstalk::chat::NodeId;
use crosstalk::telemetry::Metrics;
use tokio_util::sync::CancellationToken;

/// A node on a server, and what it hears. Nobody renews its lease, which lasts for an hour.
pub async fn node(server: &house::redis::Redis, kept_rooms: u64) -> (Arc<Redis>, Inbound) {
    let metrics = Arc::new(Metrics::new());
    let (sender, heard) = inbound(64 << 20, metrics.clone());
    let settings = Settings {
        url: server.url(),
        access: Access::default(),
        key_prefix: "b:".into(),
        pool_size: 16,
        connect_timeout: house::DEADLINE,
        command_timeout: house::DEADLINE,
        kept_rooms,
        history_count: 500,
        outbox_count: 0,
        history_age: Duration::from_secs(3_600),
        lease: Duration::from_secs(3_600),
        resume: house::DEADLINE,
        deaf: house::DEADLINE,
        id: NodeId::from_random(Entropy::system().bits()),
        node: "benchmark".into(),
    };
    let stop = CancellationToken::new();
    let connecting = Redis::connect(settings, sender, Clock::system(), Entropy::system(), metrics, stop);
    let backend = Arc::new(connecting.await.unwrap());
    backend.renew().await.unwrap();
    (backend, heard)
}
