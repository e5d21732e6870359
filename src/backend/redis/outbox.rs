//! The outbox: what backends beside the chat may want to follow. Each script that changes who is in a room, or what a room is,
//! writes it there in the same step; messages are not in it.

use super::Redis;
use super::keys::Keys;
use crate::chat::RoomId;

/// Where the entries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outbox {
    Off,
    /// One stream for all rooms.
    One,
    /// A stream for each room, in the room's slot, because a script of a cluster writes in one slot only.
    OfRooms,
}

impl Outbox {
    pub fn of(entries: u64, in_cluster: bool) -> Self {
        match (entries, in_cluster) {
            (0, _) => Self::Off,
            (_, false) => Self::One,
            (_, true) => Self::OfRooms,
        }
    }

    pub fn key(self, keys: &Keys, room: &RoomId) -> Option<String> {
        match self {
            Self::Off => None,
            Self::One => Some(keys.outbox()),
            Self::OfRooms => Some(keys.room_outbox(room)),
        }
    }
}

impl Redis {
    /// How much the scripts that change a room keep of what happened, as `append` takes it.
    pub(super) fn keep(&self, room: &RoomId) -> String {
        let lives_ms = match self.outbox {
            Outbox::OfRooms => self.settings.history_age.as_millis() as u64,
            Outbox::Off | Outbox::One => 0,
        };
        match self.outbox {
            Outbox::Off => self.settings.history_count.to_string(),
            _ => format!("{} {} {lives_ms} {room}", self.settings.history_count, self.settings.outbox_count),
        }
    }
}
