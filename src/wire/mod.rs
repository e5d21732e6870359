//! Bytes to domain and back, without I/O: framings cut a byte stream into messages, dialects turn messages into commands
//! and events into messages.
//!
//! After this border nobody knows a protocol. To add a dialect: write its file here, name it in [`DialectKind`] and give
//! its event forms a place in [`EventForm`]; if the core must change too, the domain lacks a word.

mod action;
mod detect;
mod fanout;
mod framing;
mod pychat;
mod pychat_dates;

pub use detect::{Detected, detect};
pub use fanout::{Fanout, WireFormat};
pub use framing::{Frame, FramingError, FramingKind, Inbound, close_frame, frame, ping_frame};

use crate::chat::{CloseReason, Command, Conduct, Envelope, Nickname, Refusal, Reply};

/// The protocols this server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DialectKind {
    Action,
    Pychat,
}

impl DialectKind {
    pub const ALL: [Self; 2] = [Self::Action, Self::Pychat];

    pub fn label(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Pychat => "pychat",
        }
    }

    pub fn dialect(self) -> &'static dyn Dialect {
        match self {
            Self::Action => &action::Action,
            Self::Pychat => &pychat::Pychat,
        }
    }
}

/// In which of a dialect's forms a subscriber gets a room's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventForm {
    /// `action`, the room id as the string that names it.
    ActionText,
    /// `action`, the room id with the `#` with which it was joined.
    ActionHash,
    /// `action`, the room id as the JSON integer with which it was joined.
    ActionInteger,
    Pychat,
}

/// What a dialect needs to answer one request of its own; nobody else looks inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    Nothing,
    /// JSON text to be echoed in the answer.
    Echo(String),
}

/// One decoded message of a client.
#[derive(Debug)]
pub struct Request {
    pub tag: Tag,
    pub command: Result<Command, Refusal>,
    /// The form in which events of a room joined by this request are wanted.
    pub form: EventForm,
}

/// What is particular to a dialect.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub conduct: Conduct,
    /// Longest message in bytes, where the dialect has a limit of its own.
    pub message_bytes_max: Option<usize>,
    /// A message over the limit ends the connection, instead of being skipped.
    pub long_message_closes: bool,
    /// What ends a line sent over TCP.
    pub line_end: &'static [u8],
}

/// Messages to send for one answer, made one at a time because a history may be long.
pub type Messages<'a> = Box<dyn Iterator<Item = Vec<u8>> + Send + 'a>;

/// One protocol: how its messages read and are written. Stateless; what a session knows stands in the arguments.
pub trait Dialect: Send + Sync {
    fn rules(&self) -> &'static Rules;

    /// Reads one message. Never fails: what cannot be read is a request with a refusal.
    fn decode(&self, message: &[u8]) -> Request;

    /// The messages that answer a request. `own_name` is the session's nickname, if any.
    fn answer<'a>(
        &self,
        tag: &'a Tag,
        outcome: &'a Result<Reply, Refusal>,
        own_name: Option<&'a Nickname>,
    ) -> Messages<'a>;

    /// A room's event in one of this dialect's forms; `None` where the dialect has no words for it.
    fn event(&self, form: EventForm, room: &str, envelope: &Envelope) -> Option<Vec<u8>>;

    /// The last message before the server closes, where there is something to say.
    fn notice(&self, reason: CloseReason) -> Option<Vec<u8>>;
}

/// JSON of a value that cannot fail to serialise (no maps with odd keys, no failing impls).
fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
