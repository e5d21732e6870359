//! What clients say in each dialect and understand of the answers, written after `docs/protocols`.

mod action;
mod pychat;
mod scrp;
mod simple;

use std::fmt;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::framing::Framing;
use crate::stamp::{self, Id};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dialect {
    Action,
    /// The extended mode of `action`, in which events have positions.
    ActionExt,
    Simple,
    Pychat,
    Scrp,
    /// What the floor program understands: the event that it is to pass on.
    Floor,
}

/// Who a connection is, and where it is going.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    pub name: &'a str,
    pub room: &'a str,
    /// The first of its room makes it, in the dialects that need that.
    pub is_first: bool,
    /// Rooms that it sits in alone, where the dialect allows more than one.
    pub own_rooms: u32,
    pub goes: Goes,
}

/// How far a connection goes after it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize, Deserialize)]
pub enum Goes {
    /// It says nothing.
    Connected,
    /// It has a name.
    Named,
    /// It is in its room.
    Joined,
}

impl Goes {
    pub fn label(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Named => "with a name",
            Self::Joined => "in a room",
        }
    }
}

/// What a frame means to the client that reads it.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// The next request that waits was carried out.
    Done {
        position: Option<Position>,
    },
    /// It was not.
    Refused(String),
    /// A room of this name was made.
    Created(String),
    /// Somebody came into the room; the first one that a member hears of is itself.
    Entered,
    Said(Said),
    /// The server says why it ends the connection.
    Farewell(String),
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Without a leading `#`; nothing where the dialect does not name it.
    pub room: Option<String>,
    /// Nothing for texts that this program did not write.
    pub stamp: Option<(Id, Option<u64>)>,
    pub position: Option<Position>,
}

/// The place of an event in its room's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub epoch: u64,
    pub offset: u64,
}

impl Dialect {
    pub const ALL: [Self; 5] = [Self::Action, Self::ActionExt, Self::Simple, Self::Pychat, Self::Scrp];

    pub fn label(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::ActionExt => "action-ext",
            Self::Simple => "simple",
            Self::Pychat => "pychat",
            Self::Scrp => "scrp",
            Self::Floor => "floor",
        }
    }

    pub fn from_label(label: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|dialect| dialect.label() == label);
        let Some(known) = known else {
            bail!("there is no dialect {label:?}; there are {}", Self::ALL.map(Self::label).join(", "))
        };
        Ok(known)
    }

    /// Where the common HTTP listener has it.
    pub fn path(self) -> &'static str {
        match self {
            Self::Action | Self::ActionExt => "/chat/action",
            Self::Simple => "/chat/simple",
            Self::Pychat => "/chat/pychat",
            Self::Scrp => "/chat/scrp",
            Self::Floor => "/floor",
        }
    }

    pub fn tcp_framing(self) -> Framing {
        if self == Self::Scrp { Framing::Lengths } else { Framing::Lines }
    }

    /// Whether who says something hears it, too.
    pub fn hears_itself(self) -> bool {
        self != Self::Scrp
    }

    /// Whether one's own message is the only answer to it.
    pub fn is_answered_by_hearing(self) -> bool {
        matches!(self, Self::Simple | Self::Floor)
    }

    /// Whether somebody can be in several rooms that nobody has to make.
    pub fn has_own_rooms(self) -> bool {
        matches!(self, Self::Action | Self::ActionExt)
    }

    /// Whether what is said has a position, by which the order can be judged.
    pub fn has_positions(self) -> bool {
        matches!(self, Self::ActionExt | Self::Scrp)
    }

    /// The request that is the `step`th on the way to where the person is going; nothing when it is there.
    pub fn opening(self, person: Person<'_>, step: usize) -> Option<String> {
        let steps = match self {
            Self::Action => action::opening(person, false),
            Self::ActionExt => action::opening(person, true),
            Self::Simple => simple::opening(person),
            Self::Pychat => pychat::opening(person),
            Self::Scrp => scrp::opening(person),
            Self::Floor => Vec::new(),
        };
        steps.into_iter().nth(step)
    }

    /// Whether the person can go on although its `step`th request was refused: the room, or the account, is there already.
    pub fn may_be_refused(self, person: Person<'_>, step: usize, why: &str) -> bool {
        match self {
            Self::Simple => {
                self.opening(person, step).is_some_and(|said| said.contains("create")) && why == "channel_exists"
            }
            Self::Scrp => matches!(why, "400" | "401" | "406"),
            _ => false,
        }
    }

    /// The request that says `text` in `room`.
    pub fn say(self, room: &str, text: &str) -> String {
        match self {
            Self::Action | Self::ActionExt => action::say(room, text),
            Self::Simple => simple::say(room, text),
            Self::Pychat => format!("MESSAGE {text}"),
            Self::Scrp => scrp::say(room, text),
            // As long as what an `action` client hears.
            Self::Floor => {
                format!(r##"{{"action":"GET MESSAGE","room_id":"{room}","author":"n00000000000","text":"{text}"}}"##)
            }
        }
    }

    /// What `frame` means.
    pub fn read(self, frame: &[u8]) -> Result<Meaning> {
        let frame: Value = serde_json::from_slice(frame)?;
        Ok(match self {
            Self::Action | Self::ActionExt | Self::Floor => action::read(&frame),
            Self::Simple => simple::read(&frame),
            Self::Pychat => pychat::read(&frame),
            Self::Scrp => scrp::read(&frame),
        })
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.label())
    }
}

fn text_of(frame: &Value, key: &str) -> String {
    frame[key].as_str().unwrap_or_default().to_owned()
}

/// What was said in the room under `room_key`.
fn said(frame: &Value, room_key: Option<&str>, text_key: &str) -> Meaning {
    Meaning::Said(Said {
        room: room_key.map(|key| text_of(frame, key).trim_start_matches('#').to_owned()),
        stamp: frame[text_key].as_str().and_then(stamp::read),
        position: position(frame),
    })
}

fn position(frame: &Value) -> Option<Position> {
    Some(Position { epoch: frame["epoch"].as_u64()?, offset: frame["offset"].as_u64()? })
}
