//! Rooms with local members. Two locks, always taken in this order: the shard (which rooms exist), the room (who is in it).

mod catch_up;
mod fan_out;
mod member;
mod members;
mod membership;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

pub use fan_out::Delivered;
pub use member::LocalMember;
pub use membership::{Arrival, Departure};

use super::RoomStream;
use crate::chat::{Epoch, Nickname, Position, RoomId, SessionId, TokenBucket};
use crate::telemetry::Metrics;
use members::Members;

const SHARDS: usize = 64;

/// Asks for a room's traffic with its first local member and gives it up with the last.
///
/// The hub calls these under the room's shard lock, so that the order of calls is the order of what happened; the calls
/// must not block, and their effects must come about in the order of the calls.
pub trait Interest: Send + Sync {
    /// The receiver gets `true` once the room's traffic is sure to arrive; an error or `false` means it will not.
    fn begin(&self, room: &RoomId) -> oneshot::Receiver<bool>;
    fn end(&self, room: &RoomId);
}

pub struct Hub {
    shards: Vec<Mutex<HashMap<RoomId, Arc<Room>>>>,
    hasher: RandomState,
    interest: Arc<dyn Interest>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Room {
    state: Mutex<RoomState>,
    /// Traffic was once confirmed; after that, losses are the broker's to repair.
    ready: AtomicBool,
}

#[derive(Default)]
struct RoomState {
    stream: RoomStream,
    members: Members,
    /// Somebody reads the stream; live events are not delivered until that is done.
    catching_up: bool,
    /// The newest event heard while catching up.
    heard: Option<Position>,
    /// How often the members are told that somebody writes. Boxed, because in most rooms nobody says so.
    typing: Option<Box<TokenBucket>>,
}

impl Hub {
    pub fn new(interest: Arc<dyn Interest>, metrics: Arc<Metrics>) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: RandomState::new(), interest, metrics }
    }

    fn shard(&self, room: &RoomId) -> &Mutex<HashMap<RoomId, Arc<Room>>> {
        &self.shards[self.hasher.hash_one(room) as usize % SHARDS]
    }

    fn room(&self, room: &RoomId) -> Option<Arc<Room>> {
        self.shard(room).lock().get(room).cloned()
    }

    /// The room's traffic is known to arrive.
    pub fn confirm(&self, id: &RoomId) {
        if let Some(room) = self.room(id) {
            room.ready.store(true, Ordering::Release);
        }
    }

    /// The rooms with local members.
    pub fn rooms(&self) -> Vec<RoomId> {
        self.shards.iter().flat_map(|shard| shard.lock().keys().cloned().collect::<Vec<_>>()).collect()
    }

    /// How many sessions here are in a room.
    pub fn members_here(&self, id: &RoomId) -> usize {
        self.room(id).map_or(0, |room| room.state.lock().members.groups().map(|(_, alike)| alike.len()).sum())
    }

    /// The sessions of accounts among a room's members here, but those of one.
    pub fn accounts_in(&self, id: &RoomId, except: &Nickname) -> Vec<SessionId> {
        let Some(room) = self.room(id) else { return Vec::new() };
        let state = room.state.lock();
        let members = state.members.iter().map(|entry| &entry.member);
        let accounts = members.filter(|member| member.account.as_ref().is_some_and(|account| account != except));
        accounts.map(|member| member.session).collect()
    }

    /// How far a room's members here were told of its stream, or after which position they will be.
    pub fn position(&self, id: &RoomId) -> Option<Position> {
        self.room(id)?.state.lock().stream.known()
    }

    /// The epoch of a room's stream as its members here know it.
    pub fn epoch(&self, id: &RoomId) -> Option<Epoch> {
        self.position(id).map(|position| position.epoch)
    }

    fn reap_if_empty(&self, id: &RoomId, state: parking_lot::MutexGuard<'_, RoomState>) {
        let empty = state.members.is_empty();
        drop(state);
        if empty {
            self.reap(id);
        }
    }

    /// Forgets a room without members. Decided under the shard lock: a member that enters meanwhile is seen.
    fn reap(&self, id: &RoomId) {
        let mut shard = self.shard(id).lock();
        let empty = shard.get(id).is_some_and(|room| room.state.lock().members.is_empty());
        if empty {
            shard.remove(id);
            self.metrics.rooms.dec();
            self.interest.end(id);
        }
    }
}

/// `delivered` is at or after `wanted`; another epoch counts as after, because what was wanted will not come any more.
fn reached(delivered: Position, wanted: Position) -> bool {
    delivered.epoch != wanted.epoch || delivered.offset >= wanted.offset
}

/// Whether an event lies before the last one of somebody who leaves, because it is of the epoch by which the room was `known` when the
/// leaving was already of the next.
fn precedes(event: Position, last: Position, known: Epoch) -> bool {
    event.epoch == known && known != last.epoch
}

fn past(last: Position, position: Position) -> bool {
    last.epoch != position.epoch || position.offset > last.offset
}

#[cfg(test)]
mod tests;
