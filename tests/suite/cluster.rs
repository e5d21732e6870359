//! Several nodes on one Redis are one server: names, rooms, order.

use tokio::task::JoinSet;

use crate::support::client::Client;
use crate::support::dialect::Dialect::{Action, Pychat};
use crate::support::dialect::{Message, Transport};
use crate::support::node::{Node, Plan};
use crate::support::redis::{Redis, Reply};
use crate::support::until;

fn nodes<const COUNT: usize>(redis: &Redis) -> [Node; COUNT] {
    std::array::from_fn(|_| Plan::on(redis).start())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_claim_a_name_at_once_one_gets_it() {
    let redis = Redis::start();
    let nodes: [Node; 2] = nodes(&redis);
    for round in 0..10 {
        let name = format!("prize{round}");
        let mut claims = JoinSet::new();
        for number in 0..8 {
            let mut client = Client::connect(&nodes[number % 2], Action, Transport::WebSocket).await;
            let claim = Action.claim(&name);
            claims.spawn(async move {
                let reply = client.ask(&claim).await;
                // The client stays connected, or the name would be free again for the next.
                (Action.error(&reply).map(str::to_owned), client)
            });
        }
        let (outcomes, _clients): (Vec<_>, Vec<_>) = claims.join_all().await.into_iter().unzip();
        let refused: Vec<String> = outcomes.into_iter().flatten().collect();
        assert_eq!(refused, vec!["Nickname already in use"; 7], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_subscribes_with_its_first_member_and_unsubscribes_with_its_last() {
    let redis = Redis::start();
    let [one, other]: [Node; 2] = nodes(&redis);
    let subscribers = || redis.list(&["PUBSUB", "NUMSUB", "ct:ch:{red}"])[1].clone();
    let channels = || redis.list(&["PUBSUB", "CHANNELS", "ct:ch:*"]);

    let mut alice = Client::connect(&one, Action, Transport::Tcp).await;
    let mut bob = Client::connect(&one, Action, Transport::WebSocket).await;
    let mut carol = Client::connect(&other, Action, Transport::Tcp).await;
    assert_eq!(channels(), Vec::<String>::new());
    alice.join("red").await;
    assert_eq!((subscribers(), channels()), ("1".to_owned(), vec!["ct:ch:{red}".to_owned()]));
    bob.join("red").await;
    assert_eq!(subscribers(), "1", "a second member needs no second subscription");
    carol.join("red").await;
    assert_eq!(subscribers(), "2");

    alice.must(&Action.leave("red")).await;
    bob.say("red", "still here").await;
    bob.expect_message("Anonymous", "still here").await;
    assert_eq!(subscribers(), "2", "bob is still there");
    bob.disconnect().await;
    until("the first node unsubscribes", async || subscribers() == "1").await;
    carol.expect_message("Anonymous", "still here").await;
    carol.must(&Action.leave("red")).await;
    until("the second node unsubscribes", async || channels().is_empty()).await;
}

/// Subscribing and unsubscribing race here as often as they can; a lost update leaves a member deaf.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_and_leaves_that_race_leave_no_member_deaf() {
    const CLIENTS: usize = 8;
    let redis = Redis::start();
    let nodes: [Node; 2] = nodes(&redis);
    let mut hammering = JoinSet::new();
    for number in 0..CLIENTS {
        let mut client = Client::connect(&nodes[number % 2], Action, Transport::ALL[number / 2 % 2]).await;
        hammering.spawn(async move {
            for _ in 0..25 {
                client.join("red").await;
                client.must(&Action.leave("red")).await;
            }
            client.join("red").await;
            client
        });
    }
    let mut clients = hammering.join_all().await;
    for number in 0..CLIENTS {
        clients[number].say("red", &format!("message {number}")).await;
        for client in &mut clients {
            client.expect_message("Anonymous", &format!("message {number}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_rooms_are_plain_keys_in_redis() {
    let redis = Redis::start();
    let [one, other]: [Node; 2] = nodes(&redis);
    let mut alice = Client::member(&one, Action, "alice", "red").await;
    let bob = Client::member(&other, Pychat, "bob", "red").await;
    alice.say("red", "hi").await;

    let members = redis.list(&["SMEMBERS", "ct:room:{red}:members"]);
    assert!(members.len() == 2 && members.iter().all(|member| member.starts_with("s:")), "members: {members:?}");
    assert_eq!((name_sets_with(&redis, "alice"), name_sets_with(&redis, "bob")), (1, 1));
    assert_eq!(name_sets_with(&redis, "nobody"), 0);
    assert_eq!(redis.query(&["TYPE", "ct:nick:{alice}"]), Reply::Text("hash".to_owned()));
    assert_eq!(redis.number(&["XLEN", "ct:room:{red}:log"]), 3, "two joins and a message");

    alice.disconnect().await;
    bob.disconnect().await;
    until("nobody is in the room", async || redis.number(&["EXISTS", "ct:room:{red}:members"]) == 0).await;
    until("the names are free", async || {
        ["alice", "bob"].iter().all(|name| {
            name_sets_with(&redis, name) == 0 && redis.number(&["EXISTS", &format!("ct:nick:{{{name}}}")]) == 0
        })
    })
    .await;
}

/// In how many of the sets that share all nicknames `name` is.
fn name_sets_with(redis: &Redis, name: &str) -> i64 {
    (0..=255).map(|set| redis.number(&["SISMEMBER", &format!("ct:nicks:{{{set:02x}}}"), name])).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_members_see_all_messages_in_one_order() {
    const EACH: usize = 30;
    let redis = Redis::start();
    let nodes: [Node; 3] = nodes(&redis);
    let mut members = Vec::new();
    for number in 0..6 {
        let dialect = if number % 2 == 0 { Action } else { Pychat };
        let name = format!("member{number}");
        let client = Client::member(&nodes[number % 3], dialect, &name, "red").await;
        members.push((name, client));
    }
    let expected = EACH * members.len();
    let mut talking = JoinSet::new();
    for (name, mut client) in members {
        talking.spawn(async move {
            for number in 0..EACH {
                client.say("red", &format!("{number:04}")).await;
            }
            let mut seen = Vec::new();
            while seen.len() < expected {
                seen.push(client.message().await);
            }
            // Kept, because its leaving would be news to those who are not done.
            (name, seen, client)
        });
    }
    let mut views = talking.join_all().await;
    for (_, _, client) in &mut views {
        client.expect_quiet().await;
    }
    let order: &Vec<Message> = &views[0].1;
    for (name, seen, _) in &views {
        assert_eq!(seen, order, "{name} saw another order than {}", views[0].0);
        let own: Vec<&str> =
            order.iter().filter(|message| message.author == *name).map(|message| &*message.text).collect();
        let sent: Vec<String> = (0..EACH).map(|number| format!("{number:04}")).collect();
        assert_eq!(own, sent, "{name}'s own messages");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_with_different_key_prefixes_do_not_see_one_another() {
    let redis = Redis::start();
    let here = Plan::on(&redis).start();
    let there = Plan::on(&redis).set("redis.key_prefix", "other:").start();
    let mut alice = Client::member(&here, Pychat, "alice", "red").await;
    let mut twin = Client::member(&there, Pychat, "alice", "red").await;
    alice.say("red", "here").await;
    twin.say("red", "there").await;
    alice.expect_message("alice", "here").await;
    twin.expect_message("alice", "there").await;
    // A second exchange would bring what was on its way before.
    twin.say("red", "there again").await;
    alice.say("red", "here again").await;
    alice.expect_message("alice", "here again").await;
    twin.expect_message("alice", "there again").await;
    alice.expect_quiet().await;
    twin.expect_quiet().await;
    let foreign: Vec<String> = redis.list(&["KEYS", "*"]);
    let foreign: Vec<&String> =
        foreign.iter().filter(|key| !key.starts_with("ct:") && !key.starts_with("other:")).collect();
    assert!(foreign.is_empty(), "keys without a prefix: {foreign:?}");
}

/// A node that joins the cluster later sees what is there already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_later_finds_names_rooms_and_history() {
    let redis = Redis::start();
    let [first]: [Node; 1] = nodes(&redis);
    let mut alice = Client::member(&first, Pychat, "alice", "red").await;
    alice.say("red", "early").await;
    let second = Plan::on(&redis).start();
    let mut bob = Client::connect(&second, Action, Transport::WebSocket).await;
    assert_eq!(bob.refused(&Action.claim("alice")).await, "Nickname already in use");
    assert_eq!(bob.refused(&Action.leave("red")).await, "You are already leave this room");
    let mut carol = Client::member(&second, Pychat, "carol", "red").await;
    let records = carol.history("").await;
    let bodies: Vec<&str> = records.iter().filter_map(|record| record["body"].as_str()).collect();
    assert_eq!(bodies, ["User alice has joined the room", "early", "User carol has joined the room"]);
}
