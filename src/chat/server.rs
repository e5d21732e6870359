//! What the server says of itself.

/// Section 1.2 of scrp; in a cluster sums over the live nodes. Times are seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerInfo {
    pub nickname: String,
    pub version: String,
    pub description: String,
    pub time_s: i64,
    /// When the node that runs for longest started.
    pub started_s: i64,
    pub users: u64,
    pub users_max: u64,
    pub online: u64,
    pub online_max: u64,
    /// Rooms that were created on purpose.
    pub rooms: u64,
    pub rooms_max: u64,
    pub messages_in: u64,
    pub messages_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}
