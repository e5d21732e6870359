//! Bytes to domain and back, without I/O: framings cut a byte stream into messages, dialects turn messages into commands
//! and events into messages.
//!
//! After this border nobody knows a protocol. To add a dialect: write its file here, name it in [`DialectKind`] and give
//! its event forms a place in [`EventForm`]; if the core must change too, the domain lacks a word.

mod action;
mod detect;
mod format;
mod framing;
mod json;
mod pychat;
mod pychat_dates;
mod scrp;
mod simple;
mod times;

pub use detect::detect;
pub use format::WireFormat;
pub use framing::{
    DEFLATE_ANSWER, Frame, FramingError, FramingKind, Inbound, close_frame, frame, is_deflate_offered, ping_frame,
};
pub use scrp::AnswerForm;

use crate::chat::{Command, Conduct, Envelope, Nickname, Notice, Refusal, Reply};

/// The protocols this server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DialectKind {
    Action,
    Simple,
    Pychat,
    Scrp,
}

impl DialectKind {
    pub const ALL: [Self; 4] = [Self::Action, Self::Simple, Self::Pychat, Self::Scrp];

    pub fn label(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Simple => "simple",
            Self::Pychat => "pychat",
            Self::Scrp => "scrp",
        }
    }

    /// The dialect; in its extended mode where it has one and the client asked for it.
    pub fn dialect(self, extended: bool) -> &'static dyn Dialect {
        match (self, extended) {
            (Self::Action, false) => &action::Action { extended: false },
            (Self::Action, true) => &action::Action { extended: true },
            (Self::Simple, false) => &simple::Simple { extended: false },
            (Self::Simple, true) => &simple::Simple { extended: true },
            (Self::Pychat, _) => &pychat::Pychat,
            (Self::Scrp, false) => &scrp::Scrp { extended: false },
            (Self::Scrp, true) => &scrp::Scrp { extended: true },
        }
    }
}

/// In which of a dialect's forms a subscriber gets a room's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventForm {
    Action { spelling: RoomSpelling, extended: bool },
    Simple { extended: bool },
    Pychat,
    Scrp,
}

/// How `action` writes a room's id: as the subscriber wrote it when it joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomSpelling {
    /// The string that names it.
    Text,
    /// The same, with a `#` before it.
    Hash,
    /// A JSON integer.
    Integer,
}

impl EventForm {
    fn dialect(self) -> &'static dyn Dialect {
        match self {
            Self::Action { extended, .. } => DialectKind::Action.dialect(extended),
            Self::Simple { extended } => DialectKind::Simple.dialect(extended),
            Self::Pychat => DialectKind::Pychat.dialect(false),
            Self::Scrp => DialectKind::Scrp.dialect(false),
        }
    }
}

/// What a dialect needs to answer one request of its own; nobody else looks inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    Nothing,
    /// JSON text to be echoed in the answer.
    Echo(String),
    /// The same, and the forms in which the rooms that the request names are written, in their order.
    Rooms {
        echo: String,
        forms: Vec<EventForm>,
    },
    /// The request's number, and how its answer is to look.
    Numbered {
        number: u32,
        answer: AnswerForm,
    },
}

impl Tag {
    /// The forms in which the events of the rooms are wanted that the request names, where it names several.
    pub fn forms(&self) -> &[EventForm] {
        match self {
            Self::Rooms { forms, .. } => forms,
            _ => &[],
        }
    }
}

/// What must hold of a session before it matters what is wrong with its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    /// It is logged in.
    Login,
    /// It is not logged in: the request is a login.
    NoLogin,
}

/// One decoded message of a client.
#[derive(Debug)]
pub struct Request {
    pub tag: Tag,
    pub command: Result<Command, Refusal>,
    /// The form in which events of a room joined by this request are wanted.
    pub form: EventForm,
    /// Looked at where the request is refused.
    pub needs: Needs,
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

    /// The form of events that no request asked for in another one.
    fn form(&self) -> EventForm;

    /// Whether a session that is extended from the beginning is welcomed before it asks for anything.
    fn greets(&self) -> bool {
        false
    }

    /// Reads one message. Never fails: what cannot be read is a request with a refusal.
    fn decode(&self, message: &[u8]) -> Request;

    /// The messages that answer a request. `own_name` is the session's nickname, if any.
    fn answer<'a>(
        &self,
        tag: &'a Tag,
        outcome: &'a Result<Reply, Refusal>,
        own_name: Option<&'a Nickname>,
    ) -> Messages<'a>;

    /// A room's event in one of this dialect's forms: no message where the dialect has no words for it, several where it has
    /// one for each thing that changed.
    fn event(&self, form: EventForm, room: &str, envelope: &Envelope) -> Vec<Vec<u8>>;

    /// What answers no request, in one of this dialect's forms; `None` where the dialect has no words for it.
    fn tell(&self, form: EventForm, notice: &Notice) -> Option<Vec<u8>>;
}
