//! A node starts while servers are away: at once where the others do, else when somebody has taken over, and it says what it waits for.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use rustix::process::Signal;
use tokio::task::block_in_place;

use super::{ROOMS, UNAVAILABLE};
use crate::support::client::Client;
use crate::support::dialect::Dialect::Action;
use crate::support::dialect::Transport;
use crate::support::node::{Node, Plan};
use crate::support::redis::cluster::Cluster;
use crate::support::redis::sentinels::Sentinels;
use crate::support::redis::{Kind, Recipe, Redis};
use crate::support::{process, until};

/// What a node cannot start without, for the reason that each of them has one place.
const NEEDED: [&str; 3] = ["ct:format", "ct:nodes", "ct:numbers"];

async fn talk_in(nodes: [&Node; 2], room: &str) {
    let mut speaker = Client::connect(nodes[0], Action, Transport::WebSocket).await;
    let mut listener = Client::connect(nodes[1], Action, Transport::WebSocket).await;
    listener.join(room).await;
    speaker.join(room).await;
    speaker.say(room, "hello").await;
    listener.expect_message("Anonymous", "hello").await;
}

/// There is nobody to take over: the cluster serves what it has, and the node what is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_starts_without_one_primary_and_serves_the_rooms_of_the_others() {
    let recipe = Recipe::new(Kind::Redis7).line("cluster-require-full-coverage no");
    let mut cluster = block_in_place(|| Cluster::of(&recipe, false));
    let away = (0..3).find(|node| NEEDED.iter().all(|key| cluster.owner(key) != *node)).expect("one has none of them");
    let of_it = |cluster: &Cluster, room: &str| cluster.owner(&format!("{{{room}}}")) == away;
    let (lost, served): (Vec<&str>, Vec<&str>) = ROOMS.into_iter().partition(|room| of_it(&cluster, room));
    assert!(!lost.is_empty() && !served.is_empty(), "{lost:?} {served:?}");
    cluster.nodes[away].kill9();
    let plan = Plan::at(&cluster.url());
    let nodes = [plan.start(), plan.start()];
    for room in served {
        talk_in([&nodes[0], &nodes[1]], room).await;
    }
    let mut early = Vec::new();
    for node in &nodes {
        let mut client = Client::connect(node, Action, Transport::WebSocket).await;
        for room in &lost {
            assert_eq!(client.refused(&Action.join(room)).await, UNAVAILABLE, "{room}");
        }
        node.ready().await;
        early.push(client);
    }
    block_in_place(|| cluster.nodes[away].start_again());
    for mut client in early {
        until("the room is to be had", async || Action.error(&client.ask(&Action.join(lost[0])).await).is_none()).await;
    }
    for room in lost {
        talk_in([&nodes[0], &nodes[1]], room).await;
    }
}

/// It went with what no node can be without: the start waits for its replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_for_the_failover_of_a_primary_that_it_needs() {
    let mut cluster = block_in_place(|| Cluster::start(Kind::Redis7));
    let needed = cluster.owner("ct:nodes");
    cluster.nodes[needed].kill9();
    let plan = Plan::at(&cluster.url());
    let nodes = [plan.start(), plan.start()];
    for room in ROOMS {
        talk_in([&nodes[0], &nodes[1]], room).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_until_sentinels_have_another_master() {
    let mut watched = block_in_place(|| Sentinels::start(Kind::Redis7));
    watched.kill9_master();
    let plan = Plan::at(&watched.url());
    talk_in([&plan.start(), &plan.start()], "red").await;
}

/// A process that does not get as far as listening, and what it says.
struct Waiting {
    child: Child,
    said: std::io::Lines<BufReader<std::process::ChildStderr>>,
}

impl Waiting {
    fn begin(plan: &Plan) -> Self {
        let spawned = plan.command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = process::started("the gateway", spawned);
        let said = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        Self { child, said }
    }

    /// The next line with these words.
    fn says(&mut self, words: &str) -> String {
        let mut lines = self.said.by_ref().map_while(Result::ok);
        lines.find(|line| line.contains(words)).unwrap_or_else(|| panic!("it never says {words:?}"))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        process::kill(&mut self.child);
    }
}

#[test]
fn a_master_that_stays_away_fails_the_start_by_name_after_the_set_time() {
    let mut watched = Sentinels::of(&Recipe::new(Kind::Redis7), false);
    let port = watched.servers[0].port().to_string();
    watched.kill9_master();
    let mut waiting = Waiting::begin(&Plan::at(&watched.url()).set("redis.start_timeout_ms", "700"));
    for line in [waiting.says("cannot be used yet"), waiting.says("crosstalk: storage.redis")] {
        assert!(line.contains(&port) && line.contains("which Sentinels call the master of"), "{line}");
    }
    assert!(!process::exit_of(&mut waiting.child, "the gateway").success());
}

#[test]
fn a_start_that_waits_ends_when_it_is_told_to() {
    let mut redis = Redis::start();
    redis.stop();
    let mut waiting = Waiting::begin(&Plan::on(&redis));
    waiting.says("cannot be used yet");
    process::signal(&waiting.child, Signal::TERM);
    assert!(process::exit_of(&mut waiting.child, "the gateway").success());
}
