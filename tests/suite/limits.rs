//! The configurable limits: every refusal is an error reply, and none costs others anything.

use std::time::Duration;

use crate::support::client::{Client, Received, parsed};
use crate::support::dialect::Dialect::{self, Action, Pychat, Simple};
use crate::support::dialect::Transport;
use crate::support::http;
use crate::support::node::Plan;
use crate::support::{eventually, until};

/// So slow a bucket that even a stalled machine meets its end within so many requests.
const ENOUGH: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_beyond_the_rate_are_refused_and_later_ones_are_not() {
    // Other requests count as messages too: of the burst the login takes two at most.
    let node = Plan::embedded().set("limits.messages_per_second", "1").set("limits.message_burst", "6").start();
    for dialect in Dialect::OF_GUESTS {
        let name = format!("hasty{dialect:?}");
        let mut hasty = Client::member(&node, dialect, &name, "red").await;
        let mut other = Client::member(&node, dialect, &format!("other{dialect:?}"), "blue").await;
        let mut accepted = Vec::new();
        let refusal = loop {
            assert!(accepted.len() < ENOUGH, "{dialect:?}: {ENOUGH} messages in a row were accepted");
            let text = format!("message {}", accepted.len());
            let reply = hasty.ask(&dialect.say("red", &text)).await;
            match dialect.error(&reply) {
                None => accepted.push(text),
                Some(error) => break error.to_owned(),
            }
        };
        let expected = if dialect == Simple { "rate_limited" } else { "Too many requests" };
        assert_eq!(refusal, expected, "{dialect:?}");
        assert!(accepted.len() >= 4, "{dialect:?}: the burst has room for 4 messages, accepted {accepted:?}");
        // The rate is a session's own, and a refused message is in no room.
        other.say("blue", "me too?").await;
        until("a message is accepted again", async || {
            let reply = hasty.ask(&dialect.say("red", "at last")).await;
            dialect.error(&reply).is_none()
        })
        .await;
        for text in accepted.iter().map(String::as_str).chain(["at last"]) {
            hasty.expect_message(&name, text).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_beyond_the_rate_are_refused() {
    let node = Plan::embedded().set("limits.joins_per_second", "1").set("limits.join_burst", "3").start();
    let mut alice = Client::connect(&node, Action, Transport::WebSocket).await;
    let mut accepted = 0;
    let refusal = loop {
        assert!(accepted < ENOUGH, "{ENOUGH} joins in a row were accepted");
        let reply = alice.ask(&Action.join("red")).await;
        if let Some(error) = Action.error(&reply) {
            break error.to_owned();
        }
        accepted += 1;
        alice.must(&Action.leave("red")).await;
    };
    assert_eq!(refusal, "Too many requests");
    assert!(accepted >= 3, "the burst is 3, accepted {accepted}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_in_a_hundred_rooms_at_most() {
    let node = Plan::embedded().start();
    let mut alice = Client::connect(&node, Action, Transport::WebSocket).await;
    for number in 0..100 {
        alice.join(&format!("room {number}")).await;
    }
    assert_eq!(alice.refused(&Action.join("room 100")).await, "Too many rooms");
    alice.must(&Action.leave("room 50")).await;
    alice.join("room 100").await;
    assert_eq!(alice.refused(&Action.join("room 50")).await, "Too many rooms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_malformed_messages_in_a_row_end_the_connection() {
    let node = Plan::embedded().start();
    for transport in Transport::ALL {
        for (dialect, malformed) in [(Action, "this is no JSON"), (Simple, "this is no JSON"), (Pychat, "JOIN !@#")] {
            let name = format!("{dialect:?}{transport:?}");
            let mut client = Client::connect(&node, dialect, transport).await;
            client.claim(&name).await;
            for _ in 0..19 {
                client.refused(malformed).await;
            }
            // A good one in between starts the count again.
            client.join("red").await;
            for _ in 0..19 {
                client.refused(malformed).await;
            }
            client.send(malformed).await;
            let last = last_error_before_end(&mut client, dialect).await;
            let expected = if dialect == Simple { "too_many_strikes" } else { "Too many malformed messages" };
            assert_eq!(last.0, expected, "{name}");
            if transport == Transport::WebSocket {
                assert_eq!(last.1, Some(1008), "{name}");
            }
        }
    }
}

/// The text of the last error reply, and the close code where there is one.
async fn last_error_before_end(client: &mut Client, dialect: Dialect) -> (String, Option<u16>) {
    let mut last = String::new();
    loop {
        match client.try_receive().await.unwrap_or_else(|error| panic!("{error}")) {
            Received::Closed(close) => return (last, close.map(|(code, _)| code)),
            Received::Frame(frame) => {
                let error = dialect.error(&parsed(&frame)).map(str::to_owned);
                last = error.unwrap_or_else(|| panic!("awaited an error, received {frame}"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_beyond_the_addresss_share_is_refused_and_the_others_stay() {
    connections_are_limited("limits.connections_per_address").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_beyond_the_nodes_limit_is_refused_and_the_others_stay() {
    connections_are_limited("limits.connections").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_herd_is_let_in_at_a_rate_and_the_rest_is_told_when_to_come_again() {
    let burst = 3;
    let plan = Plan::embedded().set("limits.connections_per_second", "1");
    let node = plan.set("limits.connection_burst", &burst.to_string()).start();
    let mut let_in = 0;
    for dialect in Dialect::OF_GUESTS {
        let told = loop {
            assert!(let_in < ENOUGH, "{ENOUGH} connections in a row were let in");
            let answer = http::get(node.address("http"), "/").await.unwrap();
            if answer.status != 503 {
                let_in += 1;
                continue;
            }
            assert!(answer.body.contains("Too many connect at once"), "{}", answer.body);
            let again: u64 = answer.header("retry-after").expect("it says when").parse().unwrap();
            assert!((1..=30).contains(&again), "again after {again} s");
            // It may be let in: another second may have passed. Then nothing is said to it.
            let mut newcomer = Client::connect(&node, dialect, Transport::Tcp).await;
            match newcomer.receive_within(Duration::from_secs(1)).await {
                Some(Ok(Received::Frame(frame))) => break parsed(&frame),
                Some(other) => panic!("{dialect:?}: {other:?}"),
                None => let_in += 1,
            }
        };
        let error = dialect.error(&told).unwrap_or_else(|| panic!("{dialect:?}: {told}"));
        let expected =
            if dialect == Simple { "too_fast" } else { "Too many connect at once, connect again in a few seconds" };
        assert_eq!(error, expected, "{dialect:?}");
    }
    assert!(let_in >= burst, "the burst has room for {burst}, let in {let_in}");
    assert!(node.metric("crosstalk_connections_paced_total", &[]).await >= Some(6.0), "{let_in}");
    node.ready().await;
}

async fn connections_are_limited(key: &str) {
    let node = Plan::embedded().set(key, "3").start();
    let mut first = Client::connect(&node, Pychat, Transport::Tcp).await;
    let mut second = Client::connect(&node, Action, Transport::Tcp).await;
    let mut third = Client::connect(&node, Action, Transport::WebSocket).await;
    for client in [&mut first, &mut second, &mut third] {
        client.expect_quiet().await;
    }
    for dialect in Dialect::OF_GUESTS {
        let mut newcomer = Client::connect(&node, dialect, Transport::Tcp).await;
        let frame = parsed(&newcomer.frame().await);
        assert!(dialect.error(&frame).is_some(), "{dialect:?}: the newcomer was told {frame}");
        newcomer.expect_closed().await;
    }
    // A WebSocket may be refused in the handshake already.
    if let Ok(mut newcomer) = Client::dial(node.address("http"), Action, Transport::WebSocket).await {
        last_error_before_end(&mut newcomer, Action).await;
    }
    for client in [&mut first, &mut second, &mut third] {
        client.expect_quiet().await;
    }
    first.disconnect().await;
    eventually("there is room for another connection", async || {
        let mut newcomer = Client::dial(node.address("action_tcp"), Action, Transport::Tcp).await?;
        newcomer.try_quiet().await
    })
    .await;
}
