//! A room's members here, in the order in which an event reaches them.

use indexmap::IndexMap;

use super::member::{Entry, Going};
use super::{precedes, reached};
use crate::chat::{Position, SessionId};
use crate::wire::WireFormat;

/// Those who are told alike, by session: coming and going costs the same however many are in, and fan-out walks along them in
/// one piece.
pub(super) type Alike = IndexMap<SessionId, Entry>;

/// The members by format, so that an event for which some have no words passes all of those at once.
#[derive(Default)]
pub(super) struct Members {
    groups: Vec<(WireFormat, Alike)>,
    /// Those on their way out, and perhaps some that are out.
    going: Vec<SessionId>,
}

impl Members {
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Adds a member, or puts it in the place that it had.
    pub fn insert(&mut self, session: SessionId, entry: Entry) {
        let format = entry.member.format;
        if self.groups.iter().any(|(other, alike)| *other != format && alike.contains_key(&session)) {
            self.remove(session);
        }
        match self.groups.iter_mut().find(|(other, _)| *other == format) {
            Some((_, alike)) => drop(alike.insert(session, entry)),
            None => {
                // In most rooms there is one.
                self.groups.reserve_exact(1);
                self.groups.push((format, Alike::from_iter([(session, entry)])));
            }
        }
    }

    pub fn get_mut(&mut self, session: SessionId) -> Option<&mut Entry> {
        self.groups.iter_mut().find_map(|(_, alike)| alike.get_mut(&session))
    }

    pub fn remove(&mut self, session: SessionId) {
        for (_, alike) in &mut self.groups {
            alike.swap_remove(&session);
        }
        self.groups.retain(|(_, alike)| !alike.is_empty());
    }

    pub fn retain(&mut self, mut stays: impl FnMut(&mut Entry) -> bool) {
        for (_, alike) in &mut self.groups {
            alike.retain(|_, entry| stays(entry));
        }
        self.groups.retain(|(_, alike)| !alike.is_empty());
    }

    pub fn groups_mut(&mut self) -> impl Iterator<Item = (WireFormat, &mut Alike)> {
        self.groups.iter_mut().map(|(format, alike)| (*format, alike))
    }

    pub fn groups(&self) -> impl Iterator<Item = (WireFormat, &Alike)> {
        self.groups.iter().map(|(format, alike)| (*format, alike))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.groups.iter().flat_map(|(_, alike)| alike.values())
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.groups.iter_mut().flat_map(|(_, alike)| alike.values_mut())
    }

    /// A member is on its way out.
    pub fn note_going(&mut self, session: SessionId) {
        self.going.push(session);
    }

    /// Takes those out who waited for nothing but what was delivered up to here.
    pub fn drop_departed(&mut self, delivered: Position) {
        let is_out = |going: &Going| !precedes(delivered, going.last, going.known) && reached(delivered, going.last);
        for session in std::mem::take(&mut self.going) {
            let Some(entry) = self.get_mut(session).filter(|entry| entry.going.is_some()) else { continue };
            let Some(gone) = entry.going.take_if(|going| is_out(going)) else {
                self.going.push(session);
                continue;
            };
            // Nobody may be waiting any more; that is fine.
            let _ = gone.done.send(());
            self.remove(session);
        }
    }
}
