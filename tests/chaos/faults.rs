//! What goes wrong in a run, drawn from its seed.

use serde::Serialize;

use crate::broker::Make;
use crate::support::random::Random;

/// One thing that goes wrong, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fault {
    /// `kill -9`, and started again after this time.
    Kill {
        node: usize,
        ms: u64,
    },
    /// SIGTERM, and started again when it has gone.
    Restart {
        node: usize,
    },
    /// SIGSTOP and SIGCONT.
    Stop {
        node: usize,
        ms: u64,
    },
    /// The line to Redis, in the directions that are named.
    Cut {
        node: usize,
        towards_redis: bool,
        from_redis: bool,
        ms: u64,
    },
    Delay {
        node: usize,
        by_ms: u64,
        ms: u64,
    },
    Slice {
        node: usize,
        ms: u64,
    },
    Reset {
        node: usize,
    },
    /// The connections on which the node hears go silent for good, and those that it opens instead for this time.
    Deafen {
        node: usize,
        ms: u64,
    },
    RedisRestart {
        ms: u64,
    },
    RedisKill {
        ms: u64,
    },
    RedisPause {
        ms: u64,
    },
    /// A replica takes over as if somebody asked for it.
    Failover,
    /// `kill -9` of a server that has replicas, started again after this time.
    MasterKill {
        ms: u64,
    },
    /// The same in order.
    MasterRestart {
        ms: u64,
    },
    /// Such a server stands still for longer than the others wait for it.
    MasterPause {
        ms: u64,
    },
    /// Rooms move to other servers of a cluster.
    MoveSlots,
    /// All that Redis has is deleted.
    Flush,
    /// Some clients stop reading while long texts are said.
    Sleep {
        ms: u64,
    },
    /// Some clients' connections end without a word.
    Drop,
    /// Subscriptions are lost, and nobody is told.
    KillSubscriptions,
}

impl Fault {
    pub fn label(self) -> &'static str {
        match self {
            Self::Kill { .. } => "node killed",
            Self::Restart { .. } => "node restarted in order",
            Self::Stop { ms, .. } if ms > 10_000 => "node stood still for longer than its lease",
            Self::Stop { .. } => "node stood still",
            Self::Cut { ms, .. } if ms > 10_000 => "line cut for longer than a lease",
            Self::Cut { towards_redis: true, from_redis: true, .. } => "line cut both ways",
            Self::Cut { towards_redis: true, .. } => "line cut towards Redis",
            Self::Cut { .. } => "line cut from Redis",
            Self::Delay { .. } => "line delayed",
            Self::Slice { .. } => "line sliced",
            Self::Reset { .. } => "connections to Redis reset",
            Self::Deafen { ms: 0, .. } => "subscription connection silent",
            Self::Deafen { .. } => "every subscription connection silent",
            Self::RedisRestart { .. } => "Redis restarted with its data",
            Self::RedisKill { .. } => "Redis killed, back with its data",
            Self::RedisPause { .. } => "Redis stood still",
            Self::Failover => "failover in order",
            Self::MasterKill { .. } => "master killed",
            Self::MasterRestart { .. } => "master restarted",
            Self::MasterPause { .. } => "master stood still",
            Self::MoveSlots => "slots moved",
            Self::Flush => "Redis emptied",
            Self::Sleep { .. } => "clients did not read",
            Self::Drop => "clients dropped",
            Self::KillSubscriptions => "subscription connections killed",
        }
    }

    /// The one node that it strikes.
    pub fn node(self) -> Option<usize> {
        match self {
            Self::Kill { node, .. }
            | Self::Restart { node }
            | Self::Stop { node, .. }
            | Self::Cut { node, .. }
            | Self::Delay { node, .. }
            | Self::Slice { node, .. }
            | Self::Reset { node }
            | Self::Deafen { node, .. } => Some(node),
            _ => None,
        }
    }

    /// Whether Redis itself is struck, and with it all nodes.
    pub fn is_of_redis(self) -> bool {
        let is_of_the_only_one =
            matches!(self, Self::RedisRestart { .. } | Self::RedisKill { .. } | Self::RedisPause { .. } | Self::Flush);
        is_of_the_only_one || self.may_lose() || self == Self::MoveSlots
    }

    /// Whether another server may go on without what was acknowledged last.
    pub fn may_lose(self) -> bool {
        // Also Sentinels that are asked for it let the old master take something meanwhile.
        matches!(self, Self::Failover | Self::MasterKill { .. } | Self::MasterRestart { .. } | Self::MasterPause { .. })
    }

    /// How long nothing else is to go wrong after it, so that what it did can be measured, in milliseconds.
    pub fn rest_ms(self) -> u64 {
        match self {
            Self::Kill { ms, .. } => 15_500_u64.saturating_sub(ms),
            Self::Deafen { .. } => 7_000,
            _ => 3_000,
        }
    }
}

/// Every kind of fault, the details drawn.
fn bag(random: &mut Random, nodes: usize, make: Make) -> Vec<Fault> {
    let mut bag = match make {
        Make::Redis7 | Make::Redis8 | Make::Valkey8 => of_one(random, nodes),
        Make::Sentinel => of_many(random, nodes),
        Make::Cluster => [of_many(random, nodes), vec![Fault::MoveSlots]].concat(),
    };
    for index in (1..bag.len()).rev() {
        bag.swap(index, random.below(index + 1));
    }
    bag
}

/// Servers that replace one another tell the nodes where they are, so no line lies before them.
fn of_many(random: &mut Random, nodes: usize) -> Vec<Fault> {
    let mut node = || random.below(nodes);
    vec![
        Fault::Kill { node: node(), ms: 2_000 },
        Fault::Restart { node: node() },
        Fault::Stop { node: node(), ms: 13_000 },
        Fault::Stop { node: node(), ms: 4_000 },
        Fault::Failover,
        Fault::MasterKill { ms: 6_000 },
        Fault::MasterRestart { ms: 6_000 },
        Fault::MasterPause { ms: 6_000 },
        Fault::Sleep { ms: 7_000 },
        Fault::Drop,
        Fault::KillSubscriptions,
    ]
}

fn of_one(random: &mut Random, nodes: usize) -> Vec<Fault> {
    let mut node = || random.below(nodes);
    vec![
        Fault::Kill { node: node(), ms: 2_000 },
        Fault::Restart { node: node() },
        Fault::Stop { node: node(), ms: 13_000 },
        Fault::Stop { node: node(), ms: 4_000 },
        Fault::Cut { node: node(), towards_redis: true, from_redis: true, ms: 13_000 },
        Fault::Cut { node: node(), towards_redis: true, from_redis: true, ms: 3_000 },
        Fault::Cut { node: node(), towards_redis: true, from_redis: false, ms: 4_000 },
        Fault::Cut { node: node(), towards_redis: false, from_redis: true, ms: 4_000 },
        Fault::Delay { node: node(), by_ms: 150, ms: 4_000 },
        Fault::Slice { node: node(), ms: 4_000 },
        Fault::Reset { node: node() },
        Fault::Deafen { node: node(), ms: 0 },
        Fault::Deafen { node: node(), ms: 9_000 },
        Fault::RedisRestart { ms: 1_500 },
        Fault::RedisKill { ms: 500 },
        Fault::RedisPause { ms: 3_000 },
        Fault::Flush,
        Fault::Sleep { ms: 7_000 },
        Fault::Drop,
        Fault::KillSubscriptions,
    ]
}

/// Faults one after the other, every kind once before any comes again; it never ends.
pub fn endless(seed: u64, nodes: usize, make: Make) -> impl Iterator<Item = Fault> {
    let mut random = Random::seeded(seed);
    std::iter::repeat_with(move || bag(&mut random, nodes, make)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_names_a_schedule_and_every_kind_comes() {
        let first: Vec<Fault> = endless(7, 3, Make::Redis7).take(40).collect();
        assert_eq!(first, endless(7, 3, Make::Redis7).take(40).collect::<Vec<_>>());
        assert_ne!(first, endless(8, 3, Make::Redis7).take(40).collect::<Vec<_>>());
        let size = bag(&mut Random::seeded(7), 3, Make::Redis7).len();
        for fault in bag(&mut Random::seeded(1), 3, Make::Redis7) {
            assert!(first[..size].iter().any(|other| other.label() == fault.label()), "{fault:?}");
        }
    }
}
