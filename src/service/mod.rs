//! The use cases: what a participant can do, across hub and backend. Knows no dialect and no socket.
//!
//! | file | what one can do |
//! |---|---|
//! | `names` | log in, as a guest or as an account |
//! | `membership` | join, leave, be put out |
//! | `talk` | say something in a room, write to somebody, read the history |
//! | `keeping` | create, destroy, run and list rooms |
//! | `upkeep` | end; and what the node does for its sessions when the backend lost sight of them |

mod accounts;
mod dispatch;
mod keeping;
mod membership;
mod names;
mod numbers;
mod participant;
mod passwords;
mod roster;
mod talk;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::{Semaphore, oneshot};

pub use accounts::Accounts;
pub use dispatch::dispatch;
use numbers::Numbers;
pub use participant::Participant;
pub use passwords::{PasswordSettings, PasswordSettingsError, Passwords};
use roster::Roster;

use crate::ambient::Clock;
use crate::auth::Tokens;
use crate::backend::{Backend, BackendError, Broker, Presence};
use crate::chat::{Command, Credential, Notice, PersonKey, Position, Refusal, Reply, RoomId};
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
    /// Guests may do nothing but log in.
    pub require_login: bool,
}

/// One node's chat.
pub struct Chat {
    backend: Backend,
    hub: Hub,
    sessions: Sessions,
    roster: Roster,
    passwords: Passwords,
    numbers: Numbers,
    /// `None` where nobody can log in.
    tokens: Option<Arc<Tokens>>,
    departures: Semaphore,
    limits: ChatLimits,
    clock: Clock,
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
    /// The session to be told, after the answer.
    OwnNotice(Notice),
    /// Others to be told of it.
    Errands(Vec<(PersonKey, Notice)>),
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
    pub fn new(
        backend: Backend,
        limits: ChatLimits,
        passwords: Passwords,
        tokens: Option<Arc<Tokens>>,
        clock: Clock,
        tracer: Tracer,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            hub: Hub::new(Arc::new(Subscriptions(backend.broker.clone())), metrics.clone()),
            sessions: Sessions::default(),
            roster: Roster::new(metrics.clone()),
            departures: Semaphore::new(CALLS_AT_ONCE),
            numbers: Numbers::new(backend.broker.clone()),
            backend,
            passwords,
            tokens,
            limits,
            clock,
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

    /// From now on nothing in the lobby may be missed, though this node knows of nothing that happened there yet.
    async fn begin_lobby(&self, lobby: &RoomId) {
        let nowhere = Position { epoch: crate::chat::Epoch::new(0), offset: 0 };
        match self.backend.broker.catch_up(lobby, nowhere).await {
            Ok(read) => {
                let newest = read.missed.last().map(|envelope| envelope.position);
                let skipped = read.skipped_to.map(|(epoch, offset)| Position { epoch, offset });
                if let Some(last) = newest.or(skipped) {
                    self.hub.begin_after(lobby, last);
                }
            }
            // The first event heard is the beginning then.
            Err(error) => tracing::debug!(%error, "the lobby's position is not known"),
        }
    }

    /// From now on the session is told things in this format.
    pub fn set_format(&self, who: &Participant, format: WireFormat) {
        self.sessions.set_format(who.id, format);
    }

    /// Carries one command out.
    pub async fn carry_out(&self, who: &mut Participant, command: Command, format: WireFormat) -> Outcome {
        if let Err(refusal) = self.may_ask(who, &command) {
            return Outcome::refused(refusal);
        }
        let result = match command {
            Command::Hello { token } => self.greet(who, token).await,
            Command::Login { nickname, credential } => self.login(who, nickname, credential).await,
            Command::Join { room, password } => match self.join(who, room, password, format).await {
                Ok(reply) => Ok(reply),
                Err(outcome) => return outcome,
            },
            Command::Leave { room } => return self.leave(who, room).await,
            Command::Send { room, text, key } => self.send(who, room, text, key).await,
            Command::SendPrivate { to, target, text, .. } => return self.send_private(who, to, target, text).await,
            Command::History { room, range } => self.history(who, room, range).await,
            Command::Create { room, wishes } => self.create(who, room, wishes).await,
            Command::Change { room, wishes } => self.change(who, room, wishes).await,
            Command::Destroy { room } => self.destroy(who, room).await,
            Command::Decide { room, who: applicant, approve } => {
                return self.decide(who, room, &applicant, approve).await;
            }
            Command::Appoint { room, account, admin } => self.appoint(who, room, account, admin).await,
            Command::ListRooms { after, limit } => self.list(after.as_ref(), limit).await,
            Command::ListApplicants { room } => self.applicants(who, room).await,
            _ => todo!(),
        };
        let afterwards = (who.conduct.in_step && who.caused > who.mailbox.own_seen()).then_some(Settling::OwnEvent);
        Outcome { result, afterwards }
    }

    /// Before a login, where one is needed, nothing but the login is possible.
    fn may_ask(&self, who: &Participant, command: &Command) -> Result<(), Refusal> {
        let nameless = who.conduct.login_first && who.name.is_none();
        match command {
            Command::Hello { .. }
            | Command::Login {
                credential: Credential::Token(_) | Credential::Password(_) | Credential::PasswordOfAccount(_),
                ..
            } => Ok(()),
            Command::Login { .. } if !self.is_barred(who) => Ok(()),
            _ if nameless || self.is_barred(who) => Err(Refusal::LoginRequired),
            _ => Ok(()),
        }
    }

    /// Waits, for a bounded time, until the session saw what its request caused.
    pub async fn settle(&self, who: &mut Participant, settling: Settling) {
        let seen = match settling {
            Settling::OwnEvent => tokio::time::timeout(SETTLING_LIMIT, who.mailbox.until_own_seen(who.caused)).await,
            Settling::Departure { room, pending } => {
                let heard = tokio::time::timeout(SETTLING_LIMIT, pending).await.map(drop);
                self.hub.remove(&room, who.id);
                heard
            }
            Settling::OwnNotice(notice) => {
                self.sessions.tell(who.id, &notice);
                return;
            }
            Settling::Errands(errands) => {
                self.run_errands(errands).await;
                return;
            }
        };
        if seen.is_err() {
            tracing::warn!(session = %who.id, "an own event was not heard in time");
            who.caused = who.mailbox.own_seen();
        }
    }

    /// Tells others; who is not there needs not be told.
    async fn run_errands(&self, errands: Vec<(PersonKey, Notice)>) {
        stream::iter(errands)
            .for_each_concurrent(CALLS_AT_ONCE, async |(person, notice)| {
                let session = match &person {
                    PersonKey::Guest(session) => Ok(Some(*session)),
                    PersonKey::Account(name) => {
                        self.backend.presence.holder(name).await.map(|holder| holder.map(|holder| holder.session))
                    }
                };
                let told = match session {
                    Ok(Some(session)) => self.backend.post.deliver(session, &notice).await.map(drop),
                    Ok(None) => Ok(()),
                    Err(error) => Err(error),
                };
                if let Err(error) = told {
                    tracing::debug!(%error, "somebody was not told");
                }
            })
            .await;
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
    tracing::debug!(%error, what, "the backend did not do it");
    Refusal::Unavailable
}
