//! What a client can ask for, and what it is answered, in no dialect's words.

use super::{
    Addressee, Applicant, Envelope, Nickname, Position, PrivateMessage, RoomId, RoomSummary, RoomWishes, SessionId,
};

/// The room a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomRef {
    Named(RoomId),
    /// The one room of a session that is in one room at a time.
    Current,
}

/// A closed interval of time in microseconds since the Unix epoch; an open end is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeRange {
    pub from_us: Option<i64>,
    pub to_us: Option<i64>,
}

impl TimeRange {
    pub fn contains(&self, time_us: i64) -> bool {
        self.from_us.is_none_or(|from| from <= time_us) && self.to_us.is_none_or(|to| time_us <= to)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Begins the extended mode of the dialect; `token` logs in with it.
    Hello {
        token: Option<String>,
    },
    /// As a guest under a nickname, or with a token as an account, whose name a nickname beside it must be.
    Login {
        nickname: Option<Nickname>,
        token: Option<String>,
    },
    Join {
        room: RoomId,
        password: Option<String>,
    },
    Leave {
        room: RoomRef,
    },
    Send {
        room: RoomRef,
        text: String,
    },
    /// `target` is the addressee as the client wrote it.
    SendPrivate {
        to: Addressee,
        target: String,
        text: String,
    },
    History {
        room: RoomRef,
        range: TimeRange,
    },
    Create {
        room: RoomId,
        wishes: RoomWishes,
    },
    Change {
        room: RoomId,
        wishes: RoomWishes,
    },
    Destroy {
        room: RoomId,
    },
    /// Lets somebody who asked into a permission room, or not.
    Decide {
        room: RoomId,
        who: Addressee,
        approve: bool,
    },
    Appoint {
        room: RoomId,
        account: Nickname,
        admin: bool,
    },
    ListRooms {
        after: Option<RoomId>,
        limit: usize,
    },
    ListApplicants {
        room: RoomId,
    },
}

/// The answer to a command that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Welcome {
        session: SessionId,
        nickname: Option<Nickname>,
    },
    LoggedIn {
        nickname: Nickname,
    },
    Joined {
        room: RoomId,
        position: Position,
        members: u64,
    },
    Left {
        room: RoomId,
    },
    Sent {
        position: Position,
    },
    /// `to_self`: the sender is the addressee, and is told the message itself after this.
    SentPrivately {
        message: PrivateMessage,
        to_self: bool,
    },
    History {
        room: RoomId,
        records: Vec<Envelope>,
    },
    Created {
        room: RoomId,
    },
    Destroyed {
        room: RoomId,
    },
    /// Done, and there is nothing more to say about it.
    Done,
    /// `more`: there are rooms after the last one.
    Rooms {
        rooms: Vec<RoomSummary>,
        more: bool,
    },
    Applicants {
        room: RoomId,
        applicants: Vec<Applicant>,
    },
}
