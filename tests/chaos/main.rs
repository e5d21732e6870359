//! The checker: people of all dialects on three nodes, things that go wrong, and the promises judged over what was seen.
//!
//! A run is named by its seed. What it saw lies in `target/tmp/chaos/<seed>` afterwards, with a report.

// The server's rules against the ambient clock and against panics are not meant for tests, where a panic is the verdict.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

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

use faults::Fault;
use report::Report;
use stage::Script;

/// One run, reported; what was broken is for the caller to judge.
async fn played(script: Script, name: &str, command: &str) -> Report {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("chaos").join(name);
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

fn script(seed: u64, faults: Vec<Fault>) -> Script {
    Script {
        seed,
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
        faults::endless(seed, stage::NODES).skip(part * 7).take(if part == 2 { 5 } else { 7 }).collect();
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
const FAULTS_A_ROUND: usize = 57;

/// Rounds of all faults until the time is over, each under a seed of its own. `CHAOS_MINUTES` says how long, `CHAOS_SEED` where
/// the seeds begin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes an hour"]
async fn long() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let minutes = number("CHAOS_MINUTES").unwrap_or(60);
    let seed = number("CHAOS_SEED").unwrap_or_else(|| u64::from(std::process::id()) * 1_000);
    let command = format!(
        "CHAOS_MINUTES={minutes} CHAOS_SEED={seed} cargo test --release --test chaos long -- --ignored --nocapture"
    );
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let mut reports = Vec::new();
    while reports.is_empty() || Instant::now() < end {
        let seed = seed + reports.len() as u64;
        let faults = faults::endless(seed, stage::NODES).take(FAULTS_A_ROUND).collect();
        reports.push(played(script(seed, faults), &format!("long-{seed}"), &command).await);
    }
    let total = Report::total(&reports);
    total.write(&PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("chaos"));
    println!("{} rounds together:\n{}", reports.len(), total.text());
    clean(&total);
}
