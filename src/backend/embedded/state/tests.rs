//! What a commit that fails leaves behind: nothing of what its batch did.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use tokio::sync::oneshot;

use super::super::super::{Inbound, RoomChange, inbound};
use super::*;
use crate::chat::{AccessType, Login, LoginId};
use crate::telemetry::Metrics;

/// A disk that can be made to keep nothing any more.
#[derive(Debug)]
struct Disk {
    memory: InMemoryBackend,
    full: Arc<AtomicBool>,
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) { Err(io::Error::other("the disk is full")) } else { Ok(()) }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.memory.write(offset, data)
    }
}

struct Bench {
    state: State,
    full: Arc<AtomicBool>,
    inbound: Inbound,
}

/// A state that knows two rooms, beside those that are kept or occupied.
fn bench() -> Bench {
    let full = Arc::new(AtomicBool::new(false));
    let store = Store::on(Disk { memory: InMemoryBackend::new(), full: full.clone() }).unwrap();
    let (sender, inbound) = inbound(1 << 20, Arc::new(Metrics::new()));
    let retention = Retention { count: 10, age_us: i64::MAX, rooms: 2, kept_rooms: 10 };
    let state = State::load(store, retention, sender, Clock::manual(), Entropy::seeded(1)).unwrap();
    Bench { state, full, inbound }
}

impl Bench {
    /// Carries requests out in one batch.
    fn batch(&mut self, requests: Vec<Request>) -> Vec<Result<Answer, BackendError>> {
        let ask = |request| {
            let (answer, receiver) = oneshot::channel();
            (Ask { request, answer }, receiver)
        };
        let (asks, receivers): (Vec<_>, Vec<_>) = requests.into_iter().map(ask).unzip();
        self.state.carry_out(asks);
        receivers.into_iter().map(|mut receiver| receiver.try_recv().unwrap()).collect()
    }

    fn done(&mut self, requests: Vec<Request>) {
        assert!(self.batch(requests).iter().all(Result::is_ok));
    }

    /// Carries requests out in a batch whose commit fails.
    fn lost(&mut self, requests: Vec<Request>) {
        self.full.store(true, Ordering::Relaxed);
        let answers = self.batch(requests);
        assert!(answers.iter().all(Result::is_err), "what is not kept is not acknowledged");
    }

    fn heard(&mut self) -> usize {
        std::iter::from_fn(|| self.inbound.next().now_or_never()).count()
    }

    fn listed(&self) -> Vec<String> {
        self.state.list(None, 10).into_iter().map(|summary| summary.room.to_string()).collect()
    }
}

fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

fn name(name: &str) -> Nickname {
    Nickname::parse(name).unwrap()
}

fn actor(session: u128) -> Actor {
    Actor { session: SessionId::from_u128(session), nickname: None }
}

fn create(id: &RoomId) -> Request {
    Request::Create(id.clone(), RoomRecord { owner: Some(name("olga")), ..RoomRecord::default() })
}

fn enter(id: &RoomId, session: u128) -> Request {
    Request::Enter(id.clone(), actor(session), Entry::Join(Ticket::default()))
}

fn say(id: &RoomId) -> Request {
    let event = Event::new(actor(1), EventKind::Message { id: MessageId(1), text: "said".into() });
    Request::Publish(id.clone(), event, None, None)
}

fn destroy(id: &RoomId) -> Request {
    Request::Destroy(id.clone(), actor(1), Some(name("olga")))
}

#[test]
fn a_destruction_that_is_not_kept_puts_everybody_back() {
    let red = room("red");
    for before_it in [vec![], vec![say(&red)]] {
        let mut bench = bench();
        bench.done(vec![create(&red), enter(&red, 1), enter(&red, 2)]);
        assert_eq!(bench.heard(), 2);
        let (row, view) = (bench.state.rooms[&red].row, bench.state.view(&red));
        bench.lost(before_it.into_iter().chain([destroy(&red), enter(&red, 1)]).collect());
        assert_eq!(bench.heard(), 0, "nothing is told that was not kept");
        assert_eq!(bench.state.view(&red), view);
        assert_eq!(view.unwrap().members, 2);
        assert_eq!(bench.state.rooms[&red].row, row);
        assert_eq!(bench.listed(), ["red"]);
        assert!(bench.state.empty.is_empty());
    }
}

#[test]
fn a_destruction_that_is_not_kept_leaves_a_room_of_its_members_to_them() {
    let red = room("red");
    let mut bench = bench();
    bench.done(vec![enter(&red, 1)]);
    bench.lost(vec![Request::Destroy(red.clone(), actor(2), None)]);
    assert_eq!(bench.state.rooms[&red].members.len(), 1);
    assert!(bench.state.empty.is_empty(), "somebody is in it");
}

#[test]
fn a_creation_and_a_change_that_are_not_kept_have_not_been() {
    let (red, blue) = (room("red"), room("blue"));
    let mut bench = bench();
    bench.done(vec![create(&red)]);
    let view = bench.state.view(&red);
    let change = RoomChange { access: Some((AccessType::Permission, None)), ..RoomChange::default() };
    bench.lost(vec![
        create(&blue),
        Request::Change(red.clone(), Actor::account(name("olga")), change),
        Request::Appoint(red.clone(), Actor::account(name("olga")), name("adam"), true, false),
    ]);
    assert_eq!((bench.state.view(&red), bench.state.view(&blue)), (view, None));
    assert_eq!(bench.listed(), ["red"]);
    assert!(!bench.state.rooms.contains_key(&blue));
}

/// A room that is forgotten in memory alone would begin again at offset 1, under the events that the store still has.
#[test]
fn a_room_that_was_to_be_forgotten_is_remembered_if_that_is_not_kept() {
    let (old, new) = (room("old"), room("new"));
    let mut bench = bench();
    bench.done(vec![say(&old), say(&room("other"))]);
    let row = bench.state.rooms[&old].row;
    bench.lost(vec![say(&new)]);
    assert!(!bench.state.rooms.contains_key(&new));
    assert_eq!(bench.state.rooms.get(&old).map(|room| room.row), Some(row));
    assert_eq!(bench.state.empty.len(), 2);
}

#[test]
fn an_account_that_is_not_kept_has_not_been_made() {
    let mut bench = bench();
    let login = Login { account: name("bob"), id: LoginId(1), began_s: 5, ends_s: 10 };
    bench.lost(vec![
        Request::Register(Identity { provider: "p".into(), subject: "1".into() }, name("olga")),
        Request::Revoke(name("bob"), Revocation::BegunUntil(5)),
    ]);
    assert_eq!(bench.state.accounts.owner_of(&name("olga")), None);
    assert!(bench.state.accounts.stands(&login));
}
