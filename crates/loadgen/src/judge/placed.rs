//! The order of a room as the server's positions give it.

use std::collections::BTreeMap;

use super::{Digest, Ear, Entry, Judgement, Verdict};
use crate::dialect::Position;
use crate::stamp::Id;

/// A room of members who are told positions, and do or do not hear themselves.
#[derive(Debug, Default)]
pub struct Placed {
    entries: BTreeMap<u64, Entry>,
    epoch: Option<u64>,
    /// Up to here everybody has heard everything.
    complete_to: u64,
    members: u32,
    digest: Digest,
}

impl Placed {
    pub fn enter(&mut self) -> Ear {
        self.members += 1;
        Ear::default()
    }

    /// As [`super::heard::Heard::leave`].
    pub fn leave(&mut self, ear: &Ear) -> Vec<Id> {
        self.members -= 1;
        let open = self.entries.iter_mut().filter(|(place, _)| ear.awaits(**place));
        let mut complete = Vec::new();
        for (_, entry) in open {
            entry.missing = entry.missing.saturating_sub(1);
            complete.extend((entry.missing == 0).then_some(entry.id));
        }
        self.forget();
        complete
    }

    pub fn members(&self) -> u32 {
        self.members
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    pub fn missing(&self) -> u64 {
        self.entries.values().map(|entry| u64::from(entry.missing)).sum()
    }

    /// The member was told its own message's place, and may not hear it.
    pub fn own(&mut self, ear: &mut Ear, id: Id, position: Position) -> Judgement {
        if position.offset >= ear.next {
            ear.own.push(position.offset);
        } else {
            ear.fill(position.offset);
        }
        self.take(id, position)
    }

    pub fn hear(&mut self, ear: &mut Ear, id: Id, position: Position) -> Judgement {
        let place = position.offset;
        if self.epoch.is_none_or(|epoch| epoch == position.epoch) && place < ear.next {
            if !ear.fill(place) {
                return Judgement { verdict: Verdict::Duplicated, complete: None, is_first: false };
            }
            return Judgement { verdict: Verdict::Reordered, ..self.take(id, position) };
        }
        if ear.next > 0 {
            ear.skip(ear.next, place);
        }
        ear.next = place + 1;
        self.take(id, position)
    }

    fn take(&mut self, id: Id, position: Position) -> Judgement {
        self.epoch.get_or_insert(position.epoch);
        if position.offset < self.complete_to {
            return Judgement { verdict: Verdict::Duplicated, complete: None, is_first: false };
        }
        let is_first = !self.entries.contains_key(&position.offset);
        let entry = self.entries.entry(position.offset).or_insert(Entry { id, missing: self.members });
        // Two messages in one place are two orders.
        let verdict = if entry.id == id { Verdict::Good } else { Verdict::Reordered };
        entry.missing = entry.missing.saturating_sub(1);
        let complete = (entry.missing == 0).then_some(entry.id);
        if complete.is_some() {
            self.forget();
        }
        Judgement { verdict, complete, is_first }
    }

    fn forget(&mut self) {
        while let Some(first) = self.entries.first_entry().filter(|first| first.get().missing == 0) {
            self.complete_to = first.key() + 1;
            self.digest.add(first.remove().id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Position {
        Position { epoch: 3, offset }
    }

    /// Three members, none of whom hears itself; the first two talk.
    fn room() -> (Placed, [Ear; 3]) {
        let mut room = Placed::default();
        let ears = [(); 3].map(|()| room.enter());
        (room, ears)
    }

    const ONE: fn(u32) -> Id = |sequence| Id::new(1, sequence);
    const TWO: fn(u32) -> Id = |sequence| Id::new(2, sequence);

    #[test]
    fn own_messages_may_be_told_before_or_after_what_is_around_them() {
        let (mut room, mut ears) = room();
        assert_eq!(room.own(&mut ears[0], ONE(1), at(5)).verdict, Verdict::Good);
        for (ear, id, offset) in [(2, ONE(1), 5), (1, ONE(1), 5), (0, TWO(1), 6), (2, TWO(1), 6), (0, TWO(2), 8)] {
            assert_eq!(room.hear(&mut ears[ear], id, at(offset)).verdict, Verdict::Good);
        }
        // Its first answer comes after what others said later.
        assert_eq!(room.hear(&mut ears[1], ONE(2), at(7)).verdict, Verdict::Good);
        assert_eq!(room.own(&mut ears[1], TWO(1), at(6)).complete, Some(TWO(1)));
        assert_eq!(room.own(&mut ears[1], TWO(2), at(8)).verdict, Verdict::Good);
        assert_eq!(room.hear(&mut ears[2], ONE(2), at(7)).verdict, Verdict::Good);
        assert_eq!(room.own(&mut ears[0], ONE(2), at(7)).complete, Some(ONE(2)));
        assert_eq!(room.hear(&mut ears[2], TWO(2), at(8)).complete, Some(TWO(2)));
        assert_eq!((room.missing(), room.digest().messages), (0, 4));
    }

    #[test]
    fn losses_repetitions_and_late_comers_are_told_apart() {
        let (mut room, mut ears) = room();
        for offset in [5, 6, 7] {
            room.own(&mut ears[0], ONE(offset as u32), at(offset));
            room.hear(&mut ears[1], ONE(offset as u32), at(offset));
        }
        assert_eq!(room.hear(&mut ears[2], ONE(5), at(5)).verdict, Verdict::Good);
        assert_eq!(room.hear(&mut ears[2], ONE(7), at(7)).verdict, Verdict::Good);
        assert_eq!(room.missing(), 1);
        assert_eq!(room.hear(&mut ears[2], ONE(7), at(7)).verdict, Verdict::Duplicated);
        assert_eq!(room.hear(&mut ears[2], ONE(6), at(6)).verdict, Verdict::Reordered);
        assert_eq!(room.hear(&mut ears[2], ONE(6), at(6)).verdict, Verdict::Duplicated);
        assert_eq!(room.missing(), 0);
    }

    #[test]
    fn two_messages_in_one_place_are_two_orders() {
        let (mut room, mut ears) = room();
        room.hear(&mut ears[0], TWO(1), at(9));
        assert_eq!(room.hear(&mut ears[1], ONE(1), at(9)).verdict, Verdict::Reordered);
    }

    #[test]
    fn who_goes_is_not_waited_for_but_its_own_messages_are() {
        let (mut room, mut ears) = room();
        room.own(&mut ears[0], ONE(1), at(5));
        room.hear(&mut ears[1], TWO(1), at(6));
        assert_eq!(room.missing(), 4);
        assert!(room.leave(&ears[0]).is_empty());
        assert_eq!(room.missing(), 3);
    }
}
