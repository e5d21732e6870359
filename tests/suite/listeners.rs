//! Every door of a node: the originals' ports and paths, the common port, detection, the page, the probes.

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::support::client::Client;
use crate::support::dialect::Dialect::{self, Action, Pychat, Scrp, Simple};
use crate::support::dialect::Transport;
use crate::support::http;
use crate::support::node::{Node, Plan};

async fn websocket(node: &Node, listener: &str, path: &str, dialect: Dialect) -> Result<Client, String> {
    let stream = TcpStream::connect(node.address(listener)).await.map_err(|error| error.to_string())?;
    Client::over_websocket(stream, path, dialect).await
}

/// Claims a name and joins `hall`, so that all guests of the test meet there.
async fn enters(mut client: Client, name: &str) -> Client {
    client.claim(name).await;
    client.join("hall").await;
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door_leads_to_the_same_rooms() {
    let node = Plan::embedded().start();
    let doors = [
        ("action", "/chat", Action),
        ("simple", "/chat", Simple),
        ("http", "/chat/action", Action),
        ("http", "/chat/simple", Simple),
        ("http", "/chat/pychat", Pychat),
        ("http", "/chat", Action),
        ("http", "/chat", Simple),
        ("http", "/chat", Pychat),
    ];
    let mut guests = Vec::new();
    for (number, (listener, path, dialect)) in doors.into_iter().enumerate() {
        let guest = websocket(&node, listener, path, dialect).await;
        let guest = guest.unwrap_or_else(|error| panic!("{listener} {path}: {error}"));
        guests.push(enters(guest, &format!("guest{number}")).await);
    }
    for (listener, dialect) in [
        ("pychat", Pychat),
        ("action_tcp", Action),
        ("simple_tcp", Simple),
        ("detect_tcp", Action),
        ("detect_tcp", Simple),
        ("detect_tcp", Pychat),
    ] {
        let stream = TcpStream::connect(node.address(listener)).await.expect("the listener accepts");
        guests.push(enters(Client::over_tcp(stream, dialect), &format!("guest{}", guests.len())).await);
    }
    for speaker in 0..guests.len() {
        guests[speaker].say("hall", "hello").await;
        for guest in &mut guests {
            guest.expect_message(&format!("guest{speaker}"), "hello").await;
        }
    }
}

/// Each door of `scrp`, and lines on a detecting listener, where the first one tells it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door_of_scrp_is_open() {
    let node = Plan::embedded().start();
    let over_tcp = async |listener: &str, framed_as| {
        let stream = TcpStream::connect(node.address(listener)).await.expect("the listener accepts");
        Client::over_tcp(stream, framed_as)
    };
    let clients = [
        websocket(&node, "http", "/chat/scrp", Scrp).await.expect("the upgrade succeeds"),
        websocket(&node, "http", "/chat", Scrp).await.expect("the upgrade succeeds"),
        over_tcp("scrp", Scrp).await,
        over_tcp("detect_tcp", Scrp).await,
        // Its messages are framed in `action` as those of `scrp` are in lines.
        over_tcp("detect_tcp", Action).await,
    ];
    for mut client in clients {
        client.send(r#"{"req_id":7,"method":"GET_TIME"}"#).await;
        let answer: Value = serde_json::from_str(&client.frame().await).unwrap();
        assert_eq!((&answer["resp_id"], &answer["err"]), (&json!(7), &json!(900)), "{answer}");
    }
}

/// The first line comes in before the dialect, and so its limit, is known.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_line_is_held_to_the_limit_of_the_dialect_it_tells() {
    let node = Plan::embedded().start();
    let mut pychat = Client::dial(node.address("detect_tcp"), Pychat, Transport::Tcp).await.expect("it accepts");
    pychat.send(&"x".repeat(16_385)).await;
    assert_eq!(pychat.frame().await, r#"{"type":"error","error":"Line is too long"}"#);
    pychat.expect_closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_message_decides_the_dialect_for_good() {
    let node = Plan::embedded().start();
    let address = node.address("detect_tcp");
    let mut action = Client::dial(address, Action, Transport::Tcp).await.expect("the listener accepts");
    action.must(&Action.join("red")).await;
    assert_eq!(action.refused("LOGIN alice").await, "Unknown message format");
    // A command of `simple` has an `action`, too.
    let mut simple = Client::dial(address, Simple, Transport::Tcp).await.expect("the listener accepts");
    assert_eq!(simple.refused(&Simple.join("nowhere")).await, "channel_not_found");
    assert_eq!(simple.refused(&Action.join("red")).await, "malformed");
    let mut pychat = Client::dial(address, Pychat, Transport::Tcp).await.expect("the listener accepts");
    assert_eq!(pychat.refused("hello").await, "Login required");
    pychat.must("LOGIN alice").await;
    pychat.join("blue").await;
    pychat.must(&Action.join("red")).await;
    pychat.expect_message("alice", &Action.join("red")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_common_port_serves_the_page_and_no_unknown_path() {
    let node = Plan::embedded().start();
    let page = http::get(node.address("http"), "/").await.expect("the page is served");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("data-view=\"login\""), "{}", page.body);
    let unknown = http::get(node.address("http"), "/no/such/path").await.expect("the port answers");
    assert_eq!(unknown.status, 404);
    assert!(websocket(&node, "http", "/chat/unheard-of", Action).await.is_err(), "an unknown dialect was accepted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_port_tells_life_readiness_and_metrics() {
    let node = Plan::embedded().start();
    for path in ["/livez", "/readyz", "/startupz"] {
        let answer = node.admin(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(serde_json::from_str::<Value>(&answer.body).is_ok(), "{path} has no JSON body: {}", answer.body);
    }
    assert_eq!(node.admin("/metrics").await.status, 200);
    let public = http::get(node.address("http"), "/metrics").await.expect("the port answers");
    assert_eq!(public.status, 404, "metrics are not for the public port");
}
