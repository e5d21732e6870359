//! One measured run: open, warm up, talk, count.

use std::collections::BTreeMap;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::cli::Order;
use crate::clock;
use crate::crew::{Crew, Step};
use crate::plan::Plan;
use crate::tally::Reasons;
use crate::usage::{Usage, Watched};

/// A figure for each watched process.
pub type PerProcess = BTreeMap<String, f64>;

/// What a run found. Times are CPU times unless their name says otherwise.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    pub connections: u64,
    pub open_seconds: f64,
    pub open_us_per_connection: PerProcess,
    pub resident_bytes_per_connection: PerProcess,
    pub resident_mib: PerProcess,
    pub talk_seconds: f64,
    pub busy_percent: PerProcess,
    /// Nothing where nothing was delivered.
    pub us_per_delivery: PerProcess,
    pub sent: u64,
    pub acknowledged: u64,
    pub refused: Reasons,
    pub unanswered: u64,
    pub unsent: u64,
    pub delivered: u64,
    pub deliveries_per_second: f64,
    pub lost: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub misdirected: u64,
    pub strange: u64,
    pub not_opened: Reasons,
    pub closed: Reasons,
    pub stalled_closed: u64,
    pub came_again: u64,
    /// From the intended time of sending to each reception.
    pub delivery_ms: Quantiles,
    /// From sending to the answer.
    pub answer_ms: Quantiles,
    /// How late this program itself was.
    pub lateness_ms: Quantiles,
    pub broken: Vec<String>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Quantiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Quantiles {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: histogram.max() as f64 / 1_000.0 }
    }
}

/// How long each part takes, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub warm_up: f64,
    pub talk: f64,
}

/// Runs `plan` and takes what `watched` used meanwhile. `progress` is told what is being done, and how far it is, from 0 to 1.
pub fn measure(
    order: &Order,
    plan: Plan,
    watched: &[Watched],
    progress: &mut dyn FnMut(&str, f64),
) -> Result<Measured> {
    let (times, processes) = (order.times, order.processes);
    let before = usages(watched)?;
    let mut crew = Crew::gather(plan, processes)?;
    let open_ns = timed(|| crew.go(Step::Open, &mut |share| progress("connecting", share)))?;
    crew.go(Step::Settle, &mut |_| {})?;
    let opened = usages(watched)?;
    if times.warm_up > 0.0 {
        crew.go(Step::Talk { seconds: times.warm_up }, &mut |share| progress("warming up", share))?;
    }
    crew.go(Step::Count, &mut |_| {})?;
    let start = usages(watched)?;
    let talk_ns = timed(|| match times.talk {
        0.0 => Ok(()),
        seconds => crew.go(Step::Talk { seconds }, &mut |share| progress("measuring", share)),
    })?;
    let end = usages(watched)?;
    let tally = crew.finish()?;
    let broken = tally.broken();
    let connections = tally.opened.max(1) as f64;
    let deliveries = tally.delivered as f64;
    let cpu = |from: &[Usage], to: &[Usage], scale: f64| {
        per_process(watched, from.iter().zip(to).map(|(from, to)| (to.cpu_seconds - from.cpu_seconds) * scale))
    };
    let grown = before
        .iter()
        .zip(&opened)
        .map(|(before, after)| (after.resident_bytes as f64 - before.resident_bytes as f64) / connections);
    let talk_seconds = clock::seconds(talk_ns);
    Ok(Measured {
        connections: tally.opened,
        open_seconds: clock::seconds(open_ns),
        open_us_per_connection: cpu(&before, &opened, 1e6 / connections),
        resident_bytes_per_connection: per_process(watched, grown),
        resident_mib: per_process(watched, end.iter().map(|usage| usage.resident_bytes as f64 / f64::from(1 << 20))),
        talk_seconds,
        busy_percent: if times.talk > 0.0 { cpu(&start, &end, 100.0 / talk_seconds) } else { PerProcess::new() },
        us_per_delivery: if deliveries > 0.0 { cpu(&start, &end, 1e6 / deliveries) } else { PerProcess::new() },
        sent: tally.sent,
        acknowledged: tally.acknowledged,
        refused: tally.refused,
        unanswered: tally.unanswered,
        unsent: tally.unsent,
        delivered: tally.delivered,
        deliveries_per_second: deliveries / talk_seconds,
        lost: tally.lost,
        duplicated: tally.duplicated,
        reordered: tally.reordered,
        misdirected: tally.misdirected,
        strange: tally.strange,
        not_opened: tally.not_opened,
        closed: tally.closed,
        stalled_closed: tally.stalled_closed,
        came_again: tally.came_again,
        delivery_ms: Quantiles::of(&tally.delivery.0),
        answer_ms: Quantiles::of(&tally.answer.0),
        lateness_ms: Quantiles::of(&tally.lateness.0),
        broken,
    })
}

fn timed(act: impl FnOnce() -> Result<()>) -> Result<u64> {
    let start = clock::now();
    act()?;
    Ok(clock::now() - start)
}

fn usages(watched: &[Watched]) -> Result<Vec<Usage>> {
    watched.iter().map(Watched::usage).collect()
}

/// Processes of one name are taken together.
fn per_process(watched: &[Watched], figures: impl Iterator<Item = f64>) -> PerProcess {
    let mut sums = PerProcess::new();
    for (watched, figure) in watched.iter().zip(figures) {
        *sums.entry(watched.name.clone()).or_default() += figure;
    }
    sums
}
