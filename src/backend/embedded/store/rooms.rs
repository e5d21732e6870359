//! Rooms with their streams, and what is known of those that were created on purpose.

use redb::{ReadableTable, TableDefinition};

use super::super::super::BackendError;
use super::super::kept::Kept;
use super::{Batch, failed};
use crate::chat::RoomId;

/// Room → (epoch, offset of the newest event, time of the newest event in microseconds).
const ROOMS: TableDefinition<'_, &str, (u64, u64, i64)> = TableDefinition::new("rooms");
/// (room, offset) → (time in microseconds, encoded event).
const LOG: TableDefinition<'_, (&str, u64), (i64, &[u8])> = TableDefinition::new("log");
/// Kept room → what is known of it beside its stream.
const KEPT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("kept");

/// A room as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoomRow {
    pub epoch: u64,
    pub top: u64,
    pub newest_us: i64,
}

/// A kept event.
pub struct LogRow {
    pub offset: u64,
    pub time_us: i64,
    pub event: Vec<u8>,
}

impl Batch {
    /// Every room, for the start.
    pub fn rooms(&self) -> Result<Vec<(String, RoomRow)>, BackendError> {
        let rooms = self.read(ROOMS)?;
        let rows = rooms.iter().map_err(failed)?.map(|row| {
            let (room, value) = row.map_err(failed)?;
            let (epoch, top, newest_us) = value.value();
            Ok((room.value().to_owned(), RoomRow { epoch, top, newest_us }))
        });
        rows.collect()
    }

    /// Every kept room, for the start.
    pub fn kept(&self) -> Result<Vec<(String, Kept)>, BackendError> {
        let kept = self.read(KEPT)?;
        let rows = kept.iter().map_err(failed)?.map(|row| {
            let (room, value) = row.map_err(failed)?;
            let name = room.value().to_owned();
            match Kept::decode(value.value()) {
                Some(kept) => Ok((name, kept)),
                None => Err(failed(format!("the kept room {name:?} cannot be read"))),
            }
        });
        rows.collect()
    }

    pub fn put_room(&self, room: &RoomId, row: RoomRow) -> Result<(), BackendError> {
        let mut rooms = self.write(ROOMS)?;
        rooms.insert(room.as_str(), (row.epoch, row.top, row.newest_us)).map_err(failed)?;
        Ok(())
    }

    /// Keeps what is known of a room that was created; `None`: it is no longer kept.
    pub fn put_kept(&self, room: &RoomId, kept: Option<&Kept>) -> Result<(), BackendError> {
        let mut rooms = self.write(KEPT)?;
        match kept {
            Some(kept) => drop(rooms.insert(room.as_str(), kept.encode().as_slice()).map_err(failed)?),
            None => drop(rooms.remove(room.as_str()).map_err(failed)?),
        }
        Ok(())
    }

    /// Keeps an event, and forgets the one that falls out of the newest `keep`.
    pub fn append(&self, room: &RoomId, row: &LogRow, keep: u64) -> Result<(), BackendError> {
        let mut log = self.write(LOG)?;
        log.insert((room.as_str(), row.offset), (row.time_us, row.event.as_slice())).map_err(failed)?;
        if let Some(oldest) = row.offset.checked_sub(keep) {
            log.remove((room.as_str(), oldest)).map_err(failed)?;
        }
        Ok(())
    }

    /// Events with an offset above `after`, oldest first.
    pub fn events_after(&self, room: &RoomId, after: u64) -> Result<Vec<LogRow>, BackendError> {
        let log = self.read(LOG)?;
        let range = (room.as_str(), after.saturating_add(1))..=(room.as_str(), u64::MAX);
        let rows = log.range(range).map_err(failed)?.map(|row| {
            let (key, value) = row.map_err(failed)?;
            let (time_us, event) = value.value();
            Ok(LogRow { offset: key.value().1, time_us, event: event.to_vec() })
        });
        rows.collect()
    }

    /// Forgets a room and all its events.
    pub fn forget(&self, room: &RoomId) -> Result<(), BackendError> {
        self.write(ROOMS)?.remove(room.as_str()).map_err(failed)?;
        let mut log = self.write(LOG)?;
        let range = (room.as_str(), 0)..=(room.as_str(), u64::MAX);
        log.retain_in(range, |_, _| false).map_err(failed)
    }
}
