//! A node that dies without a word leaves no ghosts behind.

use std::time::Instant;

use tokio::task::JoinSet;

use crate::support::client::{Client, Received, parsed};
use crate::support::dialect::Dialect::{Action, Pychat};
use crate::support::dialect::Transport;
use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;
use crate::support::{GHOST_CEILING, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_survivor_frees_the_names_of_a_dead_node_and_announces_its_leaves_once() {
    leaves_are_announced_once(1).await;
}

/// With several the sweeps race, and still only one of them counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_survivors_free_the_names_of_a_dead_node_and_announce_its_leaves_once() {
    leaves_are_announced_once(2).await;
}

async fn leaves_are_announced_once(survivors: usize) {
    let redis = Redis::start();
    let mut doomed = Plan::on(&redis).start();
    let survivors: Vec<Node> = (0..survivors).map(|_| Plan::on(&redis).start()).collect();
    let mut watchers = Vec::new();
    for (number, node) in survivors.iter().enumerate() {
        watchers.push(Client::member(node, Pychat, &format!("watcher{number}"), "red").await);
    }
    let _dave = Client::member(&doomed, Pychat, "dave", "red").await;
    // She takes her name in the room: her leaving must carry it all the same.
    let mut erin = Client::connect(&doomed, Action, Transport::WebSocket).await;
    erin.join("red").await;
    erin.must(&Action.claim("erin")).await;

    doomed.kill9();
    let killed = Instant::now();
    for name in ["dave", "erin"] {
        let mut heir = Client::connect(&survivors[0], Action, Transport::WebSocket).await;
        let left = GHOST_CEILING.saturating_sub(killed.elapsed());
        within(left, &format!("the nickname {name} of the dead node is free"), async || {
            let reply = heir.ask(&Action.claim(name)).await;
            Action.error(&reply).map_or(Ok(()), |error| Err(error.to_owned()))
        })
        .await;
    }
    let mut watching = JoinSet::new();
    for watcher in watchers {
        watching.spawn(leaves_until_the_ceiling(watcher, killed));
    }
    let watched = watching.join_all().await;
    let members = redis.list(&["SMEMBERS", "ct:room:{red}:members"]);
    assert_eq!(members.len(), watched.len(), "members of the room: {members:?}");
    for (mut watcher, left) in watched {
        assert_eq!(left, ["dave", "erin"], "the leaves that a watcher saw within {GHOST_CEILING:?}");
        let records = watcher.history("").await;
        let of_the_dead = |record: &&serde_json::Value| ["dave", "erin"].iter().any(|name| record["from"] == *name);
        let leaves = records.iter().filter(|record| record["type"] == "userLeft").filter(of_the_dead).count();
        assert_eq!(leaves, 2, "the room's history: {records:?}");
    }
}

/// Who left the room, in the order of names; listens until the ceiling, because a second announcement would come late.
async fn leaves_until_the_ceiling(mut watcher: Client, killed: Instant) -> (Client, Vec<String>) {
    let mut left = Vec::new();
    while let Some(received) = watcher.receive_within(GHOST_CEILING.saturating_sub(killed.elapsed())).await {
        let Ok(Received::Frame(frame)) = received else { panic!("a watcher received {received:?}") };
        let frame = parsed(&frame);
        if frame["type"] == "userLeft" {
            left.push(frame["from"].as_str().unwrap_or_default().to_owned());
        }
    }
    left.sort();
    (watcher, left)
}
