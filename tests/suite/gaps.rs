//! The way from Redis to a node breaks: what was acknowledged meanwhile still reaches every member, once and in order.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::client::Client;
use crate::support::dialect::Dialect::{Action, Pychat};
use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;
use crate::support::until;

fn unhurried(plan: Plan) -> Plan {
    plan.set("limits.messages_per_second", "100000").set("limits.message_burst", "100000")
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

/// Passes bytes on between a node and Redis until it is told to freeze the connections that are open.
struct Proxy {
    url: String,
    generation: Arc<watch::Sender<u64>>,
}

impl Proxy {
    async fn before(redis: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}/", listener.local_addr().unwrap());
        let behind = redis.url().trim_start_matches("redis://").trim_end_matches('/').to_owned();
        let generation = Arc::new(watch::Sender::new(0));
        let newest = generation.clone();
        tokio::spawn(async move {
            while let Ok((node, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&behind).await else { continue };
                let (node_read, node_write) = node.into_split();
                let (server_read, server_write) = server.into_split();
                tokio::spawn(pass_on(node_read, server_write, newest.subscribe()));
                tokio::spawn(pass_on(server_read, node_write, newest.subscribe()));
            }
        });
        Self { url, generation }
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
