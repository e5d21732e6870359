//! Messages from one to one: in every dialect, between all nodes.

use crate::support::client::Client;
use crate::support::dialect::Dialect::{self, Action, Pychat, Simple};
use crate::support::dialect::Transport;
use crate::support::eventually;
use crate::support::node::Plan;
use crate::support::redis::Redis;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_writes_to_everybody_on_every_node() {
    let redis = Redis::start();
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start()];
    let mut people = Vec::new();
    for node in &nodes {
        for dialect in Dialect::OF_GUESTS {
            let name = format!("{}{}", dialect.label(), people.len());
            let client = Client::named(node, dialect, &name).await;
            people.push((name, client));
        }
    }
    for writer in 0..people.len() {
        for reader in 0..people.len() {
            let (author, to) = (people[writer].0.clone(), people[reader].0.clone());
            let text = format!("from {author} to {to}");
            people[writer].1.write(&to, &text).await;
            // Whoever writes to oneself in `simple` has the message with its confirmation.
            if writer != reader || people[reader].1.dialect() != Simple {
                people[reader].1.expect_private(&author, &text).await;
            }
        }
    }
    for (_, client) in &mut people {
        client.expect_quiet().await;
    }
}

/// Nothing is said to be delivered that is not: while a dead node still holds the name the service is unavailable, and then
/// nobody is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_reached_on_a_node_that_died() {
    let redis = Redis::start();
    let plan = Plan::on(&redis).set("cluster.lease_ms", "2000").set("cluster.heartbeat_ms", "500");
    let (staying, mut dying) = (plan.start(), plan.start());
    let mut alice = Client::named(&staying, Simple, "alice").await;
    let mut uuid = Client::connect(&dying, Simple, Transport::Tcp).await;
    uuid.greet().await;
    let id = uuid.own().expect("the welcome says it").to_owned();
    let mut bob = Client::named(&dying, Action, "bob").await;
    alice.write("bob", "hi").await;
    bob.expect_private("alice", "hi").await;
    alice.write(&id, "hi").await;
    uuid.expect_private("alice", "hi").await;
    dying.kill9();
    for to in ["bob", &id] {
        eventually("there is nobody of that name any more", async || {
            match alice.refused(&Simple.write(to, "still there?")).await.as_str() {
                "user_not_found" => Ok(()),
                "unavailable" => Err("unavailable".to_owned()),
                other => panic!("refused with {other}"),
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_message_needs_the_way_between_the_nodes() {
    let mut redis = Redis::start_durable();
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start()];
    let mut alice = Client::named(&nodes[0], Simple, "alice").await;
    let mut bob = Client::named(&nodes[1], Pychat, "bob").await;
    redis.stop();
    eventually("the way is known to be broken", async || {
        let reply = alice.ask(&Simple.write("bob", "during")).await;
        if Simple.error(&reply) == Some("unavailable") { Ok(()) } else { Err(reply.to_string()) }
    })
    .await;
    redis.start_again();
    eventually("the way is there again", async || {
        let reply = alice.ask(&Simple.write("bob", "after")).await;
        Simple.error(&reply).map_or(Ok(()), |error| Err(error.to_owned()))
    })
    .await;
    // One whose answer was lost may have arrived as well, and so may one that was asked for before the break was known.
    while bob.private_message().await.text != "after" {}
}
