//! pychat's HISTORY: its bounds are inclusive to the microsecond.

use serde_json::Value;

use crate::support::client::Client;
use crate::support::dialect::Dialect::Pychat;
use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_bounds_are_inclusive_in_memory() {
    bounds_are_inclusive(Plan::embedded().start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_bounds_are_inclusive_on_redis() {
    let redis = Redis::start();
    bounds_are_inclusive(Plan::on(&redis).start()).await;
}

/// Takes the times of the records themselves as bounds. Two records may share a time, so the whole list is the measure.
async fn bounds_are_inclusive(node: Node) {
    let mut alice = Client::member(&node, Pychat, "alice", "red").await;
    for number in 0..5 {
        alice.say("red", &format!("message {number}")).await;
        alice.expect_message("alice", &format!("message {number}")).await;
    }
    let all = alice.history("").await;
    assert_eq!(all.len(), 6, "one join and five messages: {all:?}");
    assert!(all.is_sorted_by_key(|record| time(record).to_owned()), "oldest first: {all:?}");

    let first = time(&all[0]).to_owned();
    for pivot in all.iter().map(time) {
        let from = pivot.replace(' ', "T");
        assert_eq!(alice.history(pivot).await, kept(&all, |time| time >= pivot), "from {pivot}");
        assert_eq!(alice.history(&from).await, kept(&all, |time| time >= pivot), "from {from}");
        assert_eq!(alice.history(&format!("{first} {pivot}")).await, kept(&all, |time| time <= pivot), "to {pivot}");
        assert_eq!(alice.history(&format!("{from} {from}")).await, kept(&all, |time| time == pivot), "only {from}");
    }
}

// Times of this format compare as texts as they compare as times.
fn time(record: &Value) -> &str {
    record["utctimestamp"].as_str().expect("a record has a time")
}

fn kept(all: &[Value], wanted: impl Fn(&str) -> bool) -> Vec<Value> {
    all.iter().filter(|record| wanted(time(record))).cloned().collect()
}
