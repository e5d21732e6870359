//! What happened, as the clients saw it: every request, reply and delivery, with the time at which it was seen.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::Serialize;

use crate::support::dialect::Dialect;

/// Microseconds since the run began.
pub type Us = u64;

pub const SECOND: Us = 1_000_000;

/// Where the server says that something stands in a room's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Place {
    pub epoch: u64,
    pub offset: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    pub at: Us,
    /// Which client.
    pub who: usize,
    /// Which of all clients' connections.
    pub link: u32,
    pub what: What,
}

#[derive(Debug, Clone, Serialize)]
pub enum What {
    Began {
        node: usize,
    },
    Asked(Op),
    /// To what was asked last on this connection.
    Answered(Outcome),
    Heard {
        room: String,
        text: String,
        place: Option<Place>,
    },
    /// The server says that what lies before this place is lost.
    Gap {
        room: String,
        place: Place,
    },
    /// The account is in the room, or not, without having asked for it just now.
    Turned {
        room: String,
        is_in: bool,
    },
    Ended {
        why: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Op {
    Hello,
    Login {
        name: String,
    },
    /// With the place after which what was missed is asked for.
    Join {
        room: String,
        since: Option<Place>,
    },
    Leave {
        room: String,
    },
    Send {
        room: String,
        text: String,
        key: Option<String>,
    },
    Private {
        to: String,
        text: String,
    },
    Members {
        room: String,
    },
    Resume(Resume),
}

/// A session is to go on in another connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resume {
    pub former: String,
    pub heir: String,
    /// The former one's, where that is certain.
    pub name: Option<String>,
    /// Up to where each room is known.
    pub rooms: Vec<(String, Option<Place>)>,
    /// When the former connection ended, and over which node it led.
    pub lost: Us,
    pub node: usize,
    /// The client lost it on purpose, without a word, or the node went away in order: it can be gone on with.
    pub is_held: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Outcome {
    Done(Answer),
    Refused(String),
    /// Nobody knows whether it was done.
    Unknown(String),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Of the message that was sent, or of the room that was joined.
    pub place: Option<Place>,
    /// To a join that asked for what it missed.
    pub recovered: Option<bool>,
    /// As the server calls this connection's session.
    pub session: Option<String>,
    pub nickname: Option<String>,
    /// The rooms of a resumed session, in the order in which they were named.
    pub rooms: Vec<Back>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Back {
    pub place: Option<Place>,
    pub recovered: Option<bool>,
    pub error: Option<String>,
}

/// Why clients end connections themselves.
pub const OWN_ENDS: [&str; 6] =
    ["went", "went away", "dropped", "no answer in time", "nobody, at the end", "could not come back"];

impl Outcome {
    pub fn done() -> Self {
        Self::Done(Answer::default())
    }

    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

/// Who a client is, as far as judges have to know.
#[derive(Debug, Clone, Serialize)]
pub struct Kind {
    pub dialect: &'static str,
    /// Its dialect shows its own messages to it.
    pub sees_own: bool,
    /// What it has is held for a while when its connection is lost.
    pub may_resume: bool,
    /// Sometimes it does not read.
    pub sleeps: bool,
    /// It takes part as an account, which is a member also while it is away.
    pub account: Option<String>,
}

impl Kind {
    pub fn of(dialect: Dialect, account: Option<String>) -> Self {
        Self { dialect: dialect.label(), sees_own: dialect != Dialect::Scrp, may_resume: false, sleeps: false, account }
    }
}

/// Takes down what clients see; one for all of a run.
#[derive(Clone)]
pub struct Recorder {
    began: Instant,
    links: Arc<AtomicU32>,
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Recorder {
    pub fn new(began: Instant) -> Self {
        Self { began, links: Arc::default(), entries: Arc::default() }
    }

    pub fn us(&self, at: Instant) -> Us {
        at.saturating_duration_since(self.began).as_micros() as Us
    }

    pub fn now(&self) -> Us {
        self.us(Instant::now())
    }

    pub fn new_link(&self) -> u32 {
        self.links.fetch_add(1, Ordering::Relaxed)
    }

    pub fn note(&self, at: Us, who: usize, link: u32, what: What) {
        self.entries.lock().unwrap().push(Entry { at, who, link, what });
    }

    /// All so far, in the order of time.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = self.entries.lock().unwrap().clone();
        // Stable: what one client saw in the same microsecond keeps its order.
        entries.sort_by_key(|entry| entry.at);
        entries
    }
}

/// One JSON object a line.
pub fn write_lines<T: Serialize>(file: &Path, items: impl IntoIterator<Item = T>) {
    let mut output = BufWriter::new(File::create(file).expect("the history can be written"));
    for item in items {
        serde_json::to_writer(&mut output, &item).expect("the history can be written");
        output.write_all(b"\n").expect("the history can be written");
    }
}
