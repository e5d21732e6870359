//! The use cases: what a participant can do, across hub and backend. Knows no dialect and no socket.
//!
//! | file | what one can do |
//! |---|---|
//! | `names` | log in, as a guest or as an account |
//! | `membership` | join, leave, be put out |
//! | `talk`, `letters`, `reading` | say something in a room, write to somebody, read again what was said |
//! | `replay` | be told what one missed in a room that one comes back to |
//! | `keeping` | create, destroy, run, list and find rooms |
//! | `people`, `secrets` | sign up, change and delete an account; prove that it is one's own |
//! | `friendship` | befriend, part, decide requests |
//! | `enrolment`, `attendance` | be a member of rooms for good, and hear them all in one session |
//! | `correspondence` | be told what was kept for one |
//! | `resume` | go on in another connection |
//! | `errands` | what others are told of it |
//! | `server` | what the server says of itself |
//! | `upkeep` | end; and what the node does for its sessions when the backend lost sight of them |

mod accounts;
mod attendance;
mod correspondence;
mod dispatch;
mod drain;
mod enrolment;
mod errands;
mod few;
mod friendship;
mod keeping;
mod letters;
mod membership;
mod names;
mod numbers;
mod participant;
mod passwords;
mod people;
mod reading;
mod replay;
mod resume;
mod roster;
mod secrets;
mod server;
mod talk;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

pub use accounts::Accounts;
pub use correspondence::LOOK_EVERY;
pub use dispatch::dispatch;
use errands::Asking;
use letters::Letter;
use membership::Joining;
use numbers::Numbers;
pub use participant::Participant;
pub use passwords::{PasswordSettings, PasswordSettingsError, Passwords};
use replay::Replay;
use resume::Held;
pub use resume::{ResumeLimits, Resumed, Return};
use roster::Roster;
pub use server::ServerNames;

use crate::ambient::{Clock, Entropy};
use crate::auth::Tokens;
use crate::backend::{Backend, BackendError, Broker, Presence};
use crate::chat::{
    Applicant, CloseReason, Command, Conduct, Credential, Nickname, Notice, Position, Refusal, Reply, RoomId, SessionId,
};
use crate::hub::{Hub, Interest, Seat, Sessions, WireFormat};
use crate::telemetry::{Metrics, Tracer};

/// How long a session waits to see the event that its request caused.
const SETTLING_LIMIT: Duration = Duration::from_secs(2);

/// Calls of the backend that one undertaking makes at once: enough to keep it busy, few enough not to queue in it.
const CALLS_AT_ONCE: usize = 16;

/// What participants may do, at most.
#[derive(Debug, Clone, Copy)]
pub struct ChatLimits {
    pub text_bytes: usize,
    pub rooms_per_session: usize,
    /// Accounts that may sign up.
    pub users: u64,
    /// Guests may do nothing but log in.
    pub require_login: bool,
    pub resume: ResumeLimits,
}

/// One node's chat.
pub struct Chat {
    backend: Backend,
    hub: Hub,
    sessions: Sessions,
    roster: Roster,
    held: Held,
    passwords: Passwords,
    numbers: Numbers,
    /// `None` where nobody can log in.
    tokens: Option<Arc<Tokens>>,
    departures: Semaphore,
    limits: ChatLimits,
    /// What it says of itself.
    names: ServerNames,
    started_s: i64,
    clock: Clock,
    entropy: Entropy,
    tracer: Tracer,
    metrics: Arc<Metrics>,
}

/// An answer, and what is to be awaited once it is queued.
pub struct Outcome {
    pub result: Result<Reply, Refusal>,
    pub afterwards: Option<Settling>,
}

/// What a request set going and its session wants to see done.
pub enum Settling {
    /// A member on its way out that still gets what came before its leaving.
    Departure { room: RoomId, pending: oneshot::Receiver<()> },
    /// The event that the request caused.
    OwnEvent,
    /// The session to be told what it missed in a room.
    Replay(Replay),
    /// The session to be told, after the answer.
    OwnNotice(Notice),
    /// Those who run a room to be told that somebody asks to be let in.
    Ask(Vec<Nickname>, Asking),
    /// Somebody who asked to be let into a room to be told what was decided.
    Decided { applicant: Applicant, room: RoomId, approved: bool },
    /// The session that this one goes on in the place of to be ended.
    Inherited { former: SessionId },
    /// One after the other.
    All(Vec<Settling>),
    /// The session is one of an account now; `was_there`: in the place of another one.
    Arrival { was_there: bool },
}

/// The hub's wishes, passed on to the broker.
struct Subscriptions(Arc<dyn Broker>);

impl Interest for Subscriptions {
    fn begin(&self, room: &RoomId) -> oneshot::Receiver<bool> {
        self.0.subscribe(room)
    }

    fn end(&self, room: &RoomId) {
        self.0.unsubscribe(room);
    }
}

impl Chat {
    #[expect(clippy::too_many_arguments, reason = "called once, by the composition of the node")]
    pub fn new(
        backend: Backend,
        limits: ChatLimits,
        passwords: Passwords,
        tokens: Option<Arc<Tokens>>,
        names: ServerNames,
        clock: Clock,
        entropy: Entropy,
        tracer: Tracer,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            hub: Hub::new(Arc::new(Subscriptions(backend.broker.clone())), metrics.clone()),
            sessions: Sessions::default(),
            roster: Roster::new(metrics.clone()),
            held: Held::default(),
            departures: Semaphore::new(CALLS_AT_ONCE),
            numbers: Numbers::new(backend.broker.clone()),
            backend,
            passwords,
            tokens,
            limits,
            names,
            started_s: clock.unix_us() / 1_000_000,
            clock,
            entropy,
            tracer,
            metrics,
        }
    }

    /// A session's dialect is known: from now on it can be reached, and hears what its dialect hears everywhere.
    pub async fn arrive(&self, who: &Participant, format: WireFormat) {
        self.sessions.seat(who.id, Seat { mailbox: who.mailbox.clone(), format, login: None });
        if !self.is_barred(who) {
            self.enter_lobby(who, format).await;
        }
    }

    /// Whether it may do nothing but log in.
    fn is_barred(&self, who: &Participant) -> bool {
        self.limits.require_login && who.login.is_none()
    }

    async fn enter_lobby(&self, who: &Participant, format: WireFormat) {
        if !who.conduct.in_lobby {
            return;
        }
        let lobby = RoomId::lobby();
        let member = who.member(format);
        let Some(ready) = self.hub.listen(&lobby, member).ready else { return };
        // While the broker is away the wish stays, and is granted when it is back.
        if ready.await.unwrap_or(false) {
            self.hub.confirm(&lobby);
            self.begin_lobby(&lobby).await;
        }
    }

    /// From now on nothing in the lobby may be missed, though this node knows of nothing that happened there yet, or nothing ever did.
    async fn begin_lobby(&self, lobby: &RoomId) {
        match self.backend.broker.catch_up(lobby, Position::NOWHERE).await {
            Ok(read) => self.hub.begin_after(lobby, read.newest(Position::NOWHERE)),
            // The first event heard is the beginning then, unless the line fails before.
            Err(error) => tracing::debug!(%error, "the lobby's position is not known"),
        }
    }

    /// From now on the session behaves as its dialect's extended mode has it, and is told things in this format.
    pub async fn extend(&self, who: &mut Participant, conduct: Conduct, format: WireFormat) {
        self.sessions.set_format(who.id, format);
        let was_in_lobby = std::mem::replace(&mut who.conduct, conduct).in_lobby;
        if !was_in_lobby && !self.is_barred(who) {
            self.enter_lobby(who, format).await;
        }
    }

    /// Carries one command out.
    pub async fn carry_out(&self, who: &mut Participant, command: Command, format: WireFormat) -> Outcome {
        let outcome = self.undertake(who, command, format).await;
        // Before the answer: what it tells can be gone on with. Every message comes by here, so nothing is begun in vain.
        if !who.memo_is_current() {
            self.keep_memo(who).await;
        }
        outcome
    }

    async fn undertake(&self, who: &mut Participant, command: Command, format: WireFormat) -> Outcome {
        if let Err(refusal) = self.may_ask(who, &command) {
            return Outcome::refused(refusal);
        }
        let result = match command {
            Command::Hello { token } => return self.greet(who, token).await,
            Command::Login { nickname, credential } => return self.login(who, nickname, credential).await,
            Command::SignUp { account, password, nickname } => self.sign_up(&account, password, &nickname).await,
            Command::LogOff => self.log_off(who).await,
            Command::DeleteAccount { password } => self.delete_account(who, password).await,
            Command::ChangePassword { old, new } => self.change_password(who, old, new).await,
            Command::ChangeProfile { nickname, description } => self.change_profile(who, nickname, description).await,
            Command::Join { room, password, since } => {
                return self.join(who, Joining { room, password, since, former: None }, format).await;
            }
            Command::Leave { room } => return self.leave(who, room).await,
            Command::Send { room, text, key } => self.send(who, room, text, key).await,
            Command::SendPrivate { to, target, text, key } => {
                return self.send_private(who, to, Letter { target, text, key }).await;
            }
            Command::Receive { source, from, limit } => self.receive(who, source, from, limit).await,
            Command::History { room, range } => self.history(who, room, range).await,
            Command::Typing { room } => self.typing(who, room).await,
            Command::Create { room, wishes } => self.create(who, room, wishes).await,
            Command::Change { room, wishes } => self.change(who, room, wishes).await,
            Command::Destroy { room } => self.destroy(who, room).await,
            Command::Decide { room, who: applicant, approve } => {
                return self.decide(who, room, &applicant, approve).await;
            }
            Command::Settle { request, verdict } => return self.settle_request(who, request, verdict).await,
            Command::Appoint { room, account, admin } => self.appoint(who, room, account, admin).await,
            Command::Remove { room, who: subject } => self.remove(who, room, &subject).await,
            Command::HandOver { room, to } => self.hand_over(who, room, &to).await,
            Command::Befriend { who: other, text } => self.befriend(who, &other, text).await,
            Command::Unfriend { who: other } => self.unfriend(who, &other).await,
            query => self.look_up(who, query).await,
        };
        let afterwards = who.must_see_own().then_some(Settling::OwnEvent);
        Outcome { result, afterwards }
    }

    /// Carries out what changes nothing.
    async fn look_up(&self, who: &Participant, query: Command) -> Result<Reply, Refusal> {
        match query {
            Command::ListRooms { after, limit } => self.list(after.as_ref(), limit).await,
            Command::ListApplicants { room } => self.applicants(who, room).await,
            Command::ListRequests => self.requests(who).await,
            Command::ListFriends => self.friends(who).await,
            Command::ListEnrolments => self.enrolments(who).await,
            Command::ListMembers { room, skip, limit } => self.members(who, room, skip, limit).await,
            Command::ViewUser { who: other } => self.user(&other).await.map(|user| Reply::User { user }),
            Command::ViewRoom { room } => self.room(room).await,
            Command::SearchUsers { query, after, limit } => self.search_users(&query, after.as_deref(), limit).await,
            Command::SearchRooms { query, after, limit } => {
                self.search_rooms(who, &query, after.as_deref(), limit).await
            }
            Command::ReadPage { room, page } => self.read_page(who, &room, page).await,
            Command::Ping | Command::Introduce { .. } => Ok(Reply::Done),
            Command::Time => Ok(Reply::Time { now_s: self.clock.unix_us() / 1_000_000 }),
            Command::ServerInfo => self.server_info().await,
            other => {
                tracing::error!(?other, "a command that nobody carries out");
                Err(Refusal::ActionUnknown)
            }
        }
    }

    /// Before a login, where one is needed, nothing but the login is possible, and what concerns nobody.
    fn may_ask(&self, who: &Participant, command: &Command) -> Result<(), Refusal> {
        let nameless = who.conduct.login_first && who.name.is_none();
        match command {
            Command::Hello { .. }
            | Command::Login {
                credential: Credential::Token(_) | Credential::Password(_) | Credential::PasswordOfAccount(_),
                ..
            }
            | Command::Resume { .. }
            | Command::SignUp { .. }
            | Command::Ping
            | Command::Time
            | Command::ServerInfo
            | Command::Introduce { .. } => Ok(()),
            Command::Login { .. } if !self.is_barred(who) => Ok(()),
            _ if nameless || self.is_barred(who) => Err(Refusal::LoginRequired),
            _ => Ok(()),
        }
    }

    /// Waits, for a bounded time, until the session saw what its request caused.
    pub async fn settle(&self, who: &mut Participant, settling: Settling) {
        let seen = match settling {
            Settling::OwnEvent => tokio::time::timeout(SETTLING_LIMIT, who.mailbox.until_own_seen(who.caused)).await,
            Settling::Departure { room, mut pending } => {
                let heard = tokio::time::timeout(SETTLING_LIMIT, &mut pending).await.map(drop);
                // This node may hear nothing. What was said before the leaving was promised to whoever was there.
                if heard.is_err() && !self.look_at_stream(&room).await {
                    let _ = tokio::time::timeout(SETTLING_LIMIT, pending).await;
                }
                self.hub.remove(&room, who.id);
                heard
            }
            Settling::OwnNotice(notice) => {
                self.sessions.tell(who.id, &notice);
                return;
            }
            Settling::Replay(replay) => {
                self.tell_missed(who, replay).await;
                return;
            }
            Settling::Ask(runners, asking) => {
                self.ask(runners, &asking).await;
                return;
            }
            Settling::Decided { applicant, room, approved } => {
                self.tell_decision(applicant, room, approved).await;
                return;
            }
            Settling::Inherited { former } => {
                self.end_elsewhere(former, CloseReason::Resumed).await;
                return;
            }
            Settling::All(all) => {
                for settling in all {
                    Box::pin(self.settle(who, settling)).await;
                }
                return;
            }
            Settling::Arrival { was_there } => {
                self.welcome(who, was_there).await;
                return;
            }
        };
        if seen.is_err() {
            tracing::warn!(session = %who.id, "an own event was not heard in time");
            who.caused = who.mailbox.own_seen();
        }
    }

    /// Sends the last spans; blocking.
    pub fn shut_down_traces(&self) {
        self.tracer.shut_down();
    }

    pub fn presence(&self) -> &dyn Presence {
        &*self.backend.presence
    }

    pub fn broker(&self) -> &dyn Broker {
        &*self.backend.broker
    }
}

impl Outcome {
    fn refused(refusal: Refusal) -> Self {
        Self { result: Err(refusal), afterwards: None }
    }
}

/// What a client is told when the backend did not do it; the reason is for the log.
fn unavailable(what: &str, error: &BackendError) -> Refusal {
    error.log(&format!("the backend did not do it: {what}"));
    Refusal::Unavailable
}
