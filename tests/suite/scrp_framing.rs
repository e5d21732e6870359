//! Where a message of `scrp` ends: lengths over TCP, frames over WebSocket, and what breaks them.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::client::{Client, parsed, with_length};
use crate::support::dialect::Dialect::Scrp;
use crate::support::dialect::Transport;
use crate::support::node::{Node, Plan};

/// The default of `limits.frame_bytes`.
const FRAME_BYTES_MAX: usize = 65_536;

fn get_time(number: u32) -> String {
    json!({"req_id": number, "method": "GET_TIME"}).to_string()
}

fn bad_request(number: u32) -> Value {
    json!({"resp_id": number, "err": 233})
}

async fn connect(node: &Node, transport: Transport) -> Client {
    Client::connect(node, Scrp, transport).await
}

/// The next frame is the time, for the request of this number.
async fn expect_time(client: &mut Client, number: u32) {
    let frame = parsed(&client.frame().await);
    assert_eq!((&frame["resp_id"], &frame["err"]), (&json!(number), &json!(900)), "received {frame}");
    assert!(frame["time"].as_u64().is_some_and(|time| time > 1_600_000_000), "received {frame}");
}

async fn expect(client: &mut Client, expected: &Value) {
    assert_eq!(&parsed(&client.frame().await), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_found_however_they_are_cut() {
    let node = Plan::embedded().start();
    for listener in ["scrp", "detect_tcp"] {
        let mut client = Client::dial(node.address(listener), Scrp, Transport::Tcp).await.expect("it accepts");
        let stream: Vec<u8> = (1..=3).flat_map(|number| with_length(get_time(number).as_bytes())).collect();
        for size in [1, 2, 3, 4, 5, 7, 43, stream.len()] {
            for piece in stream.chunks(size) {
                client.try_send_bytes(piece).await.expect("the connection stands");
                if size > 4 && size < stream.len() {
                    // Long enough to be read by itself.
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
            }
            for number in 1..=3 {
                expect_time(&mut client, number).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_object_is_a_bad_request_and_nothing_worse() {
    let node = Plan::embedded().start();
    for transport in Transport::ALL {
        let mut client = connect(&node, transport).await;
        for message in [
            &b""[..],
            b"null",
            b"17",
            b"\"GET_TIME\"",
            b"[{\"req_id\":1,\"method\":\"GET_TIME\"}]",
            b"{\"req_id\":1,\"method\":\"GET_TIME\"",
            b"{\"req_id\":1,\"method\":\"GET_TIME\"}}",
            b"{\"req_id\":1,\"method\":\"GET_TIME\",\"\xff\":0}",
            b"{\"req_id\":1,\"method\":\"GET_TIME\",\"x\":\"\xc3\x28\"}",
            b"\xff\xfe{\0}\0",
            b"LOGIN alice\r\n",
            "[".repeat(50_000).as_bytes(),
            br#"{"req_id":"1","method":"GET_TIME"}"#,
        ] {
            match transport {
                Transport::Tcp => client.try_send_bytes(&with_length(message)).await,
                Transport::WebSocket => client.try_send_bytes(message).await,
            }
            .expect("the connection stands");
            expect(&mut client, &bad_request(0)).await;
        }
        client.send(r#"{"req_id":5,"method":"DANCE"}"#).await;
        expect(&mut client, &bad_request(5)).await;
        // A number that some JSON libraries write so, and a field that nobody knows.
        client.send(r#" {"req_id":6.0,"method":"GET_TIME","x":null} "#).await;
        expect_time(&mut client, 6).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_length_that_cannot_be_is_told_and_ends_the_connection() {
    let node = Plan::embedded().start();
    let over = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_be_bytes();
    for bytes in [
        &over[..],
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff{\"req_id\":1}",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"LOGIN alice\r\n",
        b"{\"req_id\":1,\"method\":\"GET_TIME\"}\n",
        // The beginning of a TLS handshake.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ] {
        let mut client = connect(&node, Transport::Tcp).await;
        client.send(&get_time(1)).await;
        client.try_send_bytes(bytes).await.expect("the connection stands");
        expect_time(&mut client, 1).await;
        expect(&mut client, &bad_request(0)).await;
        assert_eq!(client.expect_closed().await, None);
    }
}

/// The longest that may be is taken, and one byte more is not; over WebSocket the close frame says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_of_a_frame_is_kept_to_the_byte() {
    let node = Plan::embedded().start();
    let padded = |length: usize| {
        let request = get_time(1);
        let blanks = " ".repeat(length - request.len());
        format!("{request}{blanks}")
    };
    for transport in Transport::ALL {
        let mut client = connect(&node, transport).await;
        client.send(&padded(FRAME_BYTES_MAX)).await;
        expect_time(&mut client, 1).await;
        client.send(&padded(FRAME_BYTES_MAX + 1)).await;
        expect(&mut client, &bad_request(0)).await;
        let code = client.expect_closed().await.map(|(code, _)| code);
        assert_eq!(code, (transport == Transport::WebSocket).then_some(1009));
    }
}

/// A length that promises what never comes holds up nobody but its own connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lying_length_waits_for_its_message_alone() {
    let node = Plan::embedded().start();
    let mut liars = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(node.address("scrp")).await.expect("the listener accepts");
        stream.write_all(b"\0\0\xff\xff{\"req_id\"").await.expect("the connection stands");
        liars.push(stream);
    }
    let mut client = connect(&node, Transport::Tcp).await;
    client.send(&get_time(1)).await;
    expect_time(&mut client, 1).await;
    // A length that is too short cuts the message, and its rest is no length.
    let request = get_time(2);
    let mut cut = with_length(request.as_bytes());
    cut[3] -= 10;
    client.try_send_bytes(&cut).await.expect("the connection stands");
    expect(&mut client, &bad_request(0)).await;
    expect(&mut client, &bad_request(0)).await;
    client.expect_closed().await;
    drop(liars);
    client = connect(&node, Transport::Tcp).await;
    client.send(&get_time(3)).await;
    expect_time(&mut client, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rubbish_in_a_row_costs_the_connection() {
    let node = Plan::embedded().set("limits.strikes", "5").start();
    for transport in Transport::ALL {
        let mut client = connect(&node, transport).await;
        for _ in 0..4 {
            client.send("[]").await;
            expect(&mut client, &bad_request(0)).await;
        }
        client.send(&get_time(1)).await;
        expect_time(&mut client, 1).await;
        for _ in 0..5 {
            client.send("").await;
            expect(&mut client, &bad_request(0)).await;
        }
        let told = parsed(&client.frame().await);
        assert_eq!((&told["method"], &told["reason"]), (&json!("FORCED_TO_LOGGED_OFF"), &json!("too_many_strikes")));
        let code = client.expect_closed().await.map(|(code, _)| code);
        assert_eq!(code, (transport == Transport::WebSocket).then_some(1008));
    }
}

/// What needs a login is refused for its want before its formats are looked at, and after it was understood.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_asked_for_before_a_format_and_after_the_form() {
    let node = Plan::embedded().start();
    for transport in Transport::ALL {
        let mut client = connect(&node, transport).await;
        for (method, fields, err) in [
            ("REMOVE_ROOM", json!({}), 233),
            ("REMOVE_ROOM", json!({"room_id": ""}), 250),
            ("REMOVE_ROOM", json!({"room_id": "red"}), 250),
            ("LOG_IN", json!({"user_id": "", "user_password": ""}), 300),
            ("LOG_IN", json!({"user_id": "alice", "user_password": ""}), 310),
            ("SIGN_UP", json!({"user_id": "alice", "user_password": "secret", "user_nickname": ""}), 320),
            ("SET_CLIENT_INFO", json!({"client_nickname": "a test"}), 900),
        ] {
            let mut request = fields;
            request["req_id"] = json!(9);
            request["method"] = json!(method);
            client.send(&request.to_string()).await;
            expect(&mut client, &json!({"resp_id": 9, "err": err})).await;
        }
    }
}
