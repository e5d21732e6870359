//! SIGTERM is no accident: nothing acknowledged is lost, and nothing is left behind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::support::client::{Client, Received, parsed};
use crate::support::dialect::Dialect::{self, Action, Pychat};
use crate::support::dialect::Transport;
use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;
use crate::support::until;

const SENDERS: usize = 4;

/// Enough to be sure that all senders are in full swing when the signal comes.
const BEFORE_THE_SIGNAL: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_sigterm_is_received_on_the_other_node() {
    let redis = Redis::start();
    let mut leaving = Plan::on(&redis).start();
    let staying = Plan::on(&redis).start();
    let witness = tokio::spawn(witness(Client::member(&staying, Pychat, "witness", "red").await));
    let mut closer = Client::member(&staying, Action, "closer", "red").await;

    let acknowledged = Arc::new(AtomicUsize::new(0));
    let mut senders = JoinSet::new();
    for number in 0..SENDERS {
        let name = format!("sender{number}");
        let mut client = Client::connect(&leaving, Action, Transport::ALL[number % 2]).await;
        client.must(&Action.claim(&name)).await;
        client.join("red").await;
        senders.spawn(send_until_closed(name, client, Transport::ALL[number % 2], Arc::clone(&acknowledged)));
    }
    until("the senders are in full swing", async || acknowledged.load(Ordering::Relaxed) > BEFORE_THE_SIGNAL).await;
    leaving.sigterm();
    let sent = senders.join_all().await;
    assert_eq!(leaving.wait_exit().code(), Some(0), "the exit code after SIGTERM");

    // Whatever came before it in the room comes before it at the witness.
    closer.say("red", "the end").await;
    let (texts, leaves) = witness.await.expect("the witness hears the end");
    let lost: Vec<&String> = sent.iter().flatten().filter(|text| texts.get(*text) != Some(&1)).collect();
    assert!(lost.is_empty(), "acknowledged, but not received exactly once: {lost:?}");
    for number in 0..SENDERS {
        let name = format!("sender{number}");
        assert_eq!(leaves.get(&name), Some(&1), "how often the leave of {name} was announced");
        must_be_free(&staying, &name).await;
    }
}

/// At once, without waiting for any lease.
async fn must_be_free(node: &Node, name: &str) {
    let mut heir = Client::connect(node, Action, Transport::WebSocket).await;
    heir.must(&Action.claim(name)).await;
}

/// Sends without a pause until the server ends the connection; gives the texts that were acknowledged.
async fn send_until_closed(
    name: String,
    mut client: Client,
    transport: Transport,
    total: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        // That the server is gone shows when the answer is awaited.
        let _ = client.try_send(&Action.say("red", &format!("{name} {number}"))).await;
        match reply_or_close(&mut client, transport).await {
            Received::Frame(reply) => {
                let reply = parsed(&reply);
                if Action.error(&reply).is_none() {
                    acknowledged.push(reply["request"]["text"].as_str().expect("the request is echoed").to_owned());
                    total.fetch_add(1, Ordering::Relaxed);
                }
            }
            Received::Closed(close) => {
                // 1012 is "service restart": the client knows that another server is there for it.
                let code = close.as_ref().map(|(code, _)| *code);
                assert_eq!(
                    code,
                    (transport == Transport::WebSocket).then_some(1012),
                    "{name} was closed with {close:?}"
                );
                break;
            }
        }
    }
    acknowledged
}

async fn reply_or_close(client: &mut Client, transport: Transport) -> Received {
    loop {
        match client.try_receive().await {
            Ok(Received::Frame(frame)) if !Action.is_reply(&parsed(&frame)) => {}
            Ok(received) => return received,
            // TCP has no word for "enough": a line sent at that very moment turns the end into a reset.
            Err(_) if transport == Transport::Tcp => return Received::Closed(None),
            Err(error) => panic!("{error}"),
        }
    }
}

type Counts = BTreeMap<String, usize>;

/// How often each text and each leave came, until "the end".
async fn witness(mut client: Client) -> (Counts, Counts) {
    let (mut texts, mut leaves) = (Counts::new(), Counts::new());
    loop {
        let frame = parsed(&client.frame().await);
        let Some(body) = frame["body"].as_str() else { panic!("the witness received {frame}") };
        if frame["type"] == "userLeft" {
            *leaves.entry(frame["from"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        } else if body == "the end" {
            return (texts, leaves);
        } else {
            *texts.entry(body.to_owned()).or_default() += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_connection_is_closed_in_order() {
    let mut node = Plan::embedded().start();
    let mut clients = Vec::new();
    for transport in Transport::ALL {
        for dialect in Dialect::ALL {
            clients.push((dialect, transport, Client::connect(&node, dialect, transport).await));
        }
    }
    for (_, _, client) in &mut clients {
        client.expect_quiet().await;
    }
    node.sigterm();
    for (dialect, transport, client) in &mut clients {
        let code = close_code(*dialect, client).await;
        assert_eq!(code, (*transport == Transport::WebSocket).then_some(1012), "{dialect:?} over {transport:?}");
    }
    assert_eq!(node.wait_exit().code(), Some(0));
}

/// Reads up to the end; before it there may be an error or a push that tells of it, and nothing else.
async fn close_code(dialect: Dialect, client: &mut Client) -> Option<u16> {
    loop {
        match client.try_receive().await.unwrap_or_else(|error| panic!("{dialect:?}: {error}")) {
            Received::Closed(close) => return close.map(|(code, _)| code),
            Received::Frame(frame) => {
                let value = parsed(&frame);
                let told = dialect.error(&value).is_some() || value["method"] == "FORCED_TO_LOGGED_OFF";
                assert!(told, "{dialect:?}: received {frame}");
            }
        }
    }
}
