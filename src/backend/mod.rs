//! What lies between nodes and between restarts: the broker that orders and keeps room traffic, and the presence store
//! that knows who holds which nickname and who is in which room, and the directory of accounts.
//!
//! Two implementations: [`embedded`] (one process, the reference) and [`redis`] (any number of nodes). What they must do
//! is a program: the named clauses in `tests/house/backends.rs` run against both. To add a backend, implement the three
//! traits and add it to that list; no client library's type crosses the traits.

pub mod embedded;
mod envelope;
mod inbound;
pub mod redis;

use async_trait::async_trait;
use tokio::sync::oneshot;

pub use envelope::{decode_event, decode_live, encode_event};
pub use inbound::{Heard, Inbound, InboundSender, inbound};

use crate::chat::{Actor, Envelope, Epoch, Event, Identity, Login, Nickname, Position, Revocation, RoomId, SessionId};

/// Why the backend did not do something. After either it is not known whether it was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// It cannot be reached, or did not answer in time.
    #[error("the backend is unavailable: {0}")]
    Unavailable(String),
    /// It answered something that is not understood, or its own storage failed.
    #[error("the backend failed: {0}")]
    Failed(String),
}

/// What a stream holds after a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatchUp {
    /// What was missed, in order; holds no hole.
    pub missed: Vec<Envelope>,
    /// Set when something between the asked position and `missed` is lost: the epoch and offset after which the stream
    /// goes on.
    pub skipped_to: Option<(Epoch, u64)>,
}

/// How a member comes into a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It asked to; its join is announced.
    Join,
    /// It was in before the backend lost sight of it. Announced only when the room's stream is the one that the node
    /// knows, because then the others saw it leave.
    Restore { known: Option<Epoch> },
}

/// What [`Presence::enter`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered {
    /// The position of its join, or the room's present one when no join was announced.
    pub position: Position,
    /// Members in the cluster, this one included.
    pub members: u64,
    /// It was in already, or was restored silently: no join was announced.
    pub repeated: bool,
}

/// How the heartbeat found the node's lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    Held,
    /// It had run out or was lost; a new one was taken. What the node's sessions held must be claimed again.
    Renewed,
}

/// What one sweep of dead nodes did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    pub nodes: u64,
    pub names: u64,
    pub memberships: u64,
}

/// Orders and keeps the traffic of rooms.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Gives an event its position, keeps it, and sends it to every node that subscribes to the room. Nothing is returned
    /// before it is kept.
    async fn publish(&self, room: &RoomId, event: &Event) -> Result<Position, BackendError>;

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

/// Knows who is there. Everything here belongs to the node's lease and is freed by others when the node dies.
#[async_trait]
pub trait Presence: Send + Sync {
    /// Claims a nickname for a session; `false` when another session holds it. Claiming again is harmless.
    async fn claim(&self, nickname: &Nickname, session: SessionId) -> Result<bool, BackendError>;

    /// Frees a nickname if this session holds it.
    async fn release(&self, nickname: &Nickname, session: SessionId) -> Result<(), BackendError>;

    /// Makes a session a member and announces it.
    async fn enter(&self, room: &RoomId, who: &Actor, entry: Entry) -> Result<Entered, BackendError>;

    /// Ends a membership and announces it; `None` when there was none.
    async fn leave(&self, room: &RoomId, who: &Actor) -> Result<Option<Position>, BackendError>;

    /// Members of a room in the cluster; 0 for a room that does not exist.
    async fn members(&self, room: &RoomId) -> Result<u64, BackendError>;

    /// Keeps the node's lease alive.
    async fn renew(&self) -> Result<Lease, BackendError>;

    /// Frees what dead nodes held and announces the leaves. Any number of nodes may do it at once: each name is freed and
    /// each leave announced once.
    async fn sweep(&self) -> Result<Swept, BackendError>;

    /// Gives the lease up, after everything under it was released.
    async fn retire(&self) -> Result<(), BackendError>;
}

/// Ended logins of one account that are remembered one by one; when there are more, all that the account has had end.
const REVOCATIONS_MAX: usize = 1_000;

/// What became of a wish for a reserved name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// The name is the identity's from now on, or was already.
    Done,
    /// Another account has the name, or a guest bears it at the moment.
    Taken,
    /// The identity has an account already, under this name.
    Already(Nickname),
}

/// Knows the accounts: names reserved for identities, and which logins no longer stand. Outlives every restart.
#[async_trait]
pub trait Directory: Send + Sync {
    /// The account of an identity, if it has one.
    async fn account_of(&self, identity: &Identity) -> Result<Option<Nickname>, BackendError>;

    /// Reserves a name for an identity.
    async fn register(&self, identity: &Identity, name: &Nickname) -> Result<Registered, BackendError>;

    /// Whether a login was not revoked.
    async fn stands(&self, login: &Login) -> Result<bool, BackendError>;

    /// Ends logins; kept for as long as it takes.
    async fn revoke(&self, account: &Nickname, which: Revocation) -> Result<(), BackendError>;
}
