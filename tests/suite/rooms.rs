//! Rooms that are created on purpose: they outlive restarts, and every node has the same list of them.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::dialect::Dialect::{self, Action, Simple};
use crate::support::dialect::{Transport, command};
use crate::support::eventually;
use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;
use crate::support::token::with_key;

fn request(action: &str, room: &str, more: Value) -> String {
    let mut request = json!({"type": "command", "action": action, "target": room});
    for (key, value) in more.as_object().expect("an object") {
        request[key] = value.clone();
    }
    request.to_string()
}

/// The rooms whose ids begin with `prefix`, with how many are in them.
async fn listed(client: &mut Client, prefix: &str) -> Vec<(String, u64)> {
    let list = client.ask(&json!({"type": "command", "action": "list", "after": prefix}).to_string()).await;
    let rooms = list["channels"].as_array().unwrap_or_else(|| panic!("no list: {list}"));
    let line = |room: &Value| Some((room["identifier"].as_str()?.to_owned(), room["participants"].as_u64()?));
    let lines = rooms.iter().map(|room| line(room).unwrap_or_else(|| panic!("no line of a list: {room}")));
    lines.filter(|(room, _)| room[1..].starts_with(prefix)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_owners_admins_and_passwords_are_there_after_a_restart_with_a_folder() {
    let folder = tempfile::TempDir::new().unwrap();
    let plan = with_key(Plan::durable(folder.path()));
    let mut node = plan.start();
    make_rooms(&node).await;
    node.sigterm();
    assert!(node.wait_exit().success());
    find_rooms(&plan.start()).await;
}

/// As a power cut leaves it: what was answered is on the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_are_there_after_a_crash_with_a_folder() {
    let folder = tempfile::TempDir::new().unwrap();
    let plan = with_key(Plan::durable(folder.path()));
    let mut node = plan.start();
    make_rooms(&node).await;
    node.kill9();
    find_rooms(&plan.start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_owners_admins_and_passwords_are_there_after_a_restart_of_all_nodes_on_redis() {
    let redis = Redis::start();
    let plan = with_key(Plan::on(&redis));
    let mut node = plan.start();
    make_rooms(&node).await;
    node.sigterm();
    assert!(node.wait_exit().success());
    find_rooms(&plan.start()).await;
}

async fn make_rooms(node: &Node) {
    let mut olga = Client::account(node, Simple, "olga").await;
    let details = json!({"password": "pass word", "nickname": "The Secret", "description": "sh"});
    olga.must(&request("create", "#kept.secret", details)).await;
    olga.must(&request("create", "#kept.asked", json!({"access": "permission"}))).await;
    olga.must(&request("appoint", "#kept.asked", json!({"identifier": "adam"}))).await;
    olga.must(&command("create", "#kept.gone")).await;
    olga.must(&command("destroy", "#kept.gone")).await;
    // Accounts that asked, one of whom may come, and a guest whose wish ends with its session.
    for (account, approved) in [("mia", true), ("max", false)] {
        let mut client = Client::account(node, Simple, account).await;
        assert_eq!(client.refused(&Simple.join("kept.asked")).await, "forbidden");
        if approved {
            olga.must(&request("approve", "#kept.asked", json!({"identifier": account}))).await;
        }
    }
    let mut guest = Client::named(node, Simple, "gus").await;
    guest.must(&command("create", "#kept.open")).await;
    assert_eq!(guest.refused(&Simple.join("kept.asked")).await, "forbidden");
    guest.join("kept.open").await;
}

async fn find_rooms(node: &Node) {
    let mut guest = Client::named(node, Simple, "gus").await;
    // Their owner is a member, present or not.
    let rooms =
        [("#kept.asked", 1), ("#kept.open", 0), ("#kept.secret", 1)].map(|(room, members)| (room.to_owned(), members));
    // On Redis a node that was killed is swept first.
    eventually("the rooms are listed, and nobody is there", async || match listed(&mut guest, "kept").await {
        seen if seen == rooms => Ok(()),
        seen => Err(format!("{seen:?}")),
    })
    .await;
    assert_eq!(guest.refused(&command("create", "#kept.open")).await, "channel_exists");
    assert_eq!(guest.refused(&command("destroy", "#kept.secret")).await, "forbidden");
    assert_eq!(guest.refused(&Simple.join("kept.secret")).await, "forbidden");
    guest.must(&request("join", "#kept.secret", json!({"password": "pass word"}))).await;
    assert_eq!(guest.refused(&Simple.join("kept.gone")).await, "channel_not_found");

    let mut adam = Client::account(node, Simple, "adam").await;
    let asked = adam.ask(&command("requests", "#kept.asked")).await;
    assert_eq!(asked["identifiers"], json!(["max"]));
    adam.must(&request("approve", "#kept.asked", json!({"identifier": "max"}))).await;
    for account in ["mia", "max"] {
        Client::account(node, Action, account).await.must(&Action.join("kept.asked")).await;
    }
    assert_eq!(adam.refused(&command("destroy", "#kept.asked")).await, "forbidden");
    let mut olga = Client::account(node, Simple, "olga").await;
    olga.must(&command("destroy", "#kept.asked")).await;
    olga.must(&command("destroy", "#kept.secret")).await;
    assert_eq!(listed(&mut olga, "kept").await, [("#kept.open".to_owned(), 0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_is_right_after_creations_and_destructions_on_all_nodes_at_once() {
    const ROOMS: usize = 4;
    let redis = Redis::start();
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start(), Plan::on(&redis).start()];
    let mut rivals = tokio::task::JoinSet::new();
    for number in 0..6 {
        let mut client = Client::connect(&nodes[number % 3], Simple, Transport::ALL[number % 2]).await;
        rivals.spawn(async move {
            for round in 0..30 {
                let action = if (round + number) % 2 == 0 { "create" } else { "destroy" };
                client.send(&command(action, &format!("#race.{}", (round / 2 + number) % ROOMS))).await;
            }
            // The answer to a request that only this client makes: all its others are done.
            let last = json!({"type": "last", "of": number});
            client.send(&last.to_string()).await;
            while serde_json::from_str::<Value>(&client.frame().await).unwrap_or_default()["request"] != last {}
        });
    }
    rivals.join_all().await;
    for (number, node) in nodes.iter().enumerate() {
        let mut judge = Client::named(node, Simple, &format!("judge{number}")).await;
        let mut real = Vec::new();
        for number in 0..ROOMS {
            let room = format!("#race.{number}");
            // Whoever may not know who waits for a room knows that there is one.
            match judge.refused(&command("requests", &room)).await.as_str() {
                "forbidden" => real.push((room, 0)),
                error => assert_eq!(error, "channel_not_found"),
            }
        }
        assert_eq!(listed(&mut judge, "race.").await, real);
    }
}

/// What a guest asked for is nobody's when the guest is gone, however it went.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_guests_disappear_with_their_node() {
    let redis = Redis::start();
    let plan = with_key(Plan::on(&redis)).set("cluster.lease_ms", "2000").set("cluster.heartbeat_ms", "500");
    let staying = plan.start();
    let mut dying = plan.start();
    let mut olga = Client::account(&staying, Simple, "olga").await;
    olga.must(&request("create", "#asked", json!({"access": "permission"}))).await;
    let mut waiting = Vec::new();
    for dialect in Dialect::OF_GUESTS {
        let mut guest = Client::named(&dying, dialect, &format!("{}Guest", dialect.label())).await;
        guest.refused(&dialect.join("asked")).await;
        waiting.push(guest);
    }
    let mut account = Client::account(&dying, Action, "mia").await;
    account.refused(&Action.join("asked")).await;
    let asked = olga.ask(&command("requests", "#asked")).await;
    assert_eq!(asked["identifiers"].as_array().map(Vec::len), Some(4), "{asked}");
    dying.kill9();
    eventually("the guests wait no more", async || {
        let asked = olga.ask(&command("requests", "#asked")).await;
        if asked["identifiers"] == json!(["mia"]) { Ok(()) } else { Err(asked.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_on_every_node_are_out_of_a_destroyed_room() {
    let redis = Redis::start();
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start(), Plan::on(&redis).start()];
    let mut maker = Client::named(&nodes[0], Simple, "maker").await;
    maker.must(&command("create", "#doomed")).await;
    let mut members = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        for dialect in Dialect::OF_GUESTS {
            members.push(Client::member(node, dialect, &format!("{}{number}", dialect.label()), "doomed").await);
        }
    }
    assert_eq!(listed(&mut maker, "doom").await, [("#doomed".to_owned(), 9)]);
    maker.must(&command("destroy", "#doomed")).await;
    for member in &mut members {
        let dialect = member.dialect();
        let expected = match dialect {
            Action => "You should join this room first",
            Simple => "channel_not_found",
            Dialect::Pychat => "Join a room first",
            Dialect::Scrp => "ROOM_NOT_FOUND",
        };
        eventually("a member can speak there no more", async || {
            let reply = member.ask(&dialect.say("doomed", "still here?")).await;
            if dialect.error(&reply) == Some(expected) { Ok(()) } else { Err(reply.to_string()) }
        })
        .await;
    }
    assert_eq!(listed(&mut maker, "doom").await, []);
    assert_eq!(redis.number(&["EXISTS", "ct:room:{doomed}:members"]), 0);
}

/// Announcements are a stream like any room's: what a node does not hear it reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_subscription_connections_lose_no_announcement() {
    let redis = Redis::start();
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start()];
    let mut maker = Client::named(&nodes[0], Simple, "maker").await;
    let mut plain = Client::connect(&nodes[1], Simple, Transport::Tcp).await;
    plain.expect_quiet().await;
    for number in 0..40 {
        // Before the very first one, too: nothing was ever announced then.
        if number % 4 == 0 {
            redis.query(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        }
        let action = if number % 2 == 0 { "create" } else { "destroy" };
        maker.must(&command(action, &format!("#room.{}", number / 2))).await;
    }
    for number in 0..40 {
        let event = if number % 2 == 0 { "create" } else { "destroy" };
        let expected = json!({
            "type": "event", "emitter": "channel", "identifier": format!("#room.{}", number / 2), "event": event
        });
        assert_eq!(serde_json::from_str::<Value>(&plain.frame().await).unwrap_or_default(), expected);
    }
    plain.expect_quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_wait_for_a_broker_that_is_away() {
    let mut redis = Redis::start_durable();
    let node = with_key(Plan::on(&redis)).start();
    let mut olga = Client::account(&node, Simple, "olga").await;
    olga.join("red").await;
    redis.stop();
    let requests = [
        command("create", "#blue"),
        command("destroy", "#red"),
        command("join", "#green"),
        command("leave", "#green"),
        command("requests", "#red"),
        request("change", "#red", json!({"nickname": "Red"})),
        request("appoint", "#red", json!({"identifier": "adam"})),
        request("approve", "#red", json!({"identifier": "adam"})),
        json!({"type": "command", "action": "list"}).to_string(),
        Simple.say("red", "during"),
    ];
    for request in &requests {
        assert_eq!(olga.refused(request).await, "unavailable", "{request}");
    }
    redis.start_again();
    eventually("rooms can be made again", async || {
        let reply = olga.ask(&command("create", "#yellow")).await;
        Simple.error(&reply).map_or(Ok(()), |error| Err(error.to_owned()))
    })
    .await;
    // Still in it, and still its owner.
    olga.say("red", "after").await;
    olga.expect_message("olga", "after").await;
    olga.must(&command("destroy", "#red")).await;
}
