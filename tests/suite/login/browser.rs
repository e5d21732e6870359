//! The whole way as people go it.

use tokio::net::TcpStream;

use super::*;
use crate::support::browser::{Browser, Screen};
use crate::support::client::Client;
use crate::support::dialect::Dialect::{Action, Pychat};
use crate::support::eventually;

impl Browser {
    async fn log_in_at_provider(&self, name: &str) {
        self.shows("input[name=login]").await;
        self.fill("input[name=login]", name).await;
        self.fill("input[name=password]", "x").await;
        self.click("button[type=submit]").await;
        // The consent has no fields.
        self.shows_no("input[name=login]").await;
        self.click("button[type=submit]").await;
    }

    async fn says(&self, css: &str, text: &str) {
        eventually(&format!("{css} says {text}"), async || match self.text(css).await? {
            seen if seen.contains(text) => Ok(()),
            seen => Err(seen),
        })
        .await;
    }

    /// What `/auth` tells the page.
    async fn username(&self) -> Value {
        self.evaluate("return fetch('/auth').then((answer) => answer.json()).then((state) => state.username)").await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_logs_in_chooses_a_username_logs_out_and_comes_back() {
    let site = Site::start();
    site.registered("taken").await;
    let browser = Browser::open(&site.at("/"), Screen::Phone).await;
    browser.says("#providers a", "Log in with Test <Provider>").await;
    browser.shows("#nickname").await;
    browser.screenshot("phone-login-providers").await;
    browser.click("#providers a").await;
    browser.log_in_at_provider("alice").await;

    browser.shows("#username").await;
    browser.screenshot("phone-username").await;
    browser.fill("#username", "taken").await;
    browser.click("#choose").await;
    browser.says("#error", "taken").await;
    browser.fill("#username", "Zoë & Co").await;
    browser.click("#choose").await;

    browser.shows("#logout").await;
    browser.says("#account", "Zoë & Co").await;
    assert_eq!(browser.username().await, "Zoë & Co");
    browser.join("hall").await;
    let mut guest = Client::member(&site.node, Pychat, "guest", "hall").await;
    browser.say("hello from the page").await;
    guest.expect_message("Zoë & Co", "hello from the page").await;
    browser.shows_message("Zoë & Co", "hello from the page").await;
    browser.screenshot("phone-account-chat").await;
    assert_eq!(browser.evaluate("return document.cookie").await, "", "no script reads the token");

    browser.click("#logout").await;
    browser.shows("#providers a").await;
    assert_eq!(browser.username().await, Value::Null);
    browser.screenshot("phone-logged-out").await;

    // The provider still knows them, and the gateway knows their account: no questions.
    browser.click("#providers a").await;
    browser.says("#account", "Zoë & Co").await;
    assert_eq!((site.counted("logged_in").await, site.counted("registered").await), (1.0, 2.0));
    assert_eq!(site.counted("logged_out").await, 1.0);
}

/// Two windows of one account would take the name from one another for ever if each came back by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_whose_account_logs_in_elsewhere_waits_to_be_asked() {
    let site = Site::start();
    let mut elsewhere = site.registered("alice").await;
    let browser = Browser::open(&site.at("/"), Screen::Desk).await;
    browser.click("#providers a").await;
    browser.log_in_at_provider("alice").await;
    browser.says("#account", "alice").await;
    browser.join("hall").await;

    let token = site.token(&mut elsewhere);
    let stream = TcpStream::connect(site.node.address("http")).await.expect("the port accepts");
    let path = format!("/chat/action?token={token}");
    let mut second = Client::over_websocket(stream, &path, Action).await.expect("the token is taken");
    browser.says("#status-text", "Your nickname is used by a newer login").await;
    browser.screenshot("desk-superseded").await;
    second.expect_quiet().await;

    browser.click("#retry").await;
    browser.shows("#status[data-state=online]").await;
    let notice = second.frame().await;
    assert!(notice.contains("Your nickname is used by a newer login"), "{notice}");
    assert_eq!(second.expect_closed().await.map(|(code, _)| code), Some(1008));
    let mut guest = Client::member(&site.node, Pychat, "guest", "hall").await;
    browser.say("back in the hall").await;
    guest.expect_message("alice", "back in the hall").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_guests_are_refused_the_page_offers_no_nickname() {
    let site = Site::start_with(|plan| plan.set("auth.require_login", "true"));
    let browser = Browser::open(&site.at("/"), Screen::Desk).await;
    browser.shows("#providers a").await;
    browser.shows("#login-form[hidden]").await;
    browser.screenshot("desk-login-required").await;
}
