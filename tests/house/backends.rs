//! The contract of the backends: one list of named clauses, run against each of them.

/// Runs clauses on one kind of shared server.
macro_rules! column {
    ($module:ident: one $($clause:ident)+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $clause() {
                let store = crate::backends::stores::$module();
                super::super::$clause(store.node().await).await;
            })+
        }
    };
    ($module:ident: two $($clause:ident)+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $clause() {
                let store = crate::backends::stores::$module();
                let (one, two) = (store.node().await, store.node().await);
                super::super::$clause([&one, &two]).await;
            })+
        }
    };
    ($module:ident: lasting $($clause:ident)+) => {
        mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $clause() {
                let store = crate::backends::stores::$module();
                let again = async |node: crate::backends::Node| {
                    node.go().await;
                    store.node().await
                };
                super::super::$clause(store.node().await, again).await;
            })+
        }
    };
}

/// Runs clauses on every kind of shared server.
macro_rules! columns {
    ($module:ident: $how:ident $($clause:ident)+) => {
        mod $module {
            column! { redis_8: $how $($clause)+ }
            column! { valkey_8: $how $($clause)+ }
            column! { cluster: $how $($clause)+ }
            column! { sentinels: $how $($clause)+ }
            column! { secure: $how $($clause)+ }
        }
    };
}

/// Runs every clause against every backend, each on a store of its own.
macro_rules! clauses {
    ($($clause:ident)+) => {
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $clause() {
                super::$clause(crate::backends::embedded(None)).await;
            })+
        }

        mod in_a_folder {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $clause() {
                let folder = tempfile::tempdir().unwrap();
                super::$clause(crate::backends::embedded(Some(folder.path()))).await;
            })+
        }

        mod on_redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $clause() {
                let server = crate::backends::Server::start();
                super::$clause(crate::backends::redis(&server).await).await;
            })+
        }

        columns! { on: one $($clause)+ }
    };
}

/// Runs clauses about two nodes of one cluster; on the embedded backend, which has one node, that one is both.
macro_rules! clauses_of_two {
    ($($clause:ident)+) => {
        mod one_node_twice {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $clause() {
                let node = crate::backends::embedded(None);
                super::$clause([&node, &node]).await;
            })+
        }

        mod two_nodes {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $clause() {
                let server = crate::backends::Server::start();
                let (one, two) = (crate::backends::redis(&server).await, crate::backends::redis(&server).await);
                super::$clause([&one, &two]).await;
            })+
        }

        columns! { two_on: two $($clause)+ }
    };
}

/// Runs clauses about what stays when a node goes and another comes, which the second argument does.
macro_rules! lasting_clauses {
    ($($clause:ident)+) => {
        mod over_a_restart {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $clause() {
                let folder = tempfile::tempdir().unwrap();
                let again = async |node: crate::backends::Node| {
                    node.go().await;
                    crate::backends::embedded(Some(folder.path()))
                };
                super::$clause(crate::backends::embedded(Some(folder.path())), again).await;
            })+
        }

        mod on_another_node {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $clause() {
                let server = crate::backends::Server::start();
                let again = async |node: crate::backends::Node| {
                    node.go().await;
                    crate::backends::redis(&server).await
                };
                super::$clause(crate::backends::redis(&server).await, again).await;
            })+
        }

        columns! { lasting_on: lasting $($clause)+ }
    };
}

mod accounts;
mod applicants;
mod attempts;
mod census;
mod claims;
mod cluster;
mod enrolments;
mod fences;
mod friends;
mod inbox;
mod members;
mod numbers;
mod outbox;
mod owner;
mod pace;
mod pipes;
mod post;
mod primaries;
mod resumption;
mod rights;
mod roles;
mod rooms;
mod runs;
mod search;
mod single;
mod stores;
mod sweeps;
mod tenures;
mod users;

use std::sync::Arc;
use std::time::Duration;

use crosstalk::ambient::{Clock, Entropy};
use crosstalk::backend::embedded::{Embedded, Retention};
use crosstalk::backend::redis::{Access, Redis, Settings};
use crosstalk::backend::{
    Backend, Claimant, Claimed, Entered, Entry, Heard, Holder, Inbound, Lease, Memo, Presence, Publication, Published,
    Publisher, Ticket, decode_live, inbound,
};
use crosstalk::chat::{
    Actor, CatchUp, Envelope, Epoch, Event, EventKind, MessageId, Nickname, NodeId, Position, RoomId, Seam, SessionId,
};
use crosstalk::telemetry::Metrics;
use tokio_util::sync::CancellationToken;

use crate::support::redis::{Redis as Server, Reply};

/// Events kept per room in these tests.
const KEPT: u64 = 20;
/// Rooms that may be created in these tests.
const KEPT_ROOMS: u64 = 5;
const DEADLINE: Duration = Duration::from_secs(20);

/// One node's end of a backend.
struct Node {
    backend: Backend,
    id: NodeId,
    inbound: Inbound,
    clock: Clock,
    metrics: Arc<Metrics>,
    _running: tokio_util::sync::DropGuard,
}

fn embedded(dir: Option<&std::path::Path>) -> Node {
    embedded_with(dir, KEPT_ROOMS)
}

fn embedded_with(dir: Option<&std::path::Path>, kept_rooms: u64) -> Node {
    embedded_keeping(dir, kept_rooms, KEPT)
}

fn embedded_keeping(dir: Option<&std::path::Path>, kept_rooms: u64, count: u64) -> Node {
    let clock = Clock::manual();
    let metrics = Arc::new(Metrics::new());
    let (sender, receiver) = inbound(1 << 20, metrics.clone());
    let retention = Retention { count, age_us: 3_600_000_000, rooms: 10, kept_rooms };
    let backend = Arc::new(Embedded::open(dir, retention, sender, clock.clone(), Entropy::system()).unwrap());
    let running = CancellationToken::new().drop_guard();
    let id = NodeId::from_random(1);
    Node { backend: Backend::of(backend), id, inbound: receiver, clock, metrics, _running: running }
}

async fn redis(server: &Server) -> Node {
    redis_with(server, |_| {}).await
}

async fn redis_with(server: &Server, change: impl FnOnce(&mut Settings)) -> Node {
    redis_at(|settings| {
        settings.url = server.url();
        change(settings);
    })
    .await
}

/// The clock stands still unless a test moves it: no lease runs out because a machine is slow.
async fn redis_at(change: impl FnOnce(&mut Settings)) -> Node {
    let clock = Clock::manual();
    let metrics = Arc::new(Metrics::new());
    let (sender, receiver) = inbound(1 << 20, metrics.clone());
    let mut settings = settings_at(String::new());
    change(&mut settings);
    let id = settings.id;
    let stop = CancellationToken::new();
    let connecting = Redis::connect(settings, sender, clock.clone(), Entropy::system(), metrics.clone(), stop.clone());
    let backend = Arc::new(connecting.await.unwrap());
    assert_eq!(backend.renew().await, Ok(Lease::Renewed));
    Node { backend: Backend::of(backend), id, inbound: receiver, clock, metrics, _running: stop.drop_guard() }
}

fn settings(server: &Server) -> Settings {
    settings_at(server.url())
}

fn settings_at(url: String) -> Settings {
    Settings {
        url,
        access: Access::default(),
        key_prefix: "t:".into(),
        pool_size: 4,
        connect_timeout: DEADLINE,
        command_timeout: DEADLINE,
        kept_rooms: KEPT_ROOMS,
        history_count: KEPT,
        outbox_count: 100,
        history_age: Duration::from_secs(3_600),
        lease: DEADLINE,
        resume: DEADLINE,
        deaf: DEADLINE,
        id: NodeId::from_random(Entropy::system().bits()),
        node: "test".into(),
    }
}

impl Node {
    /// The next room event heard.
    async fn hear(&mut self) -> (RoomId, Envelope) {
        loop {
            match tokio::time::timeout(DEADLINE, self.inbound.next()).await.expect("an event is heard in time") {
                Some(Heard::Raw { room, bytes }) => return (room, decode_live(&bytes).unwrap()),
                Some(Heard::Event { room, envelope }) => return (room, envelope),
                Some(Heard::Barrier(reached)) => drop(reached.send(())),
                Some(
                    Heard::Notice { .. }
                    | Heard::Proclamation(_)
                    | Heard::Interrupted
                    | Heard::MissedIn(_)
                    | Heard::MissedNotices,
                ) => {}
                None => panic!("the backend is gone"),
            }
        }
    }

    async fn hears(&mut self, room: &RoomId) -> Envelope {
        let (heard_in, envelope) = self.hear().await;
        assert_eq!(heard_in, *room);
        envelope
    }

    /// Gives up all that it has, as a node that is stopped.
    async fn go(self) {
        self.backend.presence.retire().await.unwrap();
    }

    async fn subscribe(&self, room: &RoomId) {
        assert!(self.backend.broker.subscribe(room).await.unwrap());
    }

    async fn say(&self, room: &RoomId, who: &Actor, text: &str) -> Position {
        self.publish(room, &message(who, text), Publisher::Anyone).await.expect("anyone may publish").position
    }

    async fn publish(&self, room: &RoomId, event: &Event, publisher: Publisher<'_>) -> Option<Published> {
        let publication = Publication { event, publisher, key: None };
        self.backend.broker.publish(room, publication).await.unwrap()
    }

    async fn enter(&self, room: &RoomId, who: &Actor) -> Entered {
        let entry = Entry::Join(Ticket::default());
        self.backend.presence.enter(room, who, &entry).await.unwrap().unwrap()
    }

    async fn restore(&self, room: &RoomId, who: &Actor, known: Option<Epoch>) -> Entered {
        self.backend.presence.enter(room, who, &Entry::Restore { known, account: None }).await.unwrap().unwrap()
    }

    /// Claims a nickname for a guest.
    async fn claim(&self, name: &str, session: SessionId) -> Claimed {
        self.backend.presence.claim(&nickname(name), bearer(session), Claimant::Guest).await.unwrap()
    }
}

fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

/// A claim that took nothing from anybody.
const CLAIMED: Claimed = Claimed::Done { from: None };

fn nickname(name: &str) -> Nickname {
    Nickname::parse(name).unwrap()
}

fn actor(session: u128, name: &str) -> Actor {
    Actor { session: SessionId::from_u128(session), nickname: Some(nickname(name)) }
}

/// A session that reads no inbox, as the bearer of a nickname.
fn bearer(session: SessionId) -> Holder {
    Holder { session, reads_inbox: false }
}

fn message(who: &Actor, text: &str) -> Event {
    Event::new(who.clone(), EventKind::Message { id: MessageId(1), text: text.into() })
}

fn text(envelope: &Envelope) -> &str {
    match &envelope.event.kind {
        EventKind::Message { text, .. } => text,
        other => panic!("{other:?} is no message"),
    }
}

fn offsets(envelopes: &[Envelope]) -> Vec<u64> {
    envelopes.iter().map(|envelope| envelope.position.offset).collect()
}
