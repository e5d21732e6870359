//! What the server says of itself is true of all its nodes.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::dialect::Dialect::{Action, Pychat, Scrp};
use crate::support::eventually;
use crate::support::node::Plan;
use crate::support::redis::Redis;

async fn info(client: &mut Client) -> Value {
    client.does("GET_SERVER_INFO", json!({})).await
}

/// Asks until these fields have these values, as they do once every node has told its count.
async fn says(client: &mut Client, expected: Value) {
    let fields = expected.as_object().expect("the fields are an object");
    eventually(&format!("the server says {expected}"), async || {
        let info = info(client).await;
        if fields.iter().all(|(name, value)| info[name] == *value) { Ok(()) } else { Err(info.to_string()) }
    })
    .await;
}

/// Asks until each of these fields has grown by that much at least since `before`.
async fn grew(client: &mut Client, before: &Value, by: &[(&str, u64)]) {
    eventually("the counts have grown", async || {
        let now = info(client).await;
        let grown = |field: &str| now[field].as_u64().unwrap() - before[field].as_u64().unwrap();
        if by.iter().all(|(field, least)| grown(field) >= *least) { Ok(()) } else { Err(now.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_counts_are_the_clusters() {
    let redis = Redis::start();
    let plan = Plan::on(&redis).set("cluster.heartbeat_ms", "200").set("server.nickname", "Under Test");
    let nodes = [plan.start(), plan.start()];
    let mut asking = Client::scrp(&nodes[0]).await;
    let first = info(&mut asking).await;
    assert_eq!((&first["server_nickname"], &first["protocol_version"]), (&json!("Under Test"), &json!("0.0.3")));
    assert!(first["uptime"].as_u64() <= first["time"].as_u64() && first["uptime"].as_u64() > Some(1_600_000_000));

    let mut alice = Client::named(&nodes[0], Scrp, "alice").await;
    let mut bob = Client::named(&nodes[1], Scrp, "bob").await;
    // Guests are no users, and rooms that come and go by joins are none either.
    let mut guest = Client::member(&nodes[1], Pychat, "gus", "red").await;
    alice.does("CREATE_ROOM", json!({"room_id": "blue", "room_nickname": "Blue", "room_access": 0})).await;
    bob.does("CREATE_ROOM", json!({"room_id": "green", "room_nickname": "Green", "room_access": 0})).await;
    says(
        &mut asking,
        json!({
            "number_of_users": 2, "max_number_of_users": 2, "number_of_online_users": 2, "number_of_rooms": 2,
            "max_number_of_online_users": 2, "max_number_of_rooms": 2
        }),
    )
    .await;

    // Who goes and what is gone is counted no more, and the most there were stays.
    bob.does("REMOVE_ROOM", json!({"room_id": "green"})).await;
    bob.does("LOG_OFF", json!({})).await;
    alice.does("DELETE_USER", json!({"user_password": crate::support::dialect::PASSWORD})).await;
    // Her room went with her.
    says(
        &mut asking,
        json!({
            "number_of_users": 1, "max_number_of_users": 2, "number_of_online_users": 0, "number_of_rooms": 0,
            "max_number_of_online_users": 2, "max_number_of_rooms": 2
        }),
    )
    .await;

    let before = info(&mut asking).await;
    let mut carol = Client::member(&nodes[0], Action, "carol", "red").await;
    let text = "x".repeat(1_000);
    for _ in 0..5 {
        guest.say("red", &text).await;
        carol.say("red", &text).await;
    }
    // Ten said, and each heard by both.
    let by = [("messages_in", 10), ("messages_out", 20), ("data_in", 10_000), ("data_out", 20_000)];
    grew(&mut asking, &before, &by).await;
    let after = info(&mut asking).await;
    let messages_in = |info: &Value| info["messages_in"].as_u64().unwrap();
    assert_eq!(messages_in(&after) - messages_in(&before), 10, "nothing is counted twice");
    // Whichever node is asked, it is the same.
    let mut elsewhere = Client::scrp(&nodes[1]).await;
    says(&mut elsewhere, json!({"messages_in": after["messages_in"], "uptime": after["uptime"]})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_nodes_users_are_not_online() {
    let redis = Redis::start();
    let plan = Plan::on(&redis).set("cluster.lease_ms", "2000").set("cluster.heartbeat_ms", "500");
    let (mut doomed, survivor) = (plan.start(), plan.start());
    let _alice = Client::named(&doomed, Scrp, "alice").await;
    let mut bob = Client::named(&survivor, Scrp, "bob").await;
    says(&mut bob, json!({"number_of_online_users": 2})).await;
    doomed.kill9();
    says(&mut bob, json!({"number_of_online_users": 1, "number_of_users": 2})).await;
}
