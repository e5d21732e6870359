//! What lies between nodes and between restarts, as traits, each with one reason to change:
//!
//! | trait | owns |
//! |---|---|
//! | [`Broker`] | the traffic of rooms: order, retention, who hears it |
//! | [`Presence`] | who holds which nickname, who is in which room, under which lease |
//! | [`Rooms`] | rooms that were created on purpose: owner, access, presentation, the list of them |
//! | [`Directory`] | accounts: reserved names, logins that no longer stand |
//! | [`Post`] | what one node tells another about single sessions |
//!
//! Two implementations: [`embedded`] (one process, the reference) and [`redis`] (any number of nodes). What they must do
//! is a program: the named clauses in `tests/house/backends` run against both. To add a backend, implement the
//! traits and add it to that list; no client library's type crosses the traits.

mod broker;
mod directory;
pub mod embedded;
mod envelope;
mod inbound;
mod letter;
mod post;
mod presence;
pub mod redis;
mod rooms;

use std::sync::Arc;

pub use broker::{Broker, CatchUp, Publisher};
use directory::REVOCATIONS_MAX;
pub use directory::{Directory, Registered};
pub use envelope::{decode_event, decode_live, encode_event};
pub use inbound::{Heard, Inbound, InboundSender, inbound};
pub use post::{Delivery, Post, Proclamation};
pub use presence::{Claimant, Claimed, Denial, Entered, Entry, Lease, Presence, Swept, Ticket};
use rooms::{ADMINS_MAX, APPLICANTS_MAX};
pub use rooms::{Creation, Decided, RoomChange, RoomFault, Rooms};

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

/// A backend by what it can do.
#[derive(Clone)]
pub struct Backend {
    pub broker: Arc<dyn Broker>,
    pub presence: Arc<dyn Presence>,
    pub rooms: Arc<dyn Rooms>,
    pub directory: Arc<dyn Directory>,
    pub post: Arc<dyn Post>,
}

impl Backend {
    pub fn of<T: Broker + Presence + Rooms + Directory + Post + 'static>(backend: Arc<T>) -> Self {
        Self {
            broker: backend.clone(),
            presence: backend.clone(),
            rooms: backend.clone(),
            directory: backend.clone(),
            post: backend,
        }
    }
}
