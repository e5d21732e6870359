//! What sessions may do under their names while their node has lost its lease and not claimed again: Redis only.

use crosstalk::chat::{Addressee, CloseReason, Command, Conduct, Credential, Refusal, Reply, RoomRef};
use crosstalk::hub::{Mailbox, WireFormat};
use crosstalk::service::{Chat, ChatLimits, Participant, PasswordSettings, Passwords, ServerNames};
use crosstalk::telemetry::Tracer;
use crosstalk::wire::{EventForm, FramingKind};

use super::cluster::{expire, only_lease, outlast_a_lease};
use super::*;
use crate::support::{PEER, RESUME};

const FORMAT: WireFormat = WireFormat { form: EventForm::Simple { extended: false }, framing: FramingKind::Lines };
const CONDUCT: Conduct = Conduct { join_creates: true, ..Conduct::PLAIN };

/// The sessions of a node.
struct Sessions {
    chat: Chat,
    metrics: Arc<Metrics>,
}

impl Sessions {
    fn on(node: &Node) -> Self {
        let (metrics, entropy) = (Arc::new(Metrics::new()), Entropy::seeded(3));
        let limits =
            ChatLimits { text_bytes: 100, rooms_per_session: 10, users: 100, require_login: false, resume: RESUME };
        let settings = PasswordSettings { memory_kib: 8, iterations: 1, lanes: 1, at_once: 1, queue: 1 };
        let passwords = Passwords::new(settings, entropy.clone(), metrics.clone()).unwrap();
        let (backend, names, clock) = (node.backend.clone(), ServerNames::default(), node.clock.clone());
        let chat = Chat::new(backend, limits, passwords, None, names, clock, entropy, Tracer::off(), metrics.clone());
        Self { chat, metrics }
    }

    /// A session under a name, in a room.
    async fn arrive(&self, session: u128, name: &str, in_room: &str) -> (Participant, Arc<Mailbox>) {
        let (mut who, mailbox) = self.log_in(session, name, CONDUCT).await;
        self.ask(&mut who, join(in_room)).await.unwrap();
        (who, mailbox)
    }

    async fn log_in(&self, session: u128, name: &str, conduct: Conduct) -> (Participant, Arc<Mailbox>) {
        let mailbox = Arc::new(Mailbox::new(10_000, self.metrics.clone()));
        let mut who = Participant::new(SessionId::from_u128(session), mailbox.clone(), conduct, PEER);
        let login = Command::Login { nickname: Some(nickname(name)), credential: Credential::None };
        self.ask(&mut who, login).await.unwrap();
        (who, mailbox)
    }

    async fn ask(&self, who: &mut Participant, command: Command) -> Result<Reply, Refusal> {
        self.chat.carry_out(who, command, FORMAT).await.result
    }
}

fn join(name: &str) -> Command {
    Command::Join { room: room(name), password: None, since: None }
}

fn say(name: &str) -> Command {
    Command::Send { room: RoomRef::Named(room(name)), text: "it is me".into(), key: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_name_nothing_is_done_until_it_was_claimed_under_the_new_lease() {
    let server = Server::start();
    let late = redis(&server).await;
    let sessions = Sessions::on(&late);
    let (mut alice, mailbox) = sessions.arrive(1, "alice", "red").await;
    let (mut bob, _) = sessions.arrive(2, "bob", "red").await;
    let mut mia = sessions.log_in(3, "mia", Conduct { enrols: true, ..CONDUCT }).await.0;
    late.enrol(&room("red"), "mia").await.unwrap();
    let lease = only_lease(&server);
    expire(&server, &lease);
    assert_eq!(late.backend.presence.renew().await, Ok(Lease::Renewed));
    // Still members, because nobody swept yet.
    assert_eq!(sessions.ask(&mut bob, say("red")).await, Err(Refusal::Unavailable));
    assert_eq!(sessions.ask(&mut bob, Command::Typing { room: room("red") }).await, Err(Refusal::Unavailable));
    let leave = Command::Leave { room: RoomRef::Named(room("red")) };
    assert_eq!(sessions.ask(&mut mia, leave).await, Err(Refusal::Unavailable), "it would be for good");
    let survivor = redis(&server).await;
    outlast_a_lease(&survivor).await;
    assert_eq!(survivor.backend.presence.sweep().await.unwrap().names, 3);
    assert_eq!(survivor.claim("alice", SessionId::from_u128(9)).await, CLAIMED);
    let to = Addressee::Session(SessionId::from_u128(9));
    let whisper = Command::SendPrivate { to, target: "@alice".into(), text: "it is me".into(), key: None };
    assert_eq!(sessions.ask(&mut bob, whisper).await, Err(Refusal::Unavailable));
    for who in [&mut alice, &mut bob] {
        assert_eq!(sessions.ask(who, join("blue")).await, Err(Refusal::Unavailable));
    }
    assert_eq!(survivor.backend.presence.members(&room("blue")).await, Ok(0));
    assert!(sessions.chat.restore().await);
    assert_eq!(mailbox.closed(), Some(CloseReason::NicknameLost));
    // Before its session heeds the end.
    assert_eq!(sessions.ask(&mut alice, join("blue")).await, Err(Refusal::Unavailable));
    sessions.ask(&mut bob, join("blue")).await.unwrap();
    sessions.ask(&mut bob, say("red")).await.unwrap();
}
