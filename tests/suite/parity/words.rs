//! How a dialect says what people do and see. A new dialect is one more implementation of [`Words`].

use serde_json::Value;

pub use super::acts::{Act, Change, Happening, News, Profile, Sight, Verdict, Why};
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

/// Where whoever is told something is, and as whom.
pub struct At<'a> {
    pub room: &'a str,
    pub me: &'a Person,
    /// What happened in the room before.
    pub history: &'a [Happening],
}

impl At<'_> {
    /// Placeholder for the place in the room's stream of what happens next: a number, and to all the same one.
    pub fn offset(&self) -> String {
        self.numbered("offset")
    }

    /// Placeholder for a number that belongs to what happens next.
    pub fn numbered(&self, name: &str) -> String {
        format!("$n:{name}{}", self.history.len())
    }
}

/// Placeholder for the epoch of the room's stream.
pub const EPOCH: &str = "$n:epoch";

/// Why the session of an account ends when a newer one begins.
pub const SUPERSEDED: &str = "Your nickname is used by a newer login";

/// What somebody without a nickname writes to be known.
pub const INTRODUCTION: &str = "fence: this is me";

/// Why a dialect shows nothing, or cannot do it: a sentence for the page.
pub type Reason = &'static str;

/// What a friend request says.
pub const FRIENDLY_TEXT: &str = "It is me";

pub const NO_COMMAND: Reason = "The sender's dialect has no command for it.";

pub const NO_COMMAND_TO_RECEIVE: Reason = "The receiver's dialect has no command for it.";

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

    /// Whether a client is one of an account, which is then a member of rooms for good, and may write to friends only.
    fn is_of_accounts(&self) -> bool {
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
