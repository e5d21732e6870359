//! The use cases from outside: what becomes of sessions by the doing of others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use crosstalk::ambient::{Clock, Entropy};
use crosstalk::auth::{TokenSettings, Tokens};
use crosstalk::backend::embedded::{Embedded, Retention};
use crosstalk::backend::{
    Backend, BackendError, Broker, Heard, Holder, InboundSender, Publication, Published, Publisher, Ticket, inbound,
};
use crosstalk::chat::{
    AccessType, Actor, CatchUp, CloseReason, Command, Conduct, Credential, Envelope, Epoch, Event, EventKind, Login,
    LoginId, Nickname, Position, Refusal, Reply, RequestId, Revocation, RoomId, RoomRef, RoomWishes, SessionId,
};
use crosstalk::hub::{Call, Mailbox, Outgoing, PutOut, WireFormat};
use crosstalk::service::{Accounts, Chat, ChatLimits, Participant, PasswordSettings, Passwords, ServerNames, dispatch};
use crosstalk::telemetry::{Metrics, Tracer};
use crosstalk::wire::{EventForm, FramingKind};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{DEADLINE, PEER, RESUME};

/// A broker that, when told to, does not take what is for the lobby, or does not let streams be read.
struct Hoarse {
    inner: Arc<Embedded>,
    hoarse: AtomicBool,
    shut: AtomicBool,
}

#[async_trait]
impl Broker for Hoarse {
    async fn publish(&self, room: &RoomId, publication: Publication<'_>) -> Result<Option<Published>, BackendError> {
        if *room == RoomId::lobby() && self.hoarse.load(Ordering::Relaxed) {
            return Err(BackendError::Unavailable("the lobby hears nothing".into()));
        }
        self.inner.publish(room, publication).await
    }

    async fn lease_numbers(&self, count: u32) -> Result<u32, BackendError> {
        self.inner.lease_numbers(count).await
    }

    fn subscribe(&self, room: &RoomId) -> oneshot::Receiver<bool> {
        self.inner.subscribe(room)
    }

    fn unsubscribe(&self, room: &RoomId) {
        self.inner.unsubscribe(room);
    }

    async fn catch_up(&self, room: &RoomId, last: Position) -> Result<CatchUp, BackendError> {
        if self.shut.load(Ordering::Relaxed) {
            return Err(BackendError::Unavailable("no stream can be read".into()));
        }
        self.inner.catch_up(room, last).await
    }

    async fn history(&self, room: &RoomId) -> Result<Vec<Envelope>, BackendError> {
        self.inner.history(room).await
    }

    async fn barrier(&self) -> Result<(), BackendError> {
        self.inner.barrier().await
    }

    fn hears(&self) -> bool {
        self.inner.hears()
    }
}

/// One node's chat, with its events dispatched.
struct Bench {
    chat: Arc<Chat>,
    backend: Backend,
    broker: Arc<Hoarse>,
    heard: InboundSender,
    tokens: Arc<Tokens>,
    clock: Clock,
    metrics: Arc<Metrics>,
    _running: DropGuard,
}

struct Guest {
    who: Participant,
    mailbox: Arc<Mailbox>,
}

const FORMAT: WireFormat = WireFormat { form: EventForm::Simple { extended: true }, framing: FramingKind::Lines };
const CONDUCT: Conduct = Conduct { in_lobby: true, ..Conduct::PLAIN };

fn bench(require_login: bool) -> Bench {
    let metrics = Arc::new(Metrics::new());
    let (clock, entropy) = (Clock::manual(), Entropy::seeded(1));
    let (heard, receiver) = inbound(1 << 20, metrics.clone());
    let retention = Retention { count: 10, age_us: i64::MAX, rooms: 100, kept_rooms: 100 };
    let inner = Arc::new(Embedded::open(None, retention, heard.clone(), clock.clone(), entropy.clone()).unwrap());
    let broker =
        Arc::new(Hoarse { inner: inner.clone(), hoarse: AtomicBool::new(false), shut: AtomicBool::new(false) });
    let backend = Backend { broker: broker.clone(), ..Backend::of(inner) };
    let limits = ChatLimits { text_bytes: 100, rooms_per_session: 10, users: 100, require_login, resume: RESUME };
    let settings = PasswordSettings { memory_kib: 8, iterations: 1, lanes: 1, at_once: 1, queue: 1 };
    let passwords = Passwords::new(settings, entropy.clone(), metrics.clone()).unwrap();
    let token_settings = TokenSettings {
        key: b"a key of the test's own, long enough".to_vec(),
        former_keys: Vec::new(),
        issuer: "test".into(),
        token_lasts: Duration::from_secs(600),
        login_lasts: Duration::from_secs(6_000),
    };
    let tokens = Arc::new(Tokens::new(&token_settings, clock.clone(), entropy.clone()));
    let names = ServerNames::default();
    let chat = Chat::new(
        backend.clone(),
        limits,
        passwords,
        Some(tokens.clone()),
        names,
        clock.clone(),
        entropy,
        Tracer::off(),
        metrics.clone(),
    );
    let chat = Arc::new(chat);
    let stop = CancellationToken::new();
    tokio::spawn(dispatch(chat.clone(), receiver, stop.clone()));
    Bench { chat, backend, broker, heard, tokens, clock, metrics, _running: stop.drop_guard() }
}

fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

fn nickname(name: &str) -> Nickname {
    Nickname::parse(name).unwrap()
}

fn login(account: &str, id: u128) -> Login {
    Login { account: nickname(account), id: LoginId(id), began_s: 100, ends_s: 1 << 40 }
}

fn bearer(session: u128) -> Holder {
    Holder { session: SessionId::from_u128(session), reads_inbox: CONDUCT.reads_inbox }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, what).await.expect("it happens in time")
}

impl Bench {
    async fn arrive(&self, session: u128) -> Guest {
        self.arrive_with(session, CONDUCT).await
    }

    async fn arrive_with(&self, session: u128, conduct: Conduct) -> Guest {
        let mailbox = Arc::new(Mailbox::new(10_000, self.metrics.clone()));
        let who = Participant::new(SessionId::from_u128(session), mailbox.clone(), conduct, PEER);
        self.chat.arrive(&who, FORMAT).await;
        Guest { who, mailbox }
    }

    /// A session that is logged in.
    async fn arrive_as(&self, session: u128, account: &str) -> Guest {
        let mut guest = self.arrive(session).await;
        self.chat.sign_in(&mut guest.who, login(account, session)).await.result.unwrap();
        guest
    }

    /// Two in olga's room `red`: herself, and mia, whose account is a member for good.
    async fn olga_and_mia(&self) -> (Guest, Guest) {
        let mut olga = self.arrive_as(1, "olga").await;
        self.create(&mut olga, "red", AccessType::Public).await.unwrap();
        self.join(&mut olga, "red").await.unwrap();
        let mut mia = self.arrive_with(2, Conduct { enrols: true, ..CONDUCT }).await;
        self.chat.sign_in(&mut mia.who, login("mia", 2)).await.result.unwrap();
        self.join(&mut mia, "red").await.unwrap();
        (olga, mia)
    }

    /// Carries a command out as a session does, what comes after its answer included.
    async fn ask(&self, guest: &mut Guest, command: Command) -> Result<Reply, Refusal> {
        let outcome = self.chat.carry_out(&mut guest.who, command, FORMAT).await;
        if let Some(afterwards) = outcome.afterwards {
            self.chat.settle(&mut guest.who, afterwards).await;
        }
        outcome.result
    }

    async fn create(&self, guest: &mut Guest, name: &str, access: AccessType) -> Result<Reply, Refusal> {
        let wishes = RoomWishes { access: Some(access), ..RoomWishes::default() };
        self.ask(guest, Command::Create { room: room(name), wishes }).await
    }

    async fn join(&self, guest: &mut Guest, name: &str) -> Result<Reply, Refusal> {
        self.ask(guest, Command::Join { room: room(name), password: None, since: None }).await
    }

    async fn send(&self, guest: &mut Guest, name: &str, text: &str) -> Result<Reply, Refusal> {
        self.ask(guest, Command::Send { room: RoomRef::Named(room(name)), text: text.into(), key: None }).await
    }

    async fn destroy(&self, guest: &mut Guest, name: &str) -> Result<Reply, Refusal> {
        self.ask(guest, Command::Destroy { room: room(name) }).await
    }

    /// Returns when everything told so far is in the mailboxes.
    async fn dispatched(&self) {
        in_time(self.backend.broker.barrier()).await.unwrap();
    }

    async fn members(&self, name: &str) -> u64 {
        self.backend.presence.members(&room(name)).await.unwrap()
    }

    async fn applicants(&self, name: &str) -> usize {
        self.backend.rooms.view(&room(name)).await.unwrap().expect("the room is kept").applicants.len()
    }
}

impl Guest {
    /// Reads until a message holds all these words; all that was read.
    async fn is_shown(&self, words: &[&str]) -> String {
        let reading = async {
            let mut all = String::new();
            loop {
                let Outgoing::Batch(batch) = self.mailbox.outgoing().await else { panic!("{words:?} never came") };
                let texts: Vec<_> = batch.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
                all.extend(texts.iter().map(AsRef::as_ref));
                if texts.iter().any(|text| words.iter().all(|word| text.contains(word))) {
                    return all;
                }
            }
        };
        in_time(reading).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_put_out_of_a_room_forgets_it() {
    let bench = bench(false);
    let (mut olga, mut bob) = (bench.arrive_as(1, "olga").await, bench.arrive(2).await);
    bench.create(&mut olga, "red", AccessType::Public).await.unwrap();
    for guest in [&mut olga, &mut bob] {
        bench.join(guest, "red").await.unwrap();
    }
    assert_eq!(bench.destroy(&mut bob, "red").await, Err(Refusal::Forbidden));
    bench.destroy(&mut olga, "red").await.unwrap();
    bench.dispatched().await;
    assert_eq!(bench.send(&mut bob, "red", "still here?").await, Err(Refusal::NotJoined), "the news is on its way");
    assert!(bench.chat.restore().await);
    assert_eq!(bench.members("red").await, 0, "nobody is put back into a room that is gone");
    for guest in [&mut olga, &mut bob] {
        let Call::PutOut(rooms) = in_time(guest.mailbox.until_called()).await else { panic!("the session goes on") };
        assert!(matches!(&rooms[..], [PutOut { room: out, shown: false, .. }] if *out == room("red")), "{rooms:?}");
        assert_eq!(bench.chat.heed_put_out(&mut guest.who, rooms.clone()).await, rooms);
        assert_eq!(bench.chat.heed_put_out(&mut guest.who, rooms).await, [], "once is enough");
        assert!(!guest.who.is_in_a_room());
    }
    assert_eq!(bench.send(&mut bob, "red", "still here?").await, Err(Refusal::RoomNotFound));
    assert!(bench.chat.restore().await);
    assert_eq!(bench.members("red").await, 0, "nothing of it is noted any more");
    bob.is_shown(&["destroy", "red"]).await;
    bench.create(&mut bob, "red", AccessType::Public).await.unwrap();
    bench.join(&mut bob, "red").await.unwrap();
    bench.send(&mut bob, "red", "a new life").await.unwrap();
    bob.is_shown(&["a new life"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pending_request_ends_with_its_session() {
    let bench = bench(false);
    let (mut olga, mut gus, mut gerd) =
        (bench.arrive_as(1, "olga").await, bench.arrive(2).await, bench.arrive(3).await);
    assert_eq!(bench.create(&mut gus, "red", AccessType::Permission).await, Err(Refusal::LoginRequired));
    bench.create(&mut olga, "red", AccessType::Permission).await.unwrap();
    for guest in [&mut gus, &mut gerd] {
        assert_eq!(bench.join(guest, "red").await, Err(Refusal::PermissionPending));
    }
    olga.is_shown(&["request", &SessionId::from_u128(2).to_string()]).await;
    assert_eq!(bench.applicants("red").await, 2);
    let withdrawn = bench.ask(&mut gerd, Command::Leave { room: RoomRef::Named(room("red")) }).await;
    assert_eq!(withdrawn, Ok(Reply::Left { room: room("red") }));
    assert_eq!(bench.applicants("red").await, 1, "who asks may think better of it");
    bench.chat.depart(gus.who).await;
    assert_eq!(bench.applicants("red").await, 0);
    assert_eq!(bench.metrics.debts.get(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announcement_that_failed_is_made_later() {
    let bench = bench(false);
    let (mut olga, watcher) = (bench.arrive_as(1, "olga").await, bench.arrive(2).await);
    bench.broker.hoarse.store(true, Ordering::Relaxed);
    let created = bench.create(&mut olga, "red", AccessType::Public).await;
    assert_eq!(created, Ok(Reply::Created { room: room("red") }), "the room is there");
    assert_eq!(bench.metrics.debts.get(), 1);
    bench.chat.pay_debts().await;
    assert_eq!(bench.metrics.debts.get(), 1, "not yet");
    bench.broker.hoarse.store(false, Ordering::Relaxed);
    bench.chat.pay_debts().await;
    assert_eq!(bench.metrics.debts.get(), 0);
    watcher.is_shown(&["create", "red"]).await;
}

/// The broker was away when the first one came who hears what is announced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_announcements_stand_is_found_out_when_the_broker_is_back() {
    let bench = bench(false);
    bench.broker.shut.store(true, Ordering::Relaxed);
    let watcher = bench.arrive(1).await;
    bench.broker.shut.store(false, Ordering::Relaxed);
    bench.heard.send(Heard::MissedIn(vec![RoomId::lobby()]));
    bench.dispatched().await;
    in_time(async {
        while bench.metrics.backfills_waiting.get() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The second announcement is heard, and the first was not: without a place in the stream it would be taken for the beginning.
    let event = |name| {
        let actor = Actor { session: SessionId::from_u128(9), nickname: None };
        Event::new(actor, EventKind::Created { room: room(name) })
    };
    let position = Position { epoch: Epoch::new(7), offset: 2 };
    let second = Envelope { position, time_us: 0, event: event("unknown") };
    bench.heard.send(Heard::Event { room: RoomId::lobby(), envelope: second });
    bench.dispatched().await;
    let publication = Publication { event: &event("known"), publisher: Publisher::Anyone, key: None };
    bench.backend.broker.publish(&RoomId::lobby(), publication).await.unwrap();
    let shown = watcher.is_shown(&["create", "#known"]).await;
    assert!(!shown.contains("unknown"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_login_ends_its_sessions() {
    let bench = bench(false);
    let accounts = Accounts::new(bench.backend.directory.clone(), bench.backend.post.clone());
    let (alice, bob) = (bench.arrive_as(1, "alice").await, bench.arrive_as(2, "bob").await);
    accounts.revoke(&nickname("alice"), Revocation::One { id: LoginId(1), ends_s: 1 << 40 }).await.unwrap();
    assert_eq!(in_time(alice.mailbox.until_closed()).await, CloseReason::LoggedOut);
    assert_eq!(bob.mailbox.closed(), None);
    let mut again = bench.arrive(3).await;
    assert_eq!(bench.chat.sign_in(&mut again.who, login("alice", 1)).await.result, Err(Refusal::TokenInvalid));
    bench.chat.sign_in(&mut again.who, login("alice", 3)).await.result.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_revoked_while_the_node_did_not_hear_is_found_out() {
    let bench = bench(false);
    let (alice, bob, gus) = (bench.arrive_as(1, "alice").await, bench.arrive_as(2, "bob").await, bench.arrive(3).await);
    // Kept, and never told here.
    let everything = Revocation::BegunUntil(100);
    bench.backend.directory.revoke(&nickname("alice"), everything).await.unwrap();
    bench.dispatched().await;
    assert_eq!(alice.mailbox.closed(), None);
    bench.heard.send(Heard::Interrupted);
    assert_eq!(in_time(alice.mailbox.until_closed()).await, CloseReason::LoggedOut);
    assert_eq!((bob.mailbox.closed(), gus.mailbox.closed()), (None, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_session_of_an_account_ends_the_older_one() {
    let bench = bench(false);
    let older = bench.arrive_as(1, "alice").await;
    let mut newer = bench.arrive_as(2, "alice").await;
    assert_eq!(in_time(older.mailbox.until_closed()).await, CloseReason::Superseded);
    assert_eq!(newer.mailbox.closed(), None);
    // The older one's departure takes nothing from the newer one.
    bench.chat.depart(older.who).await;
    assert!(bench.chat.restore().await);
    assert_eq!(bench.backend.presence.holder(&nickname("alice")).await, Ok(Some(bearer(2))));
    let other = bench.chat.sign_in(&mut newer.who, login("bob", 9)).await.result;
    assert_eq!(other, Err(Refusal::AlreadyLoggedIn(nickname("alice"))));
}

/// The bench's clock stands still, so all of it happens at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typing_is_said_once_for_a_while_and_told_of_only_so_many() {
    let bench = bench(false);
    let typing = || Command::Typing { room: room("red") };
    let count = |outcome| bench.metrics.typing_total.with_label_values(&[outcome]).get();
    let mut outsider = bench.arrive(100).await;
    assert_eq!(bench.ask(&mut outsider, typing()).await, Err(Refusal::NotJoined));
    let mut creator = bench.arrive(101).await;
    bench.create(&mut creator, "red", AccessType::Public).await.unwrap();
    for session in 1..=11 {
        let mut guest = bench.arrive(session).await;
        bench.join(&mut guest, "red").await.unwrap();
        assert_eq!(bench.ask(&mut guest, typing()).await, Ok(Reply::Done));
        assert_eq!(bench.ask(&mut guest, typing()).await, Ok(Reply::Done));
    }
    bench.dispatched().await;
    assert_eq!((count("said"), count("coalesced"), count("dropped")), (11, 11, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_login_is_required_guests_can_do_nothing_else() {
    let bench = bench(true);
    let mut guest = bench.arrive(1).await;
    let named = |credential| Command::Login { nickname: Some(nickname("alice")), credential };
    let nothing_but_a_login = [
        named(Credential::None),
        Command::Join { room: room("red"), password: None, since: None },
        Command::Create { room: room("red"), wishes: RoomWishes::default() },
        Command::Destroy { room: room("red") },
        Command::Send { room: RoomRef::Named(room("red")), text: "hi".into(), key: None },
        Command::ListRooms { after: None, limit: 10 },
    ];
    for command in nothing_but_a_login {
        let told = format!("{command:?}");
        assert_eq!(bench.ask(&mut guest, command).await, Err(Refusal::LoginRequired), "{told}");
    }
    let greeted = bench.ask(&mut guest, Command::Hello { token: None }).await;
    assert_eq!(greeted, Ok(Reply::Welcome { session: SessionId::from_u128(1), nickname: None, resume: None }));
    assert_eq!(bench.ask(&mut guest, named(Credential::Token("rubbish".into()))).await, Err(Refusal::TokenInvalid));
    let token = |account: &str| bench.tokens.issue(&bench.tokens.begin(nickname(account))).unwrap().0;
    assert_eq!(
        bench.ask(&mut guest, named(Credential::Token(token("bob")))).await,
        Err(Refusal::TokenInvalid),
        "bob is not alice"
    );
    let logged_in = bench.ask(&mut guest, named(Credential::Token(token("alice")))).await;
    assert_eq!(logged_in, Ok(Reply::LoggedIn { nickname: nickname("alice") }));
    bench.create(&mut guest, "red", AccessType::Permission).await.unwrap();
    bench.join(&mut guest, "red").await.unwrap();
    guest.is_shown(&["create", "red"]).await;
}

/// A process may be stopped for a while, and its connections end meanwhile: what it wrote to them before is told again, elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_told_before_the_node_stood_still_is_not_sure() {
    let bench = bench(false);
    let (mut olga, mut mia) = bench.olga_and_mia().await;
    let noted = async || {
        let enrolments = bench.backend.members.enrolments(&nickname("mia")).await.unwrap();
        enrolments[0].told.expect("a position").offset
    };
    let joined = noted().await;
    bench.send(&mut olga, "red", "hello").await.unwrap();
    mia.is_shown(&["hello"]).await;
    mia.mailbox.wrote(mia.mailbox.taken() as usize);
    // It looks every five seconds; then it stands still.
    for (ms, expected) in [(5_000, joined), (13_000, joined), (5_000, joined + 1)] {
        bench.clock.advance(ms);
        bench.chat.look_at_told(&mut mia.who).await;
        assert_eq!(noted().await, expected, "after {ms} ms");
    }
}

/// An account's rooms cannot be heard yet: it is not told that it is no member of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_rooms_cannot_be_read_is_asked_to_wait() {
    let bench = bench(false);
    let mut olga = bench.arrive_as(1, "olga").await;
    bench.create(&mut olga, "red", AccessType::Public).await.unwrap();
    let arrives = async |session: u128| {
        let mut mia = bench.arrive_with(session, Conduct { enrols: true, ..CONDUCT }).await;
        let outcome = bench.chat.sign_in(&mut mia.who, login("mia", session)).await;
        outcome.result.unwrap();
        if let Some(afterwards) = outcome.afterwards {
            bench.chat.settle(&mut mia.who, afterwards).await;
        }
        mia
    };
    let mut mia = arrives(2).await;
    bench.join(&mut mia, "red").await.unwrap();
    bench.chat.depart(mia.who).await;
    bench.broker.shut.store(true, Ordering::Relaxed);
    let mut mia = arrives(3).await;
    assert_eq!(bench.send(&mut mia, "red", "hello").await, Err(Refusal::Unavailable));
    bench.broker.shut.store(false, Ordering::Relaxed);
    bench.chat.attend_the_rest(&mut mia.who).await;
    bench.send(&mut mia, "red", "hello").await.unwrap();
}

/// A failover can lose that an account has left a room, and leave its list behind, under the epoch of the server before. What it
/// was told over its connection it is not told again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_a_member_again_is_told_nothing_twice_though_the_list_stands_under_another_epoch() {
    let bench = bench(false);
    let (mut olga, mut mia) = bench.olga_and_mia().await;
    bench.send(&mut olga, "red", "hello").await.unwrap();
    mia.is_shown(&["hello"]).await;
    bench.ask(&mut mia, Command::Leave { room: RoomRef::Named(room("red")) }).await.unwrap();

    let members = &bench.backend.members;
    let ticket = Ticket { must_exist: true, account: Some(nickname("mia")), proof: None, request: RequestId(0) };
    members.enrol(&room("red"), &Actor::account(nickname("mia")), &ticket).await.unwrap().unwrap();
    let elsewhere = Position { epoch: Epoch::new(999), offset: 1 };
    members.told(&nickname("mia"), &[(room("red"), elsewhere)]).await.unwrap();
    assert_eq!(bench.join(&mut mia, "red").await, Err(Refusal::AlreadyJoined));
    bench.send(&mut olga, "red", "again").await.unwrap();
    let shown = mia.is_shown(&["again"]).await;
    assert!(!shown.contains("hello"), "{shown}");
}
