//! While Redis is away every request of `scrp` that needs it says so, and nothing that was kept is lost for it.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::dialect::Dialect::Scrp;
use crate::support::dialect::PASSWORD;
use crate::support::eventually;
use crate::support::node::Plan;
use crate::support::redis::Redis;
use crate::support::scrp::befriend;

/// Every method that a login is needed for, with what makes it succeed for alice when it is carried out in this order.
fn methods() -> Vec<(&'static str, Value)> {
    let red = || json!({"room_id": "red"});
    let bob_in_red = || json!({"room_id": "red", "subject_user_id": "bob"});
    vec![
        ("CHANGE_USER_NICKNAME", json!({"user_nickname": "Alice"})),
        ("CHANGE_USER_DESCRIPTION", json!({"user_description": "of the wonderland"})),
        ("GET_FRIENDS", json!({})),
        ("GET_REQUESTS", json!({})),
        ("GET_USER", json!({"user_id": "bob"})),
        ("GET_USER_LAST_ACTIVITY_TIME", json!({"user_id": "bob"})),
        ("SEARCH_USER", json!({"query": "bob"})),
        ("SEARCH_ROOM", json!({"query": "red"})),
        ("GET_ROOM", red()),
        ("GET_ROOM_ACCESS_TYPE", red()),
        ("GET_ROOMS", json!({})),
        ("GET_ROOM_MEMBERS", red()),
        ("CREATE_ROOM", json!({"room_id": "new", "room_nickname": "New", "room_access": 0})),
        ("CHANGE_ROOM_ACCESS", json!({"room_id": "red", "room_access_type": 1, "room_password": "red sesame"})),
        ("CHANGE_ROOM_NICKNAME", json!({"room_id": "red", "new_room_nickname": "Red"})),
        ("CHANGE_ROOM_DESCRIPTION", json!({"room_id": "red", "new_room_description": "like a rose"})),
        ("SET_ADMIN", bob_in_red()),
        ("REMOVE_ADMIN", bob_in_red()),
        ("SEND_ROOM_MESSAGE", json!({"room_id": "red", "content": "hi"})),
        ("SEND_PRIVATE_MESSAGE", json!({"user_id": "bob", "content": "hi"})),
        ("RECEIVE_MESSAGE", json!({})),
        ("RECEIVE_MESSAGE", red()),
        ("RECEIVE_MESSAGE", json!({"user_id": "bob"})),
        ("REMOVE_USER_FROM_ROOM", bob_in_red()),
        ("ENTER_ROOM", json!({"room_id": "bobs"})),
        ("LEAVE_ROOM", json!({"room_id": "bobs"})),
        ("REMOVE_ROOM", red()),
        ("TRANSFER_ROOM", json!({"room_id": "blue", "subject_user_id": "bob"})),
        ("REMOVE_FRIEND", json!({"subject_user_id": "bob"})),
        ("ADD_FRIEND", json!({"subject_user_id": "bob", "verification_message": "again"})),
        ("CHANGE_USER_PASSWORD", json!({"old_user_password": PASSWORD, "new_user_password": "new sesame"})),
        ("LOG_OFF", json!({})),
    ]
}

/// Of these the request's number is found out first.
fn decisions(request: &Value) -> [(&'static str, Value); 4] {
    let target = |more: Value| {
        let mut fields = more;
        fields["target_request_id"] = request.clone();
        fields
    };
    [
        ("HANDLE_REQUEST", target(json!({"action_type": 0}))),
        ("APPROVE_REQUEST", target(json!({}))),
        ("REJECT_REQUEST", target(json!({}))),
        ("IGNORE_REQUEST", target(json!({}))),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_that_needs_the_broker_says_that_it_is_away_and_works_again_afterwards() {
    let mut redis = Redis::start_durable();
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start()];
    let mut alice = Client::named(&nodes[0], Scrp, "alice").await;
    let mut bob = Client::named(&nodes[1], Scrp, "bob").await;
    let mut carol = Client::named(&nodes[1], Scrp, "carol").await;
    befriend(&mut alice, &mut bob, "bob").await;
    for (owner, room) in [(&mut bob, "bobs"), (&mut carol, "carols")] {
        owner.does("CREATE_ROOM", json!({"room_id": room, "room_nickname": room, "room_access": 0})).await;
    }
    for room in ["red", "blue"] {
        alice.does("CREATE_ROOM", json!({"room_id": room, "room_nickname": room, "room_access": 0})).await;
        bob.does("ENTER_ROOM", json!({"room_id": room})).await;
    }
    carol.does("ADD_FRIEND", json!({"subject_user_id": "alice", "verification_message": "me, too"})).await;
    let asked = alice.sees(json!({"method": "NEW_FRIEND_REQUEST", "user_id": "carol"})).await;
    let mut nobody = Client::scrp(&nodes[0]).await;
    let sign_up = json!({"user_id": "dora", "user_password": PASSWORD, "user_nickname": "Dora"});
    let log_in = json!({"user_id": "dora", "user_password": PASSWORD});

    redis.stop();
    eventually("the way is known to be broken", async || match alice.err("GET_FRIENDS", json!({})).await {
        502 => Ok(()),
        err => Err(err.to_string()),
    })
    .await;
    for (method, fields) in methods().into_iter().chain(decisions(&asked["request_id"])) {
        assert_eq!(alice.err(method, fields).await, 502, "{method}");
    }
    assert_eq!(alice.err("DELETE_USER", json!({"user_password": PASSWORD})).await, 502);
    for (method, fields) in [("SIGN_UP", &sign_up), ("LOG_IN", &log_in), ("GET_SERVER_INFO", &json!({}))] {
        assert_eq!(nobody.err(method, fields.clone()).await, 502, "{method}");
    }
    // These are nobody's state.
    for client in [&mut alice, &mut nobody] {
        client.does("GET_TIME", json!({})).await;
        client.does("SET_CLIENT_INFO", json!({"client_nickname": "a test"})).await;
    }
    assert_eq!(alice.err("LOG_IN", json!({"user_id": "dora", "user_password": PASSWORD})).await, 251);

    redis.start_again();
    for (client, what) in [(&mut alice, "CHANGE_USER_NICKNAME"), (&mut nobody, "SIGN_UP")] {
        let fields = if what == "SIGN_UP" { sign_up.clone() } else { json!({"user_nickname": "Alice"}) };
        eventually(&format!("{what} works again"), async || match client.err(what, fields.clone()).await {
            900 => Ok(()),
            err => Err(err.to_string()),
        })
        .await;
    }
    nobody.does("LOG_IN", log_in).await;
    nobody.does("GET_SERVER_INFO", json!({})).await;
    alice.does("APPROVE_REQUEST", json!({"target_request_id": asked["request_id"]})).await;
    carol.sees(json!({"method": "REQUEST_APPROVED", "user_id": "alice"})).await;
    for (method, fields) in methods() {
        alice.does(method, fields).await;
    }
    assert_eq!(alice.log_in("alice", "new sesame").await, 900);
    alice.does("DELETE_USER", json!({"user_password": "new sesame"})).await;
    carol.sees(json!({"method": "USER_DELETED", "user_id": "alice"})).await;
    // The whole evening they sat in these rooms.
    bob.sees(json!({"method": "NEW_ROOM_MESSAGE", "sender": "alice", "content": "hi"})).await;
    bob.sees(json!({"method": "NEW_PRIVATE_MESSAGE", "sender": "alice", "content": "hi"})).await;
    bob.sees(json!({"method": "ROOM_OWNER_CHANGED", "room_id": "blue", "user_id": "bob"})).await;
    bob.sees(json!({"method": "FRIEND_REMOVED", "user_id": "alice"})).await;
}

/// The bell is not heard while the ways from Redis are cut; what was put meanwhile comes when they are there again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_while_a_node_was_deaf_comes_when_it_hears_again() {
    let redis = Redis::start();
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start()];
    let mut alice = Client::named(&nodes[0], Scrp, "alice").await;
    let mut bob = Client::named(&nodes[1], Scrp, "bob").await;
    befriend(&mut alice, &mut bob, "bob").await;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let killing = scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                redis.query(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            }
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for number in 0..5 {
                    let fields = json!({"user_id": "bob", "content": format!("message {number}")});
                    alice.does("SEND_PRIVATE_MESSAGE", fields).await;
                }
            });
        });
        done.store(true, Ordering::Release);
        killing.join().expect("the killer lives");
    });
    for number in 0..5 {
        bob.expect_private("alice", &format!("message {number}")).await;
    }
    bob.expect_quiet().await;
}

/// What was told in a room before it was left is not told once more over the same connection, though Redis could not take the
/// room out of the account's list: only who connects anew may be told twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_was_left_is_not_told_again_though_it_stayed_in_the_list() {
    let redis = Redis::start();
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start()];
    let mut alice = Client::named(&nodes[0], Scrp, "alice").await;
    let mut bob = Client::named(&nodes[1], Scrp, "bob").await;
    for room in ["red", "blue"] {
        bob.does("CREATE_ROOM", json!({"room_id": room, "room_nickname": room, "room_access": 0})).await;
        alice.does("ENTER_ROOM", json!({"room_id": room})).await;
        bob.say(room, &format!("hello in {room}")).await;
        alice.expect_message("bob", &format!("hello in {room}")).await;
    }
    // What is an account's can only be read from now on, so rooms stay in the lists.
    redis.query(&["ACL", "SETUSER", "default", "resetkeys", "%R~ct:user:*", "~ct:[^u]*"]);
    alice.does("LEAVE_ROOM", json!({"room_id": "red"})).await;
    bob.does("REMOVE_USER_FROM_ROOM", json!({"room_id": "blue", "subject_user_id": "alice"})).await;
    alice.sees(json!({"method": "USER_LEAVE_ROOM", "room_id": "blue", "by": "bob"})).await;
    // From now on it does not know whether it is in the room, and looks at the list as soon as it can.
    assert_eq!(alice.err("ENTER_ROOM", json!({"room_id": "red"})).await, 502);
    assert_eq!(redis.number(&["HLEN", "ct:user:{alice}:rooms"]), 2, "nothing stood in the way");
    redis.query(&["ACL", "SETUSER", "default", "allkeys"]);
    eventually("the list is put right", async || match redis.number(&["HLEN", "ct:user:{alice}:rooms"]) {
        0 => Ok(()),
        left => Err(format!("{left} rooms")),
    })
    .await;
    alice.expect_quiet().await;
    for room in ["red", "blue"] {
        alice.does("ENTER_ROOM", json!({"room_id": room})).await;
        bob.say(room, &format!("welcome to {room}")).await;
        alice.expect_message("bob", &format!("welcome to {room}")).await;
    }
}
