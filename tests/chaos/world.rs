//! What the clients of a run share: where the nodes are, what phase it is, and what each of them holds to be true.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;

use serde::Serialize;
use tokio::sync::watch;

use crate::history::{Kind, Recorder};
use crate::support::dialect::{Dialect, Transport};
use crate::support::node::Node;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub enum Phase {
    /// Everybody does what comes to mind.
    Acting,
    /// All faults are over: everybody says one thing in each of its rooms, and listens.
    Settling,
    Over,
}

/// What a client is sure of when it settles down.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Belief {
    /// Connected, and without a doubt about what it holds.
    pub is_there: bool,
    pub name: Option<String>,
    /// It was let bear this name, and may hold it or not.
    pub perhaps: Option<String>,
    pub rooms: BTreeSet<String>,
    /// Rooms of which an account does not know whether it is a member.
    pub doubtful: BTreeSet<String>,
    /// Everything has been said that was to be said at the end.
    pub is_done: bool,
    /// What was refused at the end, though no fault was left.
    pub refused: Vec<String>,
}

/// How one client is held up from outside.
pub struct Strings {
    pub awake: watch::Sender<bool>,
    pub drops: watch::Sender<u64>,
}

pub struct World {
    pub history: Recorder,
    pub rooms: Vec<String>,
    pub phase: watch::Sender<Phase>,
    /// Long texts, so that who does not read is noticed.
    pub heavy: watch::Sender<bool>,
    pub kinds: Vec<Kind>,
    pub strings: Vec<Strings>,
    pub beliefs: Mutex<Vec<Belief>>,
    doors: Mutex<Vec<Option<BTreeMap<&'static str, SocketAddr>>>>,
}

impl World {
    pub fn new(history: Recorder, rooms: Vec<String>, kinds: Vec<Kind>, nodes: usize) -> Self {
        let strings = || Strings { awake: watch::Sender::new(true), drops: watch::Sender::new(0) };
        Self {
            history,
            rooms,
            phase: watch::Sender::new(Phase::Acting),
            heavy: watch::Sender::new(false),
            strings: kinds.iter().map(|_| strings()).collect(),
            beliefs: Mutex::new(vec![Belief::default(); kinds.len()]),
            kinds,
            doors: Mutex::new(vec![None; nodes]),
        }
    }

    pub fn open(&self, node: usize, of: &Node) {
        let listeners = ["http", "action_tcp", "simple_tcp", "pychat", "scrp"];
        let doors = listeners.into_iter().map(|listener| (listener, of.address(listener))).collect();
        self.doors.lock().unwrap()[node] = Some(doors);
    }

    pub fn close(&self, node: usize) {
        self.doors.lock().unwrap()[node] = None;
    }

    /// The nodes that take connections, as far as anybody knows.
    pub fn doors(&self, dialect: Dialect, transport: Transport) -> Vec<(usize, SocketAddr)> {
        let listener = if transport == Transport::WebSocket { "http" } else { dialect.tcp_listener() };
        let doors = self.doors.lock().unwrap();
        let open = doors.iter().enumerate();
        open.filter_map(|(node, doors)| Some((node, *doors.as_ref()?.get(listener)?))).collect()
    }

    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub fn believe(&self, who: usize, change: impl FnOnce(&mut Belief)) {
        change(&mut self.beliefs.lock().unwrap()[who]);
    }
}
