//! A lost connection costs nothing that its client can come back for: the name, the rooms, what was said meanwhile.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::client::{Client, Received, parsed};
use crate::support::dialect::Dialect::{Action, Pychat};
use crate::support::dialect::Transport;
use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;
use crate::support::token::{token_of, with_key};
use crate::support::until;

const NOT_RESUMABLE: &str = "Session cannot be resumed";

/// A client of the extended mode that remembers what it needs to come back.
struct Guest {
    client: Client,
    token: String,
    /// Where it stands in the room `red`.
    position: Value,
}

impl Guest {
    async fn connect(node: &Node) -> Self {
        Self::connect_with(node, "ext=1").await
    }

    async fn connect_with(node: &Node, query: &str) -> Self {
        let client = Client::dial_with(node.address("http"), Action, query).await;
        let mut client = client.unwrap_or_else(|error| panic!("cannot connect: {error}"));
        let welcome = parsed(&client.frame().await);
        let token = welcome["resume"].as_str().unwrap_or_else(|| panic!("no token in {welcome}")).to_owned();
        Self { client, token, position: Value::Null }
    }

    async fn member(node: &Node, name: &str) -> Self {
        let mut guest = Self::connect(node).await;
        guest.client.claim(name).await;
        guest.join().await;
        guest
    }

    async fn join(&mut self) {
        let joined = self.client.ask(&Action.join("red")).await;
        self.position = joined["position"].clone();
        let own = parsed(&self.client.frame().await);
        assert_eq!(own["event"], "join", "{own}");
    }

    /// Hears a text of the room.
    async fn hear(&mut self, text: &str) {
        let frame = parsed(&self.client.frame().await);
        assert_eq!((&frame["action"], &frame["text"]), (&json!("GET MESSAGE"), &json!(text)), "{frame}");
        self.position = json!({"epoch": frame["epoch"], "offset": frame["offset"]});
    }

    /// The connection breaks: over WebSocket, an end without a close frame.
    fn lose(self) -> Lost {
        Lost { token: self.token, position: self.position }
    }
}

/// What is left to a client whose connection broke.
#[derive(Clone)]
struct Lost {
    token: String,
    position: Value,
}

impl Lost {
    fn request(&self) -> String {
        let room = json!({"room_id": "red", "epoch": self.position["epoch"], "offset": self.position["offset"]});
        let rooms = if self.position.is_null() { json!([]) } else { json!([room]) };
        json!({"action": "RESUME", "token": self.token, "rooms": rooms}).to_string()
    }

    async fn try_return(&self, node: &Node) -> (Guest, Value) {
        let mut guest = Guest::connect(node).await;
        let answer = guest.client.ask(&self.request()).await;
        if let Some(token) = answer["resume"].as_str() {
            guest.token = token.to_owned();
        }
        guest.position = answer["rooms"][0]["position"].clone();
        (guest, answer)
    }

    /// Comes back under the name, to a room of which nothing is lost.
    async fn return_as(&self, node: &Node, name: &str) -> Guest {
        let (guest, answer) = self.try_return(node).await;
        assert_eq!(answer["nickname"], name, "{answer}");
        assert_eq!(answer["rooms"][0]["recovered"], true, "{answer}");
        guest
    }

    async fn refused(&self, node: &Node) {
        let (guest, answer) = self.try_return(node).await;
        assert_eq!(Action.error(&answer), Some(NOT_RESUMABLE), "{answer}");
        // Its own end is not to be one more lost connection.
        guest.client.disconnect().await;
    }
}

async fn holds(node: &Node, count: f64) {
    until(&format!("{count} sessions are held"), async || {
        node.metric("crosstalk_held_sessions", &[]).await == Some(count)
    })
    .await;
}

/// Who came and went, as a member saw it up to "the end".
async fn comings_and_goings(mut watcher: Client, speaker: &mut Client) -> Vec<String> {
    speaker.say("red", "the end").await;
    let mut seen = Vec::new();
    loop {
        let frame = parsed(&watcher.frame().await);
        let who = frame["from"].as_str().unwrap_or_default();
        match frame["type"].as_str() {
            Some("userJoined") => seen.push(format!("+{who}")),
            Some("userLeft") => seen.push(format!("-{who}")),
            _ if frame["body"] == "the end" => return seen,
            _ => {}
        }
    }
}

/// Alice loses her connection to one node and comes back to another, or the same; nobody in the room notices.
async fn comes_back_unnoticed(from: &Node, to: &Node) {
    let mut bob = Client::member(to, Action, "bob", "red").await;
    let watcher = Client::member(to, Pychat, "carol", "red").await;
    let mut alice = Guest::member(from, "alice").await;
    bob.say("red", "heard").await;
    alice.hear("heard").await;
    let lost = alice.lose();
    holds(from, 1.0).await;
    for text in ["one", "two"] {
        bob.say("red", text).await;
    }
    assert_eq!(bob.refused(&Action.claim("alice")).await, "Nickname already in use", "it is kept for her");
    let mut alice = lost.return_as(to, "alice").await;
    bob.say("red", "three").await;
    for text in ["one", "two", "three"] {
        alice.hear(text).await;
    }
    holds(from, 0.0).await;
    lost.refused(to).await;
    alice.client.say("red", "back").await;
    alice.hear("back").await;
    assert_eq!(comings_and_goings(watcher, &mut bob).await, ["+alice"]);
    assert_eq!(to.metric("crosstalk_resumes_total", &[("outcome", "whole")]).await, Some(1.0));
    assert_eq!(to.metric("crosstalk_resumes_total", &[("outcome", "refused")]).await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_gone_on_with_on_the_same_node() {
    let node = Plan::embedded().start();
    comes_back_unnoticed(&node, &node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_gone_on_with_on_another_node() {
    let redis = Redis::start();
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start()];
    comes_back_unnoticed(&nodes[0], &nodes[1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_a_killed_node_go_on_before_its_sweep_and_after_it() {
    let redis = Redis::start();
    let mut doomed = Plan::on(&redis).start();
    let survivor = Plan::on(&redis).start();
    let mut bob = Client::member(&survivor, Action, "bob", "red").await;
    let watcher = Client::member(&survivor, Pychat, "carol", "red").await;
    let mut lost = Vec::new();
    for name in ["early", "late"] {
        lost.push(Guest::member(&doomed, name).await);
    }
    doomed.kill9();
    let lost: Vec<Lost> = lost.into_iter().map(Guest::lose).collect();
    bob.say("red", "missed").await;
    let mut early = lost[0].return_as(&survivor, "early").await;
    until("the dead node is swept", async || {
        survivor.metric("crosstalk_swept_memberships_total", &[]).await == Some(1.0)
    })
    .await;
    let mut late = lost[1].return_as(&survivor, "late").await;
    let said = late.client.message().await;
    assert_eq!((said.author.as_str(), said.text.as_str()), ("bob", "missed"));
    early.client.message().await;
    lost[0].refused(&survivor).await;
    let seen = comings_and_goings(watcher, &mut bob).await;
    assert_eq!(seen, ["+early", "+late", "-late", "+late"], "the sweep ends what nobody came back for in time");
    early.client.say("red", "early is here").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_a_node_that_goes_away_go_on_elsewhere() {
    let redis = Redis::start();
    let mut leaving = Plan::on(&redis).start();
    let staying = Plan::on(&redis).start();
    let mut bob = Client::member(&staying, Action, "bob", "red").await;
    let watcher = Client::member(&staying, Pychat, "carol", "red").await;
    // One loses its connection before, one by the restart; a third has nothing to come back with.
    let held = Guest::member(&leaving, "held").await.lose();
    holds(&leaving, 1.0).await;
    let mut closed = Guest::member(&leaving, "closed").await;
    let _plain = Client::member(&leaving, Action, "plain", "red").await;
    leaving.sigterm();
    let code = loop {
        match closed.client.try_receive().await {
            Ok(Received::Frame(_)) => {}
            Ok(Received::Closed(close)) => break close.map(|(code, _)| code),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(code, Some(1012));
    assert_eq!(leaving.wait_exit().code(), Some(0));
    for name in ["held", "closed"] {
        assert_eq!(bob.refused(&Action.claim(name)).await, "Nickname already in use", "it is kept for its heir");
    }
    let _held = held.return_as(&staying, "held").await;
    let _closed = closed.lose().return_as(&staying, "closed").await;
    assert_eq!(comings_and_goings(watcher, &mut bob).await, ["+held", "+closed", "+plain", "-plain"]);
}

/// A second lies between two of them, so that the last one is certainly still there when the first one is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_goes_away_sends_its_sessions_away_one_after_the_other() {
    const SESSIONS: u64 = 30;
    let redis = Redis::start();
    let slowly = Plan::on(&redis).set("shutdown.reconnects_per_second", "1").set("shutdown.deadline_ms", "600000");
    let (mut leaving, staying) = (slowly.start(), Plan::on(&redis).start());
    let mut guests = BTreeMap::new();
    for number in 0..SESSIONS {
        let name = format!("guest{number}");
        guests.insert(name.clone(), Guest::member(&leaving, &name).await);
    }
    leaving.sigterm();
    let mut slots = BTreeMap::new();
    for (name, mut guest) in guests {
        let told = guest.client.try_find("RECONNECT", |frame| frame["action"] == "RECONNECT").await.unwrap();
        assert_eq!(told["resume"], true, "{told}");
        slots.insert(told["after_ms"].as_u64().expect("milliseconds"), (name, guest));
    }
    assert_eq!(slots.keys().copied().collect::<Vec<_>>(), (0..SESSIONS).map(|slot| slot * 1_000).collect::<Vec<_>>());

    let (_, (name, mut first)) = slots.pop_first().unwrap();
    let code = loop {
        if let Received::Closed(close) = first.client.try_receive().await.unwrap() {
            break close.map(|(code, _)| code);
        }
    };
    assert_eq!(code, Some(1012));
    let mut first = first.lose().return_as(&staying, &name).await;
    let (_, (_, mut last)) = slots.pop_last().unwrap();
    last.client.say("red", "still here").await;
    let heard = first.client.try_find("what the last one says", |frame| frame["text"] == "still here").await;
    assert!(heard.is_ok(), "{heard:?}");
    assert!(leaving.metric("crosstalk_drain_waiting", &[]).await > Some(0.0));
    leaving.sigterm();
    assert_eq!(leaving.wait_exit().code(), Some(0), "at the second signal it goes at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_come_back_in_time_leaves_once() {
    let node = Plan::embedded().set("session.resume_s", "1").start();
    let mut bob = Client::member(&node, Action, "bob", "red").await;
    let watcher = Client::member(&node, Pychat, "carol", "red").await;
    let lost = Guest::member(&node, "alice").await.lose();
    until("her name is free", async || Action.error(&bob.ask(&Action.claim("alice")).await).is_none()).await;
    lost.refused(&node).await;
    assert_eq!(comings_and_goings(watcher, &mut bob).await, ["+alice", "-alice"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_in_order_frees_everything_at_once() {
    let node = Plan::embedded().start();
    let mut bob = Client::member(&node, Action, "bob", "red").await;
    let alice = Guest::member(&node, "alice").await;
    let over_tcp = {
        let mut client = Client::connect(&node, Action, Transport::Tcp).await;
        let hello = client.ask(r#"{"action":"HELLO","ext":1}"#).await;
        client.claim("dave").await;
        Lost { token: hello["resume"].as_str().expect("a token").to_owned(), position: Value::Null }
    };
    let lost = Lost { token: alice.token.clone(), position: alice.position.clone() };
    alice.client.disconnect().await;
    for (name, lost) in [("alice", lost), ("dave", over_tcp)] {
        until("the name is free", async || Action.error(&bob.ask(&Action.claim(name)).await).is_none()).await;
        lost.refused(&node).await;
    }
    assert_eq!(node.metric("crosstalk_held_sessions", &[]).await, Some(0.0));
    assert_eq!(node.metric("crosstalk_closes_total", &[("reason", "peer_lost")]).await, Some(0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_only_its_client_knows_to_be_lost_is_ended() {
    let redis = Redis::start();
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start()];
    let watcher = Client::member(&nodes[0], Pychat, "carol", "red").await;
    let mut alice = Guest::member(&nodes[0], "alice").await;
    let lost = Lost { token: alice.token.clone(), position: alice.position.clone() };
    let mut again = lost.return_as(&nodes[1], "alice").await;
    let farewell = parsed(&alice.client.frame().await);
    assert_eq!(farewell["action"], "ERROR", "{farewell}");
    assert_eq!(alice.client.expect_closed().await.map(|(code, _)| code), Some(1008));
    assert_eq!(comings_and_goings(watcher, &mut again.client).await, ["+alice"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_who_come_with_one_token_one_gets_the_name() {
    let redis = Redis::start();
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start()];
    let lost = Guest::member(&nodes[0], "alice").await.lose();
    holds(&nodes[0], 1.0).await;
    let racers = (0..8).map(|number| lost.try_return(&nodes[number % 2]));
    let answers: Vec<(Guest, Value)> = futures_util::future::join_all(racers).await;
    let winners = answers.iter().filter(|(_, answer)| answer["nickname"] == "alice").count();
    let losers = answers.iter().filter(|(_, answer)| Action.error(answer) == Some(NOT_RESUMABLE)).count();
    assert_eq!((winners, losers), (1, 7));
    assert_eq!(redis.list(&["SMEMBERS", "ct:room:{red}:members"]).len(), 1);
}

/// Then it does not know the new token, and could not come back by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_lost_before_the_answer_finds_the_name_free() {
    let node = Plan::embedded().start();
    let lost = Guest::member(&node, "alice").await.lose();
    holds(&node, 1.0).await;
    let mut hasty = Guest::connect(&node).await;
    hasty.client.send(&lost.request()).await;
    drop(hasty);
    let mut again = Client::connect(&node, Action, Transport::Tcp).await;
    // Well before the time for coming back is over.
    until("the name is free", async || Action.error(&again.ask(&Action.claim("alice")).await).is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_was_taken_meanwhile_stays_taken_and_the_rest_goes_on() {
    let redis = Redis::start();
    let mut doomed = Plan::on(&redis).start();
    let survivor = Plan::on(&redis).start();
    let mut bob = Client::member(&survivor, Action, "bob", "red").await;
    let alice = Guest::member(&doomed, "alice").await;
    doomed.kill9();
    let lost = alice.lose();
    until("her name is free", async || Action.error(&bob.ask(&Action.claim("alice")).await).is_none()).await;
    let (mut nameless, answer) = lost.try_return(&survivor).await;
    assert_eq!(answer["message"], "OK");
    assert!(answer.get("nickname").is_none(), "{answer}");
    assert_eq!(answer["rooms"][0]["recovered"], true, "{answer}");
    nameless.client.say("red", "who am I").await;
    assert_eq!(survivor.metric("crosstalk_resumes_total", &[("outcome", "nameless")]).await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_goes_on_as_itself() {
    let redis = Redis::start();
    let plan = with_key(Plan::on(&redis));
    let nodes = [plan.start(), plan.start()];
    let mut alice = Guest::connect_with(&nodes[0], &format!("ext=1&token={}", token_of("alice"))).await;
    alice.join().await;
    let lost = alice.lose();
    holds(&nodes[0], 1.0).await;
    let mut alice = lost.return_as(&nodes[1], "alice").await;
    // The name is reserved: only the account can have it.
    let mut guest = Client::connect(&nodes[0], Action, Transport::Tcp).await;
    assert_eq!(guest.refused(&Action.claim("alice")).await, "Nickname already in use");
    assert_eq!(alice.client.refused(&Action.claim("other")).await, "You are already logged in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_comes_back_to_exactly_what_it_missed() {
    // Long texts, because the kernel takes some megabytes for the sleeper before anything waits here.
    let plan = Plan::embedded().set("limits.text_bytes", "20000").set("limits.mailbox_bytes", "131072");
    let node = plan.set("storage.history_count", "100000").start();
    let mut sleeper = Guest::member(&node, "sleeper").await;
    let mut bob = Client::member(&node, Action, "bob", "red").await;
    let mut sent = 0;
    until("the sleeper is closed as a slow reader", async || {
        for _ in 0..20 {
            bob.say("red", &format!("{sent:020000}")).await;
            bob.message().await;
            sent += 1;
        }
        node.metric("crosstalk_closes_total", &[("reason", "slow_reader")]).await == Some(1.0)
    })
    .await;
    let mut read = 0;
    // What the kernel still held for it; then the end, in order or cut off.
    while let Ok(Received::Frame(frame)) = sleeper.client.try_receive().await {
        let frame = parsed(&frame);
        if frame["action"] == "GET MESSAGE" {
            assert_eq!(frame["text"], format!("{read:020000}"));
            sleeper.position = json!({"epoch": frame["epoch"], "offset": frame["offset"]});
            read += 1;
        }
    }
    assert!(read < sent, "it missed nothing");
    let mut awake = sleeper.lose().return_as(&node, "sleeper").await;
    for number in read..sent {
        awake.hear(&format!("{number:020000}")).await;
    }
    bob.say("red", "live").await;
    awake.hear("live").await;
}

/// Such an end is told to the server's writing side, which has much to say just then; the reading side sees a mere end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_reset_while_it_is_written_to_is_lost_unless_its_client_had_said_goodbye() {
    /// More than the kernel holds for one connection, of which Linux allows 4 MiB.
    const TEXTS: usize = 1_200;
    let node = Plan::embedded().set("limits.mailbox_bytes", "65536").set("storage.history_count", "2000").start();
    let mut bob = Guest::member(&node, "bob").await;
    for number in 0..TEXTS {
        bob.client.say("red", &format!("{number:04000}")).await;
    }
    let (alice, lost) = misses_much(&node, "alice", &bob.position).await;
    alice.reset();
    holds(&node, 1.0).await;
    lost.return_as(&node, "alice").await;

    let (mut dave, gone) = misses_much(&node, "dave", &bob.position).await;
    dave.say_goodbye().await;
    dave.reset();
    let mut other = Client::connect(&node, Action, Transport::Tcp).await;
    until("the name is free", async || Action.error(&other.ask(&Action.claim("dave")).await).is_none()).await;
    gone.refused(&node).await;
}

/// Joins over TCP, and reads no further than to the answer.
async fn misses_much(node: &Node, name: &str, since: &Value) -> (Client, Lost) {
    let mut client = Client::connect(node, Action, Transport::Tcp).await;
    let hello = client.ask(r#"{"action":"HELLO","ext":1}"#).await;
    let token = hello["resume"].as_str().expect("a token").to_owned();
    client.claim(name).await;
    let joined = client.ask(&json!({"action": "JOIN ROOM", "room_id": "red", "since": since}).to_string()).await;
    assert_eq!(joined["recovered"], true, "{joined}");
    (client, Lost { token, position: since.clone() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_too_many_lost_connections_the_first_is_given_up() {
    let node = Plan::embedded().set("session.held", "1").start();
    let first = Guest::member(&node, "first").await.lose();
    holds(&node, 1.0).await;
    let second = Guest::member(&node, "second").await.lose();
    let mut bob = Client::connect(&node, Action, Transport::Tcp).await;
    until("the first name is free", async || Action.error(&bob.ask(&Action.claim("first")).await).is_none()).await;
    first.refused(&node).await;
    second.return_as(&node, "second").await;
}

/// Says a text under a key; where it stands.
async fn say_under_key(guest: &mut Guest) -> (Value, Value) {
    let request = json!({"action": "SEND MESSAGE", "room_id": "red", "text": "once", "key": "k1"});
    let answer = guest.client.ask(&request.to_string()).await;
    assert_eq!(Action.error(&answer), None, "{answer}");
    (answer["epoch"].clone(), answer["offset"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_under_a_key_is_not_said_again_after_losses() {
    let redis = Redis::start();
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start()];
    for (to, name) in [(&nodes[0], "alice"), (&nodes[1], "bob")] {
        let mut guest = Guest::member(&nodes[0], name).await;
        let first = say_under_key(&mut guest).await;
        guest.hear("once").await;
        for _ in 0..2 {
            guest = guest.lose().return_as(to, name).await;
            assert_eq!(say_under_key(&mut guest).await, first, "the answer may have been lost with the connection");
        }
        guest.client.say("red", "the end").await;
        guest.hear("the end").await;
        guest.client.disconnect().await;
    }
}
