//! Sentinels and clusters change while people talk: nothing acknowledged is lost, and everything goes on without a restart.

mod losses;
mod secure;
mod starting;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tokio::task::{JoinHandle, block_in_place};

use crate::support::client::Client;
use crate::support::dialect::Dialect::{Action, Pychat};
use crate::support::dialect::Transport;
use crate::support::node::{Node, Plan};
use crate::support::redis::Kind;
use crate::support::redis::cluster::Cluster;
use crate::support::until;

const UNAVAILABLE: &str = "Service is unavailable, try again";

/// Enough that each primary of a cluster has some of them.
const ROOMS: [&str; 8] = ["red", "green", "blue", "black", "white", "pink", "grey", "teal"];

/// One talks in all rooms without a pause, two on different nodes listen.
struct Talk {
    nodes: [Node; 2],
    talker: JoinHandle<(Client, HashMap<&'static str, Vec<String>>)>,
    /// Per room, how many messages were acknowledged.
    acknowledged: Arc<[AtomicU64; ROOMS.len()]>,
    stop: Arc<AtomicBool>,
    listeners: [Client; 2],
}

impl Talk {
    async fn begin(plan: &Plan) -> Self {
        let nodes = [plan.start(), plan.start()];
        let mut talker = Client::connect(&nodes[0], Action, Transport::WebSocket).await;
        talker.claim("talker").await;
        let mut listeners =
            [Client::named(&nodes[0], Action, "near").await, Client::named(&nodes[1], Action, "far").await];
        for room in ROOMS {
            for client in listeners.iter_mut().chain([&mut talker]) {
                client.join(room).await;
            }
        }
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::<[AtomicU64; ROOMS.len()]>::default());
        let talker = tokio::spawn(talk(talker, stop.clone(), acknowledged.clone()));
        Self { nodes, talker, acknowledged, stop, listeners }
    }

    /// Waits until something new was acknowledged in every room.
    async fn goes_on(&self) {
        let count = || self.acknowledged.iter().map(|count| count.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let before = count();
        until("messages are taken in every room", async || {
            count().iter().zip(&before).all(|(now, before)| now > before)
        })
        .await;
    }

    /// Ends the talk, and looks whether both heard every acknowledged message, once and in order.
    async fn nothing_was_lost(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let (mut talker, said) = self.talker.await.expect("the talker talks to the end");
        for listener in &mut self.listeners {
            let heard = heard_by(listener, &said).await;
            for (room, said) in &said {
                let of_room: Vec<&String> = heard.iter().filter(|text| text.split(' ').next() == Some(room)).collect();
                let again = of_room.iter().enumerate().find(|(place, text)| of_room[..*place].contains(text));
                assert_eq!(again, None, "heard twice in {room}");
                let acknowledged: Vec<&String> = of_room.into_iter().filter(|text| said.contains(text)).collect();
                assert_eq!(acknowledged, said.iter().collect::<Vec<_>>(), "in {room}");
            }
        }
        // All works, not only what worked already: new names, new rooms, private messages from node to node.
        let mut late = Client::member(&self.nodes[1], Pychat, "late", "brandnew").await;
        talker.join("brandnew").await;
        talker.say("brandnew", "welcome").await;
        late.expect_message("talker", "welcome").await;
        for node in &self.nodes {
            node.ready().await;
        }
    }
}

async fn talk(
    mut client: Client,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<[AtomicU64; ROOMS.len()]>,
) -> (Client, HashMap<&'static str, Vec<String>>) {
    let mut said: HashMap<&str, Vec<String>> = HashMap::new();
    for number in 0_u64.. {
        let place = number as usize % ROOMS.len();
        let text = format!("{} {number}", ROOMS[place]);
        let reply = client.ask(&Action.say(ROOMS[place], &text)).await;
        match Action.error(&reply) {
            None => {
                said.entry(ROOMS[place]).or_default().push(text);
                acknowledged[place].fetch_add(1, Ordering::Relaxed);
            }
            Some(error) => assert_eq!(error, UNAVAILABLE),
        }
        // Own messages are not what is looked at here.
        client.take_waiting(|frame| Action.message(frame).is_some());
        if stop.load(Ordering::Relaxed) && place + 1 == ROOMS.len() {
            break;
        }
    }
    (client, said)
}

/// What a listener heard until the last acknowledged message of each room.
async fn heard_by(listener: &mut Client, said: &HashMap<&'static str, Vec<String>>) -> Vec<String> {
    let mut awaited: Vec<&String> = said.values().filter_map(|texts| texts.last()).collect();
    let mut heard = Vec::new();
    while !awaited.is_empty() {
        let message = listener.message().await;
        awaited.retain(|text| **text != message.text);
        heard.push(message.text);
    }
    heard
}

fn report(what: &str, since: Instant) {
    println!("{what}: all rooms again after {:.1} s", since.elapsed().as_secs_f64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_moves_slots_and_fails_over_in_order_and_nothing_is_lost() {
    let cluster = block_in_place(|| Cluster::start(Kind::Redis7));
    let talk = Talk::begin(&Plan::at(&cluster.url())).await;
    talk.goes_on().await;
    for room in ROOMS {
        let key = format!("{{{room}}}");
        block_in_place(|| cluster.move_slot(&key, (cluster.owner(&key) + 1) % 3));
        talk.goes_on().await;
    }
    let began = Instant::now();
    block_in_place(|| cluster.fail_over(0));
    talk.goes_on().await;
    report("failover in a cluster", began);
    talk.nothing_was_lost().await;
}
