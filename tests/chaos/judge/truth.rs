//! What the streams hold, and what was asked and answered of each text: the measure of what members saw.

use std::collections::HashMap;

use crate::history::{Op, Outcome, SECOND, Us, What};
use crate::stage::{Record, Window};

/// For so long after it woke a server may take what is lost when it hears that it is replaced.
const SETTLES: Us = 5 * SECOND;

/// A place in the streams that a room had one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    pub era: usize,
    pub offset: u64,
}

/// One request to say something.
#[derive(Debug, Clone)]
pub struct Said<'a> {
    pub who: usize,
    pub room: &'a str,
    pub asked: Us,
    pub answered: Us,
    pub outcome: &'a Outcome,
}

#[derive(Default)]
pub struct Truth<'a> {
    /// Where a text stands in its room's stream; more than once where it was accepted more than once.
    pub spots: HashMap<&'a str, Vec<Spot>>,
    /// A room's texts in their order.
    pub rooms: HashMap<&'a str, Vec<(Spot, &'a str)>>,
    /// Room and era → epoch.
    pub epochs: HashMap<(&'a str, usize), u64>,
    /// Every request for a text; several where it was tried again under its key.
    pub said: HashMap<&'a str, Vec<Said<'a>>>,
}

impl<'a> Truth<'a> {
    pub fn of(record: &'a Record) -> Self {
        let mut truth = Self::default();
        for (room, events) in &record.streams {
            for event in events {
                truth.epochs.insert((room, event.era), event.epoch);
                let Some(text) = event.text.as_deref().filter(|_| event.kind == "m") else { continue };
                let spot = Spot { era: event.era, offset: event.offset };
                truth.spots.entry(text).or_default().push(spot);
                truth.rooms.entry(room).or_default().push((spot, text));
            }
        }
        for exchange in exchanges(record) {
            if let Op::Send { room, text, .. } = exchange.op {
                let Exchange { who, asked, answered, outcome, .. } = exchange;
                truth.said.entry(text).or_default().push(Said { who, room, asked, answered, outcome });
            }
        }
        truth
    }

    pub fn spot(&self, text: &str) -> Option<Spot> {
        self.spots.get(text)?.first().copied()
    }

    /// When the text was said first.
    pub fn asked(&self, text: &str) -> Option<Us> {
        self.said.get(text)?.iter().map(|said| said.asked).min()
    }

    /// Whether another server went on without it, and the room has another epoch since.
    pub fn is_told_lost(&self, record: &Record, said: &Said) -> bool {
        went_with_a_server(record, said.room, said.asked, said.answered)
    }

    /// When it was acknowledged, if it was.
    pub fn acknowledged(&self, text: &str) -> Option<Us> {
        let done = self.said.get(text)?.iter().filter(|said| said.outcome.is_done());
        done.map(|said| said.answered).min()
    }
}

/// Whether what was done in a room in between may have gone with a server in whose place another is, since when the room has another epoch.
pub fn went_with_a_server(record: &Record, room: &str, asked: Us, answered: Us) -> bool {
    let took_over = |window: &&Window| {
        window.fault.may_lose() && window.from <= answered + SECOND && asked <= window.until + SETTLES
    };
    let Some(window) = record.windows.iter().find(took_over) else { return false };
    let mut events = record.streams.get(room).into_iter().flatten();
    let began = record.began_unix_us + window.from;
    events.any(|event| event.era > 0 && event.time_us > began)
}

/// A request and its answer.
pub struct Exchange<'a> {
    pub who: usize,
    pub link: u32,
    pub op: &'a Op,
    pub asked: Us,
    pub answered: Us,
    pub outcome: &'a Outcome,
}

/// On each connection one request is answered before the next.
pub fn exchanges(record: &Record) -> Vec<Exchange<'_>> {
    let mut open: HashMap<u32, (&Op, Us)> = HashMap::new();
    let mut exchanges = Vec::new();
    for entry in &record.entries {
        match &entry.what {
            What::Asked(op) => {
                open.insert(entry.link, (op, entry.at));
            }
            What::Answered(outcome) => {
                if let Some((op, asked)) = open.remove(&entry.link) {
                    let (who, link, answered) = (entry.who, entry.link, entry.at);
                    exchanges.push(Exchange { who, link, op, asked, answered, outcome });
                }
            }
            _ => {}
        }
    }
    exchanges
}
