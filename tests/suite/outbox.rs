//! Backends follow the outbox: who is in which room, in the order in which the members were told, nothing missing, nothing twice.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::task::block_in_place;

use crate::support::client::{Client, parsed};
use crate::support::dialect::Dialect::{Action, Pychat, Simple};
use crate::support::node::Plan;
use crate::support::redis::cluster::Cluster;
use crate::support::redis::{Kind, Recipe, Redis, Reply};
use crate::support::until;

/// Reads an outbox as a backend would: from a cursor on, some entries at a time.
struct Follower {
    stream: String,
    cursor: String,
    /// Room, offset, and the event.
    seen: Vec<(String, u64, Value)>,
}

impl Follower {
    fn of_stream(stream: &str) -> Self {
        Self { stream: stream.to_owned(), cursor: "0".to_owned(), seen: Vec::new() }
    }

    fn read(&mut self, redis: &Redis) {
        loop {
            let page = redis.query(&["XREAD", "COUNT", "7", "STREAMS", &self.stream, &self.cursor]);
            let Reply::List(mut streams) = page else { return };
            let Some(Reply::List(mut stream)) = streams.pop() else { return };
            let Some(Reply::List(entries)) = stream.pop() else { return };
            for entry in entries {
                let Reply::List(mut entry) = entry else { panic!("{entry:?}") };
                let Some(Reply::List(fields)) = entry.pop() else { panic!("an entry without fields") };
                let fields: Vec<String> = fields.into_iter().map(Reply::into_text).collect();
                let field = |name: &str| {
                    let at = fields
                        .iter()
                        .position(|field| field == name)
                        .unwrap_or_else(|| panic!("no {name}: {fields:?}"));
                    fields[at + 1].clone()
                };
                let event = serde_json::from_str(&field("event")).unwrap();
                self.seen.push((field("room"), field("offset").parse().unwrap(), event));
                self.cursor = entry.pop().unwrap().into_text();
            }
        }
    }

    fn of(&self, room: &str) -> Vec<(u64, Value)> {
        let in_room = self.seen.iter().filter(|(in_room, ..)| in_room == room);
        in_room.map(|(_, offset, event)| (*offset, event.clone())).collect()
    }
}

/// What a room's own stream has beside messages.
fn stream_of(redis: &Redis, room: &str) -> Vec<(u64, Value)> {
    let Reply::List(entries) = redis.query(&["XRANGE", &format!("ct:room:{{{room}}}:log"), "-", "+"]) else {
        return vec![];
    };
    let mut found = Vec::new();
    for entry in entries {
        let Reply::List(parts) = entry else { panic!("{entry:?}") };
        let [Reply::Text(id), Reply::List(fields)] = &parts[..] else { panic!("{parts:?}") };
        let [.., Reply::Text(event)] = &fields[..] else { panic!("{fields:?}") };
        let event: Value = serde_json::from_str(event).unwrap();
        if event["k"] != "m" {
            found.push((id.trim_end_matches("-0").parse().unwrap(), event));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_the_outbox_sees_what_the_members_see() {
    let mut redis = Redis::start_durable();
    let mut follower = Follower::of_stream("ct:outbox");
    let plan = Plan::on(&redis).set("cluster.lease_ms", "3000").set("cluster.heartbeat_ms", "500");
    let mut doomed = plan.start();
    let survivor = plan.start();
    let mut watcher = Client::member(&survivor, Pychat, "watcher", "red").await;
    let mut ann = Client::member(&doomed, Action, "ann", "red").await;
    let mut bob = Client::member(&survivor, Action, "bob", "red").await;
    let _dora = Client::member(&doomed, Pychat, "dora", "red").await;
    let mut sim = Client::member(&survivor, Simple, "sim", "hall").await;
    ann.say("red", "not for backends").await;
    ann.must(&Action.leave("red")).await;
    ann.join("red").await;
    bob.must(&Action.leave("red")).await;
    follower.read(&redis);
    doomed.kill9();
    until("the sweep has ended what the dead node held", async || {
        redis.number(&["SCARD", "ct:room:{red}:members"]) == 1
    })
    .await;
    follower.read(&redis);
    redis.stop();
    redis.start_again();
    until("the node works again", async || {
        bob.try_ask(&Action.join("red")).await.is_ok_and(|reply| {
            Action.error(&reply).is_none_or(|error| error == "You are already registered in that room")
        })
    })
    .await;
    let again = plan.start();
    let _late = Client::member(&again, Pychat, "late", "red").await;
    sim.must(&Simple.leave("hall")).await;
    follower.read(&redis);

    let followed = follower.of("red");
    assert_eq!(followed, stream_of(&redis, "red"), "the room's own stream, in the same order");
    let told = followed.iter().map(|(_, event)| event).filter(|event| event["n"] != "watcher").map(|event| {
        let what = if event["k"] == "j" { "userJoined" } else { "userLeft" };
        (what.to_owned(), event["n"].as_str().unwrap_or_default().to_owned())
    });
    let told: Vec<(String, String)> = told.collect();
    let mut seen = Vec::new();
    while seen.len() < told.len() {
        let frame = parsed(&watcher.frame().await);
        if frame["type"] == "userJoined" || frame["type"] == "userLeft" {
            let text = |key: &str| frame[key].as_str().unwrap_or_default().to_owned();
            seen.push((text("type"), text("from")));
        }
    }
    assert_eq!(told, seen, "what the watcher was told, in the same order");
    watcher.expect_quiet().await;
    let hall: Vec<(Value, u64)> = follower.of("hall").into_iter().map(|(at, event)| (event["k"].clone(), at)).collect();
    assert_eq!(hall.first(), Some(&("c".into(), 0)), "the room was created: {hall:?}");
    assert_eq!(hall.last().map(|(kind, _)| kind), Some(&"l".into()), "{hall:?}");
}

/// Follows all outboxes of a cluster: which there are, each primary says of its slots.
#[derive(Default)]
struct Followers(BTreeMap<String, Follower>);

impl Followers {
    fn read(&mut self, cluster: &Cluster) {
        for node in &cluster.nodes {
            for stream in node.list(&["KEYS", "ct:outbox:*"]) {
                self.0.entry(stream.clone()).or_insert_with(|| Follower::of_stream(&stream));
            }
        }
        for (stream, follower) in &mut self.0 {
            follower.read(&cluster.nodes[cluster.owner(stream)]);
        }
    }
}

/// Rooms that lie on all primaries.
const ROOMS: [&str; 6] = ["red", "green", "blue", "black", "white", "pink"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_follows_every_outbox_of_a_cluster_sees_every_membership() {
    let cluster = block_in_place(|| Cluster::of(&Recipe::new(Kind::Redis7), false));
    let owner = |room: &str| cluster.owner(&format!("{{{room}}}"));
    let mut followers = Followers::default();
    let plan = Plan::at(&cluster.url()).set("cluster.lease_ms", "3000").set("cluster.heartbeat_ms", "500");
    let mut doomed = plan.start();
    let survivor = plan.start();
    let (mut ann, mut bob) =
        (Client::named(&doomed, Action, "ann").await, Client::named(&survivor, Action, "bob").await);
    for room in ROOMS {
        ann.join(room).await;
        bob.join(room).await;
        ann.say(room, "not for backends").await;
    }
    followers.read(&cluster);
    // What is read goes with the slot, and so does the cursor.
    block_in_place(|| cluster.move_slot("{red}", (owner("red") + 1) % 3));
    for room in ROOMS {
        until("the room is where it is", async || Action.error(&bob.ask(&Action.leave(room)).await).is_none()).await;
    }
    doomed.kill9();
    for room in ROOMS {
        until("the sweep has ended what the dead node held", async || {
            let members = cluster.nodes[owner(room)].number(&["SCARD", &format!("ct:room:{{{room}}}:members")]);
            members == 0
        })
        .await;
    }
    followers.read(&cluster);
    for room in ROOMS {
        let followed = followers.0[&format!("ct:outbox:{{{room}}}")].of(room);
        assert_eq!(followed, stream_of(&cluster.nodes[owner(room)], room), "{room}'s own stream, in the same order");
        let kinds: Vec<&str> = followed.iter().filter_map(|(_, event)| event["k"].as_str()).collect();
        assert_eq!(kinds, ["j", "j", "l", "l"], "{room}");
    }
}
