//! Sessions that come, join, say something and go, among others that are here, through the use cases on the embedded store.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use crosstalk::ambient::{Clock, Entropy};
use crosstalk::backend::embedded::{Embedded, Retention};
use crosstalk::backend::{Backend, inbound};
use crosstalk::chat::{Command, Conduct, Credential, Nickname, RoomId, RoomRef, SessionId};
use crosstalk::hub::{Mailbox, WireFormat};
use crosstalk::service::{
    Chat, ChatLimits, Participant, PasswordSettings, Passwords, ResumeLimits, ServerNames, dispatch,
};
use crosstalk::telemetry::{Metrics, Tracer};
use crosstalk::wire::{EventForm, FramingKind, RoomSpelling};
use divan::Bencher;
use tokio::runtime::Runtime;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{room, session, text};

/// Others that are logged in, ten to a room.
const OTHERS: [usize; 2] = [100, 10_000];
const FORMAT: WireFormat = WireFormat {
    form: EventForm::Action { spelling: RoomSpelling::Text, extended: false },
    framing: FramingKind::WebSocket,
};

/// One node's chat with sessions.
struct Node {
    runtime: Runtime,
    chat: Arc<Chat>,
    metrics: Arc<Metrics>,
    others: Vec<Participant>,
    numbers: Cell<usize>,
    _running: DropGuard,
}

impl Node {
    fn with(others: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let metrics = Arc::new(Metrics::new());
        let (clock, entropy) = (Clock::system(), Entropy::seeded(1));
        let (sender, heard) = inbound(64 << 20, metrics.clone());
        let retention = Retention { count: 100, age_us: i64::MAX, rooms: 1 << 20, kept_rooms: 100 };
        let embedded = Embedded::open(None, retention, sender, clock.clone(), entropy.clone()).unwrap();
        let settings = PasswordSettings { memory_kib: 8, iterations: 1, lanes: 1, at_once: 1, queue: 1 };
        let passwords = Passwords::new(settings, entropy.clone(), metrics.clone()).unwrap();
        let resume = ResumeLimits { window: Duration::from_secs(30), held: 10 };
        let limits = ChatLimits { text_bytes: 4_096, rooms_per_session: 10, users: 100, require_login: false, resume };
        let chat = Arc::new(Chat::new(
            Backend::of(Arc::new(embedded)),
            limits,
            passwords,
            None,
            ServerNames::default(),
            clock,
            entropy,
            Tracer::off(),
            metrics.clone(),
        ));
        let stop = CancellationToken::new();
        runtime.spawn(dispatch(chat.clone(), heard, stop.clone()));
        let mut node =
            Self { runtime, chat, metrics, others: Vec::new(), numbers: Cell::new(0), _running: stop.drop_guard() };
        for number in 0..others {
            let mut other = node.next();
            node.come(&mut other);
            node.carry_out(&mut other, join(room(number / 10)));
            node.others.push(other);
        }
        node
    }

    fn next(&self) -> Participant {
        let id: SessionId = session(self.numbers.replace(self.numbers.get() + 1));
        let mailbox = Arc::new(Mailbox::new(1 << 20, self.metrics.clone()));
        Participant::new(id, mailbox, Conduct { join_creates: true, ..Conduct::PLAIN }, IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    fn come(&self, who: &mut Participant) {
        self.runtime.block_on(self.chat.arrive(who, FORMAT));
        let nickname = Nickname::parse(&format!("guest{}", self.numbers.get())).unwrap();
        self.carry_out(who, Command::Login { nickname: Some(nickname), credential: Credential::None });
    }

    fn carry_out(&self, who: &mut Participant, command: Command) {
        self.runtime.block_on(self.chat.carry_out(who, command, FORMAT)).result.unwrap();
    }
}

fn join(room: RoomId) -> Command {
    Command::Join { room, password: None, since: None }
}

#[divan::bench(args = OTHERS, sample_count = 20, sample_size = 10)]
fn come_join_and_go(bencher: Bencher, others: usize) {
    let node = Node::with(others);
    bencher.with_inputs(|| node.next()).bench_local_values(|mut who| {
        node.come(&mut who);
        node.carry_out(&mut who, join(room(0)));
        node.runtime.block_on(node.chat.depart(who));
    });
}

#[divan::bench(args = OTHERS, sample_count = 20, sample_size = 10)]
fn say(bencher: Bencher, others: usize) {
    let mut node = Node::with(others);
    let mut who = node.others.swap_remove(0);
    let bencher = bencher.with_inputs(|| Command::Send { room: RoomRef::Named(room(0)), text: text(100), key: None });
    bencher.bench_local_values(|command| node.carry_out(&mut who, command));
}
