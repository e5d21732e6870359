//! Notices between nodes, on Redis: each node hears a channel of its own and one of all nodes. Pub/sub keeps nothing, so a
//! notice counts as delivered only when its receiver says so.

use std::sync::atomic::Ordering;

use async_trait::async_trait;

use super::super::letter::Letter;
use super::super::{BackendError, Delivery, Post, Proclamation};
use super::Redis;
use crate::chat::{Notice, SessionId};

#[async_trait]
impl Post for Redis {
    async fn deliver(&self, to: SessionId, notice: &Notice) -> Result<Delivery, BackendError> {
        let number = self.letters.fetch_add(1, Ordering::Relaxed);
        let letter = Letter::Notice { number, reply_to: self.settings.id, session: to, notice: notice.clone() };
        let receipt = self.bus.await_receipt(number);
        let channel = self.keys.node_channel(to.node());
        if self.link.publish(&channel, encoded(&letter)?).await? == 0 {
            return Ok(Delivery::NoNode);
        }
        match tokio::time::timeout(self.settings.command_timeout, receipt.arrived()).await {
            Ok(true) => Ok(Delivery::Done),
            Ok(false) => Ok(Delivery::NoSession),
            Err(_) => Err(BackendError::Unavailable("the session's node did not answer".into())),
        }
    }

    async fn proclaim(&self, proclamation: &Proclamation) -> Result<(), BackendError> {
        let letter = Letter::Proclamation(proclamation.clone());
        self.link.publish(&self.keys.all_nodes_channel(), encoded(&letter)?).await.map(drop)
    }
}

fn encoded(letter: &Letter) -> Result<Vec<u8>, BackendError> {
    letter.encode().ok_or_else(|| BackendError::Failed("a notice that does not travel".into()))
}
