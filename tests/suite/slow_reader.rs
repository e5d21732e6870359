//! Who does not read is closed, and nobody else notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::{TcpSocket, TcpStream};

use crate::support::client::{Client, Received};
use crate::support::dialect::Dialect::{Action, Pychat};
use crate::support::dialect::Transport;
use crate::support::node::{Node, Plan};
use crate::support::until;

/// Fills the kernel's buffers, which the test cannot see, many times over before the flood is given up.
const FLOOD_LIMIT: usize = 20_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_one_who_does_not_read_is_closed() {
    // A small mailbox, so that less has to be sent until it is full; the rule is the same for any size.
    let node = Plan::embedded().set("limits.mailbox_bytes", "65536").start();
    let mut line = Client::over_tcp(narrow(&node, "pychat").await, Pychat);
    line.must("LOGIN sleepy").await;
    line.join("red").await;
    let stream = narrow(&node, "http").await;
    let mut frames = Client::over_websocket(stream, "/chat/action", Action).await.expect("the handshake succeeds");
    frames.join("red").await;

    let closed = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_to_the_end(Client::member(&node, Pychat, "reader", "red").await));
    let speaker = Client::connect(&node, Action, Transport::Tcp).await;
    let flood = tokio::spawn(flood_until(speaker, Arc::clone(&closed)));

    let slow_reader = [("reason", "slow_reader")];
    until("both sleepers are closed as slow readers", async || {
        flood.is_finished() || node.metric("crosstalk_closes_total", &slow_reader).await == Some(2.0)
    })
    .await;
    closed.store(true, Ordering::Relaxed);
    let sent = flood.await.expect("the flood is never refused");
    assert!(sent < FLOOD_LIMIT, "{sent} messages did not close those who do not read");
    assert_eq!(reader.await.expect("the reader stays connected"), sent, "messages that the reader received");
    for sleeper in [line, frames] {
        ends(sleeper).await;
    }
    assert_eq!(node.metric("crosstalk_closes_total", &slow_reader).await, Some(2.0));
}

/// A connection whose own side holds as little as possible.
async fn narrow(node: &Node, listener: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket can be made");
    socket.set_recv_buffer_size(4096).expect("the buffer can be made small");
    socket.connect(node.address(listener)).await.expect("the listener accepts")
}

/// Says numbered texts of 4,000 bytes, every one acknowledged; then "the end". Gives the count of the numbered ones.
async fn flood_until(mut speaker: Client, stop: Arc<AtomicBool>) -> usize {
    speaker.join("red").await;
    let mut sent = 0;
    while sent < FLOOD_LIMIT && !stop.load(Ordering::Relaxed) {
        speaker.say("red", &format!("{sent:04000}")).await;
        speaker.expect_message("Anonymous", &format!("{sent:04000}")).await;
        sent += 1;
    }
    speaker.say("red", "the end").await;
    sent
}

/// Counts the numbered texts up to the end; they have to come complete and in order.
async fn read_to_the_end(mut reader: Client) -> usize {
    for count in 0.. {
        let text = reader.message().await.text;
        if text == "the end" {
            return count;
        }
        assert_eq!(text.parse(), Ok(count), "the next message of the reader");
    }
    unreachable!("numbers do not end")
}

/// The connection has an end, in order or cut off, after what the kernel still held for it.
async fn ends(mut sleeper: Client) {
    while let Ok(Received::Frame(_)) = sleeper.try_receive().await {}
}
