//! The list of kept rooms, on Redis, and their records.
//!
//! A room is in one slot, the list of all kept rooms and the words by which they are found in others. The room is changed first;
//! then list and words are written, and looked at once more against the room, so that of a creation and a destruction at the
//! same time the later one stands. A crash in between leaves a room unlisted, which the next creation under its name mends, or
//! an entry of a room that is gone, which lists pass over and the next creation or destruction under its name settles.

use super::super::BackendError;
use super::super::search::words;
use super::Redis;
use super::connection::Connection;
use crate::chat::{AccessType, Nickname, RoomId, RoomRecord, RoomSummary};

/// Entries of rooms that are gone that one list passes over, beyond its limit.
const STALE_MAX: usize = 100;

/// The fields of a kept room's record, as [`record`] reads them.
pub(super) const STORED: &[&str] = &["kept", "owner", "access", "password", "nickname", "description"];

impl Redis {
    /// Has the list and the words say what the room says, whoever changed any of them meanwhile: of its former words, too.
    pub(super) async fn list_truly(
        &self,
        room: &RoomId,
        former: &[String],
        connection: &mut Connection,
    ) -> Result<(), BackendError> {
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
                break;
            }
            kept = now;
        }
        self.index_room(room, former, connection).await?;
        if kept { self.note_rooms(connection).await } else { Ok(()) }
    }

    /// The words by which a room is found; none if it is not kept.
    pub(super) async fn room_words(
        &self,
        room: &RoomId,
        connection: &mut Connection,
    ) -> Result<Vec<String>, BackendError> {
        let mut ask = redis::cmd("HMGET");
        ask.arg(self.keys.room(room)).arg(&["kept", "nickname"]);
        let (kept, nickname): (Option<String>, Option<String>) = self.timed(ask.query_async(connection)).await?;
        let nickname = nickname.unwrap_or_default();
        Ok(kept.map_or_else(Vec::new, |_| words(room.as_str(), &nickname)))
    }

    pub(super) async fn list_rooms(
        &self,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Vec<RoomSummary>, BackendError> {
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

    async fn summaries(&self, names: &[String], connection: &mut Connection) -> Result<Vec<RoomSummary>, BackendError> {
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
            summaries.extend(record(&read).map(|record| record.summary(room, members)));
        }
        Ok(summaries)
    }
}

pub(super) fn odd_answer() -> BackendError {
    BackendError::Failed("a script's answer cannot be read".into())
}

/// The access type as it is stored: a public room has none, so that joining asks for nothing more.
pub(super) fn stored_access(access: AccessType) -> &'static str {
    if access == AccessType::Public { "" } else { access.label() }
}

pub(super) fn fields(record: &RoomRecord) -> Vec<(&'static str, &str)> {
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
pub(super) fn record(stored: &[Option<String>]) -> Option<RoomRecord> {
    let [Some(_), owner, access, password_hash, nickname, description] = stored else { return None };
    Some(RoomRecord {
        owner: owner.as_ref().and_then(|name| Nickname::parse(name).ok()),
        access: access.as_deref().map_or(Some(AccessType::Public), AccessType::from_label)?,
        password_hash: password_hash.clone(),
        nickname: nickname.clone().unwrap_or_default(),
        description: description.clone().unwrap_or_default(),
    })
}
