//! One room as the embedded backend has it in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::kept::Kept;
use super::store::RoomRow;
use crate::chat::{Epoch, Nickname, Position, RoomId, SessionId};

pub struct Room {
    pub row: RoomRow,
    /// Sessions that are members, with the names that they came with. Accounts that are members for good are not here.
    pub members: BTreeMap<SessionId, Option<Nickname>>,
    /// Sessions of accounts that are members for good.
    pub visitors: BTreeSet<SessionId>,
    pub roll: Roll,
    /// Shared with how it was before the batch, and copied only when it changes.
    pub kept: Option<Arc<Kept>>,
}

impl Room {
    pub fn new(row: RoomRow) -> Self {
        Self { row, members: BTreeMap::new(), visitors: BTreeSet::new(), roll: Roll::default(), kept: None }
    }

    /// Whether anybody is in it or keeps it.
    pub fn exists(&self) -> bool {
        self.kept.is_some() || self.count() > 0
    }

    /// Whether it may be forgotten.
    pub fn is_idle(&self, id: &RoomId) -> bool {
        !self.exists() && *id != RoomId::lobby()
    }

    pub fn count(&self) -> u64 {
        (self.members.len() + self.roll.since.len()) as u64
    }

    /// The position of its newest event.
    pub fn position(&self) -> Position {
        Position { epoch: Epoch::new(self.row.epoch), offset: self.row.top }
    }
}

/// Accounts that are members for good, in the order in which they came.
#[derive(Default)]
pub struct Roll {
    since: HashMap<Nickname, i64>,
    order: BTreeSet<(i64, Nickname)>,
}

impl Roll {
    pub fn contains(&self, account: &Nickname) -> bool {
        self.since.contains_key(account)
    }

    /// A time for the next to come: after everybody's.
    pub fn next_us(&self, now_us: i64) -> i64 {
        self.order.last().map_or(now_us, |(newest_us, _)| now_us.max(newest_us + 1))
    }

    pub fn insert(&mut self, account: Nickname, since_us: i64) {
        self.remove(&account);
        self.since.insert(account.clone(), since_us);
        self.order.insert((since_us, account));
    }

    pub fn remove(&mut self, account: &Nickname) -> Option<i64> {
        let (account, since_us) = self.since.remove_entry(account)?;
        self.order.remove(&(since_us, account));
        Some(since_us)
    }

    /// From the one who has been there for longest.
    pub fn iter(&self) -> impl Iterator<Item = &Nickname> {
        self.order.iter().map(|(_, account)| account)
    }
}
