//! Rubbish on every port, from a printed seed: the node answers or closes, and goes on for everyone else.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::client::Client;
use crate::support::dialect::Dialect::{self, Action, Pychat};
use crate::support::dialect::Transport;
use crate::support::node::{LISTENERS, Plan};
use crate::support::random::Random;

const CONNECTIONS_PER_PORT: usize = 48;

/// How long one piece of rubbish may occupy the test; a server need not answer it.
const PATIENCE: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rubbish_on_every_port_harms_nobody() {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is right").as_nanos() as u64;
    // Shown when the test fails; put the number in here to repeat the run.
    println!("the seed is {seed}");
    let mut random = Random::seeded(seed);
    let mut node = Plan::embedded().start();
    let mut alice = Client::member(&node, Action, "alice", "red").await;
    let mut bob = Client::member(&node, Pychat, "bob", "red").await;

    let mut left_open = Vec::new();
    for listener in LISTENERS {
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..CONNECTIONS_PER_PORT {
            running.spawn(throw(node.address(listener), rubbish(&mut random)));
        }
        left_open.extend(running.join_all().await);
        assert!(node.is_running(), "the gateway ended on rubbish for {listener}");
    }
    assert_eq!(node.panics(), Vec::<String>::new());

    alice.say("red", "still fine?").await;
    bob.expect_message("alice", "still fine?").await;
    for transport in Transport::ALL {
        for dialect in Dialect::ALL {
            Client::connect(&node, dialect, transport).await.expect_quiet().await;
        }
    }
    let mut late =
        Client::dial(node.address("detect_tcp"), Pychat, Transport::Tcp).await.expect("the listener accepts");
    late.expect_quiet().await;
    assert_eq!(node.admin("/livez").await.status, 200);
    assert_eq!(node.admin("/readyz").await.status, 200);
    drop(left_open);
}

/// Sends the bytes, reads what comes, and leaves the connection open: half of an attack is not hanging up.
async fn throw(address: SocketAddr, bytes: Vec<u8>) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the listener accepts in spite of the rubbish");
    // The server may close in the middle of it, or stop to read.
    let _ = tokio::time::timeout(PATIENCE, stream.write_all(&bytes)).await;
    let mut answer = [0; 4096];
    while let Ok(Ok(1..)) = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await {}
    stream
}

const JOIN: &str = r#"{"action":"JOIN ROOM","room_id":"red"}"#;

fn rubbish(random: &mut Random) -> Vec<u8> {
    let count = random.below(2000);
    match random.below(10) {
        0 => random.bytes(count),
        1 => [b"LOGIN ", random.bytes(count).as_slice(), b"\r\nJOIN red\r\n"].concat(),
        2 => format!("{}\n", &JOIN[..random.below(JOIN.len())]).into_bytes(),
        3 => format!("{}\n", "[".repeat(1 + random.below(60_000))).into_bytes(),
        4 => format!("{}1{}\n", "{\"action\":".repeat(200), "}".repeat(200)).into_bytes(),
        // More than any line may have, and no end of it.
        5 => vec![b'x'; 200_000],
        6 => vec![0; 1 + count],
        7 => [JOIN.as_bytes(), b"\xff\xfe\xc0\x80\n", "\u{feff}".as_bytes(), JOIN.as_bytes(), b"\n"].concat(),
        8 => handshake()[..random.below(handshake().len())].to_vec(),
        // A good handshake, then frames that are none.
        _ => [handshake(), random.bytes(count)].concat(),
    }
}

fn handshake() -> Vec<u8> {
    "GET /chat/action HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        .into()
}
