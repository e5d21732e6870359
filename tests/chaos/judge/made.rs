//! Histories made by hand, for the judges' own tests.

use crate::history::{Entry, Kind, Op, Outcome, SECOND, Us, What};
use crate::stage::Record;
use crate::support::dialect::Dialect;
use crate::tap::Kept;
use crate::world::Belief;

/// A record that is written line by line. Client 0 and 1 speak `action`, 2 `scrp`; each has one connection, with its number.
#[derive(Default)]
pub struct Made {
    record: Record,
    at: Us,
}

impl Made {
    pub fn new() -> Self {
        let kinds = [
            Kind::of(Dialect::Action, None),
            Kind::of(Dialect::Action, None),
            Kind::of(Dialect::Scrp, Some("SCRP2".to_owned())),
        ];
        let began = What::Began { node: 0 };
        let mut made = Self::default();
        made.record.beliefs = vec![Belief { is_done: true, ..Belief::default() }; kinds.len()];
        made.record.kinds = kinds.to_vec();
        made.record.lease_ms = 10_000;
        made.record.resume_ms = 30_000;
        (0..3).fold(made, |made, who| made.saw(who, began.clone()))
    }

    /// A second later.
    pub fn saw(mut self, who: usize, what: What) -> Self {
        self.at += SECOND;
        self.record.entries.push(Entry { at: self.at, who, link: who as u32, what });
        self
    }

    pub fn now(&self) -> Us {
        self.at
    }

    pub fn does(self, who: usize, op: Op, outcome: Outcome) -> Self {
        self.saw(who, What::Asked(op)).saw(who, What::Answered(outcome))
    }

    pub fn login(self, who: usize, name: &str) -> Self {
        self.does(who, Op::Login { name: name.to_owned() }, Outcome::done())
    }

    pub fn joins(self, who: usize) -> Self {
        self.does(who, Op::Join { room: "red".to_owned(), since: None }, Outcome::done())
    }

    pub fn leaves(self, who: usize) -> Self {
        self.does(who, Op::Leave { room: "red".to_owned() }, Outcome::done())
    }

    pub fn says(self, who: usize, text: &str) -> Self {
        self.tries_to_say(who, text, Outcome::done())
    }

    pub fn tries_to_say(self, who: usize, text: &str, outcome: Outcome) -> Self {
        self.does(who, Op::Send { room: "red".to_owned(), text: text.to_owned(), key: None }, outcome)
    }

    pub fn hears(self, who: usize, texts: &[&str]) -> Self {
        let heard = |text: &str| What::Heard { room: "red".to_owned(), text: text.to_owned(), place: None };
        texts.iter().fold(self, |made, text| made.saw(who, heard(text)))
    }

    pub fn ends(self, who: usize) -> Self {
        self.saw(who, What::Ended { why: "closed".to_owned() })
    }

    /// What comes next in the room's stream of this era.
    pub fn kept(mut self, era: usize, kind: &str, session: &str, text: Option<&str>) -> Self {
        let stream = self.record.streams.entry("red".to_owned()).or_default();
        let offset = 1 + stream.iter().filter(|kept| kept.era == era).count() as u64;
        stream.push(Kept {
            era,
            epoch: 100 + era as u64,
            offset,
            time_us: self.at,
            kind: kind.to_owned(),
            session: session.to_owned(),
            name: Some(format!("name of {session}")),
            text: text.map(str::to_owned),
        });
        self
    }

    pub fn texts(self, era: usize, texts: &[&str]) -> Self {
        texts.iter().fold(self, |made, text| made.kept(era, "m", "s", Some(text)))
    }

    pub fn with(mut self, change: impl FnOnce(&mut Record)) -> Self {
        change(&mut self.record);
        self
    }

    pub fn record(self) -> Record {
        self.record
    }
}
