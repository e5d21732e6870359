//! The page at `/`, used as people use it: two browsers on two replicas.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::browser::{Browser, Screen};
use crate::support::client::Client;
use crate::support::dialect::Dialect::Pychat;
use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;
use crate::support::{eventually, ports};

async fn page(node: &Node, screen: Screen) -> Browser {
    Browser::open(&format!("http://{}/", node.address("http")), screen).await
}

impl Browser {
    async fn fits_its_width(&self) {
        let widths = self.evaluate("return [document.documentElement.scrollWidth, window.innerWidth]").await;
        assert_eq!(widths, json!([360, 360]), "the width of the content and of the phone");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_browsers_on_two_replicas_and_a_pychat_client_talk() {
    let redis = Redis::start();
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start()];
    let (alice, bob) = tokio::join!(page(&nodes[0], Screen::Desk), page(&nodes[1], Screen::Phone));
    alice.sign_in("alice").await;

    bob.shows("#status[data-state=online]").await;
    bob.fits_its_width().await;
    bob.fill("#nickname", "alice").await;
    bob.click("#login").await;
    eventually("the page tells that the nickname is taken", async || match bob.text("#login-error").await? {
        text if text.contains("Nickname already in use") => Ok(()),
        text => Err(text),
    })
    .await;
    bob.shows("body[data-view=login]").await;
    bob.screenshot("phone-nickname-taken").await;
    bob.sign_in("bob").await;

    alice.join("main").await;
    bob.join("main").await;
    alice.say("hello from the desk").await;
    bob.shows_message("alice", "hello from the desk").await;
    bob.say("hello from the phone").await;
    alice.shows_message("bob", "hello from the phone").await;
    for browser in [&alice, &bob] {
        browser.shows_message("alice", "hello from the desk").await;
        browser.shows_message("bob", "hello from the phone").await;
    }

    let mut carol = Client::member(&nodes[1], Pychat, "carol", "main").await;
    carol.say("main", "hello from a terminal").await;
    carol.expect_message("carol", "hello from a terminal").await;
    alice.shows_message("carol", "hello from a terminal").await;
    bob.shows_message("carol", "hello from a terminal").await;
    alice.say("welcome, carol").await;
    carol.expect_message("alice", "welcome, carol").await;
    bob.shows_message("alice", "welcome, carol").await;
    bob.fits_its_width().await;
    alice.screenshot("desk-chat").await;
    bob.screenshot("phone-chat").await;

    // Markup is shown, never run.
    carol.say("main", "<img src=x onerror=document.title=1>").await;
    alice.shows_message("carol", "<img src=x onerror=document.title=1>").await;
    alice.shows_no("#messages img").await;

    alice.click("#leave").await;
    alice.shows_no("#rooms [data-room=main]").await;
}

/// What was said before one came, who is there, who is writing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_shows_earlier_messages_members_and_who_is_writing() {
    let redis = Redis::start();
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start()];
    let mut carol = Client::member(&nodes[0], Pychat, "carol", "main").await;
    for number in 0..60 {
        carol.say("main", &format!("old {number}")).await;
    }
    let (alice, bob) = tokio::join!(page(&nodes[0], Screen::Desk), page(&nodes[1], Screen::Phone));
    alice.sign_in("alice").await;
    bob.sign_in("bob").await;
    alice.join("main").await;
    bob.join("main").await;
    alice.click("#earlier").await;
    alice.shows_message("carol", "old 10").await;
    alice.shows_no("#messages [data-text='old 9']").await;
    alice.click("#earlier").await;
    alice.shows_message("carol", "old 0").await;
    alice.shows_no("#earlier:not([hidden])").await;
    assert_eq!(alice.count("#messages .message").await, 60, "each of them once");

    // Who scrolls up needs no button.
    bob.click("#earlier").await;
    bob.shows_message("carol", "old 10").await;
    bob.evaluate("document.querySelector('#messages').scrollTop = 0").await;
    bob.shows_message("carol", "old 0").await;
    bob.shows_no("#earlier:not([hidden])").await;
    assert_eq!(bob.count("#messages .message").await, 60, "each of them once");

    alice.click("#members").await;
    eventually("the page lists the members", async || match alice.text("#members-list").await? {
        text if ["alice", "bob", "carol"].iter().all(|name| text.contains(name)) => Ok(()),
        text => Err(text),
    })
    .await;
    alice.screenshot("desk-members").await;
    alice.click("#members-dialog button").await;

    bob.fill("#composer", "I am about to").await;
    eventually("the page tells who is writing", async || match alice.text("#typing").await? {
        text if text == "bob is writing…" => Ok(()),
        text => Err(text),
    })
    .await;
    bob.fits_its_width().await;
}

/// Only the network is lost, and the room goes on meanwhile: what was missed is shown, once, and nothing is said to be missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_comes_back_shows_what_it_missed() {
    let redis = Redis::start();
    let keeper = Plan::on(&redis).start();
    let address = format!("127.0.0.1:{}", ports::lasting());
    let plan = Plan::on(&redis).set("listen.http", &address);
    let plan = plan.set("cluster.lease_ms", "4000").set("cluster.heartbeat_ms", "1000");
    let mut node = plan.start();
    let mut carol = Client::member(&keeper, Pychat, "carol", "main").await;
    let alice = page(&node, Screen::Desk).await;
    alice.sign_in("alice").await;
    alice.join("main").await;
    alice.say("before").await;
    alice.shows_message("alice", "before").await;
    node.kill9();
    alice.shows("#status[data-state=offline]").await;
    carol.say("main", "meanwhile").await;
    let _node = plan.start();
    alice.shows_message("carol", "meanwhile").await;
    carol.say("main", "afterwards").await;
    alice.shows_message("carol", "afterwards").await;
    assert_eq!(alice.count("#messages .message").await, 3, "each message once");
    assert_eq!(alice.count("#messages .system").await, 0, "nothing is said to be missing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_comes_back_by_itself_after_the_gateway_was_killed_and_started() {
    comes_back(Plan::embedded()).await;
}

/// On Redis the dead node's lease still holds the page's nickname when the page is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_takes_its_nickname_back_from_the_dead_nodes_lease() {
    let redis = Redis::start();
    comes_back(Plan::on(&redis).set("cluster.lease_ms", "4000").set("cluster.heartbeat_ms", "1000")).await;
}

async fn comes_back(plan: Plan) {
    let address = format!("127.0.0.1:{}", ports::lasting());
    let plan = plan.set("listen.http", &address);
    let mut node = plan.start();
    let alice = page(&node, Screen::Desk).await;
    alice.sign_in("alice").await;
    alice.join("main").await;
    alice.say("before").await;
    alice.shows_message("alice", "before").await;

    node.kill9();
    alice.shows("#status[data-state=offline]").await;
    alice.screenshot("desk-offline").await;
    let node = plan.start();
    alice.shows("#status[data-state=online]").await;

    let mut bob = Client::member(&node, Pychat, "bob", "main").await;
    alice.say("after").await;
    bob.expect_message("alice", "after").await;
    alice.shows_message("alice", "after").await;
    bob.say("main", "welcome back").await;
    alice.shows_message("bob", "welcome back").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_with_a_password_is_entered_and_a_person_written_to() {
    let node = Plan::embedded().start();
    let mut keeper = TcpStream::connect(node.address("simple_tcp")).await.expect("the listener accepts");
    let vault = json!({"type": "command", "action": "create", "target": "#vault", "password": "sesame 1"});
    keeper.write_all(format!("{vault}\n").as_bytes()).await.expect("the command is sent");
    keeper.read_u8().await.expect("the creation is announced");
    let alice = page(&node, Screen::Desk).await;
    alice.sign_in("alice").await;

    alice.fill("#room", "vault").await;
    alice.click("#join").await;
    alice.fill("#password", "open up").await;
    alice.click("#password-enter").await;
    eventually("the page tells that the password is wrong", async || match alice.text("#password-error").await? {
        text if text.contains("Wrong room password") => Ok(()),
        text => Err(text),
    })
    .await;
    alice.screenshot("desk-password").await;
    alice.fill("#password", "sesame 1").await;
    alice.click("#password-enter").await;
    alice.shows("#rooms [data-room=vault]").await;
    alice.say("inside").await;
    alice.shows_message("alice", "inside").await;

    let mut bob = Client::member(&node, Pychat, "bob", "hall").await;
    alice.fill("#room", "@bob").await;
    alice.click("#join").await;
    alice.shows("#rooms [data-room='@bob']").await;
    alice.say("psst").await;
    assert_eq!(bob.frame().await, r#"{"type":"privateMessage","body":"psst","from":"alice"}"#);
    alice.shows_message("alice", "psst").await;
    bob.must("MSG alice what is it?").await;
    alice.shows_message("bob", "what is it?").await;
    alice.screenshot("desk-private").await;
}
