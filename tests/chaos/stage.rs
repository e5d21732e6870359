//! A run: three nodes on one Redis, each behind a line of its own, and everybody who uses them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::task::JoinSet;

use crate::broker::{Broker, Make};
use crate::faults::Fault;
use crate::history::{Entry, Kind, Recorder, Us, write_lines};
use crate::person::Person;
use crate::proxy::Way;
use crate::support::client::Client;
use crate::support::dialect::{Dialect, Transport, command};
use crate::support::node::{Node, Plan};
use crate::support::random::Random;
use crate::support::redis::Redis;
use crate::tap::{Held, Source, Streams, Tap};
use crate::watch::{Watch, Watched};
use crate::world::{Belief, Phase, World};

pub const NODES: usize = 3;
/// For so long those who do not read are waited for to be closed for it.
const OVERFLOWS_WITHIN: Duration = Duration::from_secs(60);
const ROOMS: [&str; 4] = ["red", "green", "blue", "gold"];

/// What a run is made of.
#[derive(Debug, Clone, Serialize)]
pub struct Script {
    pub seed: u64,
    /// On which servers.
    pub make: Make,
    pub faults: Vec<Fault>,
    pub people: usize,
    /// Mean time between two things that one of them does, in milliseconds.
    pub pace_ms: u64,
    /// Before the first fault and after the last one, in milliseconds.
    pub quiet_ms: u64,
    /// After each fault, unless it needs its own.
    pub rest_ms: Option<u64>,
    /// How long everything may take to come to rest once nothing is wrong any more, in milliseconds.
    pub settle_ms: u64,
    pub settings: Vec<(String, String)>,
    /// The bug that is to be found.
    pub planted: Option<String>,
}

/// What came of it: all that judges look at.
#[derive(Debug, Clone, Default)]
pub struct Record {
    pub entries: Vec<Entry>,
    pub kinds: Vec<Kind>,
    pub windows: Vec<Window>,
    pub streams: Streams,
    pub held: Held,
    pub beliefs: Vec<Belief>,
    pub watched: Watched,
    pub panics: Vec<String>,
    /// What the run's time is on the clock of Redis, in microseconds since 1970.
    pub began_unix_us: u64,
    /// Milliseconds for which a node's lease lives.
    pub lease_ms: u64,
    /// Milliseconds for which a lost session is held.
    pub resume_ms: u64,
    pub naps: Vec<Nap>,
}

/// Somebody did not read while the fault lasted that began then.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Nap {
    pub who: usize,
    pub from: Us,
}

/// When something was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    pub fault: Fault,
    pub from: Us,
    pub until: Us,
}

pub struct Stage {
    script: Script,
    folder: PathBuf,
    broker: Broker,
    plans: Vec<Plan>,
    nodes: Vec<Option<Node>>,
    world: Arc<World>,
    tap: Arc<Tap>,
    watch: Watch,
    windows: Vec<Window>,
    naps: Vec<Nap>,
    panics: Vec<String>,
    random: Random,
    began_unix_us: u64,
}

/// Runs the script and hands over what was seen; the history is in `folder` afterwards.
pub async fn run(script: Script, folder: &Path) -> Record {
    std::fs::create_dir_all(folder).expect("the folder of a run can be made");
    let mut stage = Stage::set(script, folder).await;
    let people = stage.let_people_in();
    stage.everything_goes_wrong().await;
    stage.settle().await;
    stage.over(people).await
}

impl Stage {
    async fn set(script: Script, folder: &Path) -> Self {
        let broker = Broker::start(script.make, NODES).await;
        let history = Recorder::new(Instant::now());
        let began_unix_us = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_micros() as u64;
        let plans = (0..NODES).map(|node| plan(&script, &broker, node, folder)).collect();
        let rooms = ROOMS.map(str::to_owned).to_vec();
        let tap = Tap::open(Source::of(&broker), &rooms);
        let watch = Watch::begin(NODES, &history);
        let kinds = (0..script.people).map(kind).collect();
        let world = Arc::new(World::new(history, rooms, kinds, NODES));
        let random = Random::seeded(script.seed ^ 0xFA07);
        let mut stage = Self {
            script,
            folder: folder.to_owned(),
            broker,
            plans,
            nodes: (0..NODES).map(|_| None).collect(),
            world,
            tap,
            watch,
            windows: Vec::new(),
            naps: Vec::new(),
            panics: Vec::new(),
            random,
            began_unix_us,
        };
        (0..NODES).for_each(|node| stage.start(node));
        stage.make_rooms().await;
        stage
    }

    /// `simple` and `scrp` only enter rooms that are there.
    async fn make_rooms(&self) {
        let Some(node) = self.nodes.iter().flatten().next() else { return };
        let Ok(mut maker) = Client::dial(node.address("http"), Dialect::Simple, Transport::WebSocket).await else {
            return;
        };
        for room in ROOMS {
            // There already, where nothing was lost.
            let _ = maker.try_ask(&command("create", &format!("#{room}"))).await;
        }
    }

    fn start(&mut self, node: usize) {
        let started = tokio::task::block_in_place(|| self.plans[node].start());
        self.watch.at(node, Some(started.address("admin")));
        self.world.open(node, &started);
        self.nodes[node] = Some(started);
    }

    /// The node is about to go, and nobody is to look for it.
    fn take_down(&mut self, node: usize) -> Option<Node> {
        self.watch.at(node, None);
        self.world.close(node);
        let node = self.nodes[node].take()?;
        self.panics.extend(node.panics());
        Some(node)
    }

    fn let_people_in(&self) -> JoinSet<()> {
        let mut people = JoinSet::new();
        let pace = Duration::from_millis(self.script.pace_ms);
        for id in 0..self.script.people {
            people.spawn(Person::new(id, dialect(id), self.world.clone(), self.script.seed, pace).run());
        }
        people
    }

    async fn everything_goes_wrong(&mut self) {
        let quiet = Duration::from_millis(self.script.quiet_ms);
        tokio::time::sleep(quiet).await;
        for fault in self.script.faults.clone() {
            let from = self.world.history.now();
            self.strike(fault, from).await;
            tokio::task::block_in_place(|| self.broker.is_mended());
            let until = self.world.history.now();
            self.windows.push(Window { fault, from, until });
            let rest_ms = self.script.rest_ms.unwrap_or_else(|| fault.rest_ms());
            tokio::time::sleep(Duration::from_millis(rest_ms)).await;
        }
        tokio::time::sleep(quiet).await;
    }

    /// Lets one thing go wrong, and mends it.
    async fn strike(&mut self, fault: Fault, from: Us) {
        let wait = |ms| tokio::time::sleep(Duration::from_millis(ms));
        match fault {
            Fault::Kill { node, ms } => {
                if let Some(mut killed) = self.take_down(node) {
                    killed.kill9();
                }
                wait(ms).await;
                self.start(node);
            }
            Fault::Restart { node } => {
                if let Some(mut going) = self.take_down(node) {
                    going.sigterm();
                    tokio::task::block_in_place(|| going.wait_exit());
                    self.panics.extend(going.panics());
                }
                self.start(node);
            }
            Fault::Stop { node, ms } => {
                self.node(node).pause();
                wait(ms).await;
                self.node(node).resume();
            }
            Fault::Cut { node, towards_redis, from_redis, ms } => {
                let way = |is_cut| if is_cut { Way::Cut } else { Way::Open };
                self.bend(node, way(towards_redis), way(from_redis), ms).await;
            }
            Fault::Delay { node, by_ms, ms } => {
                let way = Way::Delayed(Duration::from_millis(by_ms));
                self.bend(node, way, way, ms).await;
            }
            Fault::Slice { node, ms } => self.bend(node, Way::Sliced, Way::Sliced, ms).await,
            Fault::Reset { node } => self.broker.line(node).reset(),
            Fault::Deafen { node, ms } => {
                self.broker.line(node).deafen();
                if ms > 0 {
                    self.broker.line(node).stay_deaf(true);
                    wait(ms).await;
                    self.broker.line(node).stay_deaf(false);
                }
            }
            Fault::KillSubscriptions => {
                self.broker.kill_subscriptions();
            }
            Fault::RedisRestart { ms } | Fault::MasterRestart { ms } => {
                self.master_is(ms, Redis::stop, Redis::start_again).await;
            }
            Fault::RedisKill { ms } | Fault::MasterKill { ms } => {
                self.master_is(ms, Redis::kill9, Redis::start_again).await;
            }
            Fault::RedisPause { ms } | Fault::MasterPause { ms } => {
                self.master_is(ms, |redis| redis.pause(), |redis| redis.resume()).await;
            }
            Fault::Failover => {
                let room = self.any_room();
                tokio::task::block_in_place(|| self.broker.fail_over(room));
            }
            Fault::MoveSlots => {
                tokio::task::block_in_place(|| ROOMS.iter().for_each(|room| self.broker.move_slot(room)));
            }
            // An account is data like any other: who had one signs up again.
            Fault::Flush => {
                tokio::task::block_in_place(|| self.tap.read(true)).expect("Redis can be emptied");
                self.make_rooms().await;
                self.drop_clients(|kind| kind.account.is_some());
            }
            Fault::Sleep { ms } => self.some_do_not_read(ms, from).await,
            Fault::Drop => {
                let mut random = Random::seeded(self.random.next());
                self.drop_clients(|_| random.below(3) == 0);
            }
        }
    }

    fn any_room(&mut self) -> &'static str {
        ROOMS[self.random.below(ROOMS.len())]
    }

    /// Has something happen to the server that takes what is written, and has it mended.
    async fn master_is(&mut self, ms: u64, hurt: impl FnOnce(&mut Redis), mend: impl FnOnce(&mut Redis)) {
        let room = self.any_room();
        // By its port: meanwhile another one may be the master.
        let port = tokio::task::block_in_place(|| {
            let master = self.broker.master(room);
            hurt(master);
            master.port()
        });
        tokio::time::sleep(Duration::from_millis(ms)).await;
        tokio::task::block_in_place(|| mend(self.broker.server(port)));
    }

    fn node(&self, node: usize) -> &Node {
        self.nodes[node].as_ref().expect("every node runs between faults")
    }

    async fn bend(&self, node: usize, towards_redis: Way, from_redis: Way, ms: u64) {
        self.broker.line(node).ways(towards_redis, from_redis);
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.broker.line(node).ways(Way::Open, Way::Open);
    }

    fn drop_clients(&self, mut is_dropped: impl FnMut(&Kind) -> bool) {
        let all = self.world.kinds.iter().zip(&self.world.strings);
        for (_, strings) in all.filter(|(kind, _)| is_dropped(kind)) {
            strings.drops.send_modify(|drops| *drops += 1);
        }
    }

    async fn some_do_not_read(&mut self, ms: u64, from: Us) {
        let kinds = self.world.kinds.iter().enumerate().filter(|(_, kind)| kind.sleeps);
        let sleepers: Vec<usize> =
            kinds.filter(|(_, kind)| kind.may_resume || self.random.below(2) == 0).map(|(who, _)| who).collect();
        self.naps.extend(sleepers.iter().map(|who| Nap { who: *who, from }));
        let closed_before = self.closed_as_slow().await;
        self.world.heavy.send_replace(true);
        for sleeper in &sleepers {
            self.world.strings[*sleeper].awake.send_replace(false);
        }
        tokio::time::sleep(Duration::from_millis(ms)).await;
        // How fast mailboxes fill is for the others to decide, who may be few just now.
        let end = Instant::now() + OVERFLOWS_WITHIN;
        while !sleepers.is_empty() && self.closed_as_slow().await <= closed_before && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        for sleeper in &sleepers {
            self.world.strings[*sleeper].awake.send_replace(true);
        }
        self.world.heavy.send_replace(false);
    }

    /// How many sessions the nodes ended because they did not read.
    async fn closed_as_slow(&self) -> f64 {
        let mut closed = 0.0;
        for node in self.nodes.iter().flatten() {
            closed += node.metric("crosstalk_closes_total", &[("reason", "slow_reader")]).await.unwrap_or_default();
        }
        closed
    }

    /// Waits until everybody has said its last, and until Redis has what they believe.
    async fn settle(&mut self) {
        for node in 0..NODES {
            self.node(node).ready().await;
        }
        self.world.phase.send_replace(Phase::Settling);
        let end = Instant::now() + Duration::from_millis(self.script.settle_ms);
        let mut is_at_rest = false;
        while !is_at_rest && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let record = self.record();
            is_at_rest = record.beliefs.iter().all(|belief| belief.is_done || !belief.is_there)
                && crate::judge::rosters::judge(&record).is_empty()
                && crate::judge::gaps::judge(&record).is_empty();
        }
    }

    fn record(&self) -> Record {
        let panics = self.nodes.iter().flatten().flat_map(Node::panics).chain(self.panics.iter().cloned());
        Record {
            entries: self.world.history.entries(),
            kinds: self.world.kinds.clone(),
            windows: self.windows.clone(),
            streams: self.tap.streams(),
            held: self.tap.held().unwrap_or_default(),
            beliefs: self.world.beliefs.lock().unwrap().clone(),
            watched: self.watch.watched(),
            panics: panics.collect(),
            began_unix_us: self.began_unix_us,
            lease_ms: self.setting("cluster.lease_ms").unwrap_or(10_000),
            resume_ms: self.setting("session.resume_s").unwrap_or(30) * 1_000,
            naps: self.naps.clone(),
        }
    }

    fn setting(&self, wanted: &str) -> Option<u64> {
        let set = self.script.settings.iter().find(|(key, _)| key == wanted);
        set.map(|(_, value)| value.parse().expect("the setting is a number"))
    }

    async fn over(self, people: JoinSet<()>) -> Record {
        self.tap.read(false).expect("Redis answers at the end");
        let record = self.record();
        self.world.phase.send_replace(Phase::Over);
        self.watch.stop();
        self.tap.stop();
        people.join_all().await;
        write_lines(&self.folder.join("history.jsonl"), &record.entries);
        write_lines(&self.folder.join("faults.jsonl"), &record.windows);
        write_lines(&self.folder.join("streams.jsonl"), &record.streams);
        write_lines(&self.folder.join("end.jsonl"), record.beliefs.iter().enumerate());
        write_lines(&self.folder.join("held.jsonl"), [&record.held]);
        record
    }
}

fn plan(script: &Script, broker: &Broker, node: usize, folder: &Path) -> Plan {
    let mut plan = Plan::at(&broker.url_for(node))
        // Backfills reach over every outage of a run.
        .set("storage.history_count", "5000")
        .set("limits.mailbox_bytes", "65536")
        .log_to(&folder.join(format!("node{node}.log")));
    for (key, value) in &script.settings {
        plan = plan.set(key, value);
    }
    match &script.planted {
        Some(bug) => plan.environment("PLANTED_BUG", bug),
        None => plan,
    }
}

fn dialect(id: usize) -> Dialect {
    Dialect::ALL[id % Dialect::ALL.len()]
}

/// Most of those who speak `action` ask for what goes beyond it.
fn is_extended(id: usize) -> bool {
    dialect(id) == Dialect::Action && id % 12 != 4
}

fn kind(id: usize) -> Kind {
    let dialect = dialect(id);
    let account = (dialect == Dialect::Scrp).then(|| Person::name(dialect, id));
    Kind { may_resume: is_extended(id), sleeps: id.is_multiple_of(3) || is_extended(id), ..Kind::of(dialect, account) }
}
