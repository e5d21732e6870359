//! Who is there: nicknames, memberships, and the lease that both belong to.

use async_trait::async_trait;

use super::BackendError;
use crate::chat::{Actor, Epoch, Nickname, Position, RequestId, RoomId, SessionId};

/// As what a session claims a nickname.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimant {
    /// Anybody: free names only.
    Guest,
    /// The account of that name, newly logged in: it takes the name over from whoever holds it.
    Account,
    /// The account of that name, after the backend lost sight of it: it takes nothing from a newer session.
    AccountAgain,
    /// A session that goes on in the place of this one: it takes the name over from it, and from nobody else.
    Heir { of: SessionId, account: bool },
}

impl Claimant {
    /// Whether the name is an account's that the session is logged in to.
    pub fn is_account(self) -> bool {
        matches!(self, Self::Account | Self::AccountAgain | Self::Heir { account: true, .. })
    }
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// The name is the session's, now or before; taken over from another one, if one is named.
    Done { from: Option<SessionId> },
    /// Another session holds it.
    InUse,
    /// It belongs to an account.
    Reserved,
}

/// How a member comes into a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// It asked to; its join is announced.
    Join(Ticket),
    /// It was in before the backend lost sight of it. Announced only when the room's stream is the one that the node
    /// knows, because then the others saw it leave.
    Restore { known: Option<Epoch>, account: Option<Nickname> },
    /// It goes on in the place of this session: where that one is still in, it is silently in instead, with what it was
    /// permitted there; elsewhere it joins.
    Heir { of: SessionId, ticket: Ticket },
}

/// Who bears a nickname.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    pub session: SessionId,
    /// The session reads its account's inbox; what is for it is put there.
    pub reads_inbox: bool,
}

/// What one brings to a room's door.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ticket {
    /// The join must not make the room.
    pub must_exist: bool,
    /// The account under which the session is logged in.
    pub account: Option<Nickname>,
    /// The room's password hash that the given password was found to fit.
    pub proof: Option<String>,
    /// The number of the request to be let in, where that is asked for.
    pub request: RequestId,
}

/// Why one is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    Unknown,
    /// The room has a password with this hash, and it was not the ticket's proof.
    Password {
        hash: String,
    },
    /// Only whom the owner or an admin approves; that is noted. `runners` are the accounts to be told, none when they were
    /// told before.
    Permission {
        runners: Vec<Nickname>,
    },
    /// Too many wait for permission already.
    TooMany,
}

/// What [`Presence::enter`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered {
    /// The position of its join, or the room's present one when no join was announced.
    pub position: Position,
    /// Members in the cluster, this one included.
    pub members: u64,
    /// It was in already, or was restored or has inherited silently: no join was announced.
    pub repeated: bool,
}

/// How the heartbeat found the node's lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    Held,
    /// It had run out or was lost; a new one was taken. What the node's sessions held must be claimed again.
    Renewed,
}

/// How a node stands to its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenure {
    /// Counts the leases that the node has had. What a session claimed under an earlier one may be another's by now.
    pub number: u64,
    /// The lease cannot have ended yet.
    pub is_sure: bool,
}

/// What one sweep of dead nodes did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    pub nodes: u64,
    pub names: u64,
    pub memberships: u64,
    /// The accounts among the names.
    pub accounts: Vec<Nickname>,
}

/// Knows who is there. Everything here belongs to the node's lease and is freed by others when the node dies.
#[async_trait]
pub trait Presence: Send + Sync {
    /// Claims a nickname for a session. Claiming again is harmless.
    async fn claim(&self, nickname: &Nickname, holder: Holder, claimant: Claimant) -> Result<Claimed, BackendError>;

    /// Frees a nickname if this session holds it; `true` when it did. An account was active last at this time.
    async fn release(&self, nickname: &Nickname, session: SessionId) -> Result<bool, BackendError>;

    /// Who holds a nickname.
    async fn holder(&self, nickname: &Nickname) -> Result<Option<Holder>, BackendError>;

    /// Makes a session a member and announces it, if the room lets it in. The session of an account that is a member anyway
    /// is let in and not counted; its coming and going are announced as such.
    async fn enter(&self, room: &RoomId, who: &Actor, entry: &Entry) -> Result<Result<Entered, Denial>, BackendError>;

    /// Ends a membership and announces it; `None` when there was none. A guest's wish to be let in ends, too.
    async fn leave(&self, room: &RoomId, who: &Actor) -> Result<Option<Position>, BackendError>;

    /// Members of a room in the cluster; 0 for a room that does not exist.
    async fn members(&self, room: &RoomId) -> Result<u64, BackendError>;

    /// How the node stands to its lease right now. The default is one that is never lost.
    fn tenure(&self) -> Tenure {
        Tenure { number: 0, is_sure: true }
    }

    /// Keeps the node's lease alive.
    async fn renew(&self) -> Result<Lease, BackendError>;

    /// Frees what dead nodes held and announces the leaves. Any number of nodes may do it at once: each name is freed and
    /// each leave announced once.
    async fn sweep(&self) -> Result<Swept, BackendError>;

    /// Gives the lease up, after everything under it was released.
    async fn retire(&self) -> Result<(), BackendError>;
}
