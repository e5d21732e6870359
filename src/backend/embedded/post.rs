//! The one node writes to itself.

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::super::{BackendError, Delivery, Heard, Post, Proclamation};
use super::Embedded;
use crate::chat::{Notice, SessionId};

impl Embedded {
    /// Has the node hear something after all that was asked before it.
    pub(super) async fn tell(&self, heard: Heard) -> Result<(), BackendError> {
        self.ask(move |_, work| {
            work.tell(heard);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Post for Embedded {
    async fn deliver(&self, to: SessionId, notice: &Notice) -> Result<Delivery, BackendError> {
        let (delivered, receipt) = oneshot::channel();
        let heard = Heard::Notice { session: to, notice: notice.clone(), delivered };
        self.tell(heard).await?;
        match receipt.await {
            Ok(true) => Ok(Delivery::Done),
            Ok(false) => Ok(Delivery::NoSession),
            Err(_) => Err(BackendError::Unavailable("the dispatcher is overrun".into())),
        }
    }

    async fn proclaim(&self, proclamation: &Proclamation) -> Result<(), BackendError> {
        let heard = Heard::Proclamation(proclamation.clone());
        self.tell(heard).await
    }
}
