//! Accounts that are members of rooms for good: the rooms' side, and the accounts'.

use redb::{ReadableTable, TableDefinition};

use super::super::super::BackendError;
use super::{Batch, failed};
use crate::chat::{Epoch, Nickname, Position, RoomId};

/// (room, account) → since when it is a member, in microseconds.
const ROLLS: TableDefinition<'_, (&str, &str), i64> = TableDefinition::new("rolls");
/// (account, room) → up to where it was told: epoch and offset, both 0 for nothing yet.
const ENROLMENTS: TableDefinition<'_, (&str, &str), (u64, u64)> = TableDefinition::new("enrolments");

impl Batch {
    /// Every member of every room, for the start.
    pub fn rolls(&self) -> Result<Vec<(String, String, i64)>, BackendError> {
        let rolls = self.read(ROLLS)?;
        let rows = rolls.iter().map_err(failed)?.map(|row| {
            let (key, since_us) = row.map_err(failed)?;
            let (room, account) = key.value();
            Ok((room.to_owned(), account.to_owned(), since_us.value()))
        });
        rows.collect()
    }

    /// Notes that an account is a member; `None`: no longer.
    pub fn put_roll(&self, room: &RoomId, account: &Nickname, since_us: Option<i64>) -> Result<(), BackendError> {
        let mut rolls = self.write(ROLLS)?;
        let key = (room.as_str(), account.as_str());
        match since_us {
            Some(since_us) => drop(rolls.insert(key, since_us).map_err(failed)?),
            None => drop(rolls.remove(key).map_err(failed)?),
        }
        Ok(())
    }

    /// The rooms in an account's list, each with how far it was told.
    pub fn enrolments(&self, account: &Nickname) -> Result<Vec<(RoomId, Option<Position>)>, BackendError> {
        let enrolments = self.read(ENROLMENTS)?;
        let mut found = Vec::new();
        for row in enrolments.range((account.as_str(), "")..).map_err(failed)? {
            let (key, told) = row.map_err(failed)?;
            let ((of, room), (epoch, offset)) = (key.value(), told.value());
            if of != account.as_str() {
                break;
            }
            let told = (epoch != 0).then(|| Position { epoch: Epoch::new(epoch), offset });
            found.extend(RoomId::parse_stored(room).ok().map(|room| (room, told)));
        }
        Ok(found)
    }

    /// Writes a room into an account's list.
    pub fn put_enrolment(&self, account: &Nickname, room: &RoomId, told: Position) -> Result<(), BackendError> {
        let told = (told.epoch.value(), told.offset);
        self.write(ENROLMENTS)?.insert((account.as_str(), room.as_str()), told).map_err(failed)?;
        Ok(())
    }

    /// Up to where an account was told in a room; `None` when the room is not in its list.
    pub fn told(&self, account: &Nickname, room: &RoomId) -> Result<Option<Position>, BackendError> {
        let enrolments = self.read(ENROLMENTS)?;
        let told = enrolments.get((account.as_str(), room.as_str())).map_err(failed)?;
        Ok(told.map(|told| told.value()).map(|(epoch, offset)| Position { epoch: Epoch::new(epoch), offset }))
    }

    pub fn forget_enrolment(&self, account: &Nickname, room: &RoomId) -> Result<(), BackendError> {
        self.write(ENROLMENTS)?.remove((account.as_str(), room.as_str())).map_err(failed)?;
        Ok(())
    }
}
