//! The order of a room as its members hear it.

use std::collections::{HashMap, VecDeque};

use super::{Digest, Ear, Entry, Judgement, Verdict};
use crate::stamp::Id;

#[derive(Debug, Default)]
pub struct Heard {
    /// What somebody has yet to hear, and all after it.
    entries: VecDeque<Entry>,
    /// The place of the first of them.
    base: u64,
    members: u32,
    /// The last sequence number of each sender that has a place.
    last: HashMap<u32, u32>,
    digest: Digest,
}

impl Heard {
    pub fn enter(&mut self) -> Ear {
        self.members += 1;
        Ear { next: self.end(), ..Ear::default() }
    }

    /// What the member has not heard is not waited for any more. Gives the messages that are complete by that.
    pub fn leave(&mut self, ear: &Ear) -> Vec<Id> {
        self.members -= 1;
        let places = ear.holes.iter().copied().chain(ear.next..self.end());
        let complete = places.filter_map(|place| self.tick(place)).collect();
        self.forget();
        complete
    }

    pub fn members(&self) -> u32 {
        self.members
    }

    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Deliveries of placed messages that did not come.
    pub fn missing(&self) -> u64 {
        self.entries.iter().map(|entry| u64::from(entry.missing)).sum()
    }

    pub fn hear(&mut self, ear: &mut Ear, id: Id) -> Judgement {
        if self.at(ear.next) == Some(id) {
            return self.next(ear);
        }
        let highest = self.last.get(&id.sender()).copied();
        if highest.is_none_or(|highest| id.sequence() > highest) {
            self.place(id);
            ear.skip(ear.next, self.end() - 1);
            ear.next = self.end() - 1;
            return Judgement { is_first: true, ..self.next(ear) };
        }
        match self.find(id) {
            Some(place) if place > ear.next => {
                ear.skip(ear.next, place);
                ear.next = place;
                self.next(ear)
            }
            Some(place) if ear.fill(place) => self.late(place),
            // Without a place everybody has it; or a later one of its sender overtook it, and then it is missing elsewhere.
            _ => Judgement { verdict: Verdict::Duplicated, complete: None, is_first: false },
        }
    }

    /// The member hears what it is to hear next.
    fn next(&mut self, ear: &mut Ear) -> Judgement {
        let complete = self.tick(ear.next);
        ear.next += 1;
        if complete.is_some() {
            self.forget();
        }
        Judgement { verdict: Verdict::Good, complete, is_first: false }
    }

    fn late(&mut self, place: u64) -> Judgement {
        let complete = self.tick(place);
        self.forget();
        Judgement { verdict: Verdict::Reordered, complete, is_first: false }
    }

    fn place(&mut self, id: Id) {
        self.last.insert(id.sender(), id.sequence());
        self.digest.add(id);
        self.entries.push_back(Entry { id, missing: self.members });
    }

    fn end(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    fn at(&self, place: u64) -> Option<Id> {
        self.entries.get(place.checked_sub(self.base)? as usize).map(|entry| entry.id)
    }

    fn find(&self, id: Id) -> Option<u64> {
        self.entries.iter().rposition(|entry| entry.id == id).map(|at| self.base + at as u64)
    }

    fn tick(&mut self, place: u64) -> Option<Id> {
        let entry = self.entries.get_mut(place.checked_sub(self.base)? as usize)?;
        entry.missing = entry.missing.saturating_sub(1);
        (entry.missing == 0).then_some(entry.id)
    }

    fn forget(&mut self) {
        while self.entries.front().is_some_and(|entry| entry.missing == 0) {
            self.entries.pop_front();
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(sequence: u32) -> Id {
        Id::new(7, sequence)
    }

    fn room(members: usize) -> (Heard, Vec<Ear>) {
        let mut room = Heard::default();
        let ears = (0..members).map(|_| room.enter()).collect();
        (room, ears)
    }

    #[test]
    fn what_all_hear_once_and_in_one_order_is_good_and_forgotten() {
        let (mut room, mut ears) = room(3);
        for sequence in 1..=100 {
            for (at, ear) in ears.iter_mut().enumerate() {
                let judgement = room.hear(ear, say(sequence));
                assert_eq!(judgement.verdict, Verdict::Good);
                assert_eq!(judgement.is_first, at == 0);
                assert_eq!(judgement.complete, (at == 2).then(|| say(sequence)));
            }
        }
        assert_eq!((room.missing(), room.entries.len(), room.digest().messages), (0, 0, 100));
    }

    #[test]
    fn a_message_that_one_member_never_hears_is_missing() {
        let (mut room, mut ears) = room(3);
        for ear in &mut ears {
            room.hear(ear, say(1));
        }
        room.hear(&mut ears[0], say(2));
        room.hear(&mut ears[1], say(2));
        for ear in &mut ears {
            assert_eq!(room.hear(ear, say(3)).verdict, Verdict::Good);
        }
        assert_eq!(room.missing(), 1);
    }

    #[test]
    fn a_second_hearing_is_a_duplicate_also_when_all_have_it_long_since() {
        let (mut room, mut ears) = room(2);
        for ear in &mut ears {
            room.hear(ear, say(1));
        }
        room.hear(&mut ears[0], say(2));
        assert_eq!(room.hear(&mut ears[0], say(1)).verdict, Verdict::Duplicated);
        assert_eq!(room.hear(&mut ears[0], say(2)).verdict, Verdict::Duplicated);
        assert_eq!(room.missing(), 1);
    }

    #[test]
    fn who_hears_two_messages_the_other_way_round_is_reported_once() {
        let (mut room, mut ears) = room(2);
        let (one, two) = (Id::new(1, 1), Id::new(2, 1));
        room.hear(&mut ears[0], one);
        room.hear(&mut ears[0], two);
        assert_eq!(room.hear(&mut ears[1], two).verdict, Verdict::Good);
        assert_eq!(room.hear(&mut ears[1], one).verdict, Verdict::Reordered);
        assert_eq!(room.missing(), 0);
    }

    #[test]
    fn what_a_member_has_not_heard_when_it_goes_is_not_waited_for() {
        let (mut room, mut ears) = room(2);
        room.hear(&mut ears[0], say(1));
        assert_eq!(room.leave(&ears[1]), vec![say(1)]);
        assert_eq!((room.missing(), room.members()), (0, 1));
    }
}
