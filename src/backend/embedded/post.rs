//! The one node writes to itself.

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::super::{BackendError, Delivery, Heard, Post, Proclamation};
use super::Embedded;
use crate::chat::{Notice, SessionId};

#[async_trait]
impl Post for Embedded {
    async fn deliver(&self, to: SessionId, notice: &Notice) -> Result<Delivery, BackendError> {
        let (delivered, receipt) = oneshot::channel();
        let heard = Heard::Notice { session: to, notice: notice.clone(), delivered };
        self.ask(move |_, work| Ok(work.tell(heard))).await?;
        match receipt.await {
            Ok(true) => Ok(Delivery::Done),
            Ok(false) => Ok(Delivery::NoSession),
            Err(_) => Err(BackendError::Unavailable("the dispatcher is overrun".into())),
        }
    }

    async fn proclaim(&self, proclamation: &Proclamation) -> Result<(), BackendError> {
        let heard = Heard::Proclamation(proclamation.clone());
        self.ask(move |_, work| Ok(work.tell(heard))).await
    }
}
