//! A master, its replica, and Sentinels that watch them.

use super::cluster::wait_for;
use super::{Kind, Recipe, Redis};

const SENTINELS: usize = 3;
/// The name under which the master is watched.
pub const SERVICE: &str = "chat";

pub struct Sentinels {
    /// The first is the master at the beginning.
    pub servers: Vec<Redis>,
    pub sentinels: Vec<Redis>,
}

impl Sentinels {
    pub fn start(kind: Kind) -> Self {
        Self::of(&Recipe::new(kind), true)
    }

    /// With a replica and three Sentinels if `replicated`, else a master that one Sentinel watches.
    pub fn of(recipe: &Recipe, replicated: bool) -> Self {
        let plain = recipe.clone().line("save \"\"").line("repl-diskless-sync-delay 0");
        let mut servers = vec![Redis::start_with(plain.clone())];
        let port = servers[0].door();
        if replicated {
            let replica = Redis::start_with(plain.line(format!("replicaof 127.0.0.1 {port}")));
            wait_for("the replica is in sync", || {
                replica.text(&["INFO", "replication"]).contains("master_link_status:up")
            });
            servers.push(replica);
        }
        let count = if replicated { SENTINELS } else { 1 };
        let sentinels = (0..count)
            .map(|_| {
                let quorum = count / 2 + 1;
                let recipe = recipe.clone().line(format!("sentinel monitor {SERVICE} 127.0.0.1 {port} {quorum}"));
                let recipe = recipe.line(format!("sentinel down-after-milliseconds {SERVICE} 1000"));
                let mut recipe = recipe.line(format!("sentinel failover-timeout {SERVICE} 5000"));
                recipe.flags.push("--sentinel".to_owned());
                Redis::start_with(recipe)
            })
            .collect();
        let watched = Self { servers, sentinels };
        let (replicas, others) = (watched.servers.len() - 1, count - 1);
        let expected = [format!("slaves={replicas},"), format!("sentinels={}", others + 1)];
        wait_for("the sentinels know everybody", || {
            watched.sentinels.iter().all(|sentinel| {
                let info = sentinel.text(&["INFO", "sentinel"]);
                expected.iter().all(|part| info.contains(part))
            })
        });
        watched
    }

    pub fn url(&self) -> String {
        format!("redis+sentinel://{}/{SERVICE}", self.hosts())
    }

    /// Where clients find the Sentinels.
    pub fn hosts(&self) -> String {
        let hosts: Vec<String> = self.sentinels.iter().map(|node| format!("127.0.0.1:{}", node.door())).collect();
        hosts.join(",")
    }

    /// Which server the Sentinels call the master.
    pub fn master(&self) -> usize {
        let port = self.sentinels[0].list(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE])[1].clone();
        self.servers.iter().position(|server| server.door().to_string() == port).expect("the master is one of ours")
    }

    /// Has the Sentinels make the replica the master, as if somebody asked for it, and waits until all of them know.
    pub fn fail_over(&self) {
        let before = self.master();
        // Right after the beginning they may not have seen yet that the replica is good.
        wait_for("the sentinels take the failover", || {
            self.sentinels[0].query(&["SENTINEL", "FAILOVER", SERVICE]) == super::Reply::Text("OK".to_owned())
        });
        wait_for("there is another master", || self.master() != before);
    }

    pub fn kill9_master(&mut self) -> usize {
        let master = self.master();
        self.servers[master].kill9();
        master
    }
}
