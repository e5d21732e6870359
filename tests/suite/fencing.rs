//! A node that is held up for longer than its lease has lost what its sessions held, and finds that out before it does harm.

use serde_json::Value;

use crate::support::client::{Client, Received, parsed};
use crate::support::dialect::Dialect::{Action, Pychat};
use crate::support::dialect::Transport;
use crate::support::node::Plan;
use crate::support::redis::Redis;
use crate::support::{GHOST_CEILING, eventually, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_goes_on_after_its_lease_takes_nothing_back_from_others() {
    let redis = Redis::start();
    let (held_up, other) = (Plan::on(&redis).start(), Plan::on(&redis).start());
    let mut alice = Client::member(&held_up, Pychat, "alice", "red").await;
    let mut erin = Client::member(&held_up, Action, "erin", "red").await;
    let mut newcomer = Client::connect(&held_up, Action, Transport::WebSocket).await;
    let mut watcher = Client::member(&other, Pychat, "watcher", "red").await;

    held_up.pause();
    // What is asked for lies in the node's sockets until it goes on.
    alice.send(&Pychat.say("red", "late")).await;
    newcomer.send(&Action.claim("dora")).await;
    let mut heir = Client::connect(&other, Action, Transport::WebSocket).await;
    within(GHOST_CEILING, "the name alice is free", async || heir.try_claim("alice").await).await;
    heir.join("red").await;
    held_up.resume();

    assert!(lost_its_name(&mut alice).await, "alice was not told why");
    eventually("erin is a member again", async || {
        let reply = erin.try_ask(&Action.say("red", "again")).await?;
        Action.error(&reply).map_or(Ok(()), |error| Err(error.to_owned()))
    })
    .await;
    heir.say("red", "I am alice").await;
    let seen = frames_until(&mut watcher, "I am alice").await;
    let news = |kind: &str| {
        let of_kind = seen.iter().filter(|frame| frame["type"] == kind);
        of_kind.map(|frame| frame["from"].as_str().unwrap_or_default()).collect::<Vec<_>>()
    };
    let mut left = news("userLeft");
    left.sort_unstable();
    assert_eq!(left, ["alice", "erin"], "each leave once");
    assert_eq!(news("userJoined"), ["alice", "erin"], "the heir, and erin once more");
    assert!(seen.iter().all(|frame| frame["body"] != "late"), "what was said before the fence was let in: {seen:?}");
    let answer = parsed(&newcomer.frame().await);
    if Action.error(&answer).is_some() {
        assert_eq!(Action.error(&answer), Some("Service is unavailable, try again"));
        newcomer.must(&Action.claim("dora")).await;
    }
    let leases = redis.list(&["SMEMBERS", "ct:nodes"]);
    for name in ["alice", "erin", "dora", "watcher"] {
        let lease = redis.query(&["HGET", &format!("ct:nick:{{{name}}}"), "lease"]).into_text();
        assert!(leases.contains(&lease), "{name} is held under {lease}, which nobody would sweep: {leases:?}");
    }
    assert_eq!(redis.number(&["SCARD", "ct:room:{red}:members"]), 3);
}

/// Reads to the end of the connection; whether the reason was said.
async fn lost_its_name(client: &mut Client) -> bool {
    let mut was_told = false;
    loop {
        match client.try_receive().await.unwrap() {
            Received::Frame(frame) => {
                was_told |= frame.contains("Your nickname was taken while the server was cut off")
            }
            Received::Closed(_) => return was_told,
        }
    }
}

async fn frames_until(client: &mut Client, text: &str) -> Vec<Value> {
    let mut seen = Vec::new();
    loop {
        let frame = parsed(&client.frame().await);
        let is_last = frame["body"] == text;
        seen.push(frame);
        if is_last {
            return seen;
        }
    }
}
