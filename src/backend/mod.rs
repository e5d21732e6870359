//! What lies between nodes and between restarts, as traits, each with one reason to change:
//!
//! | trait | owns |
//! |---|---|
//! | [`Broker`] | the traffic of rooms: order, retention, who hears it |
//! | [`Presence`] | who holds which nickname, who is in which room, under which lease |
//! | [`Resumption`] | which sessions may be gone on with in others |
//! | [`Rooms`] | rooms that were created on purpose: owner, access, presentation, the list of them |
//! | [`Members`] | accounts that are members of rooms for good, and what each was told there |
//! | [`Directory`] | identities: reserved names, logins that no longer stand |
//! | [`Users`] | accounts with a password of their own, how they present themselves |
//! | [`Friends`] | who is whose friend, and who wants to be |
//! | [`Inbox`] | what is kept for accounts until they were told |
//! | [`Attempts`] | how often something secret was guessed |
//! | [`Search`] | accounts and rooms by the beginnings of words |
//! | [`Census`] | what there is in the cluster, in numbers |
//! | [`Post`] | what one node tells another about single sessions |
//!
//! Two implementations: [`embedded`] (one process, the reference) and [`redis`] (any number of nodes). What they must do
//! is a program: the named clauses in `tests/house/backends` run against both. To add a backend, implement the
//! traits and add it to that list; no client library's type crosses the traits.

mod attempts;
mod broker;
mod census;
mod directory;
pub mod embedded;
mod envelope;
mod friends;
mod inbound;
mod inbox;
mod letter;
mod members;
mod post;
mod presence;
mod pushes;
pub mod redis;
mod resumption;
mod rooms;
mod search;
mod users;

use std::sync::Arc;

pub use attempts::{ATTEMPTS_MAX, Attempts, FIRST_WAIT, LONGEST_WAIT};
pub use broker::{Broker, KEY_LIFE, Key, Publication, Published, Publisher};
pub use census::{Census, ClusterCount, NodeCount};
use directory::REVOCATIONS_MAX;
pub use directory::{Directory, Registered};
pub use envelope::{decode_event, decode_live, encode_event};
pub use friends::{Asked, FRIENDS_MAX, Friends, REQUESTS_MAX, Settled};
pub use inbound::{Heard, Inbound, InboundSender, inbound};
pub use inbox::{INBOX_MAX, Inbox, Put};
pub use members::{Enrolment, Members, ROOMS_MAX, Resigned};
pub use post::{Bulletin, Delivery, Post, Proclamation};
pub use presence::{Claimant, Claimed, Denial, Entered, Entry, Holder, Lease, Presence, Swept, Tenure, Ticket};
pub use resumption::{Memo, Resumption};
use rooms::{ADMINS_MAX, APPLICANTS_MAX};
pub use rooms::{Asker, Creation, Decided, RoomChange, RoomFault, Rooms};
pub use search::{Page, Search};
pub use users::Users;

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

impl BackendError {
    /// Logs what was not done for it: as a warning where it does not pass by itself.
    pub fn log(&self, what: &str) {
        match self {
            Self::Unavailable(_) => tracing::debug!(error = %self, "{what}"),
            Self::Failed(_) => tracing::warn!(error = %self, "{what}"),
        }
    }
}

/// A backend by what it can do.
#[derive(Clone)]
pub struct Backend {
    pub broker: Arc<dyn Broker>,
    pub presence: Arc<dyn Presence>,
    pub resumption: Arc<dyn Resumption>,
    pub rooms: Arc<dyn Rooms>,
    pub members: Arc<dyn Members>,
    pub directory: Arc<dyn Directory>,
    pub users: Arc<dyn Users>,
    pub friends: Arc<dyn Friends>,
    pub inbox: Arc<dyn Inbox>,
    pub attempts: Arc<dyn Attempts>,
    pub search: Arc<dyn Search>,
    pub census: Arc<dyn Census>,
    pub post: Arc<dyn Post>,
}

/// Everything at once.
pub trait Everything:
    Broker
    + Presence
    + Resumption
    + Rooms
    + Members
    + Directory
    + Users
    + Friends
    + Inbox
    + Attempts
    + Search
    + Census
    + Post
{
}

impl<T> Everything for T where
    T: Broker
        + Presence
        + Resumption
        + Rooms
        + Members
        + Directory
        + Users
        + Friends
        + Inbox
        + Attempts
        + Search
        + Census
        + Post
{
}

impl Backend {
    pub fn of<T: Everything + 'static>(backend: Arc<T>) -> Self {
        Self {
            broker: backend.clone(),
            presence: backend.clone(),
            resumption: backend.clone(),
            rooms: backend.clone(),
            members: backend.clone(),
            directory: backend.clone(),
            users: backend.clone(),
            friends: backend.clone(),
            inbox: backend.clone(),
            attempts: backend.clone(),
            search: backend.clone(),
            census: backend.clone(),
            post: backend,
        }
    }
}
