//! Coming into rooms and going out of them.

use super::errands::Asking;
use super::{Chat, Outcome, Participant, Settling, unavailable};
use crate::backend::{BackendError, Claimant, Claimed, Denial, Entered, Entry, Ticket};
use crate::chat::{
    Envelope, Event, EventKind, Nickname, Position, Refusal, Reply, RequestId, RoomId, RoomRef, SessionId,
};
use crate::hub::{Arrival, Departure, PutOut, WireFormat};

/// How often a join is tried whose room changes its password meanwhile.
const PASSWORD_TRIES: usize = 3;

/// A join as it was asked for.
#[derive(Debug, Clone)]
pub(super) struct Joining {
    pub room: RoomId,
    pub password: Option<String>,
    /// Up to here the client knows the room. Then it waits in the hub until it was told what it missed.
    pub since: Option<Position>,
    /// The session in whose place it comes in.
    pub former: Option<SessionId>,
}

/// As what somebody enters a room.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    Session,
    /// In the place of this session.
    Heir(SessionId),
    /// For good, as its account.
    Account,
}

impl Chat {
    /// Joins a room; what the client missed since the position that it names is told after the answer.
    pub(super) async fn join(&self, who: &mut Participant, joining: Joining, format: WireFormat) -> Outcome {
        if who.conduct.enrols {
            return match self.enrol(who, joining.room, joining.password, format).await {
                Ok(reply) => Outcome { result: Ok(reply), afterwards: None },
                Err(outcome) => outcome,
            };
        }
        let Joining { room, since, .. } = joining.clone();
        let entered = match self.come_in(who, joining, format).await {
            Ok(entered) => entered,
            Err(outcome) => return outcome,
        };
        let replay = match since {
            Some(since) => Some(self.replay(&room, who.member(format), since, &entered).await),
            None => None,
        };
        let Entered { position, members, repeated } = entered;
        if repeated && who.conduct.joins_tell_by_event {
            // After the answer, like every event of its own.
            let event = Event::new(who.actor(), EventKind::Joined);
            who.member(format).tell(&room, &Envelope { position, time_us: self.clock.unix_us(), event });
        }
        let recovered = replay.as_ref().map(|replay| replay.recovered);
        let afterwards = match replay {
            Some(replay) => Some(Settling::Replay(replay)),
            None => who.must_see_own().then_some(Settling::OwnEvent),
        };
        Outcome { result: Ok(Reply::Joined { room, position, members, recovered }), afterwards }
    }

    /// Makes the session a member; the outcome otherwise says why not, and whom to tell that somebody asked.
    pub(super) async fn come_in(
        &self,
        who: &mut Participant,
        joining: Joining,
        format: WireFormat,
    ) -> Result<Entered, Outcome> {
        let room = joining.room.clone();
        self.may_join(who, &room).await.map_err(Outcome::refused)?;
        let entered = match self.enter(who, joining, format).await.map_err(Outcome::refused)? {
            Ok(entered) => entered,
            Err(refused) => {
                if refused.refusal == Refusal::PermissionPending && !who.asked.contains(&room) {
                    who.asked.push(room.clone());
                }
                return Err(refused.outcome(who, room));
            }
        };
        who.asked.retain(|other| *other != room);
        if who.conduct.single_room {
            for former in std::mem::take(&mut who.rooms) {
                // On failure it stays noted, and is left before the next claim, or with the session.
                let _ = self.give_up_room(who, &former).await;
            }
        }
        who.rooms.push(room.clone());
        who.caused += u64::from(!entered.repeated);
        self.metrics.joins_total.inc();
        Ok(entered)
    }

    async fn may_join(&self, who: &mut Participant, room: &RoomId) -> Result<(), Refusal> {
        if who.rooms.contains(room) {
            return Err(Refusal::AlreadyJoined);
        }
        let asked_elsewhere = who.asked.iter().filter(|other| *other != room).count();
        let rooms = if who.conduct.single_room { 0 } else { who.rooms.len() };
        if rooms + asked_elsewhere >= self.limits.rooms_per_session {
            return Err(Refusal::TooManyRooms);
        }
        if let (false, Some(name)) = (who.holds_name, who.name.clone()) {
            who.holds_name = matches!(self.claim(who, &name, Claimant::Guest).await?, Claimed::Done { .. });
            if !who.holds_name {
                return Err(Refusal::NicknameInUse);
            }
        }
        Ok(())
    }

    /// First hear the room, then become a member: nothing after the join can be missed.
    async fn enter(
        &self,
        who: &Participant,
        joining: Joining,
        format: WireFormat,
    ) -> Result<Result<Entered, Refused>, Refusal> {
        let Joining { room, password, since, former } = joining;
        let room = &room;
        self.settle_doubts(who, Some(room)).await?;
        let member = who.member(format);
        let arrival = if since.is_some() { self.hub.wait(room, member) } else { self.hub.enter(room, member) };
        if !self.hears(who, room, arrival).await {
            return Err(Refusal::Unavailable);
        }
        self.roster.note_room(who, room);
        let mut entered = self.enter_with(who, room, password, former.map_or(Way::Session, Way::Heir)).await;
        match &mut entered {
            Ok(Ok(entered)) => {
                self.roster.hold_room(who, room);
                entered.repeated = !self.hub.entered(room, who.id, entered.position, entered.repeated);
            }
            Ok(Err(refused)) => {
                self.hub.remove(room, who.id);
                match refused.refusal {
                    Refusal::PermissionPending => self.roster.note_asked(who, room),
                    _ => self.roster.forget_room(who, room),
                }
            }
            // It may have entered: the room stays noted, and is left before the next claim, or with the session.
            Err(_) => self.hub.remove(room, who.id),
        }
        entered
    }

    /// Waits until a room's traffic is sure to arrive for a session that was placed there; `false` when it will not, and the
    /// session is taken out again.
    pub(super) async fn hears(&self, who: &Participant, room: &RoomId, arrival: Arrival) -> bool {
        let Some(ready) = arrival.ready else { return true };
        let hears = ready.await.unwrap_or(false);
        if hears {
            self.hub.confirm(room);
        } else {
            self.hub.remove(room, who.id);
        }
        hears
    }

    /// Enters with a password where one is asked for.
    pub(super) async fn enter_with(
        &self,
        who: &Participant,
        room: &RoomId,
        password: Option<String>,
        way: Way,
    ) -> Result<Result<Entered, Refused>, Refusal> {
        let must_exist = !who.conduct.join_creates;
        let (account, request) = (who.account().cloned(), self.numbers.request().await?);
        let mut ticket = Ticket { must_exist, account, proof: None, request };
        for _ in 0..PASSWORD_TRIES {
            let entry = match way {
                Way::Session => Some(Entry::Join(ticket.clone())),
                Way::Heir(of) => Some(Entry::Heir { of, ticket: ticket.clone() }),
                Way::Account => None,
            };
            self.may_act(who)?;
            let entered = match entry {
                Some(entry) => self.backend.presence.enter(room, &who.actor(), &entry).await,
                None => self.backend.members.enrol(room, &who.actor(), &ticket).await,
            };
            match (entered.map_err(|error| unavailable("enter", &error))?, &password) {
                (Err(Denial::Password { hash }), Some(password)) => {
                    if let Err(refusal) = self.prove_room_password(who, room, password.clone(), hash.clone()).await? {
                        return Ok(Err(Refused::because(refusal)));
                    }
                    ticket.proof = Some(hash);
                }
                (Err(denial), _) => return Ok(Err(Refused::of(denial, request))),
                (Ok(entered), _) => return Ok(Ok(entered)),
            }
        }
        Err(Refusal::Unavailable)
    }

    async fn prove_room_password(
        &self,
        who: &Participant,
        room: &RoomId,
        password: String,
        hash: String,
    ) -> Result<Result<(), Refusal>, Refusal> {
        let by = who.account().map_or_else(|| who.peer.to_string(), ToString::to_string);
        self.guess(&format!("room {room} {by}"), Refusal::PasswordWrong, password, hash).await
    }

    /// Leaves a room without ado; it stays noted until that is certain.
    pub(super) async fn give_up_room(&self, who: &Participant, room: &RoomId) -> Result<(), Refusal> {
        self.hub.remove(room, who.id);
        self.roster.doubt_room(who, room);
        self.backend.presence.leave(room, &who.actor()).await.map_err(|error| unavailable("leave", &error))?;
        self.roster.forget_room(who, room);
        Ok(())
    }

    pub(super) async fn leave(&self, who: &mut Participant, room: RoomRef) -> Outcome {
        if let (true, RoomRef::Named(room)) = (who.conduct.enrols, &room) {
            return Outcome { result: self.resign(who, room.clone()).await, afterwards: None };
        }
        let room = match (who.resolve(&room), room) {
            (Ok(room), _) => room,
            (Err(_), RoomRef::Named(room)) if who.asked.contains(&room) => {
                return Outcome { result: self.withdraw(who, room).await, afterwards: None };
            }
            (Err(_), RoomRef::Named(room)) => {
                return Outcome::refused(self.why_not_in(who, &room, Refusal::NothingToLeave).await);
            }
            (Err(refusal), RoomRef::Current) => return Outcome::refused(refusal),
        };
        self.roster.doubt_room(who, &room);
        let left = match self.backend.presence.leave(&room, &who.actor()).await {
            Ok(left) => left,
            Err(error) => {
                // It is told that it could not leave, and goes on as a member.
                self.roster.hold_room(who, &room);
                return Outcome::refused(unavailable("leave", &error));
            }
        };
        if left.is_none() {
            // It was out already: swept, while this node heard nothing. What was said before was promised to it all the same.
            self.read_up(&room).await;
        }
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

    /// Waits for a room's permission no more.
    async fn withdraw(&self, who: &mut Participant, room: RoomId) -> Result<Reply, Refusal> {
        if let Some(account) = who.account() {
            let withdrawn = self.backend.rooms.withdraw(&room, account).await;
            withdrawn.map_err(|error| unavailable("withdraw", &error))?;
        }
        self.give_up_room(who, &room).await?;
        who.asked.retain(|other| *other != room);
        Ok(Reply::Left { room })
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

    /// Why a session that is not in a room cannot do what members do: `otherwise`, if there is such a room. While its account's
    /// rooms could not be read, nobody knows that it is no member.
    pub(super) async fn why_not_in(&self, who: &Participant, room: &RoomId, otherwise: Refusal) -> Refusal {
        match self.exists(room).await {
            Ok(false) => Refusal::RoomNotFound,
            Ok(true) if who.owes_attendance => Refusal::Unavailable,
            Ok(true) => otherwise,
            Err(error) => unavailable("room", &error),
        }
    }

    async fn exists(&self, room: &RoomId) -> Result<bool, BackendError> {
        Ok(self.backend.presence.members(room).await? > 0 || self.backend.rooms.view(room).await?.is_some())
    }

    /// Takes note of rooms that the session was put out of; those that it was in are returned.
    pub async fn heed_put_out(&self, who: &mut Participant, rooms: Vec<PutOut>) -> Vec<PutOut> {
        let (out, _): (Vec<_>, Vec<_>) = rooms.into_iter().partition(|out| who.rooms.contains(&out.room));
        who.rooms.retain(|room| out.iter().all(|out| out.room != *room));
        for PutOut { room, at, .. } in &out {
            if who.conduct.enrols {
                self.stop_attending(who, room, Some(*at)).await;
                continue;
            }
            // There is nothing to leave any more but the note under the node's lease. On failure it is left in doubt.
            let _ = self.give_up_room(who, room).await;
        }
        out
    }
}

/// Why somebody was not let in, and who is to decide about it.
pub(super) struct Refused {
    pub refusal: Refusal,
    runners: Vec<Nickname>,
    request: RequestId,
}

impl Refused {
    fn because(refusal: Refusal) -> Self {
        Self { refusal, runners: Vec::new(), request: RequestId::default() }
    }

    fn of(denial: Denial, request: RequestId) -> Self {
        match denial {
            Denial::Unknown => Self::because(Refusal::RoomNotFound),
            Denial::Password { .. } => Self::because(Refusal::PasswordRequired),
            Denial::TooMany => Self::because(Refusal::TooMany),
            Denial::Permission { runners } => Self { refusal: Refusal::PermissionPending, runners, request },
        }
    }

    /// The answer, and after it the question to those who run the room.
    pub fn outcome(self, who: &Participant, room: RoomId) -> Outcome {
        let Self { refusal, runners, request } = self;
        let asking = Asking { room, identifier: who.actor().identifier(), request };
        let afterwards = (!runners.is_empty()).then_some(Settling::Ask(runners, asking));
        Outcome { result: Err(refusal), afterwards }
    }
}
