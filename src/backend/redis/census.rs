//! The cluster's numbers, on Redis.
//!
//! Accounts and rooms are counted as the sizes of the sets that name them, which are written again until they are right: a
//! number that was counted up and down would stay wrong after a crash. The largest numbers are noted after each growth; a
//! crash in between leaves one to the next report. A node's own counts live as long as its lease.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::super::{BackendError, Census, ClusterCount, NodeCount};
use super::Redis;
use super::connection::Connection;
use crate::chat::Nickname;

/// A node's counts as they are kept.
#[derive(Serialize, Deserialize)]
struct Row {
    started_s: i64,
    online: u64,
    messages_in: u64,
    messages_out: u64,
    bytes_in: u64,
    bytes_out: u64,
}

#[async_trait]
impl Census for Redis {
    async fn report(&self, count: &NodeCount) -> Result<(), BackendError> {
        let lease = self.sure_lease()?;
        let NodeCount { started_s, online, messages_in, messages_out, bytes_in, bytes_out } = *count;
        let row = Row { started_s, online, messages_in, messages_out, bytes_in, bytes_out };
        let text = serde_json::to_string(&row).unwrap_or_default();
        let mut connection = self.pooled().await?;
        let mut keep = redis::cmd("SET");
        keep.arg(self.keys.lease_count(&lease)).arg(text).arg("PX").arg(self.settings.lease.as_millis() as u64);
        self.timed(keep.exec_async(&mut *connection)).await?;
        let ClusterCount { nodes, users, rooms, .. } = self.count(&mut connection).await?;
        let now = [("users_max", users), ("rooms_max", rooms), ("online_max", nodes.online)];
        self.note_largest(&now, &mut connection).await
    }

    async fn census(&self) -> Result<ClusterCount, BackendError> {
        let mut connection = self.pooled().await?;
        self.count(&mut connection).await
    }
}

impl Redis {
    async fn count(&self, connection: &mut Connection) -> Result<ClusterCount, BackendError> {
        let mut ask = redis::pipe();
        ask.smembers(self.keys.nodes()).scard(self.keys.users()).zcard(self.keys.kept_rooms());
        ask.hmget(self.keys.census(), &["users_max", "rooms_max", "online_max"]);
        type Answer = (Vec<String>, u64, u64, [Option<u64>; 3]);
        let (leases, users, rooms, largest): Answer = self.timed(ask.query_async(connection)).await?;
        let [users_max, rooms_max, online_max] = largest.map(Option::unwrap_or_default);
        let nodes = self.node_counts(&leases, connection).await?;
        Ok(ClusterCount {
            users,
            users_max: users_max.max(users),
            online_max: online_max.max(nodes.online),
            rooms,
            rooms_max: rooms_max.max(rooms),
            nodes,
        })
    }

    async fn node_counts(&self, leases: &[String], connection: &mut Connection) -> Result<NodeCount, BackendError> {
        let mut sum = NodeCount::default();
        if leases.is_empty() {
            return Ok(sum);
        }
        let mut ask = redis::pipe();
        for lease in leases {
            ask.get(self.keys.lease_count(lease));
        }
        let rows: Vec<Option<String>> = self.timed(ask.query_async(connection)).await?;
        let mut started = Vec::new();
        for row in rows.iter().flatten().filter_map(|row| serde_json::from_str::<Row>(row).ok()) {
            started.push(row.started_s);
            sum.online += row.online;
            sum.messages_in += row.messages_in;
            sum.messages_out += row.messages_out;
            sum.bytes_in += row.bytes_in;
            sum.bytes_out += row.bytes_out;
        }
        sum.started_s = started.into_iter().min().unwrap_or_default();
        Ok(sum)
    }

    async fn note_largest(&self, numbers: &[(&str, u64)], connection: &mut Connection) -> Result<(), BackendError> {
        let mut call = self.scripts.grow.prepare_invoke();
        call.key(self.keys.census());
        for (field, number) in numbers {
            call.arg(*field).arg(*number);
        }
        self.timed(call.invoke_async(connection)).await
    }

    /// Has an account that was made, or is there, found and counted. The count comes last: what is counted was done before.
    pub(super) async fn count_user(&self, account: &Nickname, connection: &mut Connection) -> Result<(), BackendError> {
        let mut ask = redis::cmd("SISMEMBER");
        ask.arg(self.keys.users()).arg(account.as_str());
        if self.timed(ask.query_async(connection)).await? {
            return Ok(());
        }
        self.index_user(account, &[], connection).await?;
        let mut add = redis::pipe();
        add.sadd(self.keys.users(), account.as_str()).ignore().scard(self.keys.users());
        let (users,): (u64,) = self.timed(add.query_async(connection)).await?;
        self.note_largest(&[("users_max", users)], connection).await
    }

    /// Notes how many rooms are kept.
    pub(super) async fn note_rooms(&self, connection: &mut Connection) -> Result<(), BackendError> {
        let rooms = self.timed(redis::cmd("ZCARD").arg(self.keys.kept_rooms()).query_async(connection)).await?;
        self.note_largest(&[("rooms_max", rooms)], connection).await
    }
}
