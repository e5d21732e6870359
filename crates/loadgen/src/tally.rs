//! What a run has counted.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How often each reason was told.
pub type Reasons = BTreeMap<String, u64>;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tally {
    pub opened: u64,
    pub not_opened: Reasons,
    pub sent: u64,
    pub acknowledged: u64,
    pub refused: Reasons,
    /// Requests whose answer never came.
    pub unanswered: u64,
    /// Messages for whose sending there was nobody, or too much under way.
    pub unsent: u64,
    pub delivered: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub reordered: u64,
    /// Messages in a room where they were not said.
    pub misdirected: u64,
    /// Texts that this run did not write.
    pub strange: u64,
    pub closed: Reasons,
    /// Those among them that did not read, which is a reason to close them.
    pub stalled_closed: u64,
    pub came_again: u64,
    pub delivery: Latency,
    pub answer: Latency,
    /// How much later than intended this program sent.
    pub lateness: Latency,
}

/// A minute, in microseconds; whatever took longer counts as that.
const SLOWEST_US: u64 = 60_000_000;
const DIGITS: u8 = 3;

/// Times in microseconds, to three digits; between processes as pairs of value and count.
#[derive(Debug, Clone)]
pub struct Latency(pub Histogram<u64>);

impl Latency {
    fn new() -> anyhow::Result<Self> {
        Ok(Self(Histogram::new_with_bounds(1, SLOWEST_US, DIGITS)?))
    }

    /// Notes `to_ns - from_ns`.
    pub fn note(&mut self, from_ns: u64, to_ns: u64) {
        self.0.saturating_record((to_ns.saturating_sub(from_ns) / 1_000).clamp(1, SLOWEST_US));
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())))
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut latency = Self::new().map_err(serde::de::Error::custom)?;
        for (value, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            latency.0.saturating_record_n(value, count);
        }
        Ok(latency)
    }
}

impl Tally {
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            opened: 0,
            not_opened: Reasons::new(),
            sent: 0,
            acknowledged: 0,
            refused: Reasons::new(),
            unanswered: 0,
            unsent: 0,
            delivered: 0,
            lost: 0,
            duplicated: 0,
            reordered: 0,
            misdirected: 0,
            strange: 0,
            closed: Reasons::new(),
            stalled_closed: 0,
            came_again: 0,
            delivery: Latency::new()?,
            answer: Latency::new()?,
            lateness: Latency::new()?,
        })
    }

    /// Adds what another process counted.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.opened, other.opened),
            (&mut self.sent, other.sent),
            (&mut self.acknowledged, other.acknowledged),
            (&mut self.unanswered, other.unanswered),
            (&mut self.unsent, other.unsent),
            (&mut self.delivered, other.delivered),
            (&mut self.lost, other.lost),
            (&mut self.duplicated, other.duplicated),
            (&mut self.reordered, other.reordered),
            (&mut self.misdirected, other.misdirected),
            (&mut self.strange, other.strange),
            (&mut self.stalled_closed, other.stalled_closed),
            (&mut self.came_again, other.came_again),
        ];
        pairs.into_iter().for_each(|(sum, more)| *sum += more);
        for (sums, more) in [
            (&mut self.not_opened, &other.not_opened),
            (&mut self.refused, &other.refused),
            (&mut self.closed, &other.closed),
        ] {
            more.iter().for_each(|(reason, count)| *sums.entry(reason.clone()).or_default() += count);
        }
        for (sum, more) in [
            (&mut self.delivery, &other.delivery),
            (&mut self.answer, &other.answer),
            (&mut self.lateness, &other.lateness),
        ] {
            // Fails only for bounds that differ.
            let _ = sum.0.add(&more.0);
        }
    }

    /// Leaves what was broken, and the connections.
    pub fn forget_traffic(&mut self) {
        (self.sent, self.acknowledged, self.delivered, self.unsent) = (0, 0, 0, 0);
        self.refused.clear();
        for histogram in [&mut self.delivery, &mut self.answer, &mut self.lateness] {
            histogram.0.reset();
        }
    }

    /// Promises that were broken, in words; nothing if all were kept.
    pub fn broken(&self) -> Vec<String> {
        let counts = [
            (self.lost, "lost"),
            (self.duplicated, "duplicated"),
            (self.reordered, "reordered"),
            (self.misdirected, "in the wrong room"),
            (self.unanswered, "unanswered"),
            (self.closed.values().sum(), "connections closed by the server"),
            (self.not_opened.values().sum(), "connections not opened"),
        ];
        counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
    }
}

pub fn count(reasons: &mut Reasons, reason: &str) {
    match reasons.get_mut(reason) {
        Some(count) => *count += 1,
        None => {
            reasons.insert(reason.to_owned(), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_survives_the_way_between_processes_and_sums_are_sums() {
        let mut tally = Tally::new().unwrap();
        (tally.sent, tally.lost) = (3, 1);
        count(&mut tally.refused, "no");
        tally.delivery.note(0, 5_000_000);
        tally.delivery.note(7_000, 7_100);
        let there: Tally = serde_json::from_str(&serde_json::to_string(&tally).unwrap()).unwrap();
        tally.add(&there);
        assert_eq!((tally.sent, tally.lost, tally.refused["no"]), (6, 2, 2));
        assert_eq!((tally.delivery.0.len(), tally.delivery.0.min(), tally.delivery.0.max() / 10), (4, 1, 500));
        assert_eq!(tally.broken(), ["2 lost"]);
    }
}
