//! The list of rooms that an account keeps, on Redis.
//!
//! The list is in the account's slot, the membership in the room's. The room is put into the list first, with the mark of the
//! attempt; then the room is asked; then the position of the join takes the mark's place. A crash in between leaves a room too
//! many in the list, or one without a position: both are harmless, because whoever reads the list looks at the rooms. An
//! attempt that is refused takes its own mark out of the list again, never what another attempt noted there, and only while the
//! room says that the account is no member.

use super::super::{BackendError, Enrolment, ROOMS_MAX};
use super::Redis;
use super::applicants::account_key;
use super::connection::Connection;
use crate::chat::{Epoch, Nickname, Position, RoomId};

/// One attempt to become a member: how it is marked in the list, or that there is no place for it.
pub(super) struct Attempt {
    mark: String,
    pub is_full: bool,
}

pub(super) fn cursor(position: Position) -> String {
    format!("{} {}", position.epoch.value(), position.offset)
}

fn read_cursor(text: &str) -> Option<Position> {
    let (epoch, offset) = text.split_once(' ')?;
    Some(Position { epoch: Epoch::new(epoch.parse().ok()?), offset: offset.parse().ok()? })
}

impl Redis {
    /// Puts a room into an account's list before it becomes a member.
    pub(super) async fn enlist(
        &self,
        account: &Nickname,
        room: &RoomId,
        connection: &mut Connection,
    ) -> Result<Attempt, BackendError> {
        let mark = format!("?{:032x}", self.entropy.bits());
        let mut call = self.scripts.enlist.prepare_invoke();
        call.key(self.keys.user_rooms(account)).arg(room.as_str()).arg(&mark).arg(ROOMS_MAX);
        let listed: bool = self.timed(call.invoke_async(connection)).await?;
        Ok(Attempt { mark, is_full: !listed })
    }

    /// The account has become a member, and need be told nothing that was before.
    pub(super) async fn note_enrolled(
        &self,
        account: &Nickname,
        room: &RoomId,
        position: Position,
        connection: &mut Connection,
    ) -> Result<(), BackendError> {
        let mut note = redis::cmd("HSET");
        note.arg(self.keys.user_rooms(account)).arg(room.as_str()).arg(cursor(position));
        self.timed(note.exec_async(connection)).await
    }

    /// The attempt was refused.
    pub(super) async fn give_up_attempt(
        &self,
        account: &Nickname,
        room: &RoomId,
        attempt: &Attempt,
        connection: &mut Connection,
    ) -> Result<(), BackendError> {
        if attempt.is_full { Ok(()) } else { self.unlist(account, room, &attempt.mark, connection).await }
    }

    /// Takes a room out of an account's list, unless it is a member, or something else is noted there by now.
    async fn unlist(
        &self,
        account: &Nickname,
        room: &RoomId,
        noted: &str,
        connection: &mut Connection,
    ) -> Result<(), BackendError> {
        let mut ask = redis::cmd("SISMEMBER");
        ask.arg(self.keys.room_members(room)).arg(account_key(account));
        if self.timed(ask.query_async(connection)).await? {
            return Ok(());
        }
        let mut call = self.scripts.unlist.prepare_invoke();
        call.key(self.keys.user_rooms(account)).arg(room.as_str()).arg(noted);
        let _: i64 = self.timed(call.invoke_async(connection)).await?;
        Ok(())
    }

    pub(super) async fn forget_enrolment_of(&self, account: &Nickname, room: &RoomId) -> Result<(), BackendError> {
        let mut connection = self.pooled().await?;
        let mut ask = redis::cmd("HGET");
        ask.arg(self.keys.user_rooms(account)).arg(room.as_str());
        let noted: Option<String> = self.timed(ask.query_async(&mut *connection)).await?;
        match noted {
            Some(noted) => self.unlist(account, room, &noted, &mut connection).await,
            None => Ok(()),
        }
    }

    pub(super) async fn read_enrolments(&self, account: &Nickname) -> Result<Vec<Enrolment>, BackendError> {
        let mut connection = self.pooled().await?;
        let mut ask = redis::cmd("HGETALL");
        ask.arg(self.keys.user_rooms(account));
        let listed: Vec<(String, String)> = self.timed(ask.query_async(&mut *connection)).await?;
        let read = |(room, noted): &(String, String)| Some((RoomId::parse(room).ok()?, read_cursor(noted)));
        let mut rooms: Vec<(RoomId, Option<Position>)> = listed.iter().filter_map(read).collect();
        if rooms.is_empty() {
            return Ok(Vec::new());
        }
        rooms.sort_by(|(one, _), (other, _)| one.cmp(other));
        let are_in = self.read_memberships(account, rooms.iter().map(|(room, _)| room), &mut connection).await?;
        let enrolment = |((room, told), is_member)| Enrolment { room, told, is_member };
        Ok(rooms.into_iter().zip(are_in).map(enrolment).collect())
    }

    /// Which of these rooms have the account as a member.
    pub(super) async fn read_memberships(
        &self,
        account: &Nickname,
        rooms: impl IntoIterator<Item = &RoomId>,
        connection: &mut Connection,
    ) -> Result<Vec<bool>, BackendError> {
        let mut ask = redis::pipe();
        for room in rooms {
            ask.sismember(self.keys.room_members(room), account_key(account));
        }
        if ask.is_empty() { Ok(Vec::new()) } else { self.timed(ask.query_async(connection)).await }
    }

    pub(super) async fn note_told(
        &self,
        account: &Nickname,
        positions: &[(RoomId, Position)],
    ) -> Result<Vec<RoomId>, BackendError> {
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let mut connection = self.pooled().await?;
        let mut call = self.scripts.told.prepare_invoke();
        call.key(self.keys.user_rooms(account));
        for (room, position) in positions {
            call.arg(room.as_str()).arg(cursor(*position));
        }
        let unlisted: Vec<usize> = self.timed(call.invoke_async(&mut *connection)).await?;
        let unlisted: Vec<&(RoomId, Position)> = unlisted.into_iter().filter_map(|at| positions.get(at)).collect();
        let rooms = unlisted.iter().map(|(room, _)| room);
        let are_in = self.read_memberships(account, rooms, &mut connection).await?;
        let mut foreign = Vec::new();
        for ((room, position), is_in) in unlisted.into_iter().zip(are_in) {
            if is_in {
                self.note_enrolled(account, room, *position, &mut connection).await?;
            } else {
                foreign.push(room.clone());
            }
        }
        Ok(foreign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_and_a_mark_is_none() {
        let position = Position { epoch: Epoch::new(9_007_199_254_740_991), offset: 17 };
        assert_eq!(read_cursor(&cursor(position)), Some(position));
        assert_eq!(read_cursor("?0f"), None);
    }
}
