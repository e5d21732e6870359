//! Accounts in a cluster: one session each, wherever it is; logins that end; guests that may not come.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::client::{Client, Received, parsed};
use crate::support::dialect::Dialect::{self, Action, Pychat, Simple};
use crate::support::dialect::{Message, Transport};
use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;
use crate::support::token::{token_of, with_key};
use crate::support::visitor::Visitor;

/// The end of the connection after whatever came before; the last frame is the notice.
async fn end_of(client: &mut Client) -> (serde_json::Value, Option<(u16, String)>) {
    let mut last = serde_json::Value::Null;
    loop {
        match client.try_receive().await.unwrap_or_else(|error| panic!("{error}")) {
            Received::Frame(frame) => last = parsed(&frame),
            Received::Closed(close) => return (last, close),
        }
    }
}

async fn is_ended(client: &mut Client, code: &str, sentence: &str) {
    let (notice, close) = end_of(client).await;
    assert_eq!(close, Some((1008, sentence.to_owned())));
    let expected = if client.dialect() == Simple { code } else { sentence };
    assert_eq!(client.dialect().error(&notice), Some(expected), "{notice}");
}

async fn log_out(node: &Node, token: &str) {
    let own = format!("http://{}", node.address("http"));
    let headers = [("x-auth-token", token), ("origin", own.as_str())];
    let answer = Visitor::new().post(&format!("{own}/auth/logout"), "", &headers).await;
    assert_eq!(answer.status, 204, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_session_ends_the_older_one_on_another_node() {
    let redis = Redis::start();
    let plan = with_key(Plan::on(&redis));
    let nodes = [plan.start(), plan.start()];
    let mut bob = Client::named(&nodes[0], Simple, "bob").await;
    let mut olga = Client::account(&nodes[0], Action, "olga").await;
    for (number, dialect) in [Simple, Pychat, Action, Simple].into_iter().enumerate() {
        let mut newer = Client::account(&nodes[(number + 1) % 2], dialect, "olga").await;
        is_ended(&mut olga, "superseded", "Your nickname is used by a newer login").await;
        bob.write("olga", "which one are you?").await;
        newer.expect_private("bob", "which one are you?").await;
        olga = newer;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_on_one_node_ends_the_sessions_of_the_login_on_all() {
    let redis = Redis::start();
    let plan = with_key(Plan::on(&redis));
    let nodes = [plan.start(), plan.start(), plan.start()];
    for dialect in Dialect::OF_GUESTS {
        let tokens = ["olga", "adam"].map(|name| token_of(&format!("{name}{}", dialect.label())));
        let mut olga = Client::by_token(&nodes[1], dialect, &tokens[0]).await;
        let mut adam = Client::by_token(&nodes[2], dialect, &tokens[1]).await;
        log_out(&nodes[0], &tokens[0]).await;
        is_ended(&mut olga, "logged_out", "You are logged out").await;
        adam.expect_quiet().await;
        log_out(&nodes[0], &tokens[1]).await;
        is_ended(&mut adam, "logged_out", "You are logged out").await;
        // The token is good for nothing any more, on whatever node, brought however.
        for node in &nodes {
            let again = Client::dial_with(node.address("http"), dialect, &format!("token={}", tokens[0])).await;
            assert!(again.is_err_and(|error| error.contains("401")), "a token that was logged out was taken");
        }
        let mut guest = Client::connect(&nodes[2], dialect, Transport::Tcp).await;
        guest.refused(&dialect.login(&format!("olga{}", dialect.label()), &tokens[0])).await;
    }
}

/// Nobody hears of a logout while the way from Redis is broken: it is found out when it is there again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_deaf_finds_out_about_a_logout() {
    let redis = Redis::start();
    let plan = with_key(Plan::on(&redis));
    let nodes = [plan.start(), plan.start()];
    let token = token_of("olga");
    let mut olga = Client::by_token(&nodes[1], Simple, &token).await;
    let mut other = Client::account(&nodes[1], Simple, "adam").await;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let killing = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                redis.query(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            }
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(log_out(&nodes[0], &token));
        });
        done.store(true, Ordering::Release);
        killing.join().expect("the killer lives");
    });
    is_ended(&mut olga, "logged_out", "You are logged out").await;
    other.expect_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_are_refused_where_a_login_is_required() {
    let node = with_key(Plan::embedded()).set("auth.require_login", "true").start();
    for dialect in Dialect::OF_GUESTS {
        let account = format!("olga{}", dialect.label());
        let required = if dialect == Simple { "forbidden" } else { "Login required" };
        for transport in Transport::ALL {
            let mut guest = Client::connect(&node, dialect, transport).await;
            // To greet is allowed: it may bring the token.
            guest.greet().await;
            let requests =
                [dialect.claim("guest"), dialect.join("red"), dialect.say("red", "hi"), dialect.write(&account, "hi")];
            for request in requests {
                assert_eq!(guest.refused(&request).await, required, "{request}");
            }
            guest.must(&dialect.login(&account, &token_of(&account))).await;
            guest.join("red").await;
            guest.disconnect().await;
        }
        let mut account = Client::account(&node, dialect, &account).await;
        account.join("red").await;
        account.say("red", "hi").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_with_a_bad_token_or_from_a_foreign_page_is_refused_in_the_handshake() {
    let node = with_key(Plan::embedded()).set("auth.allowed_origins", "https://app.example.org").start();
    let own = format!("http://{}", node.address("http"));
    let token = token_of("olga");
    for path in ["/chat", "/chat/action", "/chat/simple", "/chat/pychat"] {
        let url = |token: &str| format!("{own}{path}?token={token}");
        let mut visitor = Visitor::new();
        let status = async |visitor: &mut Visitor, url: &str, origin: &str| {
            visitor.send(reqwest::Method::GET, url, None, &[("origin", origin)]).await.status
        };
        assert_eq!(status(&mut visitor, &url("ey.not.good"), &own).await, 401, "{path}");
        assert_eq!(status(&mut visitor, &url(&token), "https://evil.example").await, 403, "{path}");
        assert_eq!(status(&mut visitor, &url(&token), "null").await, 403, "{path}");
        // Nothing is wrong with these but that they want no WebSocket.
        assert_eq!(status(&mut visitor, &url(&token), &own).await, 426, "{path}");
        assert_eq!(status(&mut visitor, &url(&token), "https://app.example.org").await, 426, "{path}");
        // A guest brings nothing that another page could misuse.
        assert_eq!(status(&mut visitor, &format!("{own}{path}"), "https://evil.example").await, 426, "{path}");
    }
    for listener in ["action", "simple"] {
        let url = format!("http://{}/chat?token=ey.not.good", node.address(listener));
        assert_eq!(Visitor::new().get(&url).await.status, 401, "{listener}");
    }
}

/// Without a key nobody has an account, and a token is refused instead of being passed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_key_takes_no_token() {
    let node = Plan::embedded().start();
    for dialect in Dialect::OF_GUESTS {
        let refused = Client::dial_with(node.address("http"), dialect, &format!("token={}", token_of("olga"))).await;
        assert!(refused.is_err_and(|error| error.contains("401")), "{dialect:?}");
        let mut guest = Client::connect(&node, dialect, Transport::Tcp).await;
        guest.refused(&dialect.login("olga", &token_of("olga"))).await;
        guest.claim(&format!("{}Guest", dialect.label())).await;
    }
}

/// The plain mode of simple knows accounts by the address alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_client_of_simple_is_an_account_by_its_address() {
    let node = with_key(Plan::embedded()).start();
    let mut bob = Client::named(&node, Action, "bob").await;
    let olga = Client::dial_with(node.address("simple"), Simple, &format!("token={}", token_of("olga"))).await;
    // The original port has its path alone.
    assert!(olga.is_err_and(|error| error.contains("404")));
    let olga = Client::dial_with(node.address("http"), Simple, &format!("token={}", token_of("olga"))).await;
    let mut olga = olga.unwrap_or_else(|error| panic!("{error}"));
    olga.send(&Simple.write("bob", "hi")).await;
    let message = Message { author: "olga".to_owned(), text: "hi".to_owned() };
    assert_eq!(bob.private_message().await, message);
    let confirmation =
        r#"{"type":"message","emitter":"participant","target":"@bob","identifier":"olga","message":"hi"}"#;
    assert_eq!(olga.frame().await, confirmation);
}
