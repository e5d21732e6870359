//! What is measured of the nodes while a run goes on: readiness, memory, queues.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;

use crate::history::{Recorder, Us};
use crate::support::http;

const LOOK_EVERY: Duration = Duration::from_millis(150);
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Of these the largest sum of all samples of one node is kept.
const GAUGES: [&str; 4] =
    ["crosstalk_mailbox_bytes", "crosstalk_bus_queue_bytes", "crosstalk_debts", "process_resident_memory_bytes"];
/// Of these the sum over all processes.
const COUNTERS: [&str; 9] = [
    "crosstalk_gaps_total",
    "crosstalk_duplicates_total",
    "crosstalk_bus_rebuilds_total",
    "crosstalk_bus_dropped_total",
    "crosstalk_undecodable_total",
    "crosstalk_sweeps_total",
    "crosstalk_swept_names_total",
    "crosstalk_swept_memberships_total",
    "crosstalk_publishes_total",
];

/// A node's readiness as it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Change {
    pub at: Us,
    pub node: usize,
    pub is_ready: bool,
    /// How often its process has built its subscription connection again.
    pub rebuilt: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct Watched {
    pub readiness: Vec<Change>,
    /// Gauge → the largest that any node showed.
    pub largest: BTreeMap<String, f64>,
    /// Gauge → the last of each node.
    pub last: BTreeMap<String, Vec<f64>>,
    /// Memory of the nodes together, over time: seconds and bytes.
    pub memory: Vec<(u64, u64)>,
    /// Counter → the newest of each process, by its admin address.
    #[serde(skip)]
    counters: BTreeMap<(String, String), f64>,
}

impl Watched {
    pub fn counted(&self) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for ((name, _), value) in &self.counters {
            *sums.entry(name.clone()).or_default() += value;
        }
        sums
    }

    fn newest(&self, node: usize) -> Option<(bool, u64)> {
        self.readiness.iter().rfind(|change| change.node == node).map(|change| (change.is_ready, change.rebuilt))
    }
}

pub struct Watch {
    watched: Arc<Mutex<Watched>>,
    admins: Arc<Mutex<Vec<Option<std::net::SocketAddr>>>>,
    is_over: Arc<AtomicBool>,
}

impl Watch {
    pub fn begin(nodes: usize, history: &Recorder) -> Self {
        let watch =
            Self { watched: Arc::default(), admins: Arc::new(Mutex::new(vec![None; nodes])), is_over: Arc::default() };
        for node in 0..nodes {
            let (watched, admins, is_over) = (watch.watched.clone(), watch.admins.clone(), watch.is_over.clone());
            tokio::spawn(look_on(node, watched, admins, is_over, history.clone()));
        }
        watch
    }

    /// Where a node tells of itself; nothing while it is down.
    pub fn at(&self, node: usize, admin: Option<std::net::SocketAddr>) {
        self.admins.lock().unwrap()[node] = admin;
    }

    pub fn watched(&self) -> Watched {
        self.watched.lock().unwrap().clone()
    }

    pub fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

async fn look_on(
    node: usize,
    watched: Arc<Mutex<Watched>>,
    admins: Arc<Mutex<Vec<Option<std::net::SocketAddr>>>>,
    is_over: Arc<AtomicBool>,
    history: Recorder,
) {
    while !is_over.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK_EVERY).await;
        let admin = admins.lock().unwrap()[node];
        let Some(admin) = admin else { continue };
        let ready = tokio::time::timeout(ANSWER_WITHIN, http::get(admin, "/readyz")).await;
        // Who does not answer at all is no witness.
        let Ok(Ok(ready)) = ready else { continue };
        let is_ready = ready.status == 200;
        let page = tokio::time::timeout(ANSWER_WITHIN, http::get(admin, "/metrics")).await;
        let Ok(Ok(page)) = page else { continue };
        let rebuilt = sum(&page.body, "crosstalk_bus_rebuilds_total") as u64;
        let mut watched = watched.lock().unwrap();
        if watched.newest(node) != Some((is_ready, rebuilt)) {
            watched.readiness.push(Change { at: history.now(), node, is_ready, rebuilt });
        }
        watched.take(node, &admin.to_string(), &page.body, history.now());
    }
}

impl Watched {
    fn take(&mut self, node: usize, process: &str, page: &str, at: Us) {
        for name in GAUGES {
            let value = sum(page, name);
            let largest = self.largest.entry(name.to_owned()).or_default();
            *largest = largest.max(value);
            let last = self.last.entry(name.to_owned()).or_default();
            last.resize(last.len().max(node + 1), 0.0);
            last[node] = value;
        }
        for name in COUNTERS {
            self.counters.insert((name.to_owned(), process.to_owned()), sum(page, name));
        }
        let slow_readers = sum(page, "crosstalk_closes_total{reason=\"slow_reader\"}");
        self.counters.insert(("closed as slow readers".to_owned(), process.to_owned()), slow_readers);
        if node == 0 {
            let memory: f64 = self.last["process_resident_memory_bytes"].iter().sum();
            let second = at / crate::history::SECOND;
            if self.memory.last().is_none_or(|(last, _)| last + 10 <= second) {
                self.memory.push((second, memory as u64));
            }
        }
    }
}

/// The sum of a metric's samples, or the one sample where its labels are named.
fn sum(page: &str, name: &str) -> f64 {
    let samples = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = if rest.starts_with('{') { rest.split_once('}')?.1 } else { rest };
        value.strip_prefix(' ')?.trim().parse::<f64>().ok()
    });
    samples.sum()
}
