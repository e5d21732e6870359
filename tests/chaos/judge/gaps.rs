//! No silent gap: who is in a room gets everything that is said there, or is told that something is missing.

use std::collections::{HashMap, HashSet};

use super::stays::{End, Stay, stays};
use super::truth::{Spot, Truth};
use super::{Violation, violations};
use crate::history::Place;
use crate::stage::Record;

/// Of one stay, this many missing texts are named.
const NAMED: usize = 3;

pub fn judge(record: &Record) -> Vec<Violation> {
    let truth = Truth::of(record);
    let found = stays(record).into_iter().filter_map(|stay| {
        let missing = missing(record, &truth, &stay);
        let named = &missing[..missing.len().min(NAMED)];
        let Stay { who, link, room, end, .. } = stay;
        (!missing.is_empty()).then(|| {
            format!(
                "client {who} (connection {link}, {end:?}) missed {} in {room}, among them {named:?}",
                missing.len()
            )
        })
    });
    violations("gaps", found)
}

/// In how many stays something was missing, and the client was told so.
pub fn real(record: &Record) -> usize {
    let truth = Truth::of(record);
    let told = stays(record).into_iter().filter(|stay| !stay.gaps.is_empty());
    let untold = told.map(|stay| Stay { gaps: Vec::new(), ..stay });
    untold.filter(|stay| !missing(record, &truth, stay).is_empty()).count()
}

fn missing<'a>(record: &'a Record, truth: &Truth<'a>, stay: &Stay<'a>) -> Vec<&'a str> {
    let heard: HashSet<&str> = stay.heard.iter().copied().collect();
    let spots: Vec<Spot> = stay.heard.iter().filter_map(|text| truth.spot(text)).collect();
    let (first, last) = (spots.iter().min().copied(), spots.iter().max().copied());
    // What was said right before the data was lost may have been lost on its way, too.
    let mut last_of_era: HashMap<usize, u64> = HashMap::new();
    for spot in &spots {
        let newest = last_of_era.entry(spot.era).or_default();
        *newest = spot.offset.max(*newest);
    }
    let texts = truth.rooms.get(stay.room).map_or(&[][..], Vec::as_slice);
    let newest_era = texts.last().map_or(0, |(spot, _)| spot.era);
    let spot_of = |place: &Place| {
        let era = truth.epochs.iter().find(|((room, _), epoch)| *room == stay.room && **epoch == place.epoch);
        Spot { era: era.map_or(usize::MAX, |((_, era), _)| *era), offset: place.offset }
    };
    let after = stay.after.as_ref().map(spot_of);
    let is_owed = |(spot, text): &(Spot, &str)| {
        let asked = truth.asked(text);
        let after_begin = after.is_some_and(|after| *spot > after)
            || first.is_some_and(|first| *spot > first)
            || stay.joined.is_some_and(|joined| asked.is_some_and(|asked| asked > joined));
        let before_end = last.is_some_and(|last| *spot < last)
            || match stay.end {
                End::None => true,
                End::Left(asked) => truth.acknowledged(text).is_some_and(|answered| answered < asked),
                End::Lost => false,
            };
        let lost_with_data = spot.era < newest_era && last_of_era.get(&spot.era).is_none_or(|last| spot.offset > *last);
        after_begin && before_end && !lost_with_data
    };
    let kind = &record.kinds[stay.who];
    let is_own = |text: &str| truth.said.get(text).is_some_and(|said| said.iter().any(|said| said.who == stay.who));
    let was_told = |spot: &Spot| stay.gaps.iter().any(|gap| *spot <= spot_of(gap));
    let absent = Absences::of(record, stay);
    let owed = texts.iter().filter(|one| is_owed(one));
    let owed = owed.filter(|(spot, text)| (kind.sees_own || !is_own(text)) && !was_told(spot) && !absent.has(*spot));
    owed.map(|(_, text)| *text).filter(|text| !heard.contains(text)).collect()
}

/// From where to where in a room's stream an account was no member. What waits for it when it comes may reach back before that.
struct Absences(Vec<(Spot, Spot)>);

impl Absences {
    fn of(record: &Record, stay: &Stay) -> Self {
        let account = record.kinds[stay.who].account.as_deref().filter(|_| stay.joined.is_none());
        let events = account.and_then(|_| record.streams.get(stay.room)).into_iter().flatten();
        let mut left = None;
        let mut absences = Vec::new();
        for event in events.filter(|event| event.name.as_deref() == account) {
            let spot = Spot { era: event.era, offset: event.offset };
            match event.kind.as_str() {
                "l" => left = Some(spot),
                "j" => absences.extend(left.take().map(|left| (left, spot))),
                _ => {}
            }
        }
        Self(absences)
    }

    fn has(&self, spot: Spot) -> bool {
        self.0.iter().any(|(left, joined)| (*left..*joined).contains(&spot))
    }
}

#[cfg(test)]
mod tests {
    use super::super::made::Made;
    use super::*;
    use crate::history::{Answer, Op, Outcome, What};

    fn talk(heard: &[&str]) -> Made {
        let said = Made::new().joins(0).joins(1).says(1, "a").says(1, "b").says(1, "c");
        said.texts(0, &["a", "b", "c"]).hears(1, &["a", "b", "c"]).hears(0, heard)
    }

    #[test]
    fn who_hears_everything_misses_nothing() {
        assert_eq!(judge(&talk(&["a", "b", "c"]).record()), []);
        assert_eq!(judge(&talk(&["a", "b"]).ends(0).record()), [], "the end may be lost with the connection");
    }

    #[test]
    fn a_hole_and_a_missing_end_are_found() {
        assert_eq!(judge(&talk(&["a", "c"]).ends(0).record()).len(), 1);
        assert_eq!(judge(&talk(&["a", "b"]).record()).len(), 1, "the connection lasts");
        assert_eq!(judge(&talk(&[]).record()).len(), 1, "deaf from the beginning");
        assert_eq!(judge(&talk(&["a", "b"]).leaves(0).record()).len(), 1, "before a leave everything comes");
    }

    #[test]
    fn a_gap_that_was_told_is_none() {
        let gap = |offset| What::Gap { room: "red".to_owned(), place: Place { epoch: 100, offset } };
        assert_eq!(judge(&talk(&["a"]).saw(0, gap(2)).hears(0, &["c"]).record()), []);
        assert_eq!(judge(&talk(&["a"]).saw(0, gap(1)).hears(0, &["c"]).record()).len(), 1, "it was another one");
    }

    #[test]
    fn what_was_lost_with_the_data_is_not_owed_but_all_that_came_after() {
        let made = |heard: &[&str]| talk(&["a"]).texts(1, &["d", "e"]).hears(1, &["d", "e"]).hears(0, heard).record();
        assert_eq!(judge(&made(&["d", "e"])), []);
        assert_eq!(judge(&made(&["e"])).len(), 1);
    }

    #[test]
    fn what_a_join_promised_to_recover_is_owed() {
        let join = Op::Join { room: "red".to_owned(), since: Some(Place { epoch: 100, offset: 1 }) };
        let recovered = Outcome::Done(Answer { recovered: Some(true), ..Answer::default() });
        let made = |heard: &[&str]| {
            let said = Made::new().joins(1).says(1, "a").says(1, "b").says(1, "c").texts(0, &["a", "b", "c"]);
            said.hears(1, &["a", "b", "c"]).does(0, join.clone(), recovered.clone()).hears(0, heard).record()
        };
        assert_eq!(judge(&made(&["b", "c"])), []);
        assert_eq!(judge(&made(&["c"])).len(), 1);
    }

    #[test]
    fn scrp_is_not_shown_its_own() {
        let made = Made::new().joins(2).joins(0).says(2, "a").says(0, "b").texts(0, &["a", "b"]);
        assert_eq!(judge(&made.hears(0, &["a", "b"]).hears(2, &["b"]).record()), []);
    }

    /// What was kept for an account since before it left and came again.
    #[test]
    fn what_was_said_while_an_account_was_no_member_is_not_owed() {
        let made = |between: &[(&str, &str)], heard: &[&str]| {
            let mut made = Made::new().joins(0).says(0, "a").says(0, "b").says(0, "c").texts(0, &["a"]);
            for (kind, name) in between {
                made = made.kept(0, kind, name, None);
            }
            made = made.texts(0, &["b"]).kept(0, "j", "SCRP2", None).texts(0, &["c"]);
            let is_of = |record: &mut Record| record.kinds[2].account = Some("name of SCRP2".to_owned());
            judge(&made.hears(0, &["a", "b", "c"]).hears(2, heard).with(is_of).record()).len()
        };
        assert_eq!(made(&[("l", "SCRP2")], &["a", "c"]), 0);
        assert_eq!(made(&[("l", "SCRP2")], &["c"]), 0, "nothing from before");
        assert_eq!(made(&[("l", "SCRP3")], &["a", "c"]), 1, "it was another one that left");
    }
}
