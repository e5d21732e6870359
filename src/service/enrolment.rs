//! Accounts as members of rooms: they come, go, are put out and hand rooms over.

use super::attendance::Told;
use super::keeping::done;
use super::membership::{Refused, Way};
use super::{Chat, Outcome, Participant, unavailable};
use crate::backend::{Entered, Resigned};
use crate::chat::{Actor, EventKind, Nickname, Position, Refusal, Reply, RoomId, RoomView};
use crate::hub::WireFormat;

impl Chat {
    /// Makes the session's account a member of a room.
    pub(super) async fn enrol(
        &self,
        who: &mut Participant,
        room: RoomId,
        password: Option<String>,
        format: WireFormat,
    ) -> Result<Reply, Outcome> {
        let entered = self.enter_for_good(who, &room, password, format).await.map_err(Outcome::refused)?;
        let Entered { position, members, repeated } = match entered {
            Ok(entered) => entered,
            Err(refused) => return Err(refused.outcome(who, room)),
        };
        if repeated {
            return Err(Outcome::refused(Refusal::AlreadyJoined));
        }
        self.metrics.joins_total.inc();
        Ok(Reply::Joined { room, position, members, recovered: None })
    }

    /// First hear the room, then become a member: nothing after the join can be missed.
    async fn enter_for_good(
        &self,
        who: &mut Participant,
        room: &RoomId,
        password: Option<String>,
        format: WireFormat,
    ) -> Result<Result<Entered, Refused>, Refusal> {
        let attends = who.rooms.contains(room);
        if !attends && !self.hears(who, room, self.hub.enter(room, who.member(format))).await {
            return Err(Refusal::Unavailable);
        }
        let entered = self.enter_with(who, room, password, Way::Account).await;
        match &entered {
            _ if attends => {}
            Ok(Ok(entered)) if !entered.repeated => {
                self.hub.entered(room, who.id, entered.position, false);
                who.rooms.push(room.clone());
            }
            // It was a member and does not hear the room yet.
            Ok(Ok(_)) => {
                self.hub.remove(room, who.id);
                self.attend_new(who, room).await;
            }
            // After an unknown end it may be a member: then its next look at the list finds that.
            _ => {
                self.hub.remove(room, who.id);
                who.owes_attendance |= entered.is_err();
            }
        }
        entered
    }

    /// Ends the account's membership; what came before is told, and the leaving itself is the answer.
    pub(super) async fn resign(&self, who: &mut Participant, room: RoomId) -> Result<Reply, Refusal> {
        // It is for good, and whoever is logged in as the account elsewhere by now would not know of it.
        self.may_act(who)?;
        let resigned = self.backend.members.resign(&room, &who.actor(), false).await;
        done("resign", resigned)?;
        let at = self.hub.position(&room).filter(|_| who.rooms.contains(&room));
        self.stop_attending(who, &room, at).await;
        Ok(Reply::Left { room })
    }

    /// The session hears a room no more, having been told what happened up to this position, and the account's list is without
    /// it.
    pub(super) async fn stop_attending(&self, who: &mut Participant, room: &RoomId, told: Option<Position>) {
        self.hub.remove(room, who.id);
        who.rooms.retain(|other| other != room);
        if let Some(correspondence) = &mut who.correspondence {
            correspondence.forget_room(room);
        }
        if let Some(position) = told {
            who.remember_told(room, Told { position, is_in: false });
        }
        if let Some(account) = who.account()
            && let Err(error) = self.backend.members.forget_enrolment(account, room).await
        {
            // The next look at the list finds it.
            tracing::debug!(%error, %room, "a room stays in an account's list");
        }
    }

    /// Puts somebody out of a room: an account, a guest who is there, or both under one name.
    pub(super) async fn remove(&self, who: &Participant, room: RoomId, subject: &Nickname) -> Result<Reply, Refusal> {
        self.view(&room).await?;
        let (user, holder) = self.bearer(subject).await?;
        let out = match holder {
            Some(holder) => Actor { session: holder.session, nickname: Some(subject.clone()) },
            None if user.is_some() => Actor::account(subject.clone()),
            None => return Err(Refusal::UserNotFound),
        };
        done("remove", self.backend.members.remove(&room, &who.actor(), &out).await).map(|()| Reply::Done)
    }

    /// Makes another member the owner.
    pub(super) async fn hand_over(&self, who: &Participant, room: RoomId, to: &Nickname) -> Result<Reply, Refusal> {
        self.view(&room).await?;
        self.must_exist(to).await?;
        done("hand over", self.backend.members.hand_over(&room, &who.actor(), to).await).map(|()| Reply::Done)
    }

    /// A kept room.
    pub(super) async fn view(&self, room: &RoomId) -> Result<RoomView, Refusal> {
        let view = self.backend.rooms.view(room).await.map_err(|error| unavailable("view", &error))?;
        view.ok_or(Refusal::RoomNotFound)
    }

    /// Ends all memberships of an account that is being deleted; the rooms that went with it are announced.
    pub(super) async fn resign_from_all(&self, who: &Participant, account: &Nickname) -> Result<(), Refusal> {
        let enrolments = self.backend.members.enrolments(account).await;
        for enrolment in enrolments.map_err(|error| unavailable("enrolments", &error))? {
            let (room, actor) = (enrolment.room, who.actor());
            let resigned = self.backend.members.resign(&room, &actor, true).await;
            if let Ok(Resigned::Destroyed) = resigned.map_err(|error| unavailable("resign", &error))? {
                self.announce(actor, EventKind::Destroyed { room }).await;
            }
        }
        Ok(())
    }

    /// The members of a room that the session's account is in: who is in a room is no one else's business.
    pub(super) async fn members(
        &self,
        who: &Participant,
        room: RoomId,
        skip: usize,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        if !who.rooms.contains(&room) {
            return Err(self.why_not_in(who, &room, Refusal::NotMember).await);
        }
        // One more than asked for tells whether there are more.
        let members = self.backend.members.roll(&room, skip, limit + 1).await;
        let mut members = members.map_err(|error| unavailable("members", &error))?.ok_or(Refusal::RoomNotFound)?;
        let more = members.len() > limit;
        members.truncate(limit);
        Ok(Reply::Members { members, more })
    }
}
