//! What people do and see, and how a dialect says it. A new dialect is one more implementation of [`Words`].

use serde_json::Value;

use crate::support::dialect::Dialect;

/// How somebody appears to the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub nickname: Option<String>,
    /// The session's UUID, where the test knows it.
    pub id: Option<String>,
}

impl Person {
    /// The name that is shown.
    pub fn shown(&self) -> &str {
        self.nickname.as_deref().unwrap_or("Anonymous")
    }

    /// By what the others can reach them.
    pub fn address(&self) -> Option<&str> {
        self.nickname.as_deref().or(self.id.as_deref())
    }

    /// The address of somebody who has to have one.
    pub fn identifier(&self) -> &str {
        self.address().expect("nobody knows the UUID of this session")
    }
}

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
    /// The owner puts a password before the room.
    SetPassword(&'static str),
    /// The owner wants to be asked by whoever comes.
    AskMe,
    Decide {
        who: String,
        approve: bool,
    },
    Appoint(String),
    Disconnect,
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
    AlreadyIn,
    TextTooLong,
    NobodyThere,
    NameInUse,
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
    Said(Person, String),
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
}

/// Where whoever is told something is, and as whom.
pub struct At<'a> {
    pub room: &'a str,
    pub me: &'a Person,
    pub history: &'a [Happening],
}

/// What somebody without a nickname writes to be known.
pub const INTRODUCTION: &str = "fence: this is me";

/// Why a dialect shows nothing, or cannot do it: a sentence for the page.
pub type Reason = &'static str;

pub const NO_COMMAND: Reason = "The sender's dialect has no command for it.";

pub trait Words: Sync {
    /// What the page calls it.
    fn name(&self) -> &'static str;

    fn dialect(&self) -> Dialect;

    /// Whether a client has a nickname. An account has one in any case.
    fn has_nickname(&self) -> bool {
        true
    }

    /// Whether nothing can be done before a login.
    fn login_first(&self) -> bool {
        false
    }

    /// Whether a join makes the room that is not there.
    fn join_makes_rooms(&self) -> bool {
        true
    }

    /// Whether a nickname that somebody else holds is refused at the claim; otherwise the next join is.
    fn claim_minds_clash(&self) -> bool {
        true
    }

    /// The WebSocket path at which a client arrives as an account, where it cannot say so over TCP.
    fn login_path(&self, token: &str) -> Option<String> {
        let _ = token;
        None
    }

    /// The requests with which a client introduces itself; none of them is refused. Whoever has no nickname, and can do without,
    /// writes [`INTRODUCTION`] to `keeper`, who sees its UUID.
    fn arrival(&self, nickname: Option<&str>, token: Option<&str>, keeper: &str) -> Vec<String>;

    /// # Errors
    /// Why the dialect cannot ask for it.
    fn request(&self, act: &Act, room: &str) -> Result<String, Reason>;

    /// The frames that answer a request.
    fn answer(&self, act: &Act, request: &str, verdict: Verdict, at: &At) -> Vec<Value>;

    /// The frame that tells of something.
    ///
    /// # Errors
    /// Why the dialect has none.
    fn sight(&self, sight: &Sight, at: &At) -> Result<Value, Reason>;

    /// A frame in short, for the page.
    fn short(&self, frame: &Value) -> String;
}

/// A frame's own word for what it is, and what it says where that is all that matters.
pub fn field<'a>(frame: &'a Value, name: &str) -> &'a str {
    frame[name].as_str().unwrap_or_default()
}
