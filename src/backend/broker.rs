//! The traffic of rooms.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::BackendError;
use crate::chat::{CatchUp, Envelope, Event, MessageId, Nickname, Position, RoomId, SessionId};

/// Who may publish an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publisher<'a> {
    /// Its actor, if its session is a member of the room, or the account under which it is logged in is one; that is looked
    /// up with the publishing itself.
    Member { account: Option<&'a Nickname> },
    /// The service, or a backend of the operator's.
    Anyone,
}

/// An event that is to be published.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    pub event: &'a Event,
    pub publisher: Publisher<'a>,
    /// Names what is done among all that this author does: the same again within [`KEY_LIFE`] is accepted once, and
    /// answered as the first time.
    pub key: Option<Key<'a>>,
}

/// A key, among all those of one author.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    pub text: &'a str,
    /// Whose it is where the author is a guest: the first of the sessions in whose place this one goes on, so that what was said
    /// once is not said again after a loss of the connection.
    pub of: SessionId,
}

impl Publication<'_> {
    /// Who publishes, as far as keys are told apart by it: the account where there is one, so that it outlives the session.
    pub fn author(&self) -> String {
        match (self.publisher, self.key) {
            (Publisher::Member { account: Some(account) }, _) => format!("u:{account}"),
            (Publisher::Member { account: None }, Some(key)) => format!("s:{}", key.of),
            (Publisher::Member { account: None }, None) => format!("s:{}", self.event.actor.session),
            (Publisher::Anyone, _) => self.event.actor.identifier(),
        }
    }
}

/// For how long a key is remembered.
pub const KEY_LIFE: Duration = Duration::from_secs(300);

/// What the broker made of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    pub position: Position,
    /// The broker's clock, microseconds since the Unix epoch.
    pub time_us: i64,
    /// The number of the message, where it is one; of the first one when it is repeated.
    pub id: MessageId,
    /// It was accepted before under the same key.
    pub repeated: bool,
}

/// Orders and keeps the traffic of rooms.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Gives an event its position, keeps it, and sends it to every node that subscribes to the room. Nothing is returned
    /// before it is kept; `None` when the publisher may not.
    async fn publish(&self, room: &RoomId, publication: Publication<'_>) -> Result<Option<Published>, BackendError>;

    /// Takes `count` numbers for messages and requests that nobody else gets; the first of them. They wrap around at 2^32.
    async fn lease_numbers(&self, count: u32) -> Result<u32, BackendError>;

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
