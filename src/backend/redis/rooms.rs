//! Rooms that were created on purpose, on Redis.
//!
//! Each step is one script on the room's slot. What is kept elsewhere follows: [`super::catalogue`] says how the list of rooms
//! and the words by which they are found do, [`super::enrolments`] how the lists of the accounts that a creation or a decision
//! makes members.

use async_trait::async_trait;

use super::super::search::words;
use super::super::{ADMINS_MAX, Asker, BackendError, Creation, Decided, RoomChange, RoomFault, Rooms, encode_event};
use super::Redis;
use super::applicants::{Decision, read_applicant};
use super::catalogue::{STORED, fields, odd_answer, record, stored_access};
use crate::chat::{
    Actor, Applicant, Epoch, Event, EventKind, Nickname, Position, RoomId, RoomNews, RoomRecord, RoomSummary, RoomView,
    SessionId,
};

/// What a script says beside "done".
pub(super) fn verdict(word: &str) -> Result<Result<(), RoomFault>, BackendError> {
    match word {
        "done" => Ok(Ok(())),
        "unknown" => Ok(Err(RoomFault::Unknown)),
        "forbidden" => Ok(Err(RoomFault::Forbidden)),
        "outside" => Ok(Err(RoomFault::NotMember)),
        "nobody" => Ok(Err(RoomFault::NoApplicant)),
        "full" => Ok(Err(RoomFault::TooMany)),
        other => Err(BackendError::Failed(format!("a script said {other:?}"))),
    }
}

/// The creation as the outbox has it: made by the owner, whose session does not matter.
fn creation(room: &RoomId, record: &RoomRecord) -> Vec<u8> {
    let owner = Actor { session: SessionId::from_u128(0), nickname: record.owner.clone() };
    encode_event(&Event::new(owner, EventKind::Created { room: room.clone() }))
}

#[async_trait]
impl Rooms for Redis {
    async fn create(&self, room: &RoomId, record: &RoomRecord) -> Result<Creation, BackendError> {
        let mut connection = self.pooled().await?;
        let listed: u64 =
            self.timed(redis::cmd("ZCARD").arg(self.keys.kept_rooms()).query_async(&mut *connection)).await?;
        let attempt = match &record.owner {
            Some(owner) => Some((owner, self.enlist(owner, room, &mut connection).await?)),
            None => None,
        };
        let is_full =
            listed >= self.settings.kept_rooms || attempt.as_ref().is_some_and(|(_, attempt)| attempt.is_full);
        let found_by = words(room.as_str(), &record.nickname);
        self.add_words(&self.keys.search_rooms(), room.as_str(), &found_by, &mut connection).await?;
        let mut call = self.room_call(&self.scripts.create, room);
        call.arg(connection.run()).arg(u8::from(is_full)).arg(record.owner.as_ref().map_or("", Nickname::as_str));
        call.arg(self.keep(room)).arg(creation(room, record));
        for (field, value) in fields(record) {
            call.arg(field).arg(value);
        }
        let answer: Vec<i64> = self.timed(call.invoke_async(&mut *connection)).await?;
        match (answer.as_slice(), &attempt) {
            ([1, epoch, top], Some((owner, _))) => {
                let position = Position { epoch: Epoch::new(*epoch as u64), offset: *top as u64 };
                self.note_enrolled(owner, room, position, &mut connection).await?;
            }
            ([1, ..], None) => {}
            (_, Some((owner, attempt))) => self.give_up_attempt(owner, room, attempt, &mut connection).await?,
            (_, None) => {}
        }
        let created = answer.first().copied().ok_or_else(odd_answer)?;
        if created >= 0 {
            self.list_truly(room, &found_by, &mut connection).await?;
        } else {
            self.index_room(room, &found_by, &mut connection).await?;
        }
        Ok(match created {
            1 => Creation::Done,
            -2 => Creation::TooMany,
            _ => Creation::Exists,
        })
    }

    async fn destroy(
        &self,
        room: &RoomId,
        by: &Actor,
        account: Option<&Nickname>,
    ) -> Result<Result<(), RoomFault>, BackendError> {
        let mut connection = self.pooled().await?;
        let former = self.room_words(room, &mut connection).await?;
        let event = Event::new(by.clone(), EventKind::Destroyed { room: room.clone() });
        let mut call = self.membership_call(&self.scripts.destroy, room, &event, connection.run());
        call.arg(account.map_or("", Nickname::as_str)).arg(self.settings.history_age.as_millis() as u64);
        let word: String = self.timed(call.invoke_async(&mut *connection)).await?;
        // Unknown is what one is told who tries again after a destruction that got no further than the room.
        if matches!(word.as_str(), "done" | "unknown") {
            self.list_truly(room, &former, &mut connection).await?;
        }
        verdict(&word)
    }

    async fn change(
        &self,
        room: &RoomId,
        by: &Actor,
        change: &RoomChange,
    ) -> Result<Result<(), RoomFault>, BackendError> {
        let mut connection = self.pooled().await?;
        let mut former = Vec::new();
        if let Some(nickname) = &change.nickname {
            former = self.room_words(room, &mut connection).await?;
            let found_by = words(room.as_str(), nickname);
            self.add_words(&self.keys.search_rooms(), room.as_str(), &found_by, &mut connection).await?;
            former.extend(found_by);
        }
        let news = RoomNews {
            access: change.access.as_ref().map(|(access, _)| *access),
            nickname: change.nickname.clone(),
            description: change.description.clone(),
        };
        let event = Event::new(by.clone(), EventKind::Changed(news));
        let mut call = self.membership_call(&self.scripts.change, room, &event, connection.run());
        call.arg(by.nickname.as_ref().map_or("", Nickname::as_str));
        if let Some((access, password_hash)) = &change.access {
            call.arg("access").arg(stored_access(*access));
            call.arg("password").arg(password_hash.as_deref().unwrap_or_default());
        }
        for (field, value) in [("nickname", &change.nickname), ("description", &change.description)] {
            if let Some(value) = value {
                call.arg(field).arg(value);
            }
        }
        let word: String = self.timed(call.invoke_async(&mut *connection)).await?;
        if change.nickname.is_some() {
            self.index_room(room, &former, &mut connection).await?;
        }
        verdict(&word)
    }

    async fn decide(&self, room: &RoomId, by: &Nickname, who: &Asker, approve: bool) -> Result<Decided, BackendError> {
        let mut connection = self.pooled().await?;
        let answer = self.decide_listed(room, Decision { by, who, approve, listed: None }, &mut connection).await?;
        match answer.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["done", key, value, ..] => read_applicant(key, value).ok_or_else(odd_answer).map(Ok),
            [word, ..] => verdict(word).map(|fault| fault.and(Err(RoomFault::NoApplicant))),
            [] => Err(odd_answer()),
        }
    }

    async fn withdraw(&self, room: &RoomId, account: &Nickname) -> Result<(), BackendError> {
        let mut connection = self.pooled().await?;
        self.forget_applicant(room, account, &mut connection).await
    }

    async fn appoint(
        &self,
        room: &RoomId,
        by: &Actor,
        account: &Nickname,
        admin: bool,
        of_members: bool,
    ) -> Result<Result<(), RoomFault>, BackendError> {
        let mut connection = self.pooled().await?;
        if admin && !of_members {
            self.tie(account, room, &mut connection).await?;
        }
        let event = Event::new(by.clone(), EventKind::Appointed { account: account.clone(), admin });
        let mut call = self.membership_call(&self.scripts.appoint, room, &event, connection.run());
        call.arg(by.nickname.as_ref().map_or("", Nickname::as_str))
            .arg(account.as_str())
            .arg(u8::from(admin))
            .arg(ADMINS_MAX)
            .arg(u8::from(of_members));
        let word: String = self.timed(call.invoke_async(&mut *connection)).await?;
        verdict(&word)
    }

    async fn view(&self, room: &RoomId) -> Result<Option<RoomView>, BackendError> {
        let mut connection = self.pooled().await?;
        let mut ask = redis::pipe();
        ask.atomic()
            .hmget(self.keys.room(room), STORED)
            .smembers(self.keys.room_admins(room))
            .hgetall(self.keys.room_applicants(room))
            .scard(self.keys.room_members(room));
        type Stored = (Vec<Option<String>>, Vec<String>, Vec<(String, String)>, u64);
        let (stored, admins, applicants, members): Stored = self.timed(ask.query_async(&mut *connection)).await?;
        let Some(record) = record(&stored) else { return Ok(None) };
        let mut admins: Vec<Nickname> = admins.iter().filter_map(|name| Nickname::parse(name).ok()).collect();
        admins.sort();
        let mut applicants: Vec<Applicant> =
            applicants.iter().filter_map(|(key, value)| read_applicant(key, value)).collect();
        applicants.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(Some(RoomView { record, admins, applicants, members }))
    }

    async fn list(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<RoomSummary>, BackendError> {
        self.list_rooms(after, limit).await
    }
}
