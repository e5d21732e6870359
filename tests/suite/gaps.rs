//! The way from Redis to a node breaks: what was acknowledged meanwhile still reaches every member, once and in order.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::client::{Client, parsed};
use crate::support::dialect::Dialect::{Action, Pychat, Simple};
use crate::support::dialect::{Transport, command};
use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;
use crate::support::until;

fn unhurried(plan: Plan) -> Plan {
    plan.set("limits.messages_per_second", "100000").set("limits.message_burst", "100000")
}

/// The node was cut off, the others swept its member, and the member leaves before the node has read what it did not hear.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_swept_from_a_room_and_leaves_it_gets_what_was_said_before() {
    let redis = Redis::start();
    let node = Plan::on(&redis).start();
    let mut alice = Client::member(&node, Action, "alice", "red").await;
    // As another node's scripts do, but for the channel.
    let top = redis.number(&["HINCRBY", "ct:room:{red}", "top", "1"]);
    let event = r#"{"k":"m","s":"00000000000000000000000000000001","n":"bob","i":7,"t":"not heard"}"#;
    redis.query(&["XADD", "ct:room:{red}:log", &format!("{top}-0"), "t", "1", "e", event]);
    redis.query(&["DEL", "ct:room:{red}:members", "ct:room:{red}:who"]);
    alice.send(&Action.leave("red")).await;
    alice.expect_message("bob", "not heard").await;
    assert_eq!(parsed(&alice.frame().await)["message"], "OK");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_subscription_connections_lose_no_message() {
    let redis = Redis::start();
    let nodes = [unhurried(Plan::on(&redis)).start(), unhurried(Plan::on(&redis)).start()];
    let mut alice = Client::member(&nodes[0], Action, "alice", "red").await;
    let mut bob = Client::member(&nodes[1], Pychat, "bob", "red").await;
    for number in 0..200 {
        if number % 20 == 10 {
            assert!(redis.number(&["CLIENT", "KILL", "TYPE", "pubsub"]) > 0 || number > 10, "nobody was subscribed");
        }
        alice.say("red", &number.to_string()).await;
    }
    for number in 0..200 {
        alice.expect_message("alice", &number.to_string()).await;
        bob.expect_message("alice", &number.to_string()).await;
    }
    for node in &nodes {
        assert!(node.metric("crosstalk_bus_rebuilds_total", &[]).await > Some(0.0));
        until("the node is ready again", async || node.admin("/readyz").await.status == 200).await;
    }
}

/// A firewall that forgets its connections, a switch that dies: nothing arrives any more, and nobody says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_connections_are_noticed_and_replaced() {
    let redis = Redis::start();
    let proxy = Proxy::before(&redis).await;
    let near = unhurried(Plan::on(&redis)).start();
    let far: Node = unhurried(Plan::on(&redis)).set("storage.redis", &proxy.url).start();
    let mut alice = Client::member(&near, Action, "alice", "red").await;
    let mut bob = Client::member(&far, Pychat, "bob", "red").await;
    alice.say("red", "before").await;
    bob.expect_message("alice", "before").await;

    proxy.freeze_what_is_open();
    for number in 0..10 {
        alice.say("red", &number.to_string()).await;
    }
    for number in 0..10 {
        bob.expect_message("alice", &number.to_string()).await;
    }
    assert!(far.metric("crosstalk_bus_rebuilds_total", &[]).await > Some(0.0));
    until("bob can talk again", async || {
        let reply = bob.ask("back again").await;
        Pychat.error(&reply).is_none()
    })
    .await;
    alice.expect_message("alice", "before").await;
}

/// What nobody can fill is told to those whose dialect has words for it: the position after which the room goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_trimmed_while_a_node_was_deaf_is_told_as_a_gap() {
    let redis = Redis::start();
    let proxy = Proxy::before(&redis).await;
    let near = unhurried(Plan::on(&redis)).start();
    let far: Node = unhurried(Plan::on(&redis)).set("storage.redis", &proxy.url).start();
    let mut alice = Client::member(&near, Action, "alice", "red").await;
    let (mut bob, joined) = extended_member(&far, "red", None).await;
    assert_eq!(next_event(&mut bob).await["event"], "join");
    alice.say("red", "before").await;
    let before = bob.try_find("a message", |frame| frame["text"] == "before").await.unwrap();
    assert_eq!(before["epoch"], joined["position"]["epoch"]);

    proxy.take_none();
    proxy.freeze_what_is_open();
    for number in 0..20 {
        alice.say("red", &number.to_string()).await;
    }
    assert!(redis.number(&["XTRIM", "ct:room:{red}:log", "MAXLEN", "5"]) >= 15, "the room's stream has another name");
    proxy.take_more();

    let gap = next_event(&mut bob).await;
    assert_eq!((&gap["action"], &gap["event"]), (&json!("ROOM EVENT"), &json!("gap")), "{gap}");
    assert_eq!((&gap["room_id"], &gap["epoch"]), (&json!("red"), &before["epoch"]), "{gap}");
    let mut offset = gap["offset"].as_u64().unwrap();
    assert_eq!(offset, before["offset"].as_u64().unwrap() + 15, "as little as possible is lost");
    for number in 15..20 {
        let message = next_event(&mut bob).await;
        offset += 1;
        assert_eq!((&message["text"], &message["offset"]), (&json!(number.to_string()), &json!(offset)));
    }
    // Back with the last position known it is said again that something is missing.
    let since = json!({"epoch": before["epoch"], "offset": before["offset"]});
    let (_, joined) = extended_member(&near, "red", Some(since)).await;
    assert_eq!(joined["recovered"], json!(false));
    let since = json!({"epoch": gap["epoch"], "offset": gap["offset"]});
    let (mut carol, joined) = extended_member(&near, "red", Some(since)).await;
    assert_eq!(joined["recovered"], json!(true));
    assert_eq!(next_event(&mut carol).await["text"], "15");
}

/// Nothing was ever announced when the node goes deaf, so it knows no place in the stream of announcements.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_very_first_announcements_reach_a_node_that_did_not_hear_them() {
    let redis = Redis::start();
    let proxy = Proxy::before(&redis).await;
    let near = Plan::on(&redis).start();
    let far = Plan::on(&redis).set("storage.redis", &proxy.url).start();
    let mut maker = Client::named(&near, Simple, "maker").await;
    let mut plain = Client::connect(&far, Simple, Transport::Tcp).await;
    plain.expect_quiet().await;
    proxy.take_none();
    assert!(redis.number(&["CLIENT", "KILL", "TYPE", "pubsub"]) > 0, "nobody was subscribed");
    for room in ["#red", "#blue"] {
        maker.must(&command("create", room)).await;
    }
    proxy.take_more();
    for room in ["#red", "#blue"] {
        let created = json!({"type": "event", "emitter": "channel", "identifier": room, "event": "create"});
        assert_eq!(parsed(&plain.frame().await), created);
    }
    plain.expect_quiet().await;
    assert_eq!(far.metric("crosstalk_gaps_total", &[]).await, Some(0.0), "nothing was lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_was_lost_is_told_as_a_gap_of_another_epoch() {
    let redis = Redis::start();
    let node = unhurried(Plan::on(&redis)).start();
    let (mut alice, joined) = extended_member(&node, "red", None).await;
    next_event(&mut alice).await;
    redis.query(&["FLUSHALL"]);
    until("alice can talk again", async || {
        let reply = alice.ask(&Action.say("red", "anybody?")).await;
        Action.error(&reply).is_none()
    })
    .await;
    let gap = next_event(&mut alice).await;
    assert_eq!((&gap["event"], &gap["room_id"]), (&json!("gap"), &json!("red")), "{gap}");
    assert_ne!(gap["epoch"], joined["position"]["epoch"]);
    let message = next_event(&mut alice).await;
    assert_eq!(message["text"], "anybody?", "{message}");
    assert_eq!(message["epoch"], gap["epoch"]);
    assert_eq!(message["offset"].as_u64(), gap["offset"].as_u64().map(|offset| offset + 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_is_taken_up_again_without_hole_or_repeat_in_memory() {
    let node = unhurried(Plan::embedded()).start();
    taken_up_again(&node, &node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_is_taken_up_again_without_hole_or_repeat_on_another_node() {
    let redis = Redis::start();
    let nodes = [unhurried(Plan::on(&redis)).start(), unhurried(Plan::on(&redis)).start()];
    taken_up_again(&nodes[0], &nodes[1]).await;
}

/// Bob comes back while alice talks on, having missed more than is read at once.
async fn taken_up_again(near: &Node, far: &Node) {
    const MISSED: usize = 200;
    const SAID: usize = 400;
    let mut alice = Client::member(near, Action, "alice", "red").await;
    let (mut bob, joined) = extended_member(far, "red", None).await;
    let since = joined["position"].clone();
    next_event(&mut bob).await;
    bob.disconnect().await;
    for number in 0..MISSED {
        alice.say("red", &number.to_string()).await;
    }
    let talking = tokio::spawn(async move {
        for number in MISSED..SAID {
            alice.say("red", &number.to_string()).await;
        }
    });
    let (mut bob, joined) = extended_member(far, "red", Some(since.clone())).await;
    assert_eq!(joined["recovered"], json!(true), "{joined}");
    let (mut offset, mut heard) = (since["offset"].as_u64().unwrap(), 0);
    while heard < SAID {
        let event = next_event(&mut bob).await;
        offset += 1;
        assert_eq!((&event["epoch"], &event["offset"]), (&since["epoch"], &json!(offset)), "{event}");
        if event["action"] == "GET MESSAGE" {
            assert_eq!(event["text"], json!(heard.to_string()));
            heard += 1;
        }
    }
    talking.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_retention_no_longer_covers_is_not_recovered() {
    let node = unhurried(Plan::embedded()).set("storage.history_count", "10").start();
    let mut alice = Client::member(&node, Action, "alice", "red").await;
    let (mut bob, joined) = extended_member(&node, "red", None).await;
    bob.must(&Action.leave("red")).await;
    for number in 0..50 {
        alice.say("red", &number.to_string()).await;
    }
    let (mut carol, rejoined) = extended_member(&node, "red", Some(joined["position"].clone())).await;
    assert_eq!(rejoined["recovered"], json!(false));
    let first = next_event(&mut carol).await;
    assert_eq!((&first["event"], &first["offset"]), (&json!("join"), &rejoined["position"]["offset"]), "{first}");
    let recent = json!({"epoch": joined["position"]["epoch"], "offset": first["offset"].as_u64().unwrap() - 2});
    let (mut dan, rejoined) = extended_member(&node, "red", Some(recent)).await;
    assert_eq!(rejoined["recovered"], json!(true));
    assert_eq!(next_event(&mut dan).await["text"], "49");
    assert!(node.metric("crosstalk_recoveries_total", &[("outcome", "complete")]).await >= Some(1.0));
    assert!(node.metric("crosstalk_recoveries_total", &[("outcome", "incomplete")]).await >= Some(1.0));
}

/// Somebody in the extended mode who is in a room, with the answer to the join.
async fn extended_member(node: &Node, room: &str, since: Option<Value>) -> (Client, Value) {
    let mut client = Client::dial_with(node.address("http"), Action, "ext=1").await.unwrap();
    let welcome = parsed(&client.try_frame().await.unwrap());
    assert_eq!((&welcome["action"], &welcome["request"]), (&json!("RESPONSE"), &Value::Null), "{welcome}");
    let mut join = json!({"action": "JOIN ROOM", "room_id": room});
    if let Some(since) = since {
        join["since"] = since;
    }
    let joined = client.ask(&join.to_string()).await;
    assert_eq!(joined["message"], "OK", "{joined}");
    (client, joined)
}

async fn next_event(client: &mut Client) -> Value {
    client.try_find("an event", |_| true).await.unwrap()
}

/// Passes bytes on between a node and Redis until it is told to freeze the connections that are open.
struct Proxy {
    url: String,
    generation: Arc<watch::Sender<u64>>,
    /// Whether new connections get through.
    takes: Arc<watch::Sender<bool>>,
}

impl Proxy {
    async fn before(redis: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}/", listener.local_addr().unwrap());
        let behind = redis.url().trim_start_matches("redis://").trim_end_matches('/').to_owned();
        let generation = Arc::new(watch::Sender::new(0));
        let newest = generation.clone();
        let takes = Arc::new(watch::Sender::new(true));
        let mut taken = takes.subscribe();
        tokio::spawn(async move {
            while let Ok((node, _)) = listener.accept().await {
                if taken.wait_for(|takes| *takes).await.is_err() {
                    return;
                }
                let Ok(server) = TcpStream::connect(&behind).await else { continue };
                let (node_read, node_write) = node.into_split();
                let (server_read, server_write) = server.into_split();
                tokio::spawn(pass_on(node_read, server_write, newest.subscribe()));
                tokio::spawn(pass_on(server_read, node_write, newest.subscribe()));
            }
        });
        Self { url, generation, takes }
    }

    /// New connections wait until [`Self::take_more`].
    fn take_none(&self) {
        self.takes.send_replace(false);
    }

    fn take_more(&self) {
        self.takes.send_replace(true);
    }

    fn freeze_what_is_open(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }
}

/// Once frozen it neither reads nor closes: the bytes wait in the kernel, as on a line that is cut.
async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut frozen: watch::Receiver<u64>) {
    let mut chunk = vec![0; 16 * 1024];
    loop {
        tokio::select! {
            _ = frozen.changed() => std::future::pending().await,
            count = from.read(&mut chunk) => match count {
                Ok(count) if count > 0 && to.write_all(&chunk[..count]).await.is_ok() => {}
                _ => return,
            },
        }
    }
}
