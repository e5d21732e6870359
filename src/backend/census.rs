//! What there is in the whole cluster, in numbers.

use async_trait::async_trait;

use super::BackendError;

/// What one node counts since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeCount {
    /// Seconds since the Unix epoch.
    pub started_s: i64,
    /// Accounts logged in here at the moment.
    pub online: u64,
    pub messages_in: u64,
    pub messages_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// The cluster's numbers. The largest ones are since its data began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClusterCount {
    /// Sums over the live nodes, and the start of the one that runs for longest.
    pub nodes: NodeCount,
    pub users: u64,
    pub users_max: u64,
    pub online_max: u64,
    /// Kept rooms.
    pub rooms: u64,
    pub rooms_max: u64,
}

#[async_trait]
pub trait Census: Send + Sync {
    /// What this node counts now; told with every heartbeat, and forgotten with its lease.
    async fn report(&self, count: &NodeCount) -> Result<(), BackendError>;

    /// The cluster's numbers, as of the nodes' last reports.
    async fn census(&self) -> Result<ClusterCount, BackendError>;
}
