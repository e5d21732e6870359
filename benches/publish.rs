//! How fast messages are published on a Redis of its own, beside what `redis-benchmark` reaches on the same one with the very same
//! script, arguments and pipelining, the two in turns.
//!
//! Fails when with many messages in flight the median is below four fifths of it. A message must cost one call of a script.

// A benchmark's verdict is a panic, and its business is the clock.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod support;

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crosstalk::backend::redis::Redis;
use crosstalk::backend::{Broker, Entry, Inbound, Presence, Publication, Publisher, Ticket};
use crosstalk::chat::{Actor, Event, EventKind, MessageId, Nickname, RoomId, SessionId};
use support::house::redis::{Redis as Server, Reply};

const ROUNDS: usize = 5;
const MESSAGES: usize = 20_000;
const IN_FLIGHT: [usize; 3] = [1, 64, 256];
/// Many in flight: about them is the verdict.
const MANY: usize = 64;
const SHARE_MIN: f64 = 0.8;

/// What one run took.
#[derive(Clone, Copy)]
struct Run {
    per_second: f64,
    /// CPU time of the publisher and of the server for one message.
    own: Duration,
    server: Duration,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = Server::start();
    let bench = runtime.block_on(Bench::on(&server));
    println!(
        "| in flight | heard | messages/s | own CPU each | server CPU each | redis-benchmark: messages/s | own CPU each | share |\n|---|---|---|---|---|---|---|---|"
    );
    let mut shares = Vec::new();
    for heard in [false, true] {
        if heard {
            assert!(runtime.block_on(bench.node.subscribe(&bench.room)).unwrap());
        }
        for in_flight in IN_FLIGHT {
            let rounds: Vec<(Run, Run)> =
                (0..ROUNDS).map(|_| (bench.publish(&runtime, in_flight), bench.compare(in_flight))).collect();
            let ours = median(rounds.iter().map(|(ours, _)| *ours));
            let theirs = median(rounds.iter().map(|(_, theirs)| *theirs));
            let mut of_rounds: Vec<f64> =
                rounds.iter().map(|(ours, theirs)| ours.per_second / theirs.per_second).collect();
            of_rounds.sort_by(f64::total_cmp);
            let share = of_rounds[ROUNDS / 2];
            println!(
                "| {in_flight} | {heard} | {:.0} | {:.2?} | {:.2?} | {:.0} | {:.2?} | {share:.2} |",
                ours.per_second, ours.own, ours.server, theirs.per_second, theirs.own
            );
            if !heard && in_flight >= MANY {
                shares.push(share);
            }
        }
    }
    assert!(shares.iter().all(|share| *share >= SHARE_MIN), "a share is below {SHARE_MIN}");
}

/// A room with one member, who says the same thing again and again.
struct Bench<'a> {
    server: &'a Server,
    node: Arc<Redis>,
    room: RoomId,
    event: Arc<Event>,
    /// A call of the script as the server saw it.
    call: Vec<String>,
}

impl<'a> Bench<'a> {
    async fn on(server: &'a Server) -> Self {
        let (node, heard) = support::node(server, 100).await;
        tokio::spawn(drain(heard));
        let room = RoomId::parse("main").unwrap();
        let who = Actor { session: SessionId::from_u128(1 << 100), nickname: Nickname::parse("alice").ok() };
        let entry = Entry::Join(Ticket::default());
        node.enter(&room, &who, &entry).await.unwrap().unwrap();
        // Short enough to stand whole in the server's log of slow commands.
        let kind = EventKind::Message { id: MessageId(1), text: "see you at eight".into() };
        let event = Arc::new(Event::new(who, kind));
        let mut bench = Self { server, node, room, event, call: Vec::new() };
        bench.call = bench.one_call().await;
        bench
    }

    /// What one message is to the server.
    async fn one_call(&self) -> Vec<String> {
        // The first may have to load the script.
        publish(&self.node, &self.room, &self.event).await;
        self.server.text(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
        publish(&self.node, &self.room, &self.event).await;
        self.server.text(&["CONFIG", "SET", "slowlog-log-slower-than", "-1"]);
        let Reply::List(entries) = self.server.query(&["SLOWLOG", "GET", "-1"]) else { panic!("no log") };
        let calls: Vec<Vec<String>> = entries.into_iter().map(command).filter(|call| call[0] == "EVALSHA").collect();
        let [call] = &calls[..] else { panic!("one message is {} calls: {calls:?}", calls.len()) };
        call.clone()
    }

    fn publish(&self, runtime: &tokio::runtime::Runtime, in_flight: usize) -> Run {
        let (own, server) = (own_cpu(), self.server_cpu());
        let began = Instant::now();
        runtime.block_on(async {
            let sayers: Vec<_> = (0..in_flight)
                .map(|_| {
                    let (node, room, event) = (self.node.clone(), self.room.clone(), self.event.clone());
                    tokio::spawn(async move {
                        for _ in 0..MESSAGES / in_flight {
                            publish(&node, &room, &event).await;
                        }
                    })
                })
                .collect();
            for sayer in sayers {
                sayer.await.unwrap();
            }
        });
        self.run(began, own_cpu() - own, server)
    }

    fn compare(&self, in_flight: usize) -> Run {
        let server = self.server_cpu();
        let before = children_cpu();
        let began = Instant::now();
        let status = Command::new("redis-benchmark")
            .args(["-p", &self.server.port().to_string(), "-c", "1", "-q"])
            .args(["-P", &in_flight.to_string(), "-n", &MESSAGES.to_string()])
            .args(&self.call)
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        self.run(began, children_cpu() - before, server)
    }

    fn run(&self, began: Instant, own: Duration, server_before: Duration) -> Run {
        let took = began.elapsed();
        let each = |cpu: Duration| cpu / MESSAGES as u32;
        let server = each(self.server_cpu() - server_before);
        Run { per_second: MESSAGES as f64 / took.as_secs_f64(), own: each(own), server }
    }

    fn server_cpu(&self) -> Duration {
        let info = self.server.text(&["INFO", "cpu"]);
        let seconds = |name: &str| -> f64 {
            info.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().parse().unwrap()
        };
        Duration::from_secs_f64(seconds("used_cpu_user:") + seconds("used_cpu_sys:"))
    }
}

async fn publish(node: &Redis, room: &RoomId, event: &Event) {
    let publication = Publication { event, publisher: Publisher::Member { account: None }, key: None };
    node.publish(room, publication).await.unwrap().unwrap();
}

async fn drain(mut heard: Inbound) {
    while heard.next().await.is_some() {}
}

/// The command of an entry of the log.
fn command(entry: Reply) -> Vec<String> {
    let Reply::List(mut parts) = entry else { panic!("no entry: {entry:?}") };
    let Reply::List(words) = parts.swap_remove(3) else { panic!("no command: {parts:?}") };
    words.into_iter().map(Reply::into_text).collect()
}

fn own_cpu() -> Duration {
    // Fields 14 and 15, counted from behind the name, in which anything may stand.
    ticks(11)
}

/// Of the programs that were run and waited for.
fn children_cpu() -> Duration {
    ticks(13)
}

/// Two neighbouring times of `/proc/self/stat` together, in the hundredths of a second in which the system counts them.
fn ticks(first: usize) -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<u64> =
        stat.rsplit_once(") ").unwrap().1.split(' ').map(|field| field.trim().parse().unwrap_or(0)).collect();
    Duration::from_millis(10 * (fields[first] + fields[first + 1]))
}

fn median(runs: impl Iterator<Item = Run>) -> Run {
    let mut runs: Vec<Run> = runs.collect();
    runs.sort_by(|one, other| one.per_second.total_cmp(&other.per_second));
    runs[runs.len() / 2]
}
