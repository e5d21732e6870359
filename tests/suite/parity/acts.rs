//! What people do, what comes of it, and what others see of it: no dialect's words yet.

use super::words::Person;

/// What a client asks for. The room is always the cell's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Create,
    Destroy,
    Join {
        password: Option<&'static str>,
    },
    Leave,
    Say(String),
    /// A private message to whoever is reached by `to`.
    Write {
        to: String,
        text: String,
    },
    Claim(String),
    History,
    /// Whoever runs the room changes something about it.
    Change(Change),
    Decide {
        who: String,
        approve: bool,
    },
    Appoint(String),
    Dismiss(String),
    /// Makes another member the owner.
    HandOver(String),
    /// Puts somebody out of the room.
    Remove(String),
    /// Deletes the own account.
    Delete,
    Befriend(String),
    Unfriend(String),
    /// Decides the friend request that came last.
    Settle {
        approve: bool,
    },
    /// Changes how the own account presents itself.
    Present(Profile),
    Disconnect,
    /// Comes, or comes back, under the own name.
    Arrive,
}

impl Act {
    /// Whether no request stands for it.
    pub fn is_of_connection(&self) -> bool {
        matches!(self, Self::Disconnect | Self::Arrive)
    }

    /// Whether others may hear of it a little later than a private message that was written after it.
    pub fn echoes(&self) -> bool {
        self.is_of_connection() || matches!(self, Self::Destroy | Self::Delete)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A password is put before the room.
    Password(&'static str),
    /// Whoever comes must be let in.
    Permission,
    Nickname(&'static str),
    Description(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    Nickname(&'static str),
    Description(&'static str),
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Done,
    Refused(Why),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    NoSuchRoom,
    RoomExists,
    NotInRoom,
    /// Not in it any more, because it is gone.
    RoomGone,
    /// It is about somebody who is no member.
    NoMember,
    AlreadyIn,
    TextTooLong,
    NobodyThere,
    NotFriends,
    NameInUse,
    NameReserved,
    PasswordMissing,
    PasswordWrong,
    MustWait,
    NotTheOwner,
}

/// What the members of a room are told, and what its history keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    Joined(Person),
    Left(Person),
    /// A connection of an account that is a member whether it is there or not.
    Came(Person),
    Went(Person),
    Said(Person, String),
    Removed {
        who: Person,
        by: Person,
    },
    Appointed {
        who: Person,
        admin: bool,
    },
    Handed {
        to: Person,
    },
    Changed(Change),
}

/// What is told of an account to those who know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    Online,
    Offline,
    Deleted,
    Profile(Profile),
}

/// What somebody may be told without having asked for it.
#[derive(Debug)]
pub enum Sight<'a> {
    Room(&'a Happening),
    /// A private message; `to` is the address as the sender wrote it.
    Wrote {
        from: &'a Person,
        to: &'a str,
        text: &'a str,
    },
    Created,
    Destroyed {
        /// Whoever is told was in the room.
        inside: bool,
    },
    /// Somebody asks whoever is told to be let in.
    Asked(&'a Person),
    Decided {
        approved: bool,
    },
    News(&'a Person, &'a News),
    FriendRequest(&'a Person),
    FriendDecided {
        by: &'a Person,
        approved: bool,
    },
    FriendRemoved(&'a Person),
    /// A newer login has taken the place of whoever is told.
    Superseded,
}
