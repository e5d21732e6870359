//! What a run showed, for people and for machines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::history::{Op, What};
use crate::judge::numbers::{Numbers, Row, numbers};
use crate::judge::{self, Violation};
use crate::stage::{Record, Script};

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub seed: u64,
    pub command: String,
    pub planted: Option<String>,
    pub seconds: u64,
    pub people: usize,
    pub connections: usize,
    pub sends: usize,
    pub acknowledged: usize,
    pub unknown: usize,
    pub deliveries: usize,
    pub numbers: Numbers,
    /// Of the nodes' own counters, over all processes.
    pub counted: BTreeMap<String, f64>,
    /// The largest that any node showed.
    pub largest: BTreeMap<String, f64>,
    /// All nodes together: seconds and bytes.
    pub memory: Vec<(u64, u64)>,
    pub violations: Vec<Violation>,
}

impl Report {
    pub fn of(script: &Script, record: &Record, command: &str) -> Self {
        let count = |wanted: fn(&What) -> bool| record.entries.iter().filter(|entry| wanted(&entry.what)).count();
        let (mut sends, mut acknowledged, mut unknown) = (0, 0, 0);
        for exchange in judge::exchanges(record).iter().filter(|one| matches!(one.op, Op::Send { .. })) {
            sends += 1;
            acknowledged += usize::from(exchange.outcome.is_done());
            unknown += usize::from(matches!(exchange.outcome, crate::history::Outcome::Unknown(_)));
        }
        Self {
            seed: script.seed,
            command: command.to_owned(),
            planted: script.planted.clone(),
            seconds: record.entries.last().map_or(0, |last| last.at / crate::history::SECOND),
            people: script.people,
            connections: count(|what| matches!(what, What::Began { .. })),
            sends,
            acknowledged,
            unknown,
            deliveries: count(|what| matches!(what, What::Heard { .. })),
            numbers: numbers(record),
            counted: record.watched.counted(),
            largest: record.watched.largest.clone(),
            memory: record.watched.memory.clone(),
            violations: judge::all(record),
        }
    }

    /// All rounds of a long run in one; the first one's seed.
    ///
    /// # Panics
    /// Without a round.
    pub fn total(rounds: &[Self]) -> Self {
        let (first, rest) = rounds.split_first().expect("there was a round");
        let mut total = first.clone();
        for round in rest {
            total.seconds += round.seconds;
            total.connections += round.connections;
            total.sends += round.sends;
            total.acknowledged += round.acknowledged;
            total.unknown += round.unknown;
            total.deliveries += round.deliveries;
            total.numbers.add(&round.numbers);
            total.violations.extend(round.violations.iter().cloned());
            for (name, count) in &round.counted {
                *total.counted.entry(name.clone()).or_default() += count;
            }
            for (name, value) in &round.largest {
                let largest = total.largest.entry(name.clone()).or_default();
                *largest = largest.max(*value);
            }
            // Each round has nodes of its own; the last one's growth is as good as any.
            total.memory.clone_from(&round.memory);
        }
        total
    }

    pub fn write(&self, folder: &Path) {
        let json = serde_json::to_string_pretty(self).expect("a report can be written");
        std::fs::write(folder.join("report.json"), json).expect("a report can be written");
        std::fs::write(folder.join("report.txt"), self.text()).expect("a report can be written");
    }

    pub fn text(&self) -> String {
        let mut text = format!("seed {} ({})\n", self.seed, self.command);
        if let Some(planted) = &self.planted {
            let _ = writeln!(text, "planted: {planted}");
        }
        let Self { seconds, people, connections, sends, acknowledged, unknown, deliveries, .. } = self;
        let _ = writeln!(
            text,
            "{seconds} s, {people} people, {connections} connections; {sends} sends, {acknowledged} acknowledged, \
             {unknown} of unknown outcome; {deliveries} deliveries"
        );
        text += &table(&self.numbers);
        let counted = |name: &str| self.counted.get(name).copied().unwrap_or_default();
        let silent = self.violations.iter().filter(|violation| violation.judge == "gaps").count();
        let gaps = counted("crosstalk_gaps_total");
        let told: usize = self.numbers.rows.values().map(|row| row.gaps_told).sum();
        let real = self.numbers.gaps_real;
        let _ = writeln!(
            text,
            "gaps: {gaps} counted by nodes, {told} told to clients, {real} stays missed something they were told, {silent} silent"
        );
        let largest = |gauge: &str| self.largest.get(gauge).copied().unwrap_or_default();
        let (first, last) = (self.memory.first(), self.memory.last());
        let mib = |bytes: u64| bytes / (1024 * 1024);
        let _ = writeln!(
            text,
            "memory: the largest node {} MiB; all nodes {} MiB at first, {} at last; mailboxes {} bytes, queue {} bytes",
            mib(largest("process_resident_memory_bytes") as u64),
            mib(first.map_or(0, |first| first.1)),
            mib(last.map_or(0, |last| last.1)),
            largest("crosstalk_mailbox_bytes"),
            largest("crosstalk_bus_queue_bytes"),
        );
        let counters: Vec<String> = self.counted.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let _ = writeln!(text, "counted: {}", counters.join(", "));
        if self.violations.is_empty() {
            text += "nothing was broken\n";
        }
        for violation in &self.violations {
            let _ = writeln!(text, "BROKEN {violation}");
        }
        text
    }
}

/// A line for each kind of fault.
fn table(numbers: &Numbers) -> String {
    let heads = ["ghosts ms", "not ready ms", "heard again ms", "first send ms"];
    let mut text = format!("{:<42}{:>6}", "fault (median, largest)", "times");
    heads.iter().for_each(|head| text += &format!("{head:>16}"));
    text += "  gaps told  resumed  not  slow closed\n";
    for (label, row) in &numbers.rows {
        let _ = write!(text, "{label:<42}{:>6}", row.times);
        for times in [&row.ghosts, &row.deaf, &row.hearing, &row.recovery] {
            let _ = write!(text, "{:>16}", spread(times));
        }
        let Row { gaps_told, resumed, not_resumed, closed, .. } = row;
        let _ = writeln!(text, "{gaps_told:>11}{resumed:>9}{not_resumed:>5}{closed:>13}");
    }
    text
}

/// The median and the largest.
fn spread(times: &[u64]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    match sorted.last() {
        None => "-".to_owned(),
        Some(largest) => format!("{} {largest}", sorted[sorted.len() / 2]),
    }
}
