//! What a node does on its own: keep its lease, restore what it lost, clean up after dead nodes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::backend::Lease;
use crate::service::Chat;
use crate::telemetry::Metrics;

/// While the backend does not answer, the lease is tried more often than it is kept: its loss is to be noticed soon after.
const RETRY_EVERY: Duration = Duration::from_millis(250);

/// Renews the lease and tells [`restore`] when it was lost. On its own, because a restore may take longer than a lease.
pub async fn keep_lease(
    chat: Arc<Chat>,
    metrics: Arc<Metrics>,
    every: Duration,
    lost: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut pause = every;
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        let outcome = match chat.presence().renew().await {
            Ok(Lease::Held) => "held",
            Ok(Lease::Renewed) => {
                tracing::warn!("the lease was lost; what the sessions hold is claimed again");
                lost.notify_one();
                "fenced"
            }
            Err(error) => {
                error.log("the lease cannot be renewed");
                "failed"
            }
        };
        if outcome != "failed"
            && let Err(error) = chat.report().await
        {
            tracing::debug!(%error, "the node's count was not told");
        }
        metrics.lease_renewals_total.with_label_values(&[outcome]).inc();
        pause = if outcome == "failed" { RETRY_EVERY } else { every };
    }
}

/// After the lease was lost, claims again what the sessions hold, until it is done; and, every now and then, pays what ended
/// sessions owe.
pub async fn restore(chat: Arc<Chat>, every: Duration, lost: Arc<Notify>, stop: CancellationToken) {
    let mut restored = true;
    loop {
        let pause = if restored { every } else { RETRY_EVERY };
        tokio::select! {
            () = stop.cancelled() => return,
            () = lost.notified() => restored = false,
            () = tokio::time::sleep(pause) => {}
        }
        if !restored {
            restored = chat.restore().await;
        }
        chat.pay_debts().await;
    }
}

/// Looks for dead nodes and frees what they held.
pub async fn sweep(chat: Arc<Chat>, metrics: Arc<Metrics>, every: Duration, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        match chat.presence().sweep().await {
            Ok(swept) if swept.nodes > 0 => {
                chat.mourn(&swept.accounts).await;
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
            Err(error) => error.log("the sweep did not end"),
        }
    }
}
