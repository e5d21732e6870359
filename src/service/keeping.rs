//! Rooms that are created on purpose: made, run, listed, destroyed.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::roster::Debt;
use super::{CALLS_AT_ONCE, Chat, Outcome, Participant, Settling, unavailable};
use crate::backend::{Asker, BackendError, Creation, Publication, Publisher, RoomChange, RoomFault};
use crate::chat::{
    AccessType, Actor, Addressee, Event, EventKind, Nickname, Position, Refusal, Reply, RoomId, RoomRecord,
    RoomSummary, RoomWishes,
};

fn refusal(fault: RoomFault) -> Refusal {
    match fault {
        RoomFault::Unknown => Refusal::RoomNotFound,
        RoomFault::Forbidden => Refusal::Forbidden,
        RoomFault::NoApplicant => Refusal::NoSuchApplicant,
        RoomFault::TooMany => Refusal::TooMany,
        RoomFault::NotMember => Refusal::NotMember,
    }
}

/// What came of a change: first whether the backend did anything, then whether it might.
pub(super) fn done<T>(what: &str, outcome: Result<Result<T, RoomFault>, BackendError>) -> Result<T, Refusal> {
    outcome.map_err(|error| unavailable(what, &error))?.map_err(refusal)
}

impl Chat {
    /// A room that an account creates is its own; one that a guest creates is everybody's.
    pub(super) async fn create(
        &self,
        who: &mut Participant,
        room: RoomId,
        wishes: RoomWishes,
    ) -> Result<Reply, Refusal> {
        let access = wishes.access().unwrap_or_default();
        if access == AccessType::Permission && who.account().is_none() {
            // There would be nobody to give it.
            return Err(Refusal::LoginRequired);
        }
        let record = RoomRecord {
            owner: who.account().cloned(),
            access,
            password_hash: self.hashed(wishes.password).await?,
            nickname: wishes.nickname.unwrap_or_default(),
            description: wishes.description.unwrap_or_default(),
        };
        let failed = |error: BackendError| unavailable("create", &error);
        // The history of a former life of the room is none of its new owner's news.
        let before = match who.conduct.enrols {
            true => Some(
                self.backend.broker.catch_up(&room, Position::NOWHERE).await.map_err(failed)?.newest(Position::NOWHERE),
            ),
            false => None,
        };
        match self.backend.rooms.create(&room, &record).await.map_err(failed)? {
            Creation::Exists => Err(Refusal::RoomExists),
            Creation::TooMany => Err(Refusal::TooMany),
            Creation::Done => {
                if let (Some(before), Some(owner)) = (before, record.owner) {
                    self.attend_own(who, &owner, &room, before).await;
                }
                self.announce(who.actor(), EventKind::Created { room: room.clone() }).await;
                Ok(Reply::Created { room })
            }
        }
    }

    async fn hashed(&self, password: Option<String>) -> Result<Option<String>, Refusal> {
        match password {
            Some(password) => self.passwords.hash(password).await.map(Some),
            None => Ok(None),
        }
    }

    pub(super) async fn destroy(&self, who: &Participant, room: RoomId) -> Result<Reply, Refusal> {
        // A room without an owner is everybody's only where a dialect says so.
        if who.conduct.enrols && self.view(&room).await?.record.owner.as_ref() != who.account() {
            return Err(Refusal::Forbidden);
        }
        done("destroy", self.backend.rooms.destroy(&room, &who.actor(), who.account()).await)?;
        self.announce(who.actor(), EventKind::Destroyed { room: room.clone() }).await;
        Ok(Reply::Destroyed { room })
    }

    /// Says in the lobby what happened; it happened already, so what cannot be said now is said later.
    pub(super) async fn announce(&self, actor: Actor, kind: EventKind) {
        let announcement = Event::new(actor, kind);
        if let Err(error) = self.publish_in_lobby(&announcement).await {
            tracing::debug!(%error, "an announcement waits for the backend");
            self.roster.owe(Debt::Announce(announcement));
        }
    }

    pub(super) async fn publish_in_lobby(&self, announcement: &Event) -> Result<(), BackendError> {
        let publication = Publication { event: announcement, publisher: Publisher::Anyone, key: None };
        self.backend.broker.publish(&RoomId::lobby(), publication).await.map(drop)
    }

    pub(super) async fn change(&self, who: &Participant, room: RoomId, wishes: RoomWishes) -> Result<Reply, Refusal> {
        who.account().ok_or(Refusal::Forbidden)?;
        let access = wishes.access();
        let password_hash = self.hashed(wishes.password).await?;
        let change = RoomChange {
            access: access.map(|access| (access, password_hash)),
            nickname: wishes.nickname,
            description: wishes.description,
        };
        done("change", self.backend.rooms.change(&room, &who.actor(), &change).await).map(|()| Reply::Done)
    }

    pub(super) async fn appoint(
        &self,
        who: &Participant,
        room: RoomId,
        account: Nickname,
        admin: bool,
    ) -> Result<Reply, Refusal> {
        who.account().ok_or(Refusal::Forbidden)?;
        let of_members = who.conduct.enrols;
        if of_members {
            self.view(&room).await?;
            self.must_exist(&account).await?;
        }
        let appointed = self.backend.rooms.appoint(&room, &who.actor(), &account, admin, of_members).await;
        done("appoint", appointed).map(|()| Reply::Done)
    }

    /// Decides, and has the one who asked told.
    pub(super) async fn decide(
        &self,
        who: &Participant,
        room: RoomId,
        applicant: &Addressee,
        approved: bool,
    ) -> Outcome {
        let Some(by) = who.account() else { return Outcome::refused(Refusal::Forbidden) };
        match done("decide", self.backend.rooms.decide(&room, by, &Asker::Named(applicant.clone()), approved).await) {
            Err(refusal) => Outcome::refused(refusal),
            Ok(applicant) => {
                let afterwards = Some(Settling::Decided { applicant, room, approved });
                Outcome { result: Ok(Reply::Done), afterwards }
            }
        }
    }

    pub(super) async fn applicants(&self, who: &Participant, room: RoomId) -> Result<Reply, Refusal> {
        let view = self.view(&room).await?;
        if !who.account().is_some_and(|account| view.is_run_by(account)) {
            return Err(Refusal::Forbidden);
        }
        Ok(Reply::Applicants { room, applicants: view.applicants })
    }

    pub(super) async fn list(&self, after: Option<&RoomId>, limit: usize) -> Result<Reply, Refusal> {
        // One more than asked for tells whether there are more.
        let rooms = self.backend.rooms.list(after, limit + 1).await;
        let mut rooms = rooms.map_err(|error| unavailable("list", &error))?;
        let more = rooms.len() > limit;
        rooms.truncate(limit);
        Ok(Reply::Rooms { rooms, more })
    }

    /// A kept room and who runs it.
    pub(super) async fn room(&self, room: RoomId) -> Result<Reply, Refusal> {
        let view = self.view(&room).await?;
        let summary = view.record.summary(room, view.members);
        Ok(Reply::Room { summary, owner: view.record.owner, admins: view.admins })
    }

    /// The rooms of which the session's account is a member.
    pub(super) async fn enrolments(&self, who: &Participant) -> Result<Reply, Refusal> {
        let account = who.account().ok_or(Refusal::LoginRequired)?;
        let enrolments = self.backend.members.enrolments(account).await;
        let enrolments = enrolments.map_err(|error| unavailable("enrolments", &error))?;
        let rooms = enrolments.into_iter().filter(|enrolment| enrolment.is_member).map(|enrolment| enrolment.room);
        Ok(Reply::RoomsFound { rooms: self.summaries(rooms.collect()).await?, next: None })
    }

    pub(super) async fn search_rooms(
        &self,
        who: &Participant,
        query: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Reply, Refusal> {
        let page = self.backend.search.search_rooms(query, after, limit).await;
        let page = page.map_err(|error| unavailable("search", &error))?;
        let mut rooms = self.summaries(page.found).await?;
        // Those who are not in them need not know of rooms that one must be let into.
        rooms.retain(|summary| summary.access != AccessType::Permission || who.rooms.contains(&summary.room));
        Ok(Reply::RoomsFound { rooms, next: page.next })
    }

    /// What there is to be seen of rooms, in the same order. A room that a join made has nothing but its members.
    async fn summaries(&self, rooms: Vec<RoomId>) -> Result<Vec<RoomSummary>, Refusal> {
        let look = async |room: RoomId| match self.backend.rooms.view(&room).await? {
            Some(view) => Ok(view.record.summary(room, view.members)),
            None => {
                let members = self.backend.presence.members(&room).await?;
                Ok::<_, BackendError>(RoomRecord::default().summary(room, members))
            }
        };
        let found: Result<Vec<_>, _> = stream::iter(rooms).map(look).buffered(CALLS_AT_ONCE).try_collect().await;
        found.map_err(|error| unavailable("rooms", &error))
    }
}
