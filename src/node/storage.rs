//! What the node keeps its state in: opened, or waited for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::millis;
use crate::ambient::{Clock, Entropy};
use crate::backend::embedded::{Embedded, Retention};
use crate::backend::redis::{Access, Redis, Settings};
use crate::backend::{Backend, BackendError, InboundSender, Presence};
use crate::chat::NodeId;
use crate::config::Config;
use crate::telemetry::Metrics;

/// Between two attempts to reach the servers at the start.
const RETRY_EVERY: Duration = Duration::from_millis(250);

/// What every part of a node is given.
#[derive(Clone)]
pub struct Ambience {
    pub clock: Clock,
    pub entropy: Entropy,
    pub metrics: Arc<Metrics>,
}

/// Opens the backend, with the node's first lease taken. Its tasks end with `running`.
///
/// # Errors
/// A store that cannot be opened, servers that cannot be used, or that do not answer for `redis.start_timeout_ms`.
pub async fn open(
    config: &Config,
    id: NodeId,
    node_name: &str,
    inbound: InboundSender,
    ambience: Ambience,
    running: &CancellationToken,
) -> anyhow::Result<Backend> {
    if config.storage.redis.is_empty() {
        return embedded(config, inbound, ambience).await;
    }
    let settings = settings(config, id, node_name);
    let patience_ms = config.redis.start_timeout_ms;
    let began_ms = ambience.clock.now_ms();
    let mut is_told = false;
    loop {
        // What an attempt began that came to nothing ends with it.
        let attempt = running.child_token();
        let error = match reach(settings.clone(), inbound.clone(), ambience.clone(), attempt.clone()).await {
            Ok(redis) => return Ok(Backend::of(Arc::new(redis))),
            Err(error) => error,
        };
        attempt.cancel();
        let is_over = ambience.clock.now_ms().saturating_sub(began_ms) >= patience_ms;
        if is_over || !matches!(error, BackendError::Unavailable(_)) {
            return Err(error).context("storage.redis");
        }
        if !is_told {
            tracing::warn!(%error, patience_ms, "the servers of storage.redis cannot be used yet");
            is_told = true;
        }
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

async fn reach(
    settings: Settings,
    inbound: InboundSender,
    ambience: Ambience,
    stop: CancellationToken,
) -> Result<Redis, BackendError> {
    let Ambience { clock, entropy, metrics } = ambience;
    let redis = Redis::connect(settings, inbound, clock, entropy, metrics, stop).await?;
    redis.renew().await?;
    Ok(redis)
}

async fn embedded(config: &Config, inbound: InboundSender, ambience: Ambience) -> anyhow::Result<Backend> {
    let storage = &config.storage;
    let retention = Retention {
        count: storage.history_count,
        age_us: storage.history_age_s as i64 * 1_000_000,
        rooms: storage.rooms_max,
        kept_rooms: config.limits.kept_rooms,
    };
    let dir = (storage.data_dir != "none").then(|| Path::new(&storage.data_dir));
    let Ambience { clock, entropy, metrics } = ambience;
    let embedded = Embedded::open(dir, retention, inbound, clock, entropy)?;
    metrics.broker_up.set(1);
    metrics.bus_up.set(1);
    embedded.renew().await.context("the first lease cannot be taken")?;
    Ok(Backend::of(Arc::new(embedded)))
}

fn settings(config: &Config, id: NodeId, node_name: &str) -> Settings {
    let (storage, redis) = (&config.storage, &config.redis);
    Settings {
        url: storage.redis.clone(),
        access: Access {
            ca_file: redis.ca_file.clone(),
            certificate: redis.certificate.clone(),
            key: redis.key.clone(),
            sentinel_user: redis.sentinel_user.clone(),
            sentinel_password: redis.sentinel_password.clone(),
        },
        key_prefix: redis.key_prefix.clone(),
        pool_size: redis.pool_size,
        connect_timeout: millis(redis.connect_timeout_ms),
        command_timeout: millis(redis.command_timeout_ms),
        kept_rooms: config.limits.kept_rooms,
        history_count: storage.history_count,
        outbox_count: storage.outbox_count,
        history_age: Duration::from_secs(storage.history_age_s),
        lease: millis(config.cluster.lease_ms),
        resume: Duration::from_secs(config.session.resume_s),
        deaf: millis(config.cluster.deaf_ms),
        id,
        node: node_name.to_owned(),
    }
}
