//! Who is whose friend, and who asked whom.

use redb::{ReadableTable, Table, TableDefinition};
use serde::{Deserialize, Serialize};

use super::super::super::BackendError;
use super::{Batch, failed};
use crate::chat::{Nickname, RequestId};

/// (account, friend), both ways.
const FRIENDS: TableDefinition<'_, (&str, &str), ()> = TableDefinition::new("friends");
/// (who is asked, number) → the request, as JSON.
const REQUESTS: TableDefinition<'_, (&str, u32), &[u8]> = TableDefinition::new("friend_requests");
/// (who asks, who is asked) → number.
const ASKED: TableDefinition<'_, (&str, &str), u32> = TableDefinition::new("friends_asked");

/// A friend request in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRow {
    /// The account that asks.
    pub asker: String,
    /// What it is called for the one who decides.
    pub from: String,
    pub text: String,
    pub asked_s: i64,
}

/// The second names of all pairs that begin with this one.
fn partners<V: redb::Value>(table: &Table<'_, (&str, &str), V>, of: &Nickname) -> Result<Vec<Nickname>, BackendError> {
    let mut found = Vec::new();
    for row in table.range((of.as_str(), "")..).map_err(failed)? {
        let (key, _) = row.map_err(failed)?;
        let (one, other) = key.value();
        if one != of.as_str() {
            break;
        }
        found.extend(Nickname::parse(other));
    }
    Ok(found)
}

impl Batch {
    pub fn friends(&self, account: &Nickname) -> Result<Vec<Nickname>, BackendError> {
        partners(&self.read(FRIENDS)?, account)
    }

    pub fn are_friends(&self, one: &Nickname, other: &Nickname) -> Result<bool, BackendError> {
        Ok(self.read(FRIENDS)?.get((one.as_str(), other.as_str())).map_err(failed)?.is_some())
    }

    pub fn befriend(&self, one: &Nickname, other: &Nickname) -> Result<(), BackendError> {
        let mut friends = self.write(FRIENDS)?;
        friends.insert((one.as_str(), other.as_str()), ()).map_err(failed)?;
        friends.insert((other.as_str(), one.as_str()), ()).map_err(failed)?;
        Ok(())
    }

    /// Ends a friendship; whether there was one.
    pub fn part(&self, one: &Nickname, other: &Nickname) -> Result<bool, BackendError> {
        let mut friends = self.write(FRIENDS)?;
        let there = friends.remove((one.as_str(), other.as_str())).map_err(failed)?.is_some();
        let back = friends.remove((other.as_str(), one.as_str())).map_err(failed)?.is_some();
        Ok(there || back)
    }

    /// The number of the request by which one asked the other.
    pub fn asked(&self, asker: &Nickname, to: &Nickname) -> Result<Option<RequestId>, BackendError> {
        let asked = self.read(ASKED)?;
        let number = asked.get((asker.as_str(), to.as_str())).map_err(failed)?;
        Ok(number.map(|number| RequestId(number.value())))
    }

    /// All whom an account asked.
    pub fn asked_by(&self, asker: &Nickname) -> Result<Vec<Nickname>, BackendError> {
        partners(&self.read(ASKED)?, asker)
    }

    pub fn put_request(&self, to: &Nickname, number: RequestId, row: &RequestRow) -> Result<(), BackendError> {
        self.write(ASKED)?.insert((row.asker.as_str(), to.as_str()), number.0).map_err(failed)?;
        let bytes = serde_json::to_vec(row).map_err(failed)?;
        self.write(REQUESTS)?.insert((to.as_str(), number.0), bytes.as_slice()).map_err(failed)?;
        Ok(())
    }

    pub fn requests(&self, to: &Nickname) -> Result<Vec<(RequestId, RequestRow)>, BackendError> {
        let requests = self.read(REQUESTS)?;
        let range = (to.as_str(), 0)..=(to.as_str(), u32::MAX);
        let rows = requests.range(range).map_err(failed)?.map(|row| {
            let (key, bytes) = row.map_err(failed)?;
            Ok((RequestId(key.value().1), serde_json::from_slice(bytes.value()).map_err(failed)?))
        });
        rows.collect()
    }

    pub fn request(&self, to: &Nickname, number: RequestId) -> Result<Option<RequestRow>, BackendError> {
        let requests = self.read(REQUESTS)?;
        let found = requests.get((to.as_str(), number.0)).map_err(failed)?;
        found.map(|bytes| serde_json::from_slice(bytes.value()).map_err(failed)).transpose()
    }

    pub fn end_request(&self, asker: &str, to: &Nickname, number: RequestId) -> Result<(), BackendError> {
        self.write(ASKED)?.remove((asker, to.as_str())).map_err(failed)?;
        self.write(REQUESTS)?.remove((to.as_str(), number.0)).map_err(failed)?;
        Ok(())
    }
}
