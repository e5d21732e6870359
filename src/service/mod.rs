//! The use cases: what a participant can do, across hub and backend. Knows no dialect and no socket.

mod accounts;
mod dispatch;
mod participant;
mod roster;

use std::sync::Arc;
use std::time::Duration;

use futures_util::{TryStreamExt, stream};
use tokio::sync::{Semaphore, oneshot};

pub use accounts::Accounts;
pub use dispatch::dispatch;
pub use participant::Participant;
use roster::{Debt, Roster, Standing};

use crate::ambient::Clock;
use crate::backend::{BackendError, Broker, Entered, Entry, Presence};
use crate::chat::{
    CloseReason, Command, Event, EventKind, Nickname, Position, Refusal, Reply, RoomId, RoomRef, TimeRange,
};
use crate::hub::{Departure, Hub, Interest, LocalMember, WireFormat};
use crate::telemetry::{Metrics, Tracer};

/// How long a session waits to see the event that its request caused.
const SETTLING_LIMIT: Duration = Duration::from_secs(2);

/// Departures, restores and debts that call the backend at once: enough to keep it busy, few enough not to queue in it.
const CALLS_AT_ONCE: usize = 16;

/// What participants may do, at most.
#[derive(Debug, Clone, Copy)]
pub struct ChatLimits {
    pub text_bytes: usize,
    pub rooms_per_session: usize,
}

/// One node's chat.
pub struct Chat {
    broker: Arc<dyn Broker>,
    presence: Arc<dyn Presence>,
    hub: Hub,
    roster: Roster,
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
        broker: Arc<dyn Broker>,
        presence: Arc<dyn Presence>,
        limits: ChatLimits,
        clock: Clock,
        tracer: Tracer,
        metrics: Arc<Metrics>,
    ) -> Self {
        let hub = Hub::new(Arc::new(Subscriptions(broker.clone())), metrics.clone());
        let roster = Roster::new(metrics.clone());
        let departures = Semaphore::new(CALLS_AT_ONCE);
        Self { broker, presence, hub, roster, departures, limits, clock, tracer, metrics }
    }

    /// Carries one command out.
    pub async fn carry_out(&self, who: &mut Participant, command: Command, format: WireFormat) -> Outcome {
        if who.conduct.login_first && who.name.is_none() && !matches!(command, Command::Login { .. }) {
            return Outcome { result: Err(Refusal::LoginRequired), afterwards: None };
        }
        let result = match command {
            Command::Login { nickname } => self.login(who, nickname).await,
            Command::Join { room } => self.join(who, room, format).await,
            Command::Leave { room } => return self.leave(who, room).await,
            Command::Send { room, text } => self.send(who, room, text).await,
            Command::History { room, range } => self.history(who, room, range).await,
        };
        let afterwards = (who.conduct.in_step && who.caused > who.mailbox.own_seen()).then_some(Settling::OwnEvent);
        Outcome { result, afterwards }
    }

    async fn login(&self, who: &mut Participant, nickname: Nickname) -> Result<Reply, Refusal> {
        if let (true, Some(name)) = (who.conduct.login_once, &who.name) {
            return Err(Refusal::AlreadyLoggedIn(name.clone()));
        }
        if who.holds_name && who.name.as_ref() == Some(&nickname) {
            return Ok(Reply::LoggedIn { nickname });
        }
        let claimed = self.claim(who, &nickname).await?;
        if !claimed && !who.conduct.login_tolerates_clash {
            return Err(Refusal::NicknameInUse);
        }
        let former = who.name.replace(nickname.clone()).filter(|_| who.holds_name);
        who.holds_name = claimed;
        self.tell_new_name(who).await;
        if let Some(former) = former {
            // On failure it stays noted, and is released before the next claim, or with the session.
            let _ = self.give_up_name(who, &former).await;
        }
        Ok(Reply::LoggedIn { nickname })
    }

    async fn claim(&self, who: &Participant, nickname: &Nickname) -> Result<bool, Refusal> {
        self.settle_doubts(who, None).await?;
        // Noted before it is claimed, so that a restore meanwhile knows of it.
        self.roster.note_name(who, nickname);
        match self.presence.claim(nickname, who.id).await {
            Ok(true) => {
                self.roster.hold_name(who, nickname);
                self.metrics.logins_total.inc();
                Ok(true)
            }
            Ok(false) => {
                self.roster.forget_name(who, nickname);
                Ok(false)
            }
            // It may have been claimed: it stays noted, and is released before the next claim, or with the session.
            Err(error) => Err(unavailable("claim", &error)),
        }
    }

    /// Releases what calls with an unknown end may have claimed, before anything else is claimed: so a session never holds more
    /// than one thing that it does not know of. `wanted` is about to be entered anyway.
    async fn settle_doubts(&self, who: &Participant, wanted: Option<&RoomId>) -> Result<(), Refusal> {
        let doubts = self.roster.doubts(who);
        for nickname in &doubts.names {
            self.give_up_name(who, nickname).await?;
        }
        for room in doubts.rooms.iter().filter(|room| Some(*room) != wanted) {
            self.give_up_room(who, room).await?;
        }
        Ok(())
    }

    /// Frees a nickname; it stays noted until that is certain.
    async fn give_up_name(&self, who: &Participant, nickname: &Nickname) -> Result<(), Refusal> {
        self.presence.release(nickname, who.id).await.map_err(|error| unavailable("release", &error))?;
        self.roster.forget_name(who, nickname);
        Ok(())
    }

    /// Leaves a room without ado; it stays noted until that is certain.
    async fn give_up_room(&self, who: &Participant, room: &RoomId) -> Result<(), Refusal> {
        self.hub.remove(room, who.id);
        self.presence.leave(room, &who.actor()).await.map_err(|error| unavailable("leave", &error))?;
        self.roster.forget_room(who, room);
        Ok(())
    }

    /// Has the rooms' member lists show the present nickname.
    async fn tell_new_name(&self, who: &Participant) {
        for room in &who.rooms {
            if let Err(error) = self.presence.enter(room, &who.actor(), Entry::Restore { known: None }).await {
                unavailable("rename in room", &error);
            }
        }
    }

    async fn join(&self, who: &mut Participant, room: RoomId, format: WireFormat) -> Result<Reply, Refusal> {
        if who.rooms.contains(&room) {
            return Err(Refusal::AlreadyJoined);
        }
        if !who.conduct.single_room && who.rooms.len() >= self.limits.rooms_per_session {
            return Err(Refusal::TooManyRooms);
        }
        if let (false, Some(name)) = (who.holds_name, who.name.clone()) {
            who.holds_name = self.claim(who, &name).await?;
            if !who.holds_name {
                return Err(Refusal::NicknameInUse);
            }
        }
        let entered = self.enter(who, &room, format).await?;
        if who.conduct.single_room {
            for former in std::mem::take(&mut who.rooms) {
                // On failure it stays noted, and is left before the next claim, or with the session.
                let _ = self.give_up_room(who, &former).await;
            }
        }
        who.rooms.push(room.clone());
        who.caused += u64::from(!entered.repeated);
        self.metrics.joins_total.inc();
        Ok(Reply::Joined { room, position: entered.position, members: entered.members })
    }

    /// First hear the room, then become a member: nothing after the join can be missed.
    async fn enter(&self, who: &Participant, room: &RoomId, format: WireFormat) -> Result<Entered, Refusal> {
        self.settle_doubts(who, Some(room)).await?;
        let member = LocalMember { session: who.id, mailbox: who.mailbox.clone(), format };
        let arrival = self.hub.enter(room, member);
        if let Some(ready) = arrival.ready {
            if !ready.await.unwrap_or(false) {
                self.hub.remove(room, who.id);
                return Err(Refusal::Unavailable);
            }
            self.hub.confirm(room);
        }
        self.roster.note_room(who, room);
        match self.presence.enter(room, &who.actor(), Entry::Join).await {
            Ok(entered) => {
                self.hub.entered(room, who.id, entered.position, entered.repeated);
                Ok(entered)
            }
            Err(error) => {
                // It may have entered: the room stays noted, and is left before the next claim, or with the session.
                self.hub.remove(room, who.id);
                Err(unavailable("enter", &error))
            }
        }
    }

    async fn leave(&self, who: &mut Participant, room: RoomRef) -> Outcome {
        let refused = |refusal| Outcome { result: Err(refusal), afterwards: None };
        let room = match (who.resolve(&room), room) {
            (Ok(room), _) => room,
            (Err(_), RoomRef::Named(room)) => return refused(self.why_not_left(&room).await),
            (Err(refusal), RoomRef::Current) => return refused(refusal),
        };
        let left = match self.presence.leave(&room, &who.actor()).await {
            Ok(left) => left,
            Err(error) => return refused(unavailable("leave", &error)),
        };
        who.rooms.retain(|other| *other != room);
        self.roster.forget_room(who, &room);
        let settling = self.step_out(who, &room, left);
        let result = Ok(Reply::Left { room });
        match settling {
            // Shown in its place among the room's events, after the answer.
            Some(settling) if who.conduct.sees_own_leaving => Outcome { result, afterwards: Some(settling) },
            // Not shown: whatever came before the leaving comes before the answer, and nothing after it.
            Some(settling) => {
                self.settle(who, settling).await;
                Outcome { result, afterwards: None }
            }
            None => Outcome { result, afterwards: None },
        }
    }

    /// Takes the session out of the room here, once everything up to its own leaving has passed it.
    fn step_out(&self, who: &mut Participant, room: &RoomId, left: Option<Position>) -> Option<Settling> {
        let Some(position) = left else {
            self.hub.remove(room, who.id);
            return None;
        };
        who.caused += 1;
        match self.hub.remove_after(room, who.id, position) {
            Departure::Pending(pending) => Some(Settling::Departure { room: room.clone(), pending }),
            Departure::Done => None,
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
        };
        if seen.is_err() {
            tracing::warn!(session = %who.id, "an own event was not heard in time");
            who.caused = who.mailbox.own_seen();
        }
    }

    async fn why_not_left(&self, room: &RoomId) -> Refusal {
        match self.presence.members(room).await {
            Ok(0) => Refusal::RoomNotFound,
            Ok(_) => Refusal::NothingToLeave,
            Err(error) => unavailable("members", &error),
        }
    }

    async fn send(&self, who: &mut Participant, room: RoomRef, text: String) -> Result<Reply, Refusal> {
        let room = who.resolve(&room)?;
        if text.len() > self.limits.text_bytes {
            return Err(Refusal::TextTooLong);
        }
        let span = self.tracer.publish_span();
        let mut event = Event::new(who.actor(), EventKind::Message { text });
        event.traceparent = span.as_ref().map(crate::telemetry::traces::PublishSpan::traceparent);
        let began_us = self.clock.unix_us();
        let position = self.broker.publish(&room, &event).await.map_err(|error| unavailable("publish", &error))?;
        let took_us = self.clock.unix_us().saturating_sub(began_us).max(0);
        self.metrics.publish_seconds.observe(took_us as f64 / 1e6);
        self.metrics.publishes_total.inc();
        who.caused += 1;
        Ok(Reply::Sent { position })
    }

    async fn history(&self, who: &Participant, room: RoomRef, range: TimeRange) -> Result<Reply, Refusal> {
        let room = who.resolve(&room)?;
        let mut records = self.broker.history(&room).await.map_err(|error| unavailable("history", &error))?;
        records.retain(|envelope| range.contains(envelope.time_us));
        Ok(Reply::History { room, records })
    }

    /// The session is over: its rooms are left and its nickname is freed, now or as soon as the backend can.
    pub async fn depart(&self, who: Participant) {
        // A thousand that vanish together take turns here instead of timing out behind one another.
        let _turn = self.departures.acquire().await;
        // Everything ever noted, what a call with an unknown end may have claimed included.
        let noted = self.roster.take(&who);
        for room in noted.rooms {
            if self.give_up_room(&who, &room).await.is_err() {
                self.roster.owe(Debt::Leave { room, who: who.actor() });
            }
        }
        for nickname in noted.names {
            if self.give_up_name(&who, &nickname).await.is_err() {
                self.roster.owe(Debt::Release { nickname, session: who.id });
            }
        }
        self.roster.strike(&who);
    }

    /// Claims again what the node's sessions hold, after the lease was lost. `false` when it must be tried again.
    pub async fn restore(&self) -> bool {
        let standings = stream::iter(self.roster.standings().into_iter().map(Ok));
        standings.try_for_each_concurrent(CALLS_AT_ONCE, |standing| self.restore_one(standing)).await.is_ok()
    }

    /// What a session gives up while it is restored is given up again, unless it has claimed it once more meanwhile.
    async fn restore_one(&self, standing: Standing) -> Result<(), BackendError> {
        let (actor, roster) = (&standing.actor, &self.roster);
        if let Some(nickname) = &actor.nickname {
            let held = || roster.holds(actor.session, nickname);
            if !self.presence.claim(nickname, actor.session).await? {
                standing.mailbox.close(CloseReason::NicknameLost);
            } else if !held() {
                self.presence.release(nickname, actor.session).await?;
                if held() {
                    self.presence.claim(nickname, actor.session).await?;
                }
            }
        }
        for room in &standing.rooms {
            let entry = Entry::Restore { known: self.hub.epoch(room) };
            let is_in = || roster.is_in(actor.session, room);
            self.presence.enter(room, actor, entry).await?;
            if !is_in() {
                self.presence.leave(room, actor).await?;
                if is_in() {
                    self.presence.enter(room, actor, entry).await?;
                }
            }
        }
        Ok(())
    }

    /// Releases what sessions that ended while the backend was away still hold.
    pub async fn pay_debts(&self) {
        let debts = stream::iter(self.roster.debts().into_iter().map(Ok));
        let paid = debts.try_for_each_concurrent(CALLS_AT_ONCE, |debt| self.pay(debt)).await;
        if let Err(error) = paid {
            tracing::debug!(%error, "debts wait for the backend");
        }
    }

    async fn pay(&self, debt: Debt) -> Result<(), BackendError> {
        match &debt {
            Debt::Release { nickname, session } => self.presence.release(nickname, *session).await?,
            Debt::Leave { room, who } => self.presence.leave(room, who).await.map(drop)?,
        }
        self.roster.settle(&debt);
        Ok(())
    }

    /// Sends the last spans; blocking.
    pub fn shut_down_traces(&self) {
        self.tracer.shut_down();
    }

    pub fn presence(&self) -> &dyn Presence {
        &*self.presence
    }

    pub fn broker(&self) -> &dyn Broker {
        &*self.broker
    }
}

/// What a client is told when the backend did not do it; the reason is for the log.
fn unavailable(what: &str, error: &BackendError) -> Refusal {
    tracing::debug!(%error, what, "the backend did not do it");
    Refusal::Unavailable
}
