//! The checker checked: it finds each of six bugs that are planted on purpose, and nothing where there is none.

use std::collections::BTreeSet;

use crate::broker::Make;
use crate::faults::Fault;
use crate::played;
use crate::stage::Script;

/// A lease that runs out soon, so that a run is short.
const SETTINGS: [(&str, &str); 4] = [
    ("cluster.lease_ms", "3000"),
    ("cluster.heartbeat_ms", "1000"),
    ("cluster.sweep_ms", "500"),
    ("session.resume_s", "3"),
];

fn script(faults: &[Fault], planted: Option<&str>) -> Script {
    let settings = SETTINGS.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Script {
        seed: 1,
        make: Make::Redis7,
        faults: faults.to_vec(),
        people: 16,
        pace_ms: 200,
        quiet_ms: 2_500,
        rest_ms: Some(3_000),
        settle_ms: if planted.is_some() { 6_000 } else { 20_000 },
        settings: settings.to_vec(),
        planted: planted.map(str::to_owned),
    }
}

/// Plays the same faults with and without the bug: one of these judges finds it, and nobody finds anything without.
async fn is_found(bug: &'static str, judges: &[&str], faults: &'static [Fault]) {
    let command = "cargo test --features planted-bugs --test chaos planted";
    let name = format!("without-{bug}");
    let with = played(script(faults, Some(bug)), bug, command);
    let (with, without) = tokio::join!(with, played(script(faults, None), &name, command));
    assert_eq!(without.violations, [], "without a bug");
    let found: BTreeSet<&str> = with.violations.iter().map(|violation| violation.judge).collect();
    assert!(judges.iter().any(|judge| found.contains(judge)), "{bug} was found by {found:?}, not by one of {judges:?}");
}

const CUT: Fault = Fault::Cut { node: 1, towards_redis: true, from_redis: true, ms: 7_000 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_skipped_fence_is_found() {
    is_found("skip-fence", &["names", "rosters"], &[CUT]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_backfill_is_found() {
    is_found("drop-backfill", &["gaps"], &[Fault::Deafen { node: 1, ms: 0 }]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_before_the_script_is_found() {
    is_found("acknowledge-before-script", &["kept"], &[Fault::RedisRestart { ms: 1_500 }]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_double_sweep_is_found() {
    is_found("double-sweep", &["announcements"], &[Fault::Kill { node: 1, ms: 5_000 }]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_subscription_is_found() {
    is_found("forget-resubscribe", &["gaps"], &[Fault::KillSubscriptions]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_roster_is_found() {
    is_found("stale-roster", &["rosters", "announcements"], &[Fault::Drop]).await;
}
