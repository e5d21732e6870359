//! What a person, and what a program is told at the end.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::measure::{Measured, PerProcess, Quantiles};
use crate::tally::Reasons;

#[derive(Debug, Serialize)]
pub struct Report {
    /// What was done, in words.
    pub what: String,
    pub rounds: Vec<Round>,
    /// Medians over the rounds of what all watched processes used, over what the floor used.
    pub multiples: Option<Multiples>,
}

/// Server and floor, one right after the other.
#[derive(Debug, Serialize)]
pub struct Round {
    pub server: Measured,
    pub floor: Option<Measured>,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Multiples {
    pub server_cpu_per_delivery: Option<f64>,
    pub all_cpu_per_delivery: Option<f64>,
    pub server_cpu_per_connection: Option<f64>,
    pub all_cpu_per_connection: Option<f64>,
}

/// The process that is looked at first; others, like a broker, are added to it.
pub const SERVER: &str = "server";
pub const FLOOR: &str = "floor";

impl Report {
    pub fn new(what: String, rounds: Vec<Round>) -> Self {
        let multiple = |figures: fn(&Measured) -> &PerProcess, only: Option<&str>| {
            let ratios = rounds.iter().filter_map(|round| {
                let server = figures(&round.server);
                let ours = only.map_or_else(|| Some(server.values().sum()), |only| server.get(only).copied())?;
                let floor = *figures(round.floor.as_ref()?).get(FLOOR).filter(|&&floor| floor > 0.0)?;
                (!server.is_empty()).then_some(ours / floor)
            });
            median(ratios.collect())
        };
        let multiples = rounds.iter().any(|round| round.floor.is_some()).then(|| Multiples {
            server_cpu_per_delivery: multiple(|measured| &measured.us_per_delivery, Some(SERVER)),
            all_cpu_per_delivery: multiple(|measured| &measured.us_per_delivery, None),
            server_cpu_per_connection: multiple(|measured| &measured.open_us_per_connection, Some(SERVER)),
            all_cpu_per_connection: multiple(|measured| &measured.open_us_per_connection, None),
        });
        Self { what, rounds, multiples }
    }

    /// Promises that the server broke in any round.
    pub fn broken(&self) -> Vec<&str> {
        self.rounds.iter().flat_map(|round| &round.server.broken).map(String::as_str).collect()
    }
}

pub fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = *figures.get(middle)?;
    Some(if figures.len().is_multiple_of(2) { (figures[middle - 1] + upper) / 2.0 } else { upper })
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.what)?;
        for (number, round) in (1..).zip(&self.rounds) {
            for (side, measured) in [(SERVER, Some(&round.server)), (FLOOR, round.floor.as_ref())] {
                if let Some(measured) = measured {
                    writeln!(formatter, "\nround {number}, {side}")?;
                    formatter.write_str(&lines_of(measured))?;
                }
            }
        }
        if let Some(multiples) = self.multiples {
            writeln!(formatter, "\nmultiples of the floor (medians of {} rounds)", self.rounds.len())?;
            line(
                formatter,
                "CPU per delivery",
                &both(multiples.server_cpu_per_delivery, multiples.all_cpu_per_delivery),
            )?;
            line(
                formatter,
                "CPU per connection",
                &both(multiples.server_cpu_per_connection, multiples.all_cpu_per_connection),
            )?;
        }
        let broken = self.broken();
        let verdict = if broken.is_empty() {
            "every promise was kept".to_owned()
        } else {
            format!("BROKEN: {}", broken.join(", "))
        };
        writeln!(formatter, "\n{verdict}")
    }
}

fn both(server: Option<f64>, all: Option<f64>) -> String {
    let figure = |figure: Option<f64>| figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.3} ×"));
    format!("server {}, with all that is watched {}", figure(server), figure(all))
}

fn line(out: &mut impl Write, name: &str, value: &str) -> fmt::Result {
    if value.is_empty() { Ok(()) } else { writeln!(out, "  {name:<24}{value}") }
}

fn lines_of(measured: &Measured) -> String {
    let mut out = String::new();
    let mut put = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = line(&mut out, name, &value);
    };
    put("connections", format!("{} in {:.2} s", measured.connections, measured.open_seconds));
    put("CPU per connection", each(&measured.open_us_per_connection, 1, "µs"));
    let kib =
        measured.resident_bytes_per_connection.iter().map(|(name, bytes)| (name.clone(), bytes / 1024.0)).collect();
    put("memory per connection", each(&kib, 2, "KiB"));
    put("memory at the end", each(&measured.resident_mib, 1, "MiB"));
    put("CPU while measuring", each(&measured.busy_percent, 2, "%"));
    if measured.sent > 0 {
        put("CPU per delivery", each(&measured.us_per_delivery, 3, "µs"));
        put(
            "deliveries",
            format!(
                "{} in {:.2} s, {:.0} per second",
                measured.delivered, measured.talk_seconds, measured.deliveries_per_second
            ),
        );
        put("messages", format!("{} sent, {} acknowledged", measured.sent, measured.acknowledged));
        put("delivered after", quantiles(&measured.delivery_ms));
        put("answered after", quantiles(&measured.answer_ms));
        if measured.lateness_ms.max > 0.0 {
            put("sent late by", quantiles(&measured.lateness_ms));
        }
    }
    put("refused", reasons(&measured.refused));
    put("closed", reasons(&measured.closed));
    put("not opened", reasons(&measured.not_opened));
    let counts = [
        ("lost", measured.lost),
        ("duplicated", measured.duplicated),
        ("reordered", measured.reordered),
        ("in the wrong room", measured.misdirected),
        ("unanswered", measured.unanswered),
        ("not sent", measured.unsent),
        ("texts of strangers", measured.strange),
        ("stalled, then closed", measured.stalled_closed),
        ("went and came again", measured.came_again),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        put(name, count.to_string());
    }
    out
}

fn each(figures: &PerProcess, digits: usize, unit: &str) -> String {
    let parts: Vec<String> = figures.iter().map(|(name, figure)| format!("{name} {figure:.digits$} {unit}")).collect();
    parts.join(", ")
}

fn reasons(reasons: &Reasons) -> String {
    let parts: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} × {reason}")).collect();
    parts.join("; ")
}

fn quantiles(ms: &Quantiles) -> String {
    format!("p50 {:.3}, p90 {:.3}, p99 {:.3}, p99.9 {:.3}, max {:.3} ms", ms.p50, ms.p90, ms.p99, ms.p999, ms.max)
}
