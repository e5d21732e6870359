//! Rooms that were created on purpose.

use async_trait::async_trait;

use super::BackendError;
use crate::chat::{
    AccessType, Actor, Addressee, Applicant, Nickname, RequestId, RoomId, RoomRecord, RoomSummary, RoomView,
};

/// Admins that a room may have, and people who may wait for its permission.
pub const ADMINS_MAX: usize = 100;
pub const APPLICANTS_MAX: usize = 1_000;

/// What became of a wish for a new room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    Done,
    /// Somebody created it before, or is in it.
    Exists,
    /// There are as many kept rooms as allowed.
    TooMany,
}

/// Why a room was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomFault {
    Unknown,
    /// It is not this account's to do.
    Forbidden,
    /// Nobody of that name has asked to be let in.
    NoApplicant,
    /// The one it is about is not in the room.
    NotMember,
    /// It has as many admins as allowed.
    TooMany,
}

/// Who waits for a room's permission, as the one who decides names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    Named(Addressee),
    Request(RequestId),
}

/// What the owner or an admin decided.
pub type Decided = Result<Applicant, RoomFault>;

/// What a room's owner or admins change; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoomChange {
    /// The access type, and for a password room the password's hash.
    pub access: Option<(AccessType, Option<String>)>,
    pub nickname: Option<String>,
    pub description: Option<String>,
}

/// Knows the rooms that are kept until they are destroyed. Outlives every restart.
#[async_trait]
pub trait Rooms: Send + Sync {
    /// Makes a room that is kept; its owner is a member from the beginning. The history of a former life stays.
    async fn create(&self, room: &RoomId, record: &RoomRecord) -> Result<Creation, BackendError>;

    /// Ends a room: one with an owner only for `account`, its owner. Its members are out, and told so in the room's stream.
    async fn destroy(
        &self,
        room: &RoomId,
        by: &Actor,
        account: Option<&Nickname>,
    ) -> Result<Result<(), RoomFault>, BackendError>;

    /// For the account of the actor's name, if it is the owner or an admin. The room is told.
    async fn change(
        &self,
        room: &RoomId,
        by: &Actor,
        change: &RoomChange,
    ) -> Result<Result<(), RoomFault>, BackendError>;

    /// Lets somebody who asked in, or not; for the owner and the admins. An account that wanted to be a member for good is
    /// one from then on, and that is announced.
    async fn decide(&self, room: &RoomId, by: &Nickname, who: &Asker, approve: bool) -> Result<Decided, BackendError>;

    /// An account no longer wants to be let in. (A guest's wish ends with [`super::Presence::leave`], as it does when the guest
    /// is gone; an account's outlives its sessions.)
    async fn withdraw(&self, room: &RoomId, account: &Nickname) -> Result<(), BackendError>;

    /// Makes an account an admin, or no longer one; for the account of the actor's name, if it is the owner. With
    /// `of_members` only an account that is a member, and no longer one only who is an admin: [`RoomFault::NotMember`], which
    /// comes before [`RoomFault::Forbidden`]. The room is told.
    async fn appoint(
        &self,
        room: &RoomId,
        by: &Actor,
        account: &Nickname,
        admin: bool,
        of_members: bool,
    ) -> Result<Result<(), RoomFault>, BackendError>;

    /// All about a room that is kept.
    async fn view(&self, room: &RoomId) -> Result<Option<RoomView>, BackendError>;

    /// Kept rooms in the order of their ids, at most `limit`, after the one named.
    async fn list(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<RoomSummary>, BackendError>;
}
