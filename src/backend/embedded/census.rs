//! The numbers of a cluster of one node.

use async_trait::async_trait;

use super::super::{BackendError, Census, ClusterCount, NodeCount};
use super::Embedded;
use super::state::{State, Work};
use super::store::Mark;

impl State {
    fn census(&self, work: &mut Work) -> Result<ClusterCount, BackendError> {
        let (users, rooms) = (self.accounts.count(), self.kept.len() as u64);
        let batch = self.batch(work)?;
        Ok(ClusterCount {
            nodes: self.count,
            users,
            users_max: batch.mark(Mark::Users)?.max(users),
            online_max: batch.mark(Mark::Online)?.max(self.count.online),
            rooms,
            rooms_max: batch.mark(Mark::Rooms)?.max(rooms),
        })
    }
}

#[async_trait]
impl Census for Embedded {
    async fn report(&self, count: &NodeCount) -> Result<(), BackendError> {
        let count = *count;
        self.ask(move |state, work| {
            state.count = count;
            state.batch(work)?.raise(Mark::Online, count.online)
        })
        .await
    }

    async fn census(&self) -> Result<ClusterCount, BackendError> {
        self.ask(|state, work| state.census(work)).await
    }
}
