//! The checker: people of all dialects on three nodes, things that go wrong, and the promises judged over what was seen.
//!
//! A run is named by its seed. What it saw lies in `target/tmp/chaos/<seed>` afterwards, with a report.

// The server's rules against the ambient clock and against panics are not meant for tests, where a panic is the verdict.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod broker;
mod faults;
mod history;
mod judge;
mod line;
mod person;
#[cfg(feature = "planted-bugs")]
mod planted;
mod proxy;
mod report;
mod stage;
mod talk;
mod tap;
mod watch;
mod world;

#[path = "../suite/support/mod.rs"]
#[expect(dead_code, reason = "shared with the suite, which uses all of it")]
mod support;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use broker::Make;
use faults::Fault;
use report::Report;
use stage::Script;

/// One run, reported; what was broken is for the caller to judge.
async fn played(script: Script, name: &str, command: &str) -> Report {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("chaos").join(script.make.name()).join(name);
    // What an earlier run of the same name left.
    let _ = std::fs::remove_dir_all(&folder);
    println!("seed {}; the history goes to {}", script.seed, folder.display());
    let record = stage::run(script.clone(), &folder).await;
    let report = Report::of(&script, &record, command);
    report.write(&folder);
    println!("{}", report.text());
    report
}

fn clean(report: &Report) {
    assert!(report.violations.is_empty(), "seed {}: promises were broken, see above", report.seed);
}

/// How long lost sessions are held, in seconds: less than by default, so that everything comes to rest soon.
const RESUME_S: u64 = 6;

/// `CHAOS_REDIS` says on which servers the runs are played.
fn make() -> Make {
    let Ok(wanted) = std::env::var("CHAOS_REDIS") else { return Make::Redis7 };
    let make = Make::ALL.into_iter().find(|(name, _)| *name == wanted);
    make.unwrap_or_else(|| panic!("CHAOS_REDIS may be one of {:?}", Make::ALL.map(|(name, _)| name))).1
}

fn script(seed: u64, faults: Vec<Fault>) -> Script {
    Script {
        seed,
        make: make(),
        faults,
        people: 24,
        pace_ms: 250,
        quiet_ms: 3_000,
        rest_ms: None,
        settle_ms: 45_000,
        settings: vec![("session.resume_s".to_owned(), RESUME_S.to_string())],
        planted: None,
    }
}

/// The kinds of faults are spread over three runs, so that each comes once.
async fn a_third(seed: u64, part: usize) {
    let faults: Vec<Fault> =
        faults::endless(seed, stage::NODES, make()).skip(part * 7).take(if part == 2 { 6 } else { 7 }).collect();
    let command = "cargo test --test chaos";
    clean(&played(script(seed, faults), &format!("{seed}-{part}"), command).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_third_of_all_faults() {
    a_third(1, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_third_of_all_faults() {
    a_third(1, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_third_of_all_faults() {
    a_third(1, 2).await;
}

/// So many faults go into one round of the long run: three times each kind, which takes some nine minutes.
const FAULTS_A_ROUND: usize = 60;

/// Rounds of all faults until the time is over, each under a seed of its own. `CHAOS_MINUTES` says how long, `CHAOS_SEEDS` where
/// the seeds begin (`1,2,3`): so many runs are played side by side.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes an hour"]
async fn long() {
    let set = |name: &str| std::env::var(name).ok();
    let minutes = set("CHAOS_MINUTES").and_then(|value| value.parse::<u64>().ok()).unwrap_or(60);
    let seeds = set("CHAOS_SEEDS").unwrap_or_else(|| std::process::id().to_string());
    let command = format!(
        "CHAOS_REDIS={} CHAOS_MINUTES={minutes} CHAOS_SEEDS={seeds} cargo test --release --test chaos long -- --ignored --nocapture",
        make().name()
    );
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let mut runs = tokio::task::JoinSet::new();
    for seed in seeds.split(',') {
        let seed = seed.trim().parse().expect("a seed is a number");
        let command = command.clone();
        // Each on a thread of its own: starting and stopping servers blocks.
        let handle = tokio::runtime::Handle::current();
        runs.spawn_blocking(move || handle.block_on(rounds(seed, command, end)));
    }
    let mut reports = runs.join_all().await.concat();
    reports.sort_by_key(|report| report.seed);
    let total = Report::total(&reports);
    total.write(&PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("chaos"));
    println!("{} rounds together:\n{}", reports.len(), total.text());
    clean(&total);
}

/// Between the seeds of the rounds of one run, so that runs side by side have none in common.
const NEXT_SEED: u64 = 1_000;

async fn rounds(first: u64, command: String, end: Instant) -> Vec<Report> {
    let mut reports = Vec::new();
    while reports.is_empty() || Instant::now() < end {
        let seed = first + NEXT_SEED * reports.len() as u64;
        let faults = faults::endless(seed, stage::NODES, make()).take(FAULTS_A_ROUND).collect();
        reports.push(played(script(seed, faults), &format!("long-{seed}"), &command).await);
    }
    reports
}
