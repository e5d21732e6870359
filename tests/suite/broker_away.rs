//! Redis goes away for a while: nobody is thrown out, nobody is lied to, and afterwards everything works without a restart.

use std::time::{Duration, Instant};

use crate::support::client::Client;
use crate::support::dialect::Dialect::{Action, Pychat};
use crate::support::dialect::{Message, Transport};
use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;
use crate::support::{eventually, until};

const UNAVAILABLE: &str = "Service is unavailable, try again";

/// Long enough for every kind of request to meet the outage; the real length is one test of its own.
const SHORT: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, PartialEq)]
enum Outage {
    /// Redis ends and comes back without its data.
    DataLost,
    /// Redis ends and comes back with its data.
    DataKept,
    /// Redis is killed and comes back with what it had acknowledged.
    Killed,
    /// Redis stands still with its connections open.
    Paused,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_restarts_empty() {
    goes_away_and_comes_back(Outage::DataLost, SHORT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_restarts_with_its_data() {
    goes_away_and_comes_back(Outage::DataKept, SHORT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_killed() {
    goes_away_and_comes_back(Outage::Killed, SHORT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_stands_still() {
    goes_away_and_comes_back(Outage::Paused, SHORT).await;
}

/// Longer than the nodes' leases: they come back to a Redis where every lease has run out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_away_for_twenty_seconds() {
    goes_away_and_comes_back(Outage::DataKept, Duration::from_secs(20)).await;
}

/// Three in one room on two nodes; carol only listens.
struct Scene {
    redis: Redis,
    outage: Outage,
    nodes: [Node; 2],
    alice: Client,
    bob: Client,
    carol: Client,
}

async fn goes_away_and_comes_back(outage: Outage, lasts: Duration) {
    let mut scene = Scene::set(outage).await;
    scene.break_redis();
    scene.is_refused_for(lasts).await;
    scene.mend_redis();
    scene.talks_again().await;
    scene.names_are_still_held().await;
    scene.rooms_work_again().await;
}

impl Scene {
    async fn set(outage: Outage) -> Self {
        let redis = match outage {
            Outage::DataKept | Outage::Killed => Redis::start_durable(),
            Outage::DataLost | Outage::Paused => Redis::start(),
        };
        let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start()];
        let mut alice = Client::member(&nodes[0], Action, "alice", "red").await;
        let mut bob = Client::member(&nodes[1], Pychat, "bob", "red").await;
        let mut carol = Client::member(&nodes[1], Action, "carol", "red").await;
        alice.say("red", "before").await;
        for client in [&mut alice, &mut bob, &mut carol] {
            client.expect_message("alice", "before").await;
        }
        Self { redis, outage, nodes, alice, bob, carol }
    }

    fn break_redis(&mut self) {
        match self.outage {
            Outage::Paused => self.redis.pause(),
            Outage::Killed => self.redis.kill9(),
            Outage::DataLost | Outage::DataKept => self.redis.stop(),
        }
    }

    fn mend_redis(&mut self) {
        match self.outage {
            Outage::Paused => self.redis.resume(),
            Outage::DataLost | Outage::DataKept | Outage::Killed => self.redis.start_again(),
        }
    }

    /// Every request that needs the broker is refused, again and again; the nodes are alive throughout.
    async fn is_refused_for(&mut self, lasts: Duration) {
        let begun = Instant::now();
        // Paced, so that the log stays readable; the outage itself is what takes the time.
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        while begun.elapsed() < lasts {
            pace.tick().await;
            let requests = [Action.say("red", "during"), Action.join("blue"), Action.claim("ann")];
            let lines = ["during", "JOIN blue"];
            tokio::join!(
                all_unavailable(&mut self.alice, requests.iter().map(String::as_str)),
                all_unavailable(&mut self.bob, lines.into_iter()),
            );
            for node in &self.nodes {
                assert_eq!(node.admin("/livez").await.status, 200, "/livez does not depend on the broker");
            }
        }
    }

    /// The same connections hear one another again, each still with its name and in its room.
    async fn talks_again(&mut self) {
        if self.outage == Outage::DataLost {
            // What is said before is told as a gap, and these dialects have no word for that.
            let subscribers = async || self.redis.list(&["PUBSUB", "NUMSUB", "ct:ch:{red}"])[1] == "2";
            until("both nodes are subscribed to the room again", subscribers).await;
        }
        let heard = [&mut self.bob, &mut self.carol];
        let text = accepted(&mut self.alice, "from alice").await;
        for client in heard.into_iter().chain([&mut self.alice]) {
            reaches(client, "alice", &text, self.outage).await;
        }
        let text = accepted(&mut self.bob, "from bob").await;
        for client in [&mut self.alice, &mut self.bob, &mut self.carol] {
            reaches(client, "bob", &text, self.outage).await;
        }
        for node in &self.nodes {
            node.ready().await;
        }
    }

    async fn names_are_still_held(&self) {
        for (name, node) in [("alice", 1), ("bob", 0), ("carol", 0)] {
            // A broker that lost its data hears the names again from the nodes of their holders.
            let key = format!("ct:nick:{{{name}}}");
            until(&format!("{key} is in Redis"), async || self.redis.number(&["EXISTS", &key]) == 1).await;
            let mut thief = Client::connect(&self.nodes[node], Action, Transport::WebSocket).await;
            assert_eq!(thief.refused(&Action.claim(name)).await, "Nickname already in use", "{name}");
        }
    }

    async fn rooms_work_again(&mut self) {
        let mut dora = Client::member(&self.nodes[0], Pychat, "dora", "red").await;
        dora.say("red", "new here").await;
        for client in [&mut self.alice, &mut self.bob, &mut self.carol, &mut dora] {
            reaches(client, "dora", "new here", self.outage).await;
        }
        let records = dora.history("").await;
        assert!(records.iter().all(|record| record["type"] != "userLeft"), "nobody has left: {records:?}");
        let has = |text: &str| records.iter().any(|record| record["body"] == text);
        assert!(has("new here"), "{records:?}");
        assert_eq!(has("before"), self.outage != Outage::DataLost, "what was said before the outage: {records:?}");
        self.alice.join("green").await;
        self.bob.join("green").await;
        self.bob.say("green", "another room").await;
        self.alice.expect_message("bob", "another room").await;
    }
}

async fn all_unavailable(client: &mut Client, requests: impl Iterator<Item = &str>) {
    for request in requests {
        assert_eq!(client.refused(request).await, UNAVAILABLE, "{request}");
    }
}

/// Tries until a text is accepted, a new one each time, and gives the accepted one.
async fn accepted(client: &mut Client, text: &str) -> String {
    let mut attempt = 0;
    eventually("a message is accepted again", async || {
        attempt += 1;
        let text = format!("{text} {attempt}");
        let reply = client.try_ask(&client.dialect().say("red", &text)).await?;
        client.dialect().error(&reply).map_or(Ok(text), |error| Err(error.to_owned()))
    })
    .await
}

/// Waits for the message; passes over refused attempts, of which nobody can know whether the broker had them.
async fn reaches(client: &mut Client, author: &str, text: &str, outage: Outage) {
    let awaited = Message { author: author.to_owned(), text: text.to_owned() };
    loop {
        let message = client.message().await;
        if message == awaited {
            return;
        }
        // A Redis that was not there cannot have had it; one that stood still finds it in its socket when it goes on.
        assert!(message.text != "during" || outage == Outage::Paused, "a refused message came: {message:?}");
    }
}
