//! What the server says of itself, and what its nodes count for that.

use super::{Chat, unavailable};
use crate::backend::{BackendError, ClusterCount, NodeCount};
use crate::chat::{Refusal, Reply, ServerInfo};

/// How the operator calls the server.
#[derive(Debug, Clone, Default)]
pub struct ServerNames {
    pub nickname: String,
    pub description: String,
}

impl Chat {
    /// Tells the cluster what this node counts.
    pub async fn report(&self) -> Result<(), BackendError> {
        let metrics = &self.metrics;
        let count = NodeCount {
            started_s: self.started_s,
            online: self.sessions.accounts() as u64,
            messages_in: metrics.publishes_total.get() + metrics.private_messages_total.get(),
            messages_out: metrics.deliveries_total.get() + metrics.private_messages_total.get(),
            bytes_in: metrics.bytes_in_total.get(),
            bytes_out: metrics.bytes_out_total.get(),
        };
        self.backend.census.report(&count).await
    }

    pub(super) async fn server_info(&self) -> Result<Reply, Refusal> {
        let failed = |error: BackendError| unavailable("census", &error);
        // As fresh as can be of this node; the others' last reports are as old as their heartbeat.
        self.report().await.map_err(failed)?;
        let ClusterCount { nodes, users, users_max, online_max, rooms, rooms_max } =
            self.backend.census.census().await.map_err(failed)?;
        let info = ServerInfo {
            nickname: self.names.nickname.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: self.names.description.clone(),
            time_s: self.clock.unix_us() / 1_000_000,
            started_s: nodes.started_s,
            users,
            users_max,
            online: nodes.online,
            online_max,
            rooms,
            rooms_max,
            messages_in: nodes.messages_in,
            messages_out: nodes.messages_out,
            bytes_in: nodes.bytes_in,
            bytes_out: nodes.bytes_out,
        };
        Ok(Reply::Server { info: Box::new(info) })
    }
}
