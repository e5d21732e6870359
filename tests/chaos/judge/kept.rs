//! Acknowledged means kept, once.

use super::truth::Truth;
use super::{Violation, violations};
use crate::history::Outcome;
use crate::stage::Record;

pub fn judge(record: &Record) -> Vec<Violation> {
    let truth = Truth::of(record);
    let mut found = Vec::new();
    for (text, said) in &truth.said {
        let spots = truth.spots.get(text).map_or(&[][..], Vec::as_slice);
        // Where the data was lost, a key was lost as well.
        let is_twice = spots.iter().any(|spot| spots.iter().filter(|other| other.era == spot.era).count() > 1);
        if is_twice {
            found.push(format!("{text:?} was said once and stands in the stream {} times", spots.len()));
        }
        for one in said {
            match one.outcome {
                Outcome::Done(answer) => {
                    let epoch = |era| truth.epochs.get(&(one.room, era)).copied();
                    let stands = |place: &crate::history::Place| {
                        spots.iter().any(|spot| spot.offset == place.offset && epoch(spot.era) == Some(place.epoch))
                    };
                    if spots.is_empty() && truth.is_told_lost(record, one) {
                        continue;
                    }
                    if spots.is_empty() {
                        found.push(format!("{text:?} of client {} was acknowledged and is lost", one.who));
                    } else if answer.place.as_ref().is_some_and(|place| !stands(place)) {
                        found
                            .push(format!("{text:?} was said to stand at {:?}, and stands at {spots:?}", answer.place));
                    }
                }
                Outcome::Refused(why) if said.len() == 1 && !spots.is_empty() => {
                    found.push(format!("{text:?} was refused ({why}) and stands in the stream"));
                }
                Outcome::Refused(_) | Outcome::Unknown(_) => {}
            }
        }
    }
    violations("kept", found)
}

#[cfg(test)]
mod tests {
    use super::super::made::Made;
    use super::*;
    use crate::faults::Fault;
    use crate::history::{Answer, Place, SECOND};
    use crate::stage::Window;

    fn unknown() -> Outcome {
        Outcome::Unknown("unavailable".to_owned())
    }

    #[test]
    fn what_stands_there_once_is_kept_and_of_the_unknown_nothing_is_demanded() {
        let made = Made::new().joins(0).says(0, "a").tries_to_say(0, "b", unknown()).tries_to_say(0, "c", unknown());
        assert_eq!(judge(&made.texts(0, &["a", "b"]).record()), []);
    }

    #[test]
    fn what_was_acknowledged_and_is_not_there_is_found() {
        assert_eq!(judge(&Made::new().says(0, "a").record()).len(), 1);
    }

    #[test]
    fn what_was_refused_and_is_there_or_is_there_twice_is_found() {
        let refused = Outcome::Refused("You should join this room first".to_owned());
        assert_eq!(judge(&Made::new().tries_to_say(0, "a", refused).texts(0, &["a"]).record()).len(), 1);
        assert_eq!(judge(&Made::new().says(0, "a").texts(0, &["a", "a"]).record()).len(), 1);
    }

    #[test]
    fn a_place_that_was_told_has_to_be_the_place() {
        let at = |offset| Outcome::Done(Answer { place: Some(Place { epoch: 100, offset }), ..Answer::default() });
        let made = |offset| Made::new().tries_to_say(0, "b", at(offset)).texts(0, &["a", "b"]).record();
        assert_eq!(judge(&made(2)), []);
        assert_eq!(judge(&made(1)).len(), 1);
    }

    #[test]
    fn what_a_killed_master_took_may_be_lost_under_a_new_epoch() {
        let window = Window { fault: Fault::MasterKill { ms: 6_000 }, from: 0, until: 10 * SECOND };
        let made = || Made::new().says(0, "a").with(|record| record.windows.push(window));
        assert_eq!(judge(&made().texts(1, &["b"]).record()), []);
        assert_eq!(judge(&made().texts(0, &["b"]).record()).len(), 1, "nobody was told");
        assert_eq!(judge(&Made::new().says(0, "a").texts(1, &["b"]).record()).len(), 1, "no master was struck");
    }
}
