//! What was published under keys, for as long as that is remembered.

use redb::{ReadableTable, TableDefinition};

use super::super::super::{BackendError, Published};
use super::{Batch, failed};
use crate::chat::{Epoch, MessageId, Position, RoomId};

/// When it is forgotten, and where the message stands: epoch, offset, time, number.
type Row = (i64, u64, u64, i64, u32);
/// (room, whose key it is, the key) → what is known of it.
const KEYS: TableDefinition<'_, (&str, &str, &str), Row> = TableDefinition::new("keys");

/// Names what an author does in a room.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyOf {
    pub room: RoomId,
    pub author: String,
    pub key: String,
}

impl KeyOf {
    fn row(&self) -> (&str, &str, &str) {
        (self.room.as_str(), &self.author, &self.key)
    }
}

impl Batch {
    pub fn put_key(&self, of: &KeyOf, ends_us: i64, published: &Published) -> Result<(), BackendError> {
        let Published { position, time_us, id, .. } = *published;
        let row = (ends_us, position.epoch.value(), position.offset, time_us, id.0);
        self.write(KEYS)?.insert(of.row(), row).map_err(failed)?;
        Ok(())
    }

    pub fn forget_key(&self, of: &KeyOf) -> Result<(), BackendError> {
        self.write(KEYS)?.remove(of.row()).map_err(failed)?;
        Ok(())
    }

    /// All that are remembered, each with when it is forgotten.
    pub fn keys(&self) -> Result<Vec<(i64, KeyOf, Published)>, BackendError> {
        let table = self.read(KEYS)?;
        let mut keys = Vec::new();
        for row in table.iter().map_err(failed)? {
            let (name, row) = row.map_err(failed)?;
            let ((room, author, key), (ends_us, epoch, offset, time_us, id)) = (name.value(), row.value());
            let room = RoomId::parse_stored(room).map_err(failed)?;
            let of = KeyOf { room, author: author.to_owned(), key: key.to_owned() };
            let position = Position { epoch: Epoch::new(epoch), offset };
            keys.push((ends_us, of, Published { position, time_us, id: MessageId(id), repeated: false }));
        }
        Ok(keys)
    }
}
