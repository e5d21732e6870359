//! The traffic of rooms.

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::BackendError;
use crate::chat::{Envelope, Epoch, Event, Position, RoomId};

/// What a stream holds after a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatchUp {
    /// What was missed, in order; holds no hole.
    pub missed: Vec<Envelope>,
    /// Set when something between the asked position and `missed` is lost: the epoch and offset after which the stream
    /// goes on.
    pub skipped_to: Option<(Epoch, u64)>,
}

/// Who may publish an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publisher {
    /// Its actor, if it is a member of the room; that is looked up with the publishing itself.
    Member,
    /// The service, or a backend of the operator's.
    Anyone,
}

/// Orders and keeps the traffic of rooms.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Gives an event its position, keeps it, and sends it to every node that subscribes to the room. Nothing is returned
    /// before it is kept; `None` when the publisher may not.
    async fn publish(
        &self,
        room: &RoomId,
        event: &Event,
        publisher: Publisher,
    ) -> Result<Option<Position>, BackendError>;

    /// Wants a room's traffic; `true` comes when nothing published from now on will be missed unnoticed. Does not block; the
    /// effects of this and [`Broker::unsubscribe`] come about in the order of the calls. Repeating it is harmless.
    fn subscribe(&self, room: &RoomId) -> oneshot::Receiver<bool>;

    fn unsubscribe(&self, room: &RoomId);

    /// What the room's stream holds after `last`. Finds out, too, whether the stream was rolled back.
    async fn catch_up(&self, room: &RoomId, last: Position) -> Result<CatchUp, BackendError>;

    /// All that is kept of a room, oldest first, within the retention.
    async fn history(&self, room: &RoomId) -> Result<Vec<Envelope>, BackendError>;

    /// Returns when everything that this node published before was handed to its members here.
    async fn barrier(&self) -> Result<(), BackendError>;

    /// `false` when the broker answers and this node alone does not hear it; for readiness, never for liveness.
    fn hears(&self) -> bool;
}
