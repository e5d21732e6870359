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

fn script(seed: u64, faults: Vec<Fault>) -> Script {
    Script {
        seed,
        faults,
        people: 24,
        pace_ms: 250,
        quiet_ms: 3_000,
        rest_ms: None,
        settings: Vec::new(),
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
