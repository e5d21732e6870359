//! What a run is to do.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use anyhow::{Context, Result, bail, ensure};

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::dialect::{Dialect, Goes};
use crate::framing::Framing;

/// How one dialect is reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Route {
    pub dialect: Dialect,
    pub framing: Framing,
    pub address: SocketAddr,
    /// As it was written, for the head of the upgrade.
    pub host: String,
    pub path: String,
}

/// How messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Traffic {
    Silence,
    /// The next one when one has come to everybody, so many at a time.
    Closed {
        in_flight: usize,
    },
    /// So many per second whatever comes of them.
    Open {
        per_second: f64,
    },
}

/// The people of one process, and what they do. Numbers of people are global, over all processes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Begins all names of this run.
    pub run: String,
    pub routes: Vec<Route>,
    pub first: u32,
    pub people: u32,
    pub members_per_room: u32,
    pub goes: Goes,
    /// Further rooms that each person sits in, alone and in silence.
    pub own_rooms: u32,
    pub traffic: Traffic,
    pub text_bytes: usize,
    /// Sending stops after so many, if not before.
    pub most_messages: u64,
    /// Connections that are being opened at a time.
    pub opening_at_once: usize,
    /// Connections that read nothing once they are in their room: the first of each so many; none for zero.
    pub stalled_every: u32,
    /// Connections that go and come again, per second, and the share of them: one of so many.
    pub churn_per_second: f64,
    pub churning_every: u32,
    /// Milliseconds that the last messages are waited for.
    pub drain_ms: u64,
}

impl Plan {
    /// The same for several processes: whole rooms for each, or where there are too few of them, people of the same room.
    pub fn parts(&self, processes: u32) -> Vec<Self> {
        let rooms = self.people.div_ceil(self.members_per_room);
        let grain = if rooms >= processes { self.members_per_room } else { 1 };
        let grains = self.people.div_ceil(grain);
        let start = |part: u32| (u64::from(grains) * u64::from(part) / u64::from(processes)) as u32 * grain;
        let traffic = match self.traffic {
            Traffic::Silence => Traffic::Silence,
            Traffic::Closed { in_flight } => Traffic::Closed { in_flight: in_flight.div_ceil(processes as usize) },
            Traffic::Open { per_second } => Traffic::Open { per_second: per_second / f64::from(processes) },
        };
        let churn_per_second = self.churn_per_second / f64::from(processes);
        let most_messages = self.most_messages.div_ceil(u64::from(processes));
        let part = |number: u32| {
            let (first, end) = (start(number), start(number + 1).min(self.people));
            Self { first, people: end - first, traffic, churn_per_second, most_messages, ..self.clone() }
        };
        (0..processes).map(part).collect()
    }

    /// Whether other processes' people talk in a room of this one.
    pub fn has_strangers(&self) -> bool {
        !self.first.is_multiple_of(self.members_per_room) || self.people < self.members_per_room
    }

    pub fn room_of(&self, person: u32) -> u32 {
        person / self.members_per_room
    }

    /// Who comes again is somebody new, because a name that was just given up may not be free yet. An account is the same person's.
    pub fn name_of(&self, person: u32, coming: u32) -> String {
        let is_account = self.route_of(person).dialect == Dialect::Scrp;
        match coming {
            2.. if !is_account => format!("n{}{person}x{coming}", self.run),
            _ => format!("n{}{person}", self.run),
        }
    }

    pub fn room_name(&self, room: u32) -> String {
        format!("r{}{room}", self.run)
    }

    pub fn route_of(&self, person: u32) -> &Route {
        &self.routes[person as usize % self.routes.len()]
    }

    /// The last of every so many, so that the first of a room is never one.
    pub fn is_stalled(&self, person: u32) -> bool {
        self.stalled_every > 0 && person % self.stalled_every == self.stalled_every - 1
    }

    pub fn is_churning(&self, person: u32) -> bool {
        self.churning_every > 0 && person % self.churning_every == self.churning_every - 1
    }

    /// Whether all that is said must come to this person.
    pub fn is_judged(&self, person: u32) -> bool {
        self.goes == Goes::Joined && !self.is_stalled(person) && !self.is_churning(person)
    }
}

/// Four characters that tell this run's names from those of others.
pub fn run_name() -> String {
    let mut rest = clock::now() ^ u64::from(std::process::id()) << 20;
    (0..4)
        .map(|_| {
            let digit = char::from_digit((rest % 36) as u32, 36).unwrap_or('0');
            rest /= 36;
            digit
        })
        .collect()
}

/// People that share one address of this machine: below the 28,000 ports that Linux gives out by itself.
const PEOPLE_PER_SOURCE: u32 = 20_000;

/// The address to connect from, so that there are ports enough; nothing where it does not matter.
pub fn source(person: u32, target: SocketAddr) -> Option<SocketAddr> {
    let IpAddr::V4(address) = target.ip() else { return None };
    let host = person / PEOPLE_PER_SOURCE;
    (address.is_loopback() && host > 0).then(|| SocketAddr::from((Ipv4Addr::new(127, 0, 1, (host % 250) as u8), 0)))
}

/// `[dialect=]ws://host:port[/path]` or `[dialect=]tcp://host:port`, as it is given on the command line.
#[derive(Debug, Clone)]
pub struct Target {
    bound: Option<Dialect>,
    is_tcp: bool,
    host: String,
    address: SocketAddr,
    path: String,
}

impl Target {
    pub fn parse(text: &str) -> Result<Self> {
        let (bound, url) = match text.split_once('=') {
            Some((label, url)) if !label.contains(':') => (Some(Dialect::from_label(label)?), url),
            _ => (None, text),
        };
        let Some((scheme, rest)) = url.split_once("://") else {
            bail!("{url:?} is no URL: ws://host:port or tcp://host:port")
        };
        ensure!(["ws", "tcp"].contains(&scheme), "{url:?}: the scheme is neither ws nor tcp");
        let (host, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let address = host.to_socket_addrs().with_context(|| format!("{url:?}: {host:?} is no host and port"))?.next();
        let address = address.with_context(|| format!("{host:?} has no address"))?;
        let is_tcp = scheme == "tcp";
        ensure!(!is_tcp || path.is_empty(), "{url:?}: TCP has no path");
        let path = path.trim_end_matches('/').to_owned();
        Ok(Self { bound, is_tcp, host: host.to_owned(), address, path })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn route(&self, dialect: Dialect) -> Option<Route> {
        self.bound.is_none_or(|bound| bound == dialect).then(|| Route {
            dialect,
            framing: if self.is_tcp { dialect.tcp_framing() } else { Framing::WebSocket },
            address: self.address,
            host: self.host.clone(),
            path: if self.path.is_empty() { dialect.path().to_owned() } else { self.path.clone() },
        })
    }
}

/// Every dialect over every target that has it.
pub fn routes(dialects: &[Dialect], targets: &[Target]) -> Result<Vec<Route>> {
    let routes: Vec<Route> =
        dialects.iter().flat_map(|&dialect| targets.iter().filter_map(move |target| target.route(dialect))).collect();
    if let Some(missing) = dialects.iter().find(|&&dialect| !routes.iter().any(|route| route.dialect == dialect)) {
        bail!("no --url is for the dialect {missing}");
    }
    Ok(routes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(people: u32, members_per_room: u32) -> Plan {
        Plan {
            run: "test".to_owned(),
            routes: Vec::new(),
            first: 0,
            people,
            members_per_room,
            goes: Goes::Joined,
            own_rooms: 0,
            traffic: Traffic::Closed { in_flight: 4 },
            text_bytes: 10,
            most_messages: u64::MAX,
            opening_at_once: 1,
            stalled_every: 0,
            churn_per_second: 0.0,
            churning_every: 0,
            drain_ms: 0,
        }
    }

    #[test]
    fn parts_are_whole_rooms_where_there_are_enough_and_together_all_people() {
        let ranges = |people, members, processes| {
            let parts = plan(people, members).parts(processes);
            parts.iter().map(|part| (part.first, part.people)).collect::<Vec<_>>()
        };
        assert_eq!(ranges(35, 10, 3), [(0, 10), (10, 10), (20, 15)]);
        assert_eq!(ranges(1000, 1000, 3), [(0, 333), (333, 333), (666, 334)]);
        assert_eq!(plan(10, 10).parts(3)[0].traffic, Traffic::Closed { in_flight: 2 });
    }

    #[test]
    fn a_target_is_a_url_perhaps_for_one_dialect_and_what_is_wrong_with_another_is_said() {
        let targets =
            [Target::parse("ws://127.0.0.1:80").unwrap(), Target::parse("pychat=tcp://127.0.0.1:90").unwrap()];
        let routes = routes(&[Dialect::Scrp, Dialect::Pychat], &targets).unwrap();
        let seen: Vec<_> = routes.iter().map(|route| (route.dialect, route.framing, route.path.as_str())).collect();
        assert_eq!(
            seen,
            [
                (Dialect::Scrp, Framing::WebSocket, "/chat/scrp"),
                (Dialect::Pychat, Framing::WebSocket, "/chat/pychat"),
                (Dialect::Pychat, Framing::Lines, "/chat/pychat"),
            ]
        );
        for (wrong, said) in [
            ("127.0.0.1:80", "no URL"),
            ("http://127.0.0.1:80", "neither ws nor tcp"),
            ("morse=ws://127.0.0.1:80", "no dialect"),
            ("ws://nowhere", "no host and port"),
            ("tcp://127.0.0.1:80/chat", "no path"),
        ] {
            let error = format!("{:#}", Target::parse(wrong).unwrap_err());
            assert!(error.contains(said), "{wrong}: {error}");
        }
        assert!(super::routes(&[Dialect::Action], &targets[1..]).is_err());
    }
}
