//! A Redis Cluster of the test's own.

use std::time::Instant;

use super::super::{DEADLINE, POLL, ports};
use super::{Kind, Recipe, Redis, Reply};

const SLOTS: usize = 16_384;
const PRIMARIES: usize = 3;

/// Three primaries, and perhaps a replica of each: node `n + 3` replicates node `n` at first.
pub struct Cluster {
    pub nodes: Vec<Redis>,
}

impl Cluster {
    /// Three primaries with a replica each.
    pub fn start(kind: Kind) -> Self {
        Self::of(&Recipe::new(kind), true)
    }

    /// Three primaries, with a replica each if `replicated`.
    pub fn of(recipe: &Recipe, replicated: bool) -> Self {
        let count = if replicated { 2 * PRIMARIES } else { PRIMARIES };
        let nodes: Vec<Redis> = (0..count)
            .map(|_| {
                let recipe = recipe.clone().line("cluster-enabled yes").line("cluster-node-timeout 1000");
                let recipe = recipe.line("repl-diskless-sync-delay 0").line("cluster-replica-validity-factor 0");
                Redis::start_with(recipe.line(format!("cluster-port {}", ports::lasting())).line("save \"\""))
            })
            .collect();
        let cluster = Self { nodes };
        for (number, node) in cluster.nodes.iter().enumerate() {
            done(node.query(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]));
        }
        for number in 0..PRIMARIES {
            let bound = |number: usize| number * SLOTS / PRIMARIES;
            let (first, last) = (bound(number).to_string(), (bound(number + 1) - 1).to_string());
            done(cluster.nodes[number].query(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]));
        }
        cluster.introduce();
        if replicated {
            cluster.replicate();
        }
        cluster
    }

    fn introduce(&self) {
        let bus_port = |node: &Redis| node.list(&["CONFIG", "GET", "cluster-port"])[1].clone();
        let [first, others @ ..] = self.nodes.as_slice() else { return };
        for other in others {
            let port = other.door().to_string();
            done(first.query(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus_port(other)]));
        }
        self.settled();
    }

    fn replicate(&self) {
        for number in 0..PRIMARIES {
            let primary = self.nodes[number].text(&["CLUSTER", "MYID"]);
            let replica = &self.nodes[number + PRIMARIES];
            done(replica.query(&["CLUSTER", "REPLICATE", &primary]));
            wait_for("a replica is in sync", || {
                replica.text(&["INFO", "replication"]).contains("master_link_status:up")
            });
        }
        self.settled();
    }

    /// Waits until all nodes that answer know one another and agree that all is well.
    pub fn settled(&self) {
        let known = self.nodes.len();
        wait_for("the cluster is whole", || {
            self.nodes.iter().filter(|node| node.is_up()).all(|node| {
                let info = node.text(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains(&format!("cluster_known_nodes:{known}\r"))
            })
        });
    }

    pub fn url(&self) -> String {
        format!("redis+cluster://{}", self.hosts())
    }

    /// Where clients find its nodes.
    pub fn hosts(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.door())).collect();
        hosts.join(",")
    }

    /// The slot of a key.
    pub fn slot(&self, key: &str) -> i64 {
        self.up().number(&["CLUSTER", "KEYSLOT", key])
    }

    /// Which node owns a key's slot, as a node that is up sees it.
    pub fn owner(&self, key: &str) -> usize {
        let slot = self.slot(key);
        let Reply::List(ranges) = self.up().query(&["CLUSTER", "SLOTS"]) else {
            panic!("CLUSTER SLOTS answers a list")
        };
        let port = ranges.iter().find_map(|range| match range {
            Reply::List(range) => match range.as_slice() {
                [Reply::Integer(first), Reply::Integer(last), Reply::List(primary), ..] => match primary.as_slice() {
                    [_, Reply::Integer(port), ..] if (*first..=*last).contains(&slot) => Some(*port),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        });
        let port = port.unwrap_or_else(|| panic!("nobody owns slot {slot}"));
        self.nodes.iter().position(|node| i64::from(node.port()) == port).expect("the owner is one of ours")
    }

    fn up(&self) -> &Redis {
        self.nodes.iter().find(|node| node.is_up()).expect("a node is up")
    }

    /// Moves a key's slot, with all that is in it, to another primary.
    pub fn move_slot(&self, key: &str, to: usize) {
        let (slot, from) = (self.slot(key).to_string(), self.owner(key));
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        let (from_id, to_id) = (source.text(&["CLUSTER", "MYID"]), target.text(&["CLUSTER", "MYID"]));
        done(target.query(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]));
        done(source.query(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]));
        loop {
            let keys = source.list(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
            if keys.is_empty() {
                break;
            }
            for key in keys {
                source.query(&["MIGRATE", "127.0.0.1", &target.door().to_string(), &key, "0", "5000"]);
            }
        }
        for node in [target, source] {
            done(node.query(&["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]));
        }
    }

    /// Has the replica of a primary take over in order: nothing is lost.
    pub fn fail_over(&self, primary: usize) {
        let id = self.nodes[primary].text(&["CLUSTER", "MYID"]);
        let replica = self.nodes.iter().find(|node| {
            let nodes = node.text(&["CLUSTER", "NODES"]);
            nodes.lines().any(|line| line.contains("myself,slave") && line.contains(&id))
        });
        let replica = replica.expect("the primary has a replica");
        done(replica.query(&["CLUSTER", "FAILOVER"]));
        wait_for("the replica took over", || replica.text(&["CLUSTER", "NODES"]).contains("myself,master"));
    }
}

fn done(reply: Reply) {
    assert_eq!(reply, Reply::Text("OK".to_owned()));
}

pub(super) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "waited for: {what}");
        std::thread::sleep(POLL);
    }
}
