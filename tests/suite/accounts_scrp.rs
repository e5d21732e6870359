//! Accounts with a password: guessed, changed, taken over, deleted, and mourned once.

use std::time::Instant;

use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

use crate::support::client::{Client, Received, parsed};
use crate::support::dialect::Dialect::{self, Action, Pychat, Scrp, Simple};
use crate::support::dialect::{PASSWORD, Transport, request, sign_up};
use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;
use crate::support::scrp::{befriend, credentials};
use crate::support::token::{token_of, with_key};
use crate::support::{GHOST_CEILING, eventually};

fn two_nodes(redis: &Redis) -> [Node; 2] {
    [Plan::on(redis).start(), Plan::on(redis).start()]
}

/// Logs in with a password, in whatever dialect.
fn login(dialect: Dialect, account: &str, password: &str) -> String {
    match dialect {
        Action => json!({"action": "LOGIN NICK", "nickname": account, "password": password}).to_string(),
        Simple => json!({"type": "command", "action": "login", "target": format!("@{account}"), "password": password})
            .to_string(),
        Pychat => format!("LOGIN {account} {password}"),
        Scrp => request("LOG_IN", json!({"user_id": account, "user_password": password})),
    }
}

async fn greeted(node: &Node, dialect: Dialect) -> Client {
    let mut client = Client::connect(node, dialect, Transport::Tcp).await;
    client.greet().await;
    client
}

/// One hash at a time, two may wait; forty want in. Those beyond are told so, and what others say goes on meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_logins_is_refused_beyond_the_queue_and_chat_goes_on() {
    let plan = Plan::embedded().set("passwords.at_once", "1").set("passwords.queue", "3");
    let node = plan.set("passwords.memory_kib", "1024").start();
    let mut alice = Client::member(&node, Scrp, "alice", "red").await;
    let mut bob = Client::member(&node, Action, "bob", "red").await;
    let mut storm = Vec::new();
    for number in 0..40 {
        // Names that nobody bears cost as much as others.
        let mut client = Client::scrp(&node).await;
        client.send(&request("LOG_IN", credentials(&format!("nobody{number}")))).await;
        storm.push(client);
    }
    alice.say("red", "is it windy?").await;
    bob.expect_message("alice", "is it windy?").await;
    let mut refused = 0;
    for client in &mut storm {
        match parsed(&client.frame().await)["err"].as_u64() {
            Some(403) => {}
            Some(502) => refused += 1,
            other => panic!("a login was answered with {other:?}"),
        }
    }
    assert!((1..40).contains(&refused), "{refused} of 40 were refused");
    // The connection stays, and afterwards there is room again.
    assert_eq!(storm[39].log_in("alice", PASSWORD).await, 900);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_passwords_are_counted_over_all_nodes_and_dialects_for_one_account_and_address() {
    let redis = Redis::start();
    let nodes = two_nodes(&redis);
    let mut clients = [Client::scrp(&nodes[0]).await, Client::scrp(&nodes[1]).await];
    for account in ["alice", "bob", "carol"] {
        clients[0].must(&sign_up(account)).await;
    }
    for place in [0, 0, 0, 1, 1] {
        assert_eq!(clients[place].log_in("alice", "not it").await, 403);
    }
    for client in &mut clients {
        assert_eq!(client.log_in("alice", "not it").await, 402);
        assert_eq!(client.log_in("alice", PASSWORD).await, 402, "even the right one waits");
    }
    for (dialect, node) in Dialect::OF_GUESTS.into_iter().zip(nodes.iter().cycle()) {
        greeted(node, dialect).await.refused(&login(dialect, "alice", PASSWORD)).await;
    }
    // Wrong ones in other dialects count as well.
    for (dialect, node) in [Action, Simple, Pychat, Action, Simple].into_iter().zip(nodes.iter().cycle()) {
        greeted(node, dialect).await.refused(&login(dialect, "carol", "not it")).await;
    }
    assert_eq!(clients[0].log_in("carol", PASSWORD).await, 402);
    // Another account, and another address, are not concerned.
    assert_eq!(clients[0].log_in("bob", PASSWORD).await, 900);
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let stream = socket.connect(nodes[1].address("scrp")).await.unwrap();
    assert_eq!(Client::over_tcp(stream, Scrp).log_in("alice", PASSWORD).await, 900);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_password_ends_the_count() {
    let redis = Redis::start();
    let nodes = two_nodes(&redis);
    let mut alice = Client::named(&nodes[0], Scrp, "alice").await;
    for round in 0..3 {
        for number in 0..4 {
            let mut client = Client::scrp(&nodes[number % 2]).await;
            assert_eq!(client.log_in("alice", "not it").await, 403, "round {round}, attempt {number}");
        }
        // It counts wherever the password is asked for.
        let wishes = json!({"old_user_password": PASSWORD, "new_user_password": PASSWORD});
        alice.does("CHANGE_USER_PASSWORD", wishes).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_password_ends_what_the_old_one_and_older_tokens_began() {
    let redis = Redis::start();
    let plan = with_key(Plan::on(&redis));
    let nodes = [plan.start(), plan.start()];
    Client::scrp(&nodes[0]).await.must(&sign_up("olga")).await;
    let token = token_of("olga");
    Client::by_token(&nodes[1], Simple, &token).await.expect_quiet().await;
    let mut olga = Client::named(&nodes[0], Scrp, "olga").await;
    let wishes = |old: &str, new: &str| json!({"old_user_password": old, "new_user_password": new});
    assert_eq!(olga.err("CHANGE_USER_PASSWORD", wishes("not it", "new sesame")).await, 403);
    olga.does("CHANGE_USER_PASSWORD", wishes(PASSWORD, "new sesame")).await;
    olga.expect_quiet().await;
    for node in &nodes {
        let again = Client::dial_with(node.address("http"), Simple, &format!("token={token}")).await;
        assert!(again.is_err_and(|error| error.contains("401")), "a token from before the change was taken");
    }
    for (number, dialect) in Dialect::ALL.into_iter().enumerate() {
        let mut client = greeted(&nodes[number % 2], dialect).await;
        client.refused(&login(dialect, "olga", PASSWORD)).await;
        client.must(&login(dialect, "olga", "new sesame")).await;
    }
}

/// Whoever comes with the password ends the session before, wherever that is and in whatever dialect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_login_ends_the_first_on_another_node() {
    let redis = Redis::start();
    let nodes = two_nodes(&redis);
    let mut friend = Client::named(&nodes[0], Scrp, "fay").await;
    let mut first = Client::named(&nodes[0], Scrp, "olga").await;
    befriend(&mut friend, &mut first, "olga").await;
    for (number, dialect) in [Scrp, Action, Scrp, Pychat, Scrp, Simple, Scrp].into_iter().enumerate() {
        let mut second = greeted(&nodes[(number + 1) % 2], dialect).await;
        second.must(&login(dialect, "olga", PASSWORD)).await;
        if first.dialect() == Scrp {
            first.sees(json!({"method": "FORCED_TO_LOGGED_OFF", "reason": "superseded"})).await;
            // What waits for her may have been told before.
            first.take_waiting(|frame| frame["method"] == "NEW_FRIEND_REQUEST");
            first.expect_closed().await;
        }
        first = second;
    }
    // She was there all the time.
    friend.expect_quiet().await;
    first.disconnect().await;
    friend.sees(json!({"method": "USER_OFFLINE", "user_id": "olga"})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_cannot_take_the_name_of_an_account_that_is_away() {
    let redis = Redis::start();
    let nodes = two_nodes(&redis);
    let mut olga = Client::named(&nodes[0], Scrp, "olga").await;
    olga.does("LOG_OFF", json!({})).await;
    for node in &nodes {
        for dialect in Dialect::OF_GUESTS {
            let mut guest = greeted(node, dialect).await;
            guest.refused(&dialect.claim("olga")).await;
        }
    }
    olga.does("LOG_IN", credentials("olga")).await;
    // And nobody signs up as a guest who is there.
    let _guest = Client::named(&nodes[1], Action, "gus").await;
    assert_eq!(olga.ask(&sign_up("gus")).await["err"], 400);
}

/// Zoe writes, befriends, owns, runs, asks and deletes herself; Fay stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_account_leaves_nothing_but_its_messages() {
    let redis = Redis::start();
    let nodes = two_nodes(&redis);
    let mut fay = Client::named(&nodes[0], Scrp, "fay").await;
    let mut zoe = Client::named(&nodes[1], Scrp, "zoe_zoeller").await;
    befriend(&mut zoe, &mut fay, "fay").await;
    let wishes = json!({"user_nickname": "Zoe_Zoeller of the first account"});
    zoe.does("CHANGE_USER_NICKNAME", wishes).await;
    for (room, access) in [("fays", 0), ("asked", 2)] {
        fay.does("CREATE_ROOM", json!({"room_id": room, "room_nickname": room, "room_access": access})).await;
    }
    for room in ["hers", "alone"] {
        zoe.does("CREATE_ROOM", json!({"room_id": room, "room_nickname": room, "room_access": 0})).await;
    }
    zoe.does("ENTER_ROOM", json!({"room_id": "asked"})).await;
    zoe.does("ENTER_ROOM", json!({"room_id": "fays"})).await;
    fay.does("SET_ADMIN", json!({"subject_user_id": "zoe_zoeller", "room_id": "fays"})).await;
    fay.does("ENTER_ROOM", json!({"room_id": "hers"})).await;
    zoe.does("SEND_ROOM_MESSAGE", json!({"room_id": "fays", "content": "from the first", "key": "k"})).await;
    zoe.does("SEND_PRIVATE_MESSAGE", json!({"user_id": "fay", "content": "in private", "key": "k"})).await;
    fay.does("SEND_PRIVATE_MESSAGE", json!({"user_id": "zoe_zoeller", "content": "to the first"})).await;
    // Somebody else's wish waits for her.
    let mut ann = Client::named(&nodes[0], Scrp, "ann").await;
    ann.does("ADD_FRIEND", json!({"subject_user_id": "zoe_zoeller", "verification_message": "hello"})).await;
    assert_eq!(zoe.err("DELETE_USER", json!({"user_password": "not it"})).await, 403);
    zoe.does("DELETE_USER", json!({"user_password": PASSWORD})).await;

    fay.sees(json!({"method": "USER_DELETED", "user_id": "zoe_zoeller"})).await;
    fay.sees(json!({"method": "ROOM_OWNER_CHANGED", "room_id": "hers", "user_id": "fay"})).await;
    fay.sees(json!({"method": "USER_LEAVE_ROOM", "room_id": "hers", "user_id": "zoe_zoeller"})).await;
    fay.sees(json!({"method": "USER_LEAVE_ROOM", "room_id": "fays", "user_id": "zoe_zoeller"})).await;
    assert_eq!(fay.err("GET_ROOM", json!({"room_id": "alone"})).await, 404);
    assert_eq!(fay.err("GET_USER", json!({"user_id": "zoe_zoeller"})).await, 405);
    assert_eq!(fay.does("GET_FRIENDS", json!({})).await["friends"], json!([]));
    assert_eq!(fay.does("GET_REQUESTS", json!({})).await["requests"], json!([]));
    assert_eq!(fay.does("SEARCH_USER", json!({"query": "zoe_zoeller"})).await["users"], json!([]));
    assert_eq!(zoe.err("GET_FRIENDS", json!({})).await, 250, "her session goes on without an account");
    // What she said and did, that it was before her end, and what Fay is told of that.
    let expected = [
        "ct:deleted:{zoe_zoeller}",
        // For the operator's own backends, until it is trimmed.
        "ct:outbox",
        "ct:room:{@lobby}:log",
        "ct:room:{@talk fay\u{1f}zoe_zoeller}",
        "ct:room:{@talk fay\u{1f}zoe_zoeller}:log",
        "ct:room:{alone}:log",
        "ct:room:{fays}:log",
        "ct:room:{hers}:log",
        "ct:user:{fay}:inbox",
    ];
    assert_eq!(traces(&redis, "zoe_zoeller"), expected);
    her_name_is_free(&nodes, fay).await;
}

async fn her_name_is_free(nodes: &[Node; 2], mut fay: Client) {
    let said = |sender: Value| move |message: &Value| message["sender"] == sender;
    let mut heir = Client::named(&nodes[0], Scrp, "zoe_zoeller").await;
    heir.expect_quiet().await;
    heir.does("ENTER_ROOM", json!({"room_id": "fays"})).await;
    heir.does("SEND_ROOM_MESSAGE", json!({"room_id": "fays", "content": "from the heir"})).await;
    fay.sees(json!({"method": "NEW_ROOM_MESSAGE", "sender": "zoe_zoeller", "content": "from the heir"})).await;
    for client in [&mut heir, &mut fay] {
        let answer = client.does("RECEIVE_MESSAGE", json!({"room_id": "fays"})).await;
        let messages = answer["messages"].as_array().unwrap();
        let texts = |sender: Value| -> Vec<&str> {
            messages
                .iter()
                .filter(|message| said(sender.clone())(message))
                .filter_map(|m| m["content"].as_str())
                .collect()
        };
        assert_eq!((texts(Value::Null), texts(json!("zoe_zoeller"))), (vec!["from the first"], vec!["from the heir"]));
    }
    // Nor does she read what was written to the other one.
    let talk = heir.does("RECEIVE_MESSAGE", json!({"user_id": "fay"})).await;
    assert_eq!(talk["messages"], json!([]), "the heir reads the talk of the first");
    let everything = heir.does("RECEIVE_MESSAGE", json!({})).await;
    assert!(!everything.to_string().contains("private"), "{everything}");
    let mut reader = Client::member(&nodes[1], Pychat, "paul", "fays").await;
    let authors: Vec<(String, String)> = reader
        .history("")
        .await
        .iter()
        .filter(|record| record["type"] == "message")
        .map(|record| (record["from"].as_str().unwrap().to_owned(), record["body"].as_str().unwrap().to_owned()))
        .collect();
    let expected = [("@deleted", "from the first"), ("zoe_zoeller", "from the heir")];
    assert_eq!(authors, expected.map(|(author, text)| (author.to_owned(), text.to_owned())));
}

/// The keys that have the word in their name or in what they hold.
fn traces(redis: &Redis, word: &str) -> Vec<String> {
    let mut keys = redis.list(&["KEYS", "*"]);
    keys.sort();
    let holds = |key: &str| {
        let kind = format!("{:?}", redis.query(&["TYPE", key]));
        let content = match () {
            () if kind.contains("hash") => redis.query(&["HGETALL", key]),
            () if kind.contains("zset") => redis.query(&["ZRANGE", key, "0", "-1"]),
            () if kind.contains("set") => redis.query(&["SMEMBERS", key]),
            () if kind.contains("stream") => redis.query(&["XRANGE", key, "-", "+"]),
            () => redis.query(&["GET", key]),
        };
        format!("{content:?}").to_lowercase().contains(word)
    };
    // The keys of messages are forgotten by themselves, a few minutes after.
    let passes = |key: &str| key.contains(":key:") && (1..=300_000).contains(&redis.number(&["PTTL", key]));
    keys.retain(|key| (key.contains(word) || holds(key)) && !passes(key));
    keys
}

/// A node that dies says nothing, so one of the others does, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_accounts_of_a_dead_node_go_offline_once() {
    let redis = Redis::start();
    let plan = Plan::on(&redis).set("cluster.lease_ms", "2000").set("cluster.heartbeat_ms", "500");
    let (mut doomed, survivors) = (plan.start(), [plan.start(), plan.start()]);
    let mut olga = Client::named(&doomed, Scrp, "olga").await;
    olga.does("CREATE_ROOM", json!({"room_id": "red", "room_nickname": "Red", "room_access": 0})).await;
    let mut friends = JoinSet::new();
    for (number, node) in survivors.iter().enumerate() {
        let name = format!("friend{number}");
        let mut friend = Client::named(node, Scrp, &name).await;
        befriend(&mut friend, &mut olga, "olga").await;
        friend.does("ENTER_ROOM", json!({"room_id": "red"})).await;
        friends.spawn(async move { (friend, 0) });
    }
    let friends = friends.join_all().await;
    doomed.kill9();
    let killed = Instant::now();
    let mut watching = JoinSet::new();
    for (mut friend, _) in friends {
        // Until the ceiling, because a second one would come late.
        watching.spawn(async move {
            let mut offline = 0;
            while let Some(received) = friend.receive_within(GHOST_CEILING.saturating_sub(killed.elapsed())).await {
                let Ok(Received::Frame(frame)) = received else { panic!("a friend received {received:?}") };
                let frame = parsed(&frame);
                offline += u32::from(frame["method"] == "USER_OFFLINE" && frame["user_id"] == "olga");
                assert_ne!(frame["method"], "USER_LEAVE_ROOM", "she is a member while she is away: {frame}");
            }
            (friend, offline)
        });
    }
    for (mut friend, offline) in watching.join_all().await {
        assert_eq!(offline, 1, "pushes that olga went offline");
        assert_eq!(friend.does("GET_USER", json!({"user_id": "olga"})).await["mode"], 0);
    }
    eventually("she comes again", async || {
        let mut olga = Client::scrp(&survivors[0]).await;
        match olga.log_in("olga", PASSWORD).await {
            900 => Ok(()),
            err => Err(err.to_string()),
        }
    })
    .await;
}
