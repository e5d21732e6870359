//! The promises, judged over what a run left behind. Pure: each judge has a history that must fail and one that must pass.

pub mod announcements;
pub mod gaps;
pub mod health;
pub mod kept;
pub mod names;
pub mod numbers;
pub mod order;
pub mod readers;
mod returns;
pub mod rosters;
mod stays;
mod truth;

pub use truth::exchanges;

#[cfg(test)]
mod made;

use std::fmt;

use serde::Serialize;

use crate::stage::Record;

/// A promise that was broken, and how it shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub judge: &'static str,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.judge, self.what)
    }
}

/// All that was broken in a run.
pub fn all(record: &Record) -> Vec<Violation> {
    [
        names::judge(record),
        order::judge(record),
        kept::judge(record),
        gaps::judge(record),
        announcements::judge(record),
        returns::judge(record),
        readers::judge(record),
        rosters::judge(record),
        health::judge(record),
        numbers::judge(record),
    ]
    .concat()
}

fn violations(judge: &'static str, found: impl IntoIterator<Item = String>) -> Vec<Violation> {
    found.into_iter().map(|what| Violation { judge, what }).collect()
}
