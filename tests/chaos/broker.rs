//! What the nodes of a run share: one Redis behind a line for each node, or servers that replace one another.

use serde::Serialize;
use tokio::task::block_in_place;

use crate::proxy::Proxy;
use crate::support::redis::cluster::Cluster;
use crate::support::redis::sentinels::Sentinels;
use crate::support::redis::{Kind, Recipe, Redis};
use crate::support::{DEADLINE, POLL};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Make {
    Redis7,
    Redis8,
    Valkey8,
    /// A master and a replica under three Sentinels.
    Sentinel,
    /// Three primaries with a replica each.
    Cluster,
}

impl Make {
    pub const ALL: [(&str, Self); 5] = [
        ("redis7", Self::Redis7),
        ("redis8", Self::Redis8),
        ("valkey8", Self::Valkey8),
        ("sentinel", Self::Sentinel),
        ("cluster", Self::Cluster),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, make)| *make == self).map_or("", |(name, _)| name)
    }
}

pub enum Broker {
    /// With a line for each node.
    Alone(Box<Redis>, Vec<Proxy>),
    Sentinels(Sentinels),
    Cluster(Cluster),
}

impl Broker {
    pub async fn start(make: Make, nodes: usize) -> Self {
        let kind = match make {
            Make::Redis7 => Kind::Redis7,
            Make::Redis8 => Kind::Redis8,
            Make::Valkey8 => Kind::Valkey8,
            Make::Sentinel => return Self::Sentinels(block_in_place(|| Sentinels::start(Kind::Redis7))),
            Make::Cluster => return Self::Cluster(block_in_place(|| Cluster::start(Kind::Redis7))),
        };
        let recipe = Recipe::new(kind).line("save \"\"").line("appendonly yes").line("appendfsync always");
        let redis = block_in_place(|| Redis::start_with(recipe));
        let behind = redis.url().trim_start_matches("redis://").trim_end_matches('/').to_owned();
        let mut lines = Vec::new();
        for _ in 0..nodes {
            lines.push(Proxy::before(behind.clone()).await);
        }
        Self::Alone(Box::new(redis), lines)
    }

    /// Where a node finds it.
    pub fn url_for(&self, node: usize) -> String {
        match self {
            Self::Alone(_, lines) => lines[node].url(),
            _ => self.url(),
        }
    }

    /// Where it is, without a line before it.
    pub fn url(&self) -> String {
        match self {
            Self::Alone(redis, _) => redis.url(),
            Self::Sentinels(sentinels) => sentinels.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }

    /// # Panics
    /// Where nodes have no lines of their own: servers tell the addresses of others themselves.
    pub fn line(&self, node: usize) -> &Proxy {
        match self {
            Self::Alone(_, lines) => &lines[node],
            _ => panic!("no fault of a line is drawn for servers that replace one another"),
        }
    }

    /// The server that takes what is written, of a cluster that of this room.
    pub fn master(&mut self, room: &str) -> &mut Redis {
        match self {
            Self::Alone(redis, _) => redis,
            Self::Sentinels(sentinels) => {
                let master = sentinels.master();
                &mut sentinels.servers[master]
            }
            Self::Cluster(cluster) => {
                let owner = cluster.owner(&format!("{{{room}}}"));
                &mut cluster.nodes[owner]
            }
        }
    }

    /// # Panics
    /// When none of them has the port.
    pub fn server(&mut self, port: u16) -> &mut Redis {
        let servers = match self {
            Self::Alone(redis, _) => std::slice::from_mut(redis.as_mut()),
            Self::Sentinels(sentinels) => &mut sentinels.servers,
            Self::Cluster(cluster) => &mut cluster.nodes,
        };
        servers.iter_mut().find(|server| server.port() == port).expect("the server is one of ours")
    }

    fn servers(&self) -> &[Redis] {
        match self {
            Self::Alone(redis, _) => std::slice::from_ref(redis.as_ref()),
            Self::Sentinels(sentinels) => &sentinels.servers,
            Self::Cluster(cluster) => &cluster.nodes,
        }
    }

    pub fn kill_subscriptions(&self) {
        self.servers().iter().for_each(|server| drop(server.query(&["CLIENT", "KILL", "TYPE", "pubsub"])));
    }

    /// Has a replica take over, as if somebody asked for it.
    pub fn fail_over(&self, room: &str) {
        match self {
            Self::Alone(..) => {}
            Self::Sentinels(sentinels) => sentinels.fail_over(),
            Self::Cluster(cluster) => cluster.fail_over(cluster.owner(&format!("{{{room}}}"))),
        }
    }

    /// Moves the room's slot to the next primary of a cluster.
    pub fn move_slot(&self, room: &str) {
        let Self::Cluster(cluster) = self else { return };
        let key = format!("{{{room}}}");
        let owner = cluster.owner(&key);
        let count = cluster.nodes.len();
        let mut others = (1..count).map(|step| (owner + step) % count);
        let to = others.find(|node| cluster.nodes[*node].text(&["INFO", "replication"]).contains("role:master"));
        cluster.move_slot(&key, to.expect("there are other primaries"));
    }

    /// Waits until every server is there and in sync again.
    pub fn is_mended(&self) {
        match self {
            Self::Alone(..) => {}
            Self::Sentinels(sentinels) => in_sync(&sentinels.servers),
            Self::Cluster(cluster) => {
                cluster.settled();
                in_sync(&cluster.nodes);
            }
        }
    }
}

fn in_sync(servers: &[Redis]) {
    let masters = if servers.len() > 2 { servers.len() / 2 } else { 1 };
    let end = std::time::Instant::now() + 2 * DEADLINE;
    loop {
        // One that is told just now that it is no master any more throws its clients out.
        let state =
            |server: &Redis| server.try_text(&["INFO", "replication"]).unwrap_or_else(|error| error.to_string());
        let states: Vec<String> = servers.iter().map(state).collect();
        let count = |word: &str| states.iter().filter(|state| state.contains(word)).count();
        if count("role:master") == masters && count("master_link_status:up") == servers.len() - masters {
            return;
        }
        assert!(std::time::Instant::now() < end, "the replicas are not in sync again: {states:?}");
        std::thread::sleep(POLL);
    }
}
