//! Calls whose answer is lost: done in the backend, refused to the client. Nothing may stay claimed that nobody knows of.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use crosstalk::ambient::{Clock, Entropy};
use crosstalk::backend::embedded::{Embedded, Retention};
use crosstalk::backend::{
    Backend, BackendError, Broker, Claimant, Claimed, Denial, Entered, Entry, Holder, Lease, Presence, Swept, inbound,
};
use crosstalk::chat::{
    Actor, Command, Conduct, Credential, EventKind, Nickname, Position, Refusal, Reply, RoomId, RoomRef, SessionId,
};
use crosstalk::hub::{Mailbox, Outgoing, WireFormat};
use crosstalk::service::{Chat, ChatLimits, Participant, PasswordSettings, Passwords, ServerNames};
use crosstalk::telemetry::{Metrics, Tracer};
use crosstalk::wire::{EventForm, FramingKind};
use tokio::sync::oneshot;

use crate::support::{PEER, RESUME};

/// A presence store that does what it is asked and, when told to, loses its answers.
struct Forgetful {
    inner: Arc<Embedded>,
    loses_answers: AtomicBool,
    /// Leaves are not even carried out.
    loses_leaves: AtomicBool,
    /// Nor is the next entry.
    loses_entry: AtomicBool,
    /// The next claim says that it has come, and goes on when it may.
    gate: Mutex<Option<Gate>>,
    /// The next leave says that it was carried out, and is answered when it may.
    left: Mutex<Option<Gate>>,
}

struct Gate {
    reached: oneshot::Sender<()>,
    opened: oneshot::Receiver<()>,
}

impl Gate {
    /// Shuts what is in `slot` for the next one to come, and hands over the ends that say that it came and that let it pass.
    fn shut(slot: &Mutex<Option<Self>>) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let (reached, is_reached) = oneshot::channel();
        let (open, opened) = oneshot::channel();
        *slot.lock().unwrap() = Some(Self { reached, opened });
        (is_reached, open)
    }

    async fn pass(gate: &Mutex<Option<Self>>) {
        let gate = gate.lock().unwrap().take();
        if let Some(Self { reached, opened }) = gate {
            reached.send(()).unwrap();
            opened.await.unwrap();
        }
    }
}

impl Forgetful {
    fn answer<T>(&self, answer: Result<T, BackendError>) -> Result<T, BackendError> {
        if self.loses_answers.load(Ordering::Relaxed) {
            return Err(BackendError::Unavailable("the answer was lost".into()));
        }
        answer
    }
}

#[async_trait]
impl Presence for Forgetful {
    async fn claim(&self, nickname: &Nickname, holder: Holder, as_what: Claimant) -> Result<Claimed, BackendError> {
        Gate::pass(&self.gate).await;
        self.answer(self.inner.claim(nickname, holder, as_what).await)
    }

    async fn holder(&self, nickname: &Nickname) -> Result<Option<Holder>, BackendError> {
        self.answer(self.inner.holder(nickname).await)
    }

    async fn release(&self, nickname: &Nickname, session: SessionId) -> Result<bool, BackendError> {
        self.answer(self.inner.release(nickname, session).await)
    }

    async fn enter(&self, room: &RoomId, who: &Actor, entry: &Entry) -> Result<Result<Entered, Denial>, BackendError> {
        if self.loses_entry.swap(false, Ordering::Relaxed) {
            return Err(BackendError::Unavailable("the entry was lost".into()));
        }
        self.answer(self.inner.enter(room, who, entry).await)
    }

    async fn leave(&self, room: &RoomId, who: &Actor) -> Result<Option<Position>, BackendError> {
        if self.loses_leaves.load(Ordering::Relaxed) {
            return Err(BackendError::Unavailable("the leave was lost".into()));
        }
        let left = self.inner.leave(room, who).await;
        Gate::pass(&self.left).await;
        self.answer(left)
    }

    async fn members(&self, room: &RoomId) -> Result<u64, BackendError> {
        self.answer(self.inner.members(room).await)
    }

    async fn renew(&self) -> Result<Lease, BackendError> {
        self.inner.renew().await
    }

    async fn sweep(&self) -> Result<Swept, BackendError> {
        self.inner.sweep().await
    }

    async fn retire(&self) -> Result<(), BackendError> {
        self.inner.retire().await
    }
}

struct Bench {
    chat: Chat,
    presence: Arc<Forgetful>,
    metrics: Arc<Metrics>,
}

const FORMAT: WireFormat = WireFormat { form: EventForm::Simple { extended: false }, framing: FramingKind::Lines };
const CONDUCT: Conduct = Conduct { join_creates: true, sees_own_messages: false, ..Conduct::PLAIN };

fn bench() -> Bench {
    let metrics = Arc::new(Metrics::new());
    let (sender, _) = inbound(1 << 20, metrics.clone());
    let retention = Retention { count: 10, age_us: i64::MAX, rooms: 100, kept_rooms: 100 };
    let inner = Arc::new(Embedded::open(None, retention, sender, Clock::manual(), Entropy::seeded(1)).unwrap());
    let presence = Arc::new(Forgetful {
        inner: inner.clone(),
        loses_answers: AtomicBool::new(false),
        loses_leaves: AtomicBool::new(false),
        loses_entry: AtomicBool::new(false),
        gate: Mutex::default(),
        left: Mutex::default(),
    });
    let limits =
        ChatLimits { text_bytes: 100, rooms_per_session: 10, users: 100, require_login: false, resume: RESUME };
    let settings = PasswordSettings { memory_kib: 8, iterations: 1, lanes: 1, at_once: 1, queue: 1 };
    let entropy = Entropy::seeded(1);
    let passwords = Passwords::new(settings, entropy.clone(), metrics.clone()).unwrap();
    let backend = Backend { presence: presence.clone(), ..Backend::of(inner) };
    let chat = {
        let (names, clock) = (ServerNames::default(), Clock::manual());
        Chat::new(backend, limits, passwords, None, names, clock, entropy, Tracer::off(), metrics.clone())
    };
    Bench { chat, presence, metrics }
}

impl Bench {
    fn participant(&self, session: u128) -> Participant {
        let mailbox = Arc::new(Mailbox::new(10_000, self.metrics.clone()));
        Participant::new(SessionId::from_u128(session), mailbox, CONDUCT, PEER)
    }

    /// `alice`, who is in `red`.
    async fn alice_in_red(&self) -> Participant {
        let mut alice = self.participant(1);
        self.login(&mut alice, "alice").await.unwrap();
        self.join(&mut alice, "red").await.unwrap();
        alice
    }

    async fn login(&self, who: &mut Participant, name: &str) -> Result<Reply, Refusal> {
        let nickname = Nickname::parse(name).ok();
        self.chat.carry_out(who, Command::Login { nickname, credential: Credential::None }, FORMAT).await.result
    }

    async fn join(&self, who: &mut Participant, room: &str) -> Result<Reply, Refusal> {
        let room = RoomId::parse(room).unwrap();
        self.chat.carry_out(who, Command::Join { room, password: None, since: None }, FORMAT).await.result
    }

    async fn send(&self, who: &mut Participant, room: &str, text: &str) -> Result<Reply, Refusal> {
        let room = RoomRef::Named(RoomId::parse(room).unwrap());
        self.chat.carry_out(who, Command::Send { room, text: text.into(), key: None }, FORMAT).await.result
    }

    async fn leave(&self, who: &mut Participant, room: &str) -> Result<Reply, Refusal> {
        let room = RoomRef::Named(RoomId::parse(room).unwrap());
        self.chat.carry_out(who, Command::Leave { room }, FORMAT).await.result
    }

    /// What happened in a room.
    async fn events(&self, room: &str) -> Vec<EventKind> {
        let history = self.presence.inner.history(&RoomId::parse(room).unwrap()).await.unwrap();
        history.into_iter().map(|envelope| envelope.event.kind).collect()
    }

    fn lose_leaves(&self, loses: bool) {
        self.presence.loses_leaves.store(loses, Ordering::Relaxed);
    }

    fn lose_answers(&self, loses: bool) {
        self.presence.loses_answers.store(loses, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn what_was_claimed_in_vain_is_released_before_the_next_claim() {
    let bench = bench();
    let (mut alice, mut bob) = (bench.participant(1), bench.participant(2));
    bench.lose_answers(true);
    for number in 0..5 {
        assert_eq!(bench.login(&mut alice, &format!("vain{number}")).await, Err(Refusal::Unavailable));
        assert_eq!(bench.join(&mut alice, &format!("vain{number}")).await, Err(Refusal::Unavailable));
    }
    bench.lose_answers(false);
    bench.login(&mut alice, "alice").await.unwrap();
    bench.join(&mut alice, "red").await.unwrap();
    for number in 0..5 {
        bench.login(&mut bob, &format!("vain{number}")).await.unwrap();
        let room = RoomId::parse(&format!("vain{number}")).unwrap();
        assert_eq!(bench.presence.members(&room).await, Ok(0), "alice is in a room that refused her");
    }
    assert_eq!(bench.login(&mut bob, "alice").await, Err(Refusal::NicknameInUse));
}

#[tokio::test]
async fn a_claim_in_vain_is_made_good_by_asking_again() {
    let bench = bench();
    let mut alice = bench.participant(1);
    bench.lose_answers(true);
    assert_eq!(bench.login(&mut alice, "alice").await, Err(Refusal::Unavailable));
    bench.lose_answers(false);
    bench.login(&mut alice, "alice").await.unwrap();
    bench.lose_answers(true);
    assert_eq!(bench.join(&mut alice, "red").await, Err(Refusal::Unavailable));
    bench.lose_answers(false);
    bench.join(&mut alice, "red").await.unwrap();
    assert_eq!(bench.presence.members(&RoomId::parse("red").unwrap()).await, Ok(1));
}

#[tokio::test]
async fn what_an_ended_session_could_not_release_is_released_later() {
    let bench = bench();
    let (mut alice, mut bob) = (bench.alice_in_red().await, bench.participant(2));
    bench.lose_answers(true);
    assert_eq!(bench.login(&mut alice, "other").await, Err(Refusal::Unavailable));
    bench.chat.depart(alice).await;
    assert_eq!(bench.metrics.debts.get(), 3);
    bench.lose_answers(false);
    bench.chat.pay_debts().await;
    assert_eq!((bench.metrics.debts.get(), bench.metrics.sessions.get()), (0, 0));
    for name in ["alice", "other"] {
        bench.login(&mut bob, name).await.unwrap();
    }
    assert_eq!(bench.presence.members(&RoomId::parse("red").unwrap()).await, Ok(0));
}

/// A session that moves on while answers are lost and then comes back must stay where it is.
#[tokio::test]
async fn a_live_session_is_not_thrown_out_of_what_it_claimed_again() {
    let bench = bench();
    let mailbox = Arc::new(Mailbox::new(10_000, bench.metrics.clone()));
    let mut alice = Participant::new(SessionId::from_u128(1), mailbox, Conduct { single_room: true, ..CONDUCT }, PEER);
    bench.login(&mut alice, "alice").await.unwrap();
    bench.join(&mut alice, "red").await.unwrap();
    bench.lose_leaves(true);
    bench.join(&mut alice, "blue").await.unwrap();
    bench.lose_leaves(false);
    bench.join(&mut alice, "red").await.unwrap();
    bench.chat.pay_debts().await;
    assert_eq!(bench.presence.members(&RoomId::parse("red").unwrap()).await, Ok(1), "alice is still in");
    assert_eq!(bench.presence.members(&RoomId::parse("blue").unwrap()).await, Ok(0));
}

#[tokio::test]
async fn an_heir_that_was_not_answered_asks_again() {
    let bench = bench();
    let resumes = Conduct { resumes: true, ..CONDUCT };
    let participant = |session| {
        let mailbox = Arc::new(Mailbox::new(10_000, bench.metrics.clone()));
        Participant::new(SessionId::from_u128(session), mailbox, resumes, PEER)
    };
    let (mut alice, mut heir, mut other) = (participant(1), participant(2), participant(3));
    let Ok(Reply::Welcome { resume: Some(token), .. }) = bench.chat.greet(&mut alice, None).await.result else {
        panic!("no token");
    };
    bench.login(&mut alice, "alice").await.unwrap();
    bench.lose_answers(true);
    let unavailable = bench.chat.resume(&mut heir, &token, Vec::new()).await.result;
    assert_eq!(unavailable, Err(Refusal::Unavailable));
    bench.lose_answers(false);
    assert_eq!(bench.chat.resume(&mut other, &token, Vec::new()).await.result, Err(Refusal::NotResumable));
    let Ok(Reply::Resumed { nickname, resume, .. }) = bench.chat.resume(&mut heir, &token, Vec::new()).await.result
    else {
        panic!("the heir is refused");
    };
    assert_eq!(nickname, Nickname::parse("alice").ok());
    assert_eq!(bench.chat.resume(&mut heir, &token, Vec::new()).await.result, Err(Refusal::NotResumable), "it has all");
    bench.chat.depart(alice).await;
    bench.chat.depart(heir).await;
    assert_eq!(bench.chat.resume(&mut other, &resume, Vec::new()).await.result, Err(Refusal::NotResumable), "it ended");
    bench.login(&mut other, "alice").await.expect("the name is free");
}

/// Whoever leaves while its node restores it has left once, and is not made a member again for a moment.
#[tokio::test]
async fn a_session_that_leaves_while_it_is_restored_leaves_once() {
    let bench = bench();
    let mut alice = bench.alice_in_red().await;
    let (is_reached, open) = Gate::shut(&bench.presence.gate);
    let leaving = async {
        is_reached.await.unwrap();
        bench.leave(&mut alice, "red").await.unwrap();
        open.send(()).unwrap();
    };
    let (restored, ()) = tokio::join!(bench.chat.restore(), leaving);
    assert!(restored);
    assert_eq!(bench.presence.members(&RoomId::parse("red").unwrap()).await, Ok(0));
    assert_eq!(bench.events("red").await, [EventKind::Joined, EventKind::Left]);
}

/// The leave was carried out, and its answer is still on its way when the node restores what its sessions hold.
#[tokio::test]
async fn a_session_that_is_out_and_does_not_know_it_yet_is_not_restored() {
    let bench = bench();
    let mut alice = bench.alice_in_red().await;
    let (is_reached, open) = Gate::shut(&bench.presence.left);
    let restoring = async {
        is_reached.await.unwrap();
        assert!(bench.chat.restore().await);
        open.send(()).unwrap();
    };
    let (left, ()) = tokio::join!(bench.leave(&mut alice, "red"), restoring);
    left.unwrap();
    assert_eq!(bench.presence.members(&RoomId::parse("red").unwrap()).await, Ok(0));
    assert_eq!(bench.events("red").await, [EventKind::Joined, EventKind::Left]);
}

/// Whoever was not let in is no member after its node has restored what it has, and is said to come when it asks again.
#[tokio::test]
async fn a_join_that_failed_is_not_made_good_in_silence() {
    let bench = bench();
    let mut alice = bench.participant(1);
    bench.login(&mut alice, "alice").await.unwrap();
    bench.presence.loses_entry.store(true, Ordering::Relaxed);
    assert_eq!(bench.join(&mut alice, "red").await, Err(Refusal::Unavailable));
    assert!(bench.chat.restore().await);
    assert_eq!(bench.presence.members(&RoomId::parse("red").unwrap()).await, Ok(0));
    bench.join(&mut alice, "red").await.unwrap();
    bench.leave(&mut alice, "red").await.unwrap();
    assert_eq!(bench.events("red").await, [EventKind::Joined, EventKind::Left]);
}

/// Nothing is heard here of what the broker takes. What was said before somebody left is told before the leaving is answered.
#[tokio::test]
async fn what_was_said_before_a_leave_is_told_though_the_node_is_deaf() {
    let bench = bench();
    let mailbox = Arc::new(Mailbox::new(10_000, bench.metrics.clone()));
    let mut alice = Participant::new(SessionId::from_u128(1), mailbox.clone(), CONDUCT, PEER);
    let mut bob = bench.participant(2);
    for (who, name) in [(&mut alice, "alice"), (&mut bob, "bob")] {
        bench.login(who, name).await.unwrap();
        bench.join(who, "red").await.unwrap();
    }
    bench.send(&mut bob, "red", "before").await.unwrap();
    bench.leave(&mut alice, "red").await.unwrap();
    bench.send(&mut bob, "red", "after").await.unwrap();
    let told = all_told(&mailbox).await;
    assert!(told.contains("before") && !told.contains("after"), "{told}");
}

/// Some dialects answer a join by nothing but its event. The event of one whose answer was lost went by before it was asked again.
#[tokio::test]
async fn who_is_answered_by_events_alone_is_shown_a_join_that_is_repeated() {
    let bench = bench();
    let conduct = Conduct { joins_tell_by_event: true, ..CONDUCT };
    let mailbox = Arc::new(Mailbox::new(10_000, bench.metrics.clone()));
    let mut alice = Participant::new(SessionId::from_u128(1), mailbox.clone(), conduct, PEER);
    bench.login(&mut alice, "alice").await.unwrap();
    bench.lose_answers(true);
    assert_eq!(bench.join(&mut alice, "red").await, Err(Refusal::Unavailable));
    bench.lose_answers(false);
    bench.join(&mut alice, "red").await.unwrap();
    assert_eq!(bench.events("red").await, [EventKind::Joined], "she was in already");
    let told = all_told(&mailbox).await;
    assert_eq!(told.matches("join").count(), 1, "{told}");
}

/// Everything that a session was told, whose end this is.
async fn all_told(mailbox: &Mailbox) -> String {
    mailbox.finish([]);
    let mut told = String::new();
    while let Outgoing::Batch(batch) = mailbox.outgoing().await {
        batch.iter().for_each(|bytes| told += &String::from_utf8_lossy(bytes));
    }
    told
}
