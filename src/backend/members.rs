//! Accounts as members of rooms: for good, whether they are there or not.
//!
//! Who is a member, the room knows. An account's list of rooms is written before the room is asked and again after it
//! agreed, so it may name a room too many after a crash, and one too few only after a failover that lost the end of the list;
//! whoever reads the list looks at the room.

use async_trait::async_trait;

use super::{BackendError, Denial, Entered, RoomFault, Ticket};
use crate::chat::{Actor, Member, Nickname, Position, RoomId};

/// Rooms of which one account may be a member.
pub const ROOMS_MAX: usize = 100;

/// A room in an account's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    pub room: RoomId,
    /// Up to where the account was told for sure; `None`: nothing yet since it became a member.
    pub told: Option<Position>,
    /// The room has it as a member.
    pub is_member: bool,
}

/// How an account's membership ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resigned {
    /// The room goes on.
    Left,
    /// The account owned it: it is this one's now, and the room was told.
    Handed { to: Nickname },
    /// The account owned it and nobody else was there to have it: it is gone, as by [`super::Rooms::destroy`].
    Destroyed,
}

/// Knows which accounts are members of which rooms. Outlives every restart.
#[async_trait]
pub trait Members: Send + Sync {
    /// Makes an account a member, and announces it, if the room lets it in; `who` bears its name. With a ticket whose request
    /// is set, a permission room notes that the account wants to be a member for good. Repeated: it was one before, and what
    /// the room asks of newcomers was right nevertheless.
    async fn enrol(&self, room: &RoomId, who: &Actor, ticket: &Ticket)
    -> Result<Result<Entered, Denial>, BackendError>;

    /// Ends an account's membership and announces it. An owner cannot ([`RoomFault::Forbidden`]), unless the account is being
    /// deleted: then its room goes to the admin, else to the member, who has been in it for longest, else it is destroyed.
    async fn resign(
        &self,
        room: &RoomId,
        who: &Actor,
        deleted: bool,
    ) -> Result<Result<Resigned, RoomFault>, BackendError>;

    /// Puts somebody out, and announces it: the account of `who`'s name and the session. For the owner, and for admins where
    /// `who` is neither owner nor admin. [`RoomFault::NotMember`] comes before [`RoomFault::Forbidden`]. What was permitted to
    /// them ends, too; an admin is none any more.
    async fn remove(&self, room: &RoomId, by: &Actor, who: &Actor) -> Result<Result<(), RoomFault>, BackendError>;

    /// Makes another member the owner, and announces it; the former owner stays as an admin. For the owner.
    async fn hand_over(&self, room: &RoomId, by: &Actor, to: &Nickname) -> Result<Result<(), RoomFault>, BackendError>;

    /// Members of a room, accounts before guests, the accounts in the order in which they came; at most `limit` after the
    /// first `skip`. `None` for a room that does not exist.
    async fn roll(&self, room: &RoomId, skip: usize, limit: usize) -> Result<Option<Vec<Member>>, BackendError>;

    /// The rooms in an account's list, in the order of their ids.
    async fn enrolments(&self, account: &Nickname) -> Result<Vec<Enrolment>, BackendError>;

    /// Which of these rooms have the account as a member, in their order.
    async fn are_in(&self, account: &Nickname, rooms: &[RoomId]) -> Result<Vec<bool>, BackendError>;

    /// The account was told of everything in these rooms up to these positions. Nothing is noted that lies before what is noted
    /// under the same epoch. A room that the list has lost, as in a failover, is put there again if the account is a member of it;
    /// of another one nothing is noted, and it is returned.
    async fn told(&self, account: &Nickname, positions: &[(RoomId, Position)]) -> Result<Vec<RoomId>, BackendError>;

    /// Takes a room out of an account's list, after it was told that it is no member any more.
    async fn forget_enrolment(&self, account: &Nickname, room: &RoomId) -> Result<(), BackendError>;
}
