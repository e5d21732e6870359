//! permessage-deflate (RFC 7692): with a client made by hand, and with a browser.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::browser::{Browser, Screen};
use crate::support::client::Client;
use crate::support::dialect::Dialect::Action;
use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;
use crate::support::{DEADLINE, eventually};

const OFFER: &str = "permessage-deflate; client_max_window_bits";
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// A WebSocket that says of each frame whether it came compressed.
struct Socket(TcpStream);

struct Frame {
    opcode: u8,
    is_compressed: bool,
    /// Of one that came compressed, the bytes that were on the wire.
    wire_bytes: usize,
    payload: Vec<u8>,
}

impl Socket {
    /// The socket, and what the server said of extensions.
    async fn open(node: &Node, offer: &str) -> (Self, Option<String>) {
        let address = node.address("http");
        let mut stream = TcpStream::connect(address).await.expect("the listener accepts");
        let request = format!(
            "GET /chat/action HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: {offer}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("it takes the request");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("the handshake is answered"));
        }
        let head = String::from_utf8(head).expect("the head is text");
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let answer = lines.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-extensions"));
        (Self(stream), answer.map(|(_, value)| value.to_owned()))
    }

    /// Sends a text, compressed or not, in one frame.
    async fn send(&mut self, text: &[u8], compressed: bool) {
        let payload = if compressed { deflated(text) } else { text.to_vec() };
        let mut frame = vec![if compressed { 0xC1 } else { 0x81 }];
        match payload.len() {
            length @ 0..126 => frame.push(0x80 | length as u8),
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        let mask = [7, 11, 13, 17];
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.0.write_all(&frame).await.expect("it takes the frame");
    }

    async fn frame(&mut self) -> Frame {
        let reading = async {
            let (first, second) = (self.0.read_u8().await.unwrap(), self.0.read_u8().await.unwrap());
            let length = match second {
                126 => usize::from(self.0.read_u16().await.unwrap()),
                127 => self.0.read_u64().await.unwrap() as usize,
                length => usize::from(length),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.unwrap();
            let is_compressed = first & 0x40 != 0;
            assert_eq!(first & 0xB0, 0x80, "whole, and no other bit is set");
            let payload = if is_compressed { inflated(&payload) } else { payload };
            Frame { opcode: first & 0x0F, is_compressed, wire_bytes: length, payload }
        };
        tokio::time::timeout(DEADLINE, reading).await.expect("a frame comes")
    }

    /// Reads until a message has this text.
    async fn hears(&mut self, text: &str) -> Frame {
        loop {
            let frame = self.frame().await;
            let value: Value = serde_json::from_slice(&frame.payload).expect("it is JSON");
            if value["text"] == text {
                return frame;
            }
        }
    }
}

/// As a peer does it that takes no context over.
fn deflated(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 100);
    Compress::new(Compression::best(), false).compress_vec(text, &mut out, FlushCompress::Sync).unwrap();
    out.strip_suffix(&TAIL).expect("a flush ends with an empty block").to_vec()
}

fn inflated(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 20);
    let whole = [payload, &TAIL].concat();
    // Of each message by itself, or it would fail here.
    Decompress::new(false).decompress_vec(&whole, &mut out, FlushDecompress::Sync).unwrap();
    out
}

fn plan() -> Plan {
    Plan::embedded().set("session.compression", "true")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_with_and_without_compression_talk() {
    let node = plan().start();
    let mut plain = Client::member(&node, Action, "plain", "red").await;
    let (mut first, answer) = Socket::open(&node, OFFER).await;
    let answer = answer.expect("the offer is accepted");
    assert_eq!(answer, "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    let (mut second, _) = Socket::open(&node, "x-unknown, permessage-deflate").await;
    first.send(json!({"action": "JOIN ROOM", "room_id": "red"}).to_string().as_bytes(), true).await;
    second.send(json!({"action": "JOIN ROOM", "room_id": "red"}).to_string().as_bytes(), false).await;
    for joined in [&mut first, &mut second] {
        let frame = joined.frame().await;
        assert!(!frame.is_compressed, "a short answer goes as it is");
    }
    let long = "all work and no play makes jack a dull boy ".repeat(20);
    for text in ["short", long.as_str()] {
        plain.say("red", text).await;
        for receiver in [&mut first, &mut second] {
            let frame = receiver.hears(text).await;
            assert_eq!(frame.is_compressed, text == long);
            assert!(!frame.is_compressed || frame.wire_bytes * 3 < frame.payload.len(), "{} bytes", frame.wire_bytes);
        }
    }
    let request = json!({"action": "SEND MESSAGE", "room_id": "red", "text": long}).to_string();
    first.send(request.as_bytes(), true).await;
    second.hears(&long).await;
    first.hears(&long).await;
    while plain.message().await.text != long {}
}

/// What is short on the wire is held to the same limit as what is not, and nobody else notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bomb_and_rubbish_end_their_connections() {
    let node = plan().start();
    let (mut bomb, _) = Socket::open(&node, OFFER).await;
    bomb.send(&vec![b' '; 50_000_000], true).await;
    let (mut rubbish, _) = Socket::open(&node, OFFER).await;
    rubbish.0.write_all(&[0xC1, 0x83, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF]).await.unwrap();
    for (socket, code) in [(&mut bomb, 1009), (&mut rubbish, 1002)] {
        let close = loop {
            let frame = socket.frame().await;
            if frame.opcode == 8 {
                break frame;
            }
        };
        assert_eq!(close.payload[..2], u16::to_be_bytes(code), "{}", String::from_utf8_lossy(&close.payload));
    }
    Client::member(&node, Action, "alice", "red").await.say("red", "still fine").await;
    assert_eq!(node.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_an_option_and_what_cannot_be_kept_is_not_agreed() {
    let (with, without) = (plan().start(), Plan::embedded().start());
    for (node, offer) in [(&without, OFFER), (&with, "permessage-deflate; server_max_window_bits=9"), (&with, "x-else")]
    {
        let (mut socket, answer) = Socket::open(node, offer).await;
        assert_eq!(answer, None, "{offer}");
        // The bit means nothing then.
        socket.send(b"{}", true).await;
        while socket.frame().await.opcode != 8 {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_talks_compressed() {
    let redis = Redis::start();
    let nodes = [(); 2].map(|()| Plan::on(&redis).set("session.compression", "true").start());
    let pages = nodes.each_ref().map(|node| format!("http://{}/", node.address("http")));
    let (alice, bob) = tokio::join!(Browser::open(&pages[0], Screen::Desk), Browser::open(&pages[1], Screen::Desk));
    alice.sign_in("alice").await;
    bob.sign_in("bob").await;
    for browser in [&alice, &bob] {
        browser.join("main").await;
    }
    let long = "a rose is a rose is a rose ".repeat(10);
    let long = long.trim();
    alice.say(long).await;
    bob.shows_message("alice", long).await;
    bob.say("short").await;
    alice.shows_message("bob", "short").await;
    alice.evaluate("window.probe = new WebSocket(`ws://${location.host}/chat/action`)").await;
    eventually("the browser says what was agreed", async || {
        let agreed = alice.evaluate("return window.probe.extensions").await;
        if agreed.as_str().is_some_and(|agreed| agreed.contains("permessage-deflate")) {
            Ok(())
        } else {
            Err(agreed.to_string())
        }
    })
    .await;
}
