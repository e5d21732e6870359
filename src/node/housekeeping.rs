//! What a node does on its own: keep its lease, restore what it lost, clean up after dead nodes.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::backend::Lease;
use crate::service::Chat;
use crate::telemetry::Metrics;

/// While the backend does not answer, the lease is tried more often than it is kept: its loss is to be noticed soon after.
const RETRY_EVERY: Duration = Duration::from_millis(250);

/// Renews the lease; after it was lost, claims again what the sessions hold; pays what ended sessions owe.
pub async fn keep_lease(chat: Arc<Chat>, metrics: Arc<Metrics>, every: Duration, stop: CancellationToken) {
    let mut restored = true;
    let mut pause = every;
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        let renewed = chat.presence().renew().await;
        let outcome = match renewed {
            Ok(Lease::Held) => "held",
            Ok(Lease::Renewed) => "fenced",
            Err(_) => "failed",
        };
        metrics.lease_renewals_total.with_label_values(&[outcome]).inc();
        match renewed {
            Ok(lease) => {
                if lease == Lease::Renewed {
                    tracing::warn!("the lease was lost; what the sessions hold is claimed again");
                    restored = false;
                }
                if !restored {
                    restored = chat.restore().await;
                }
                chat.pay_debts().await;
                pause = if restored { every } else { RETRY_EVERY };
            }
            Err(error) => {
                tracing::debug!(%error, "the lease cannot be renewed");
                pause = RETRY_EVERY;
            }
        }
    }
}

/// Looks for dead nodes and frees what they held.
pub async fn sweep(chat: Arc<Chat>, metrics: Arc<Metrics>, every: Duration, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        match chat.presence().sweep().await {
            Ok(swept) if swept.nodes > 0 => {
                metrics.sweeps_total.inc_by(swept.nodes);
                metrics.swept_names_total.inc_by(swept.names);
                metrics.swept_memberships_total.inc_by(swept.memberships);
                tracing::info!(
                    nodes = swept.nodes,
                    names = swept.names,
                    memberships = swept.memberships,
                    "cleaned up after dead nodes"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the sweep did not end"),
        }
    }
}
