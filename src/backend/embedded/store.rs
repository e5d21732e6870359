//! The durable part: rooms with their streams and members, accounts and what belongs to them, in a redb file, or in memory.
//!
//! One format version in the `meta` table; a file of another version is refused, never guessed at. Each file here has the
//! tables of one matter.

mod bonds;
mod keys;
mod mail;
mod people;
mod rolls;
mod rooms;

use std::cell::Cell;
use std::path::Path;

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, Key, ReadableTable, Table, TableDefinition, Value, WriteTransaction};

use super::super::BackendError;
pub use bonds::RequestRow;
pub use keys::KeyOf;
pub use people::{AccountRow, Profile};
pub use rooms::{LogRow, RoomRow};

const FORMAT: u64 = 1;
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// The largest numbers that ever were.
#[derive(Debug, Clone, Copy)]
pub enum Mark {
    Users,
    Online,
    Rooms,
}

pub struct Store {
    database: Database,
}

/// Changes that become durable together, or not at all. What is read, holds them already.
pub struct Batch {
    transaction: WriteTransaction,
    written: Cell<bool>,
}

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
        let batch = self.begin()?;
        let found = batch.read(META)?.get("format").map_err(failed)?.map(|format| format.value());
        match found {
            Some(FORMAT) => {}
            Some(other) => return Err(failed(format!("the data is of format {other}, this version reads {FORMAT}"))),
            None => drop(batch.write(META)?.insert("format", FORMAT).map_err(failed)?),
        }
        batch.commit()
    }

    pub fn begin(&self) -> Result<Batch, BackendError> {
        let transaction = self.database.begin_write().map_err(failed)?;
        Ok(Batch { transaction, written: Cell::new(false) })
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
    fn read<K: Key, V: Value>(&self, table: TableDefinition<'static, K, V>) -> Result<Table<'_, K, V>, BackendError> {
        self.transaction.open_table(table).map_err(failed)
    }

    fn write<K: Key, V: Value>(&self, table: TableDefinition<'static, K, V>) -> Result<Table<'_, K, V>, BackendError> {
        self.written.set(true);
        self.read(table)
    }

    /// The first of `count` numbers that nobody else gets; they wrap around at 2^32.
    pub fn lease_numbers(&self, count: u32) -> Result<u32, BackendError> {
        let mut meta = self.write(META)?;
        let first = meta.get("numbers").map_err(failed)?.map_or(1, |next| next.value());
        meta.insert("numbers", first.wrapping_add(u64::from(count))).map_err(failed)?;
        Ok(first as u32)
    }

    pub fn mark(&self, mark: Mark) -> Result<u64, BackendError> {
        Ok(self.read(META)?.get(mark.name()).map_err(failed)?.map_or(0, |most| most.value()))
    }

    /// Raises a mark, if it is lower.
    pub fn raise(&self, mark: Mark, to: u64) -> Result<(), BackendError> {
        if self.mark(mark)? < to {
            self.write(META)?.insert(mark.name(), to).map_err(failed)?;
        }
        Ok(())
    }

    /// Makes what was written durable. A batch that only read spares the disk the waiting.
    pub fn commit(self) -> Result<(), BackendError> {
        if self.written.get() {
            self.transaction.commit().map_err(failed)
        } else {
            self.transaction.abort().map_err(failed)
        }
    }
}

impl Mark {
    fn name(self) -> &'static str {
        match self {
            Self::Users => "users_max",
            Self::Online => "online_max",
            Self::Rooms => "rooms_max",
        }
    }
}
