//! A server is killed that had acknowledged what its replica never got. What is lost so is told: to whoever heard it as a gap, to
//! everybody by another epoch; and what is not lost is heard.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use serde_json::Value;
use tokio::task::{JoinHandle, block_in_place};

use super::{ROOMS, UNAVAILABLE, report};
use crate::support::client::{Client, parsed};
use crate::support::dialect::Dialect::{Action, Pychat};
use crate::support::dialect::Transport;
use crate::support::node::{Node, Plan};
use crate::support::redis::cluster::Cluster;
use crate::support::redis::sentinels::Sentinels;
use crate::support::redis::{Kind, Redis, Reply};
use crate::support::until;

/// The last thing that is said in a room.
const END: &str = "is over";

/// Members of the extended mode: one talks in all rooms without a pause, two on different nodes listen.
pub struct Watched {
    nodes: [Node; 2],
    talker: JoinHandle<Told>,
    /// Per room, how many messages were acknowledged.
    acknowledged: Arc<[AtomicU64; ROOMS.len()]>,
    stop: Arc<AtomicBool>,
    listeners: [JoinHandle<Vec<Value>>; 2],
}

/// What was acknowledged, room by room: epoch and text; and all that came beside the answers.
#[derive(Default)]
struct Told {
    acknowledged: BTreeMap<&'static str, Vec<(u64, String)>>,
    frames: Vec<Value>,
}

impl Watched {
    pub async fn begin(plan: &Plan) -> Self {
        let nodes = [plan.start(), plan.start()];
        let talker = member(&nodes[0], "talker").await;
        let listeners = [member(&nodes[0], "near").await, member(&nodes[1], "far").await];
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::<[AtomicU64; ROOMS.len()]>::default());
        let talker = tokio::spawn(talk(talker, stop.clone(), acknowledged.clone()));
        let listeners = listeners.map(|listener| tokio::spawn(listen(listener)));
        Self { nodes, talker, acknowledged, stop, listeners }
    }

    /// Waits until something new was acknowledged in each of these rooms.
    pub async fn goes_on(&self, rooms: &[&str]) {
        let places: Vec<usize> = (0..ROOMS.len()).filter(|place| rooms.contains(&ROOMS[*place])).collect();
        let count = || places.iter().map(|place| self.acknowledged[*place].load(Ordering::Relaxed)).collect::<Vec<_>>();
        let before = count();
        until("messages are taken in every room", async || {
            count().iter().zip(&before).all(|(now, before)| now > before)
        })
        .await;
    }

    /// Ends the talk, and compares what was told with the streams as they are now; how much of what was acknowledged is lost.
    pub async fn tells_what_is_lost<'a>(self, server_of: impl Fn(&str) -> &'a Redis) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let told = self.talker.await.expect("the talker talks to the end");
        let [near, far] = self.listeners;
        let heard = [near.await.expect("one listens"), far.await.expect("one listens")];
        let mut lost_at_all = 0;
        for (room, acknowledged) in &told.acknowledged {
            let kept = stream_of(server_of(room), room);
            let (stands, lost): (Vec<_>, Vec<_>) = acknowledged.iter().partition(|(_, text)| kept.contains(text));
            let stands: Vec<&str> = stands.iter().map(|(_, text)| text.as_str()).collect();
            lost_at_all += lost.len();
            for frames in heard.iter().chain([&told.frames]) {
                judge(room, &of_room(frames, room), &stands, &lost);
            }
        }
        println!("{lost_at_all} acknowledged messages were lost, and all of it told");
        // All works, not only what worked already: new names, new rooms, messages from node to node.
        let mut late = Client::member(&self.nodes[1], Pychat, "late", "brandnew").await;
        let mut other = Client::member(&self.nodes[0], Action, "other", "brandnew").await;
        other.say("brandnew", "welcome").await;
        late.expect_message("other", "welcome").await;
        for node in &self.nodes {
            node.ready().await;
        }
        lost_at_all
    }
}

async fn member(node: &Node, name: &str) -> Client {
    let mut client = Client::connect(node, Action, Transport::WebSocket).await;
    client.must(&Action.hello(None).expect("it has an extended mode")).await;
    client.claim(name).await;
    for room in ROOMS {
        client.join(room).await;
    }
    client
}

async fn talk(mut client: Client, stop: Arc<AtomicBool>, acknowledged: Arc<[AtomicU64; ROOMS.len()]>) -> Told {
    let mut told = Told::default();
    let mut ended = HashSet::new();
    for number in 0_u64.. {
        if ended.len() == ROOMS.len() {
            break;
        }
        let place = number as usize % ROOMS.len();
        let room = ROOMS[place];
        if ended.contains(room) {
            continue;
        }
        let is_end = stop.load(Ordering::Relaxed);
        let text = if is_end { format!("{room} {END} {number}") } else { format!("{room} {number}") };
        let reply = client.ask(&Action.say(room, &text)).await;
        match Action.error(&reply) {
            None => {
                let epoch = reply["epoch"].as_u64().expect("a send is answered with its position");
                told.acknowledged.entry(room).or_default().push((epoch, text));
                acknowledged[place].fetch_add(1, Ordering::Relaxed);
                ended.extend(is_end.then_some(room));
            }
            Some(error) => assert_eq!(error, UNAVAILABLE),
        }
        told.frames.extend(client.take_waiting(|_| true));
    }
    // The last of what it said itself is under way yet.
    listen_on(&mut client, &mut told.frames).await;
    told
}

async fn listen(mut client: Client) -> Vec<Value> {
    let mut frames = Vec::new();
    listen_on(&mut client, &mut frames).await;
    frames
}

/// Takes what is told, until the last thing was said in each room.
async fn listen_on(client: &mut Client, frames: &mut Vec<Value>) {
    let room_that_ends = |frame: &Value| {
        let text = Action.message(frame)?.text;
        text.contains(END).then(|| text.split(' ').next().unwrap_or_default().to_owned())
    };
    let mut ended: HashSet<String> = frames.iter().filter_map(room_that_ends).collect();
    while ended.len() < ROOMS.len() {
        let frame = parsed(&client.frame().await);
        ended.extend(room_that_ends(&frame));
        frames.push(frame);
    }
}

/// What one member was told of a room.
#[derive(Debug, PartialEq)]
enum Seen {
    Text { epoch: u64, text: String },
    Gap,
}

fn of_room(frames: &[Value], room: &str) -> Vec<Seen> {
    let seen = frames.iter().filter_map(|frame| {
        if frame["event"] == "gap" {
            let of_it = frame["room_id"].as_str().is_some_and(|id| id.trim_start_matches('#') == room);
            return of_it.then_some(Seen::Gap);
        }
        let text = Action.message(frame)?.text;
        let epoch = frame["epoch"].as_u64().expect("an event has its position");
        (text.split(' ').next() == Some(room)).then_some(Seen::Text { epoch, text })
    });
    seen.collect()
}

fn stream_of(server: &Redis, room: &str) -> HashSet<String> {
    let Reply::List(entries) = server.query(&["XRANGE", &format!("ct:room:{{{room}}}:log"), "-", "+"]) else {
        panic!("{room} has no stream")
    };
    let text = |entry: Reply| {
        let Reply::List(parts) = entry else { return None };
        let [_, Reply::List(fields)] = parts.as_slice() else { return None };
        let [.., Reply::Text(event)] = fields.as_slice() else { return None };
        parsed(event)["t"].as_str().map(str::to_owned)
    };
    entries.into_iter().filter_map(text).collect()
}

/// Of what was acknowledged in a room, `stands` is in its stream, in this order, and `lost` is not.
fn judge(room: &str, seen: &[Seen], stands: &[&str], lost: &[&(u64, String)]) {
    let texts = || {
        seen.iter().filter_map(|one| match one {
            Seen::Text { epoch, text } => Some((*epoch, text.as_str())),
            Seen::Gap => None,
        })
    };
    let wanted: HashSet<&str> = stands.iter().copied().collect();
    let heard: Vec<&str> = texts().map(|(_, text)| text).filter(|text| wanted.contains(text)).collect();
    assert_eq!(heard, stands, "what stands in {room} is heard, once and in order");
    if lost.is_empty() {
        return;
    }
    let lost_epoch = |one: &Seen| match one {
        Seen::Text { epoch, text } if lost.iter().any(|(_, lost)| lost == text) => Some(*epoch),
        _ => None,
    };
    if let Some((last, epoch)) = seen.iter().enumerate().rev().find_map(|(at, one)| Some((at, lost_epoch(one)?))) {
        // What was said right before the server was given up was perhaps heard, and never acknowledged.
        let is_of_it = |one: &&Seen| matches!(one, Seen::Text { epoch: of, .. } if *of == epoch);
        let next = seen[last + 1..].iter().find(|one| !is_of_it(one));
        assert_eq!(next, Some(&Seen::Gap), "in {room} after what was heard and is lost");
    }
    let epoch = texts().next_back().map(|(epoch, _)| epoch);
    assert!(lost.iter().all(|(of, _)| Some(*of) != epoch), "{room} goes on under the epoch of what is lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_master_took_with_it_is_told_when_sentinels_have_another() {
    let mut servers = block_in_place(|| Sentinels::start(Kind::Valkey8));
    let talk = Watched::begin(&Plan::at(&servers.url())).await;
    talk.goes_on(&ROOMS).await;
    servers.servers[servers.master()].starve_replicas();
    // What was on its way before has passed after the first time.
    talk.goes_on(&ROOMS).await;
    talk.goes_on(&ROOMS).await;
    let began = Instant::now();
    let killed = servers.kill9_master();
    until("there is another master", async || servers.master() != killed).await;
    talk.goes_on(&ROOMS).await;
    report("killed master, Sentinels with down-after 1 s", began);
    let master = servers.master();
    assert!(
        talk.tells_what_is_lost(|_| &servers.servers[master]).await > 0,
        "nothing was lost, so nothing was to be told"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_primary_of_a_cluster_took_with_it_is_told_and_the_others_go_on() {
    const KILLED: usize = 1;
    let mut cluster = block_in_place(|| Cluster::start(Kind::Redis8));
    let talk = Watched::begin(&Plan::at(&cluster.url())).await;
    talk.goes_on(&ROOMS).await;
    let owner = |cluster: &Cluster, room: &str| cluster.owner(&format!("{{{room}}}"));
    let struck: Vec<&str> = ROOMS.into_iter().filter(|room| owner(&cluster, room) == KILLED).collect();
    cluster.nodes[KILLED].starve_replicas();
    talk.goes_on(&struck).await;
    talk.goes_on(&struck).await;
    let began = Instant::now();
    cluster.nodes[KILLED].kill9();
    talk.goes_on(&struck).await;
    report("killed primary, node timeout 1 s", began);
    talk.goes_on(&ROOMS).await;
    let lost = talk.tells_what_is_lost(|room| &cluster.nodes[owner(&cluster, room)]).await;
    assert!(lost > 0, "nothing was lost, so nothing was to be told");
}

/// The Sentinels have another master, and the old one, which they cannot reach, goes on taking what it is told.
pub async fn the_nodes_follow(servers: &Sentinels, plan: &Plan) {
    let talk = Watched::begin(plan).await;
    talk.goes_on(&ROOMS).await;
    let (old, new) = (&servers.servers[servers.master()], &servers.servers[1 - servers.master()]);
    assert_eq!(old.text(&["ACL", "SETUSER", "default", "-slaveof", "-replicaof"]), "OK");
    let began = Instant::now();
    block_in_place(|| servers.fail_over());
    let sizes = || ROOMS.map(|room| new.number(&["XLEN", &format!("ct:room:{{{room}}}:log")]));
    let before = sizes();
    until("messages go to the new master", async || sizes().iter().zip(before).all(|(now, before)| *now > before))
        .await;
    report("failover by Sentinels", began);
    assert!(old.text(&["INFO", "replication"]).contains("role:master"), "nobody told the old one");
    talk.goes_on(&ROOMS).await;
    talk.tells_what_is_lost(|_| new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_follow_the_sentinels_though_the_old_master_still_takes_everything() {
    let servers = block_in_place(|| Sentinels::start(Kind::Redis7));
    the_nodes_follow(&servers, &Plan::at(&servers.url())).await;
}

/// Names and places are not lost with a server: what the sessions of a node have is claimed again, and what they gave up is freed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sessions_did_last_with_a_killed_master_is_done_again() {
    let mut servers = block_in_place(|| Sentinels::start(Kind::Redis7));
    let plan = Plan::at(&servers.url()).set("cluster.lease_ms", "6000").set("cluster.heartbeat_ms", "500");
    let node = plan.start();
    let mut early = Client::member(&node, Action, "early", "red").await;
    let master = servers.master();
    until("the replica has it", async || servers.servers[1 - master].number(&["EXISTS", "ct:nick:{early}"]) == 1).await;
    servers.servers[master].starve_replicas();
    early.must(&Action.leave("red")).await;
    let mut late = Client::member(&node, Action, "late", "blue").await;
    servers.kill9_master();
    until("there is another master", async || servers.master() != master).await;
    let now = &servers.servers[1 - master];
    until("the name is claimed again", async || now.number(&["EXISTS", "ct:nick:{late}"]) == 1).await;
    until("the place is taken again", async || now.number(&["SCARD", "ct:room:{blue}:members"]) == 1).await;
    until("what was left is left", async || now.number(&["SCARD", "ct:room:{red}:members"]) == 0).await;
    late.say("blue", "still here").await;
    assert_eq!(now.number(&["EXISTS", "ct:nick:{early}"]), 1, "who is there has its name");
}
