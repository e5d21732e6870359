//! What was not heard is read from the stream, while live delivery waits.

use super::member::Phase;
use super::{Hub, RoomState, reached};
use crate::chat::{CatchUp, Epoch, Position, RoomId, Seam};
use crate::hub::{Flush, Step};

impl Hub {
    /// Nothing after this position is to be missed, though nobody entered at it.
    pub fn begin_after(&self, id: &RoomId, last: Position) {
        if let Some(room) = self.room(id) {
            room.state.lock().stream.begin_after(last);
        }
    }

    /// Stops live delivery for a room until [`Hub::caught_up`]; says from where the stream is to be read. `None` when
    /// somebody does it already, or nothing was ever delivered.
    pub fn begin_catch_up(&self, id: &RoomId) -> Option<Position> {
        self.room(id)?.state.lock().begin_catch_up()
    }

    /// Delivers what was read from the stream, after whatever is lost. Returns the position to read on from, when more was heard
    /// meanwhile. `flush` is to be run then.
    pub fn caught_up(&self, id: &RoomId, read: &CatchUp, flush: &mut Flush) -> Option<Position> {
        let room = self.room(id)?;
        let mut state = room.state.lock();
        match read.seam {
            // There never was one, for all that is known here.
            Seam::NoStream if state.stream.known().is_none_or(|known| known == Position::NOWHERE) => {}
            Seam::NoStream => state.doubt_accounts(),
            Seam::Whole(epoch) => state.go_on_under(epoch),
            Seam::Torn(position) => {
                state.stream.skip_to(position);
                state.settle_after_skip(id, position);
            }
        }
        for envelope in &read.missed {
            if state.stream.accept(envelope.position) == Step::Deliver {
                self.fan_out(id, &mut state, envelope, flush);
            }
        }
        state.catching_up = false;
        let heard = state.heard.take();
        let behind = match (heard, state.stream.known()) {
            // Of another epoch: it may have begun after the stream was read.
            (Some(heard), Some(known)) if heard.epoch != known.epoch || !reached(known, heard) => {
                state.begin_catch_up()
            }
            _ => None,
        };
        self.reap_if_empty(id, state);
        behind
    }

    /// Gives a catch-up up; the next event heard starts another.
    pub fn abandon_catch_up(&self, id: &RoomId) {
        if let Some(room) = self.room(id) {
            let mut state = room.state.lock();
            state.catching_up = false;
            state.heard = None;
        }
    }
}

impl RoomState {
    pub(super) fn begin_catch_up(&mut self) -> Option<Position> {
        if self.catching_up {
            return None;
        }
        let from = self.stream.known()?;
        self.catching_up = true;
        Some(from)
    }

    /// The stream has another epoch by now, and is the same up to where it was delivered.
    fn go_on_under(&mut self, epoch: Epoch) {
        let Some(known) = self.stream.known().filter(|known| known.epoch != epoch) else { return };
        self.stream.go_on_under(epoch);
        for entry in self.members.iter_mut() {
            let ahead = match &mut entry.phase {
                Phase::Ahead(told) => Some(told),
                _ => None,
            };
            let last = entry.going.as_deref_mut().map(|going| &mut going.last);
            for position in ahead.into_iter().chain(last).filter(|position| position.epoch == known.epoch) {
                position.epoch = epoch;
            }
        }
    }

    /// Members for as long as their sessions are there are restored by these. Whether an account is one only the room knows, and it
    /// may have forgotten it together with the end of its stream.
    fn doubt_accounts(&mut self) {
        let of_accounts = self.members.iter_mut().filter(|entry| entry.member.account.is_some());
        of_accounts.for_each(|entry| entry.member.mailbox.doubt_rooms());
    }

    /// After a hole nobody can wait for an event that may lie in it. Who may have missed something is told so.
    fn settle_after_skip(&mut self, id: &RoomId, skipped_to: Position) {
        self.doubt_accounts();
        let is_to_come = |last: Position| last.epoch == skipped_to.epoch && last.offset > skipped_to.offset;
        self.members.retain(|entry| entry.going.as_ref().is_none_or(|going| is_to_come(going.last)));
        self.members.iter_mut().for_each(|entry| match &mut entry.phase {
            Phase::Joining => {
                entry.phase = Phase::Active;
                // After the answer to the join.
                entry.member.tell_gap(id, skipped_to, true);
            }
            Phase::Active => entry.member.tell_gap(id, skipped_to, false),
            Phase::Ahead(told) => {
                if told.epoch != skipped_to.epoch || told.offset < skipped_to.offset {
                    entry.phase = Phase::Active;
                    entry.member.tell_gap(id, skipped_to, false);
                }
            }
            Phase::Waiting(heard) => heard.overrun = true,
        });
    }
}
