//! What a client can ask for, and what it is answered, in no dialect's words.

use super::{
    Addressee, Applicant, Envelope, Member, MessageId, Nickname, PendingRequest, Position, PrivateMessage, Refusal,
    RequestId, RoomId, RoomSummary, RoomWishes, ServerInfo, SessionId, Told, UserView, Verdict,
};

/// By what a session proves that it is an account's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// It does not want to be one.
    None,
    Token(String),
    Password(String),
    /// A password if the name is an account's, else nothing.
    PasswordOfAccount(String),
}

/// Whose messages are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Room(RoomId),
    /// Those between the asker and this account.
    Talk(Nickname),
    /// All of the asker's rooms, and the talks with its friends.
    Everywhere,
}

/// Where a page of messages begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The newest ones.
    End,
    /// Those after this one, the oldest of them first.
    After(MessageId),
    /// Those right before this one.
    Before(MessageId),
}

/// A place among a room's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    At(Position),
    Message(MessageId),
}

/// Which of a room's messages a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    Newest,
    Oldest,
    /// Those right before this place.
    Before(Place),
    /// Those right after it.
    After(Place),
}

/// A page of a room's messages: of those in `range`, at most `limit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    pub span: Span,
    pub range: TimeRange,
    pub limit: usize,
}

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
    /// Goes on in the place of the session that the token names, in these rooms, which the client knows up to here.
    Resume {
        token: String,
        rooms: Vec<(RoomId, Option<Position>)>,
    },
    /// As a guest under a nickname, or as an account, whose name a nickname beside a token must be.
    Login {
        nickname: Option<Nickname>,
        credential: Credential,
    },
    /// Makes an account; it is not logged in by that.
    SignUp {
        account: Nickname,
        password: String,
        nickname: String,
    },
    /// The session goes on without its account.
    LogOff,
    DeleteAccount {
        password: String,
    },
    ChangePassword {
        old: String,
        new: String,
    },
    ChangeProfile {
        nickname: Option<String>,
        description: Option<String>,
    },
    Join {
        room: RoomId,
        password: Option<String>,
        /// Up to here the client knows the room; what it missed is told after the answer.
        since: Option<Position>,
    },
    Leave {
        room: RoomRef,
    },
    /// `key`: the same again is accepted once.
    Send {
        room: RoomRef,
        text: String,
        key: Option<String>,
    },
    /// `target` is the addressee as the client wrote it.
    SendPrivate {
        to: Addressee,
        target: String,
        text: String,
        key: Option<String>,
    },
    /// Messages by their numbers, in pages.
    Receive {
        source: Source,
        from: From,
        limit: usize,
    },
    History {
        room: RoomRef,
        range: TimeRange,
    },
    /// Messages of a room with their positions, in pages.
    ReadPage {
        room: RoomId,
        page: Page,
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
    /// Puts somebody out of a room.
    Remove {
        room: RoomId,
        who: Nickname,
    },
    /// Makes another member the owner.
    HandOver {
        room: RoomId,
        to: Nickname,
    },
    Befriend {
        who: Nickname,
        text: String,
    },
    Unfriend {
        who: Nickname,
    },
    /// Decides a request that waits for the session's account.
    Settle {
        request: RequestId,
        verdict: Verdict,
    },
    ListRequests,
    ListRooms {
        after: Option<RoomId>,
        limit: usize,
    },
    ListApplicants {
        room: RoomId,
    },
    ListFriends,
    /// Rooms of which the session's account is a member.
    ListEnrolments,
    ListMembers {
        room: RoomId,
        skip: usize,
        limit: usize,
    },
    ViewUser {
        who: Nickname,
    },
    ViewRoom {
        room: RoomId,
    },
    SearchUsers {
        query: String,
        after: Option<String>,
        limit: usize,
    },
    SearchRooms {
        query: String,
        after: Option<String>,
        limit: usize,
    },
    /// The others in the room may see that something is being written.
    Typing {
        room: RoomId,
    },
    /// Is anybody there?
    Ping,
    Time,
    ServerInfo,
    /// The client says what it is; `extended`: and that it wants the extended mode of its dialect.
    Introduce {
        extended: bool,
    },
}

impl Command {
    /// Whether the session is in the extended mode of its dialect once this succeeded.
    pub fn extends(&self) -> bool {
        matches!(self, Self::Hello { .. } | Self::Introduce { extended: true })
    }

    /// Whether it costs much more than a message: passwords, searches, rooms entered or changed.
    pub fn is_heavy(&self) -> bool {
        let has_password =
            |credential: &Credential| matches!(credential, Credential::Password(_) | Credential::PasswordOfAccount(_));
        match self {
            Self::Login { credential, .. } => has_password(credential),
            Self::SignUp { .. }
            | Self::Resume { .. }
            | Self::DeleteAccount { .. }
            | Self::ChangePassword { .. }
            | Self::ChangeProfile { .. }
            | Self::Join { .. }
            | Self::Create { .. }
            | Self::Change { .. }
            | Self::Receive { source: Source::Everywhere, .. }
            | Self::ListRequests
            | Self::ListFriends
            | Self::ListEnrolments
            | Self::SearchUsers { .. }
            | Self::SearchRooms { .. } => true,
            _ => false,
        }
    }
}

/// What became of one room of a session that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumedRoom {
    pub room: RoomId,
    pub outcome: Result<Returned, Refusal>,
}

/// Somebody is in a room again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returned {
    pub position: Position,
    /// Members in the cluster.
    pub members: u64,
    /// Whether all that was missed follows; `None` where the client did not say what it knows.
    pub recovered: Option<bool>,
}

/// The answer to a command that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Welcome {
        session: SessionId,
        nickname: Option<Nickname>,
        /// By this token another session can go on in the place of this one.
        resume: Option<String>,
    },
    /// `nickname`: none where it is somebody else's by now. The rooms are in the order in which they were named.
    Resumed {
        session: SessionId,
        nickname: Option<Nickname>,
        resume: String,
        rooms: Vec<ResumedRoom>,
    },
    LoggedIn {
        nickname: Nickname,
    },
    Joined {
        room: RoomId,
        position: Position,
        members: u64,
        /// Whether all that was missed follows; `None` where the client did not ask.
        recovered: Option<bool>,
    },
    Left {
        room: RoomId,
    },
    Sent {
        position: Position,
        id: MessageId,
        /// The broker's clock, microseconds since the Unix epoch.
        time_us: i64,
    },
    /// `to_self`: the sender is the addressee, and is told the message itself after this.
    SentPrivately {
        message: PrivateMessage,
        to_self: bool,
        id: MessageId,
        /// Microseconds since the Unix epoch.
        time_us: i64,
    },
    /// Oldest first; `more`: there are more in the direction that was asked for.
    Messages {
        messages: Vec<Told>,
        more: bool,
    },
    History {
        room: RoomId,
        records: Vec<Envelope>,
    },
    /// Messages alone, oldest first; `more`: there are more in the direction that was asked for.
    Page {
        records: Vec<Envelope>,
        more: bool,
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
    Requests {
        requests: Vec<PendingRequest>,
    },
    /// In alphabetical order where they are friends, else as they were found; `next` begins the next page.
    Users {
        users: Vec<UserView>,
        next: Option<String>,
    },
    RoomsFound {
        rooms: Vec<RoomSummary>,
        next: Option<String>,
    },
    Members {
        members: Vec<Member>,
        more: bool,
    },
    User {
        user: UserView,
    },
    Room {
        summary: RoomSummary,
        owner: Option<Nickname>,
        admins: Vec<Nickname>,
    },
    /// The server's clock, seconds since the Unix epoch.
    Time {
        now_s: i64,
    },
    Server {
        info: Box<ServerInfo>,
    },
}
