//! What is kept of sessions so that others can go on in their place.

use async_trait::async_trait;

use super::BackendError;
use crate::chat::{Login, Nickname, SessionId};

/// What the backend keeps of a session that has a resume token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memo {
    /// Hash of the token's secret part; whoever reads the backend learns no token.
    pub secret_hash: String,
    /// The first of the sessions in whose place it goes on; itself where there is none.
    pub first: SessionId,
    pub nickname: Option<Nickname>,
    /// The login of an account, whose name is then the nickname.
    pub login: Option<Login>,
}

/// Knows which sessions may be gone on with. Who bears the name and who is in the room, [`Presence`](super::Presence) knows;
/// a successor claims and enters there as an heir.
#[async_trait]
pub trait Resumption: Send + Sync {
    /// Keeps what a session is, in place of what was kept of it. `false` when another session has gone on in its place: then
    /// nothing is kept, and this one is to end.
    async fn remember(&self, session: SessionId, memo: &Memo) -> Result<bool, BackendError>;

    /// Goes on in the place of a session whose token has this hash: once, though the same heir may ask again when it was not
    /// answered. `None` when there is no such token, or another heir has used it.
    async fn take_over(
        &self,
        session: SessionId,
        secret_hash: &str,
        heir: SessionId,
    ) -> Result<Option<Memo>, BackendError>;

    /// The session has ended for good.
    async fn forget(&self, session: SessionId) -> Result<(), BackendError>;

    /// Gives the node's lease up, as [`Presence::retire`](super::Presence::retire) does, but so that what is still claimed
    /// under it stays claimed for the resume window, for heirs on other nodes. `false` where there are no other nodes:
    /// nothing was done then.
    async fn bequeath(&self) -> Result<bool, BackendError>;

    /// Whether sessions can be gone on with when their node is gone.
    fn outlives_nodes(&self) -> bool;
}
