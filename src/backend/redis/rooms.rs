//! Rooms that were created on purpose, on Redis.
//!
//! A room is in one slot, the list of all kept rooms in another. The room is changed first; then the list is written, and
//! looked at once more against the room, so that of a creation and a destruction at the same time the later one stands. A
//! crash in between leaves a room unlisted, which the next creation under its name mends, or an entry of a room that is
//! gone, which lists pass over and the next creation or destruction under its name settles.

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;

use super::super::{ADMINS_MAX, Asker, BackendError, Creation, Decided, RoomChange, RoomFault, Rooms};
use super::Redis;
use super::lease::member_key;
use crate::chat::{
    AccessType, Actor, Addressee, Applicant, Event, EventKind, Nickname, PersonKey, RoomId, RoomRecord, RoomSummary,
    RoomView, SessionId,
};

/// Entries of rooms that are gone that one list passes over, beyond its limit.
const STALE_MAX: usize = 100;

/// The fields of a kept room's record, as [`record`] reads them.
const STORED: &[&str] = &["kept", "owner", "access", "password", "nickname", "description"];

/// What a script says beside "done".
fn verdict(word: &str) -> Result<Result<(), RoomFault>, BackendError> {
    match word {
        "done" => Ok(Ok(())),
        "unknown" => Ok(Err(RoomFault::Unknown)),
        "forbidden" => Ok(Err(RoomFault::Forbidden)),
        "nobody" => Ok(Err(RoomFault::NoApplicant)),
        "full" => Ok(Err(RoomFault::TooMany)),
        other => Err(BackendError::Failed(format!("a script said {other:?}"))),
    }
}

/// How a person stands in the sets and hashes of a room.
pub(super) fn person_key(key: &PersonKey) -> String {
    match key {
        PersonKey::Account(name) => format!("u:{name}"),
        PersonKey::Guest(session) => member_key(*session),
    }
}

fn read_person_key(text: &str) -> Option<PersonKey> {
    match text.split_once(':')? {
        ("u", name) => Nickname::parse(name).ok().map(PersonKey::Account),
        ("s", session) => SessionId::parse(session).map(PersonKey::Guest),
        _ => None,
    }
}

#[async_trait]
impl Rooms for Redis {
    async fn create(&self, room: &RoomId, record: &RoomRecord) -> Result<Creation, BackendError> {
        let mut connection = self.pooled().await?;
        let listed: u64 =
            self.timed(redis::cmd("ZCARD").arg(self.keys.kept_rooms()).query_async(&mut *connection)).await?;
        let mut call = self.scripts.create.prepare_invoke();
        call.key(self.keys.room(room)).key(self.keys.room_log(room)).key(self.keys.room_members(room));
        call.arg(self.fresh_epoch()).arg(u8::from(listed >= self.settings.kept_rooms));
        for (field, value) in fields(record) {
            call.arg(field).arg(value);
        }
        let created: i64 = self.timed(call.invoke_async(&mut *connection)).await?;
        if created >= 0 {
            self.list_truly(room, &mut connection).await?;
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
        let event = Event::new(by.clone(), EventKind::Destroyed { room: room.clone() });
        let mut call = self.membership_call(&self.scripts.destroy, room, &event);
        call.arg(account.map_or("", Nickname::as_str)).arg(self.settings.history_age.as_millis() as u64);
        let word: String = self.timed(call.invoke_async(&mut *connection)).await?;
        // Unknown is what one is told who tries again after a destruction that got no further than the room.
        if matches!(word.as_str(), "done" | "unknown") {
            self.list_truly(room, &mut connection).await?;
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
        let mut call = self.scripts.change.prepare_invoke();
        call.key(self.keys.room(room))
            .key(self.keys.room_admins(room))
            .arg(by.nickname.as_ref().map_or("", Nickname::as_str));
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
        verdict(&word)
    }

    async fn decide(&self, room: &RoomId, by: &Nickname, who: &Asker, approve: bool) -> Result<Decided, BackendError> {
        let mut connection = self.pooled().await?;
        let (key, name) = match who {
            Asker::Named(Addressee::Session(session)) => (member_key(*session), ""),
            Asker::Named(Addressee::Nickname(name)) => (String::new(), name.as_str()),
            Asker::Request(_) => todo!(),
        };
        let mut call = self.scripts.decide.prepare_invoke();
        call.key(self.keys.room(room)).key(self.keys.room_admins(room));
        call.key(self.keys.room_admitted(room)).key(self.keys.room_applicants(room));
        call.arg(by.as_str()).arg(key).arg(name).arg(u8::from(approve));
        let answer: Vec<String> = self.timed(call.invoke_async(&mut *connection)).await?;
        let [word, rest @ ..] = answer.as_slice() else { return Err(odd_answer()) };
        if let Err(fault) = verdict(word)? {
            return Ok(Err(fault));
        }
        let [key, identifier] = rest else { return Err(odd_answer()) };
        let key = read_person_key(key).ok_or_else(odd_answer)?;
        Ok(Ok(Applicant {
            key,
            identifier: identifier.clone(),
            request: crate::chat::RequestId::default(),
            asked_s: 0,
            enrols: false,
        }))
    }

    async fn withdraw(&self, room: &RoomId, account: &Nickname) -> Result<(), BackendError> {
        let mut connection = self.pooled().await?;
        let mut forget = redis::cmd("HDEL");
        forget.arg(self.keys.room_applicants(room)).arg(person_key(&PersonKey::Account(account.clone())));
        self.timed(forget.exec_async(&mut *connection)).await
    }

    async fn appoint(
        &self,
        room: &RoomId,
        by: &Actor,
        account: &Nickname,
        admin: bool,
        _of_members: bool,
    ) -> Result<Result<(), RoomFault>, BackendError> {
        let mut connection = self.pooled().await?;
        let mut call = self.scripts.appoint.prepare_invoke();
        call.key(self.keys.room(room)).key(self.keys.room_admins(room));
        call.arg(by.nickname.as_ref().map_or("", Nickname::as_str))
            .arg(account.as_str())
            .arg(u8::from(admin))
            .arg(ADMINS_MAX);
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
        let applicant = |(key, identifier): (String, String)| {
            Some(Applicant {
                key: read_person_key(&key)?,
                identifier,
                request: crate::chat::RequestId::default(),
                asked_s: 0,
                enrols: false,
            })
        };
        let mut admins: Vec<Nickname> = admins.iter().filter_map(|name| Nickname::parse(name).ok()).collect();
        admins.sort();
        let mut applicants: Vec<Applicant> = applicants.into_iter().filter_map(applicant).collect();
        applicants.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(Some(RoomView { record, admins, applicants, members }))
    }

    async fn list(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<RoomSummary>, BackendError> {
        let mut connection = self.pooled().await?;
        let mut from = after.map_or_else(|| "-".to_owned(), |room| format!("({room}"));
        let mut summaries = Vec::new();
        let mut budget = limit + STALE_MAX;
        while summaries.len() < limit && budget > 0 {
            let count = (limit - summaries.len()).min(budget);
            let mut page = redis::cmd("ZRANGEBYLEX");
            page.arg(self.keys.kept_rooms()).arg(&from).arg("+").arg("LIMIT").arg(0).arg(count);
            let names: Vec<String> = self.timed(page.query_async(&mut *connection)).await?;
            let Some(last) = names.last() else { break };
            from = format!("({last}");
            budget -= names.len();
            summaries.extend(self.summaries(&names, &mut connection).await?);
        }
        Ok(summaries)
    }
}

impl Redis {
    /// Has the list say what the room says, whoever changed either meanwhile.
    async fn list_truly(&self, room: &RoomId, connection: &mut MultiplexedConnection) -> Result<(), BackendError> {
        let is_kept = || {
            let mut ask = redis::cmd("HEXISTS");
            ask.arg(self.keys.room(room)).arg("kept");
            ask
        };
        let mut kept: bool = self.timed(is_kept().query_async(connection)).await?;
        loop {
            let mut write = redis::cmd(if kept { "ZADD" } else { "ZREM" });
            write.arg(self.keys.kept_rooms());
            if kept {
                write.arg(0);
            }
            write.arg(room.as_str());
            self.timed(write.exec_async(connection)).await?;
            let now: bool = self.timed(is_kept().query_async(connection)).await?;
            if now == kept {
                return Ok(());
            }
            kept = now;
        }
    }

    async fn summaries(
        &self,
        names: &[String],
        connection: &mut MultiplexedConnection,
    ) -> Result<Vec<RoomSummary>, BackendError> {
        let rooms: Vec<RoomId> = names.iter().filter_map(|name| RoomId::parse(name).ok()).collect();
        let mut ask = redis::pipe();
        for room in &rooms {
            ask.hmget(self.keys.room(room), STORED);
            ask.scard(self.keys.room_members(room));
        }
        let answers: Vec<redis::Value> = self.timed(ask.query_async(connection)).await?;
        let mut summaries = Vec::new();
        for (room, pair) in rooms.into_iter().zip(answers.chunks_exact(2)) {
            let read = redis::from_redis_value_ref::<Vec<Option<String>>>(&pair[0]).map_err(|_| odd_answer())?;
            let members = redis::from_redis_value_ref(&pair[1]).map_err(|_| odd_answer())?;
            if let Some(RoomRecord { access, nickname, description, .. }) = record(&read) {
                summaries.push(RoomSummary { room, access, nickname, description, members });
            }
        }
        Ok(summaries)
    }
}

fn odd_answer() -> BackendError {
    BackendError::Failed("a script's answer cannot be read".into())
}

/// The access type as it is stored: a public room has none, so that joining asks for nothing more.
fn stored_access(access: AccessType) -> &'static str {
    if access == AccessType::Public { "" } else { access.label() }
}

fn fields(record: &RoomRecord) -> Vec<(&'static str, &str)> {
    let owner = record.owner.as_ref().map_or("", Nickname::as_str);
    let all = [
        ("owner", owner),
        ("access", stored_access(record.access)),
        ("password", record.password_hash.as_deref().unwrap_or_default()),
        ("nickname", record.nickname.as_str()),
        ("description", record.description.as_str()),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// The record from its fields in the order of [`STORED`]; `None` if it is not kept.
fn record(stored: &[Option<String>]) -> Option<RoomRecord> {
    let [Some(_), owner, access, password_hash, nickname, description] = stored else { return None };
    Some(RoomRecord {
        owner: owner.as_ref().and_then(|name| Nickname::parse(name).ok()),
        access: access.as_deref().map_or(Some(AccessType::Public), AccessType::from_label)?,
        password_hash: password_hash.clone(),
        nickname: nickname.clone().unwrap_or_default(),
        description: description.clone().unwrap_or_default(),
    })
}
