//! The durable part: rooms with their streams, and accounts, in a redb file, or in memory.
//!
//! One format version in the `meta` table; a file of another version is refused, never guessed at.

use std::path::Path;

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, ReadableTable, TableDefinition, WriteTransaction};

use super::super::BackendError;
use super::kept::Kept;
use crate::chat::{Identity, Nickname, RoomId};

const FORMAT: u64 = 1;
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Room → (epoch, offset of the newest event, time of the newest event in microseconds).
const ROOMS: TableDefinition<'_, &str, (u64, u64, i64)> = TableDefinition::new("rooms");
/// (room, offset) → (time in microseconds, encoded event).
const LOG: TableDefinition<'_, (&str, u64), (i64, &[u8])> = TableDefinition::new("log");
/// Kept room → what is known of it beside its stream.
const KEPT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("kept");
/// Name → (identity, empty where nobody registered it; when it was registered in microseconds; the second at or before
/// which its logins began that no longer stand, -1 for none).
const ACCOUNTS: TableDefinition<'_, &str, (&str, i64, i64)> = TableDefinition::new("accounts");
/// (name, ended login) → until when it must be remembered, in seconds.
const REVOCATIONS: TableDefinition<'_, (&str, u128), i64> = TableDefinition::new("revocations");

pub struct Store {
    database: Database,
}

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

/// An account as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountRow {
    pub identity: Option<Identity>,
    pub created_us: i64,
    pub valid_after_s: Option<i64>,
}

/// Changes that become durable together, or not at all.
pub struct Batch(WriteTransaction);

fn failed(error: impl std::fmt::Display) -> BackendError {
    BackendError::Failed(format!("embedded store: {error}"))
}

impl Store {
    pub fn open(data_dir: Option<&Path>) -> Result<Self, BackendError> {
        let database = match data_dir {
            None => Builder::new().create_with_backend(InMemoryBackend::new()).map_err(failed)?,
            Some(dir) => open_file(dir)?,
        };
        let store = Self { database };
        store.check_format()?;
        Ok(store)
    }

    /// A store on a test's own disk.
    #[cfg(test)]
    pub fn on(disk: impl redb::StorageBackend) -> Result<Self, BackendError> {
        let store = Self { database: Builder::new().create_with_backend(disk).map_err(failed)? };
        store.check_format()?;
        Ok(store)
    }

    fn check_format(&self) -> Result<(), BackendError> {
        let transaction = self.database.begin_write().map_err(failed)?;
        {
            let mut meta = transaction.open_table(META).map_err(failed)?;
            let found = meta.get("format").map_err(failed)?.map(|format| format.value());
            match found {
                Some(FORMAT) => {}
                Some(other) => {
                    return Err(failed(format!("the data is of format {other}, this version reads {FORMAT}")));
                }
                None => {
                    meta.insert("format", FORMAT).map_err(failed)?;
                }
            }
            transaction.open_table(ROOMS).map_err(failed)?;
            transaction.open_table(LOG).map_err(failed)?;
            transaction.open_table(KEPT).map_err(failed)?;
            transaction.open_table(ACCOUNTS).map_err(failed)?;
            transaction.open_table(REVOCATIONS).map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }

    pub fn begin(&self) -> Result<Batch, BackendError> {
        self.database.begin_write().map(Batch).map_err(failed)
    }

    /// Every room, for the start.
    pub fn rooms(&self) -> Result<Vec<(String, RoomRow)>, BackendError> {
        let batch = self.begin()?;
        let rooms = batch.0.open_table(ROOMS).map_err(failed)?;
        let rows = rooms.iter().map_err(failed)?.map(|row| {
            let (room, value) = row.map_err(failed)?;
            let (epoch, top, newest_us) = value.value();
            Ok((room.value().to_owned(), RoomRow { epoch, top, newest_us }))
        });
        rows.collect()
    }

    /// Every kept room, for the start.
    pub fn kept(&self) -> Result<Vec<(String, Kept)>, BackendError> {
        let batch = self.begin()?;
        let kept = batch.0.open_table(KEPT).map_err(failed)?;
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

    /// Every account, for the start.
    pub fn accounts(&self) -> Result<Vec<(String, AccountRow)>, BackendError> {
        let batch = self.begin()?;
        let accounts = batch.0.open_table(ACCOUNTS).map_err(failed)?;
        let rows = accounts.iter().map_err(failed)?.map(|row| {
            let (name, value) = row.map_err(failed)?;
            let (identity, created_us, valid_after_s) = value.value();
            let valid_after_s = (valid_after_s >= 0).then_some(valid_after_s);
            let row = AccountRow { identity: Identity::decode(identity), created_us, valid_after_s };
            Ok((name.value().to_owned(), row))
        });
        rows.collect()
    }

    /// Every ended login that is still remembered, for the start.
    pub fn revocations(&self) -> Result<Vec<(String, u128, i64)>, BackendError> {
        let batch = self.begin()?;
        let revocations = batch.0.open_table(REVOCATIONS).map_err(failed)?;
        let rows = revocations.iter().map_err(failed)?.map(|row| {
            let (key, ends_s) = row.map_err(failed)?;
            let (name, login) = key.value();
            Ok((name.to_owned(), login, ends_s.value()))
        });
        rows.collect()
    }
}

fn open_file(dir: &Path) -> Result<Database, BackendError> {
    let explain =
        |error: &dyn std::fmt::Display| BackendError::Failed(format!("storage.data_dir: {}: {error}", dir.display()));
    std::fs::create_dir_all(dir).map_err(|error| explain(&error))?;
    Database::create(dir.join("crosstalk.redb")).map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => explain(&"is in use by another process"),
        other => explain(&other),
    })
}

impl Batch {
    pub fn put_room(&self, room: &RoomId, row: RoomRow) -> Result<(), BackendError> {
        let mut rooms = self.0.open_table(ROOMS).map_err(failed)?;
        rooms.insert(room.as_str(), (row.epoch, row.top, row.newest_us)).map_err(failed)?;
        Ok(())
    }

    /// Keeps what is known of a room that was created; `None`: it is no longer kept.
    pub fn put_kept(&self, room: &RoomId, kept: Option<&Kept>) -> Result<(), BackendError> {
        let mut rooms = self.0.open_table(KEPT).map_err(failed)?;
        match kept {
            Some(kept) => drop(rooms.insert(room.as_str(), kept.encode().as_slice()).map_err(failed)?),
            None => drop(rooms.remove(room.as_str()).map_err(failed)?),
        }
        Ok(())
    }

    /// Keeps an event, and forgets the one that falls out of the newest `keep`.
    pub fn append(&self, room: &RoomId, row: &LogRow, keep: u64) -> Result<(), BackendError> {
        let mut log = self.0.open_table(LOG).map_err(failed)?;
        log.insert((room.as_str(), row.offset), (row.time_us, row.event.as_slice())).map_err(failed)?;
        if let Some(oldest) = row.offset.checked_sub(keep) {
            log.remove((room.as_str(), oldest)).map_err(failed)?;
        }
        Ok(())
    }

    /// Events with an offset above `after`, oldest first.
    pub fn events_after(&self, room: &RoomId, after: u64) -> Result<Vec<LogRow>, BackendError> {
        let log = self.0.open_table(LOG).map_err(failed)?;
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
        self.0.open_table(ROOMS).map_err(failed)?.remove(room.as_str()).map_err(failed)?;
        let mut log = self.0.open_table(LOG).map_err(failed)?;
        let range = (room.as_str(), 0)..=(room.as_str(), u64::MAX);
        log.retain_in(range, |_, _| false).map_err(failed)
    }

    pub fn put_account(&self, name: &Nickname, row: &AccountRow) -> Result<(), BackendError> {
        let mut accounts = self.0.open_table(ACCOUNTS).map_err(failed)?;
        let identity = row.identity.as_ref().map(Identity::to_string).unwrap_or_default();
        let value = (identity.as_str(), row.created_us, row.valid_after_s.unwrap_or(-1));
        accounts.insert(name.as_str(), value).map_err(failed)?;
        Ok(())
    }

    pub fn put_revocation(&self, name: &Nickname, login: u128, ends_s: i64) -> Result<(), BackendError> {
        let mut revocations = self.0.open_table(REVOCATIONS).map_err(failed)?;
        revocations.insert((name.as_str(), login), ends_s).map_err(failed)?;
        Ok(())
    }

    pub fn forget_revocation(&self, name: &Nickname, login: u128) -> Result<(), BackendError> {
        let mut revocations = self.0.open_table(REVOCATIONS).map_err(failed)?;
        revocations.remove((name.as_str(), login)).map_err(failed)?;
        Ok(())
    }

    /// The first of `count` numbers that nobody else gets; they wrap around at 2^32.
    pub fn lease_numbers(&self, count: u32) -> Result<u32, BackendError> {
        let mut meta = self.0.open_table(META).map_err(failed)?;
        let first = meta.get("numbers").map_err(failed)?.map_or(1, |next| next.value());
        meta.insert("numbers", first.wrapping_add(u64::from(count))).map_err(failed)?;
        Ok(first as u32)
    }

    pub fn commit(self) -> Result<(), BackendError> {
        self.0.commit().map_err(failed)
    }
}
