//! Sessions that stand for their account: they hear every room of which it is a member, and first what it missed there.
//!
//! Who is a member, the room knows; the account's own list may name a room too many. What the account has been told is noted
//! as a position in the room's stream, so that nothing is kept twice.

use super::{Chat, Participant};
use crate::backend::{BackendError, Enrolment};
use crate::chat::{Actor, Envelope, Event, EventKind, Nickname, Position, RoomId};
use crate::hub::LocalMember;

/// Up to where an account was told in a room, and whether it was a member there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub position: Position,
    pub is_in: bool,
}

impl Told {
    fn listed(position: Position) -> Self {
        Self { position, is_in: true }
    }
}

impl Participant {
    /// Up to here this connection was told in a room that it does not hear any more. It is not told that again.
    pub(super) fn remember_told(&mut self, room: &RoomId, told: Told) {
        self.correspondence.get_or_insert_default().remember_told(room, told);
    }

    fn told_in(&self, room: &RoomId) -> Option<Told> {
        self.correspondence.as_ref().and_then(|correspondence| correspondence.told_in(room))
    }
}

impl Chat {
    /// The session is one of an account from now on: it is told what waits for it, and hears the account's rooms.
    pub async fn attend(&self, who: &mut Participant) {
        self.attend_all(who).await;
        self.tell_mail(who).await;
    }

    /// Attends what could not be attended when the backend was away.
    pub async fn attend_the_rest(&self, who: &mut Participant) {
        if who.doubts_rooms {
            self.look_at_rooms(who).await;
        }
        if who.owes_attendance {
            self.attend_all(who).await;
        }
    }

    /// After a loss, looks whether the rooms that the session hears still have its account as a member. It is told that it left those
    /// that have not: what would be refused in them is no surprise then, and it can become a member again.
    pub async fn look_at_rooms(&self, who: &mut Participant) {
        let Some(account) = who.account().cloned().filter(|_| who.conduct.enrols) else { return };
        let are_in = self.backend.members.are_in(&account, &who.rooms).await;
        who.doubts_rooms = are_in.is_err();
        match are_in {
            Ok(are_in) => {
                let lost = who.rooms.iter().zip(are_in).filter(|(_, is_in)| !is_in);
                let lost: Vec<RoomId> = lost.map(|(room, _)| room.clone()).collect();
                for room in lost {
                    self.part_from_lost(who, &account, &room).await;
                }
            }
            Err(error) => tracing::debug!(%error, session = %who.id, "its rooms cannot be asked for their members yet"),
        }
    }

    /// The room has forgotten that it had the session's account as a member.
    async fn part_from_lost(&self, who: &mut Participant, account: &Nickname, room: &RoomId) {
        tracing::warn!(%account, %room, "a membership was lost with the end of the room's stream");
        let at = self.hub.position(room);
        self.stop_attending(who, room, at).await;
        if let (Some(position), Some(format)) = (at, self.sessions.format(who.id)) {
            self.tell_left(&who.member(format), account, room, position);
        }
    }

    /// Tells a session in words of its dialect that its account is in the room no more.
    fn tell_left(&self, member: &LocalMember, account: &Nickname, room: &RoomId, position: Position) {
        let left = Event::new(Actor::account(account.clone()), EventKind::Left);
        member.tell(room, &Envelope { position, time_us: self.clock.unix_us(), event: left });
    }

    /// Attends every room of the account that is not attended yet; what cannot be attended now is at the next look.
    pub(super) async fn attend_all(&self, who: &mut Participant) {
        let attended = self.attend_rooms(who).await;
        who.owes_attendance = attended.is_err();
        if let Err(error) = attended {
            tracing::debug!(%error, session = %who.id, "the account's rooms are not all heard yet");
        }
    }

    async fn attend_rooms(&self, who: &mut Participant) -> Result<(), BackendError> {
        let Some(account) = who.account().cloned().filter(|_| who.conduct.enrols) else { return Ok(()) };
        for enrolment in self.backend.members.enrolments(&account).await? {
            if who.rooms.contains(&enrolment.room) {
                continue;
            }
            if enrolment.is_member {
                self.attend_room(who, &account, &enrolment.room, enrolment.told).await?;
            } else {
                self.part_from(who, &account, enrolment).await?;
            }
        }
        Ok(())
    }

    /// The account has become a member by somebody's decision.
    pub(super) async fn attend_new(&self, who: &mut Participant, room: &RoomId) {
        if who.rooms.contains(room) {
            return;
        }
        // The list says from where on.
        self.attend_all(who).await;
    }

    /// The session's account has created a room, whose stream stood there before.
    pub(super) async fn attend_own(&self, who: &mut Participant, owner: &Nickname, room: &RoomId, before: Position) {
        if let Err(error) = self.attend_room(who, owner, room, Some(before)).await {
            tracing::debug!(%error, %room, "an own room is not heard yet");
            who.owes_attendance = true;
        }
    }

    /// The later of what the account's list says, `None` when it does not know yet, and what was told over this very connection.
    /// The list is behind where it could not be written, or not yet.
    async fn told_up_to(
        &self,
        who: &Participant,
        room: &RoomId,
        listed: Option<Position>,
    ) -> Result<Told, BackendError> {
        let (listed, here) = match (listed, who.told_in(room)) {
            (Some(listed), Some(here)) => (listed, here),
            (None, Some(here)) => return Ok(here),
            (Some(position), None) => return Ok(Told::listed(position)),
            (None, None) => return Ok(Told { position: Position::NOWHERE, is_in: false }),
        };
        let (mut one, mut other) = (listed, here.position);
        if one.epoch != other.epoch {
            // Only the stream knows which epoch followed which, and where both places are by now.
            for place in [&mut one, &mut other] {
                *place = self.backend.broker.catch_up(room, *place).await?.seam.goes_on_after(*place);
            }
        }
        let is_behind = one.epoch == other.epoch && one.offset <= other.offset;
        Ok(if is_behind { here } else { Told::listed(listed) })
    }

    /// Has the session hear a room of its account: what it missed since `told`, then all that comes, without a hole between.
    pub(super) async fn attend_room(
        &self,
        who: &mut Participant,
        account: &Nickname,
        room: &RoomId,
        told: Option<Position>,
    ) -> Result<(), BackendError> {
        let Some(format) = self.sessions.format(who.id) else { return Ok(()) };
        if !self.hears(who, room, self.hub.wait(room, who.member(format))).await {
            return Err(BackendError::Unavailable("the room's traffic cannot be had".into()));
        }
        let Told { position: mut from, is_in } = match self.told_up_to(who, room, told).await {
            Ok(told) => told,
            Err(error) => {
                self.hub.remove(room, who.id);
                return Err(error);
            }
        };
        let was_told = from != Position::NOWHERE;
        let mut missed = Missed { member: who.member(format), account, room, is_in };
        loop {
            let read = match self.backend.broker.catch_up(room, from).await {
                Ok(read) => read,
                Err(error) => {
                    self.hub.remove(room, who.id);
                    who.remember_told(room, Told { position: from, is_in: missed.is_in });
                    return Err(error);
                }
            };
            from = read.newest(from);
            if read.seam.gap().is_some() {
                missed.begin_after_loss(&read.missed, true);
                // The list was read before. Who was told nothing yet has lost nothing.
                who.doubts_rooms |= was_told;
            }
            if !missed.tell(&read.missed).await {
                // The session is ending.
                self.hub.remove(room, who.id);
                return Ok(());
            }
            if self.hub.activate(room, who.id, from) {
                break;
            }
            self.read_up(room).await;
        }
        who.rooms.push(room.clone());
        Ok(())
    }

    /// The account is no member any more: it is told how that came, as far as that is still known, and the room is forgotten.
    async fn part_from(
        &self,
        who: &mut Participant,
        account: &Nickname,
        enrolment: Enrolment,
    ) -> Result<(), BackendError> {
        let Some(format) = self.sessions.format(who.id) else { return Ok(()) };
        let Enrolment { room, told, .. } = enrolment;
        if told.is_some() {
            let Told { position: from, is_in } = self.told_up_to(who, &room, told).await?;
            let read = self.backend.broker.catch_up(&room, from).await?;
            let mut missed = Missed { member: who.member(format), account, room: &room, is_in };
            let is_lost = read.seam.gap().is_some() && missed.begin_after_loss(&read.missed, false);
            missed.tell(&read.missed).await;
            let position = read.newest(from);
            if missed.is_in || (is_in && is_lost) {
                self.tell_left(&missed.member, account, &room, position);
            }
            who.remember_told(&room, Told { position, is_in: false });
        }
        self.backend.members.forget_enrolment(account, &room).await
    }
}

/// Tells a session what its account missed in a room: that which happened while the account was a member.
struct Missed<'a> {
    member: LocalMember,
    account: &'a Nickname,
    room: &'a RoomId,
    /// It was a member when the next event happened.
    is_in: bool,
}

impl Missed<'_> {
    /// Whether the account comes by this event, or goes.
    fn turn(&self, envelope: &Envelope) -> Option<bool> {
        let ours = |actor: &Actor| actor.nickname.as_ref() == Some(self.account);
        match &envelope.event.kind {
            EventKind::Joined => ours(&envelope.event.actor).then_some(true),
            EventKind::Left => ours(&envelope.event.actor).then_some(false),
            EventKind::Removed { who } => ours(who).then_some(false),
            EventKind::Destroyed { room } => (room == self.room).then_some(false),
            _ => None,
        }
    }

    /// What came before these events is lost, and with it whether the account was a member then: its first turn among them
    /// shows it. Without one it is as it is now; `true` then.
    fn begin_after_loss(&mut self, events: &[Envelope], is_member: bool) -> bool {
        let first = events.iter().find_map(|envelope| self.turn(envelope));
        self.is_in = first.map_or(is_member, |comes| !comes);
        first.is_none()
    }

    /// `false` when the session ended meanwhile.
    async fn tell(&mut self, events: &[Envelope]) -> bool {
        for envelope in events {
            let turn = self.turn(envelope);
            if self.is_in || turn == Some(true) {
                if !self.member.mailbox.until_roomy().await {
                    return false;
                }
                self.member.tell(self.room, envelope);
            }
            self.is_in = turn.unwrap_or(self.is_in);
        }
        true
    }
}
