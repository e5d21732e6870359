//! One order per room, equal for all, and nothing twice on a live connection.

use std::collections::HashMap;

use super::truth::{Spot, Truth};
use super::{Violation, violations};
use crate::history::What;
use crate::stage::Record;

/// A stream has not more of them in one run.
const ERAS: usize = 100;

pub fn judge(record: &Record) -> Vec<Violation> {
    let truth = Truth::of(record);
    let mut newest: HashMap<(u32, &str), (Spot, &str)> = HashMap::new();
    let mut found = Vec::new();
    for entry in &record.entries {
        let What::Heard { room, text, place } = &entry.what else { continue };
        let told = |what: String| format!("client {} heard {text:?} {what}", entry.who);
        let Some(spot) = truth.spot(text) else {
            let said = truth.said.get(text.as_str()).map_or(&[][..], Vec::as_slice);
            if !said.iter().any(|said| truth.is_told_lost(record, said)) {
                found.push(told("which is in no stream".to_owned()));
            }
            continue;
        };
        // A stream that goes on under another epoch is told under that one from its beginning.
        let epochs: Vec<u64> =
            (spot.era..=spot.era + ERAS).filter_map(|era| truth.epochs.get(&(room.as_str(), era)).copied()).collect();
        if let Some(place) = place
            && (!epochs.contains(&place.epoch) || place.offset != spot.offset)
        {
            found.push(told(format!("as {place:?}, and it stands at {spot:?} of the epochs {epochs:?}")));
        }
        match newest.insert((entry.link, room), (spot, text)) {
            Some((before, _)) if before == spot => found.push(told("twice".to_owned())),
            Some((before, text)) if before > spot => found.push(told(format!("after {text:?}, which came later"))),
            _ => {}
        }
    }
    violations("order", found)
}

#[cfg(test)]
mod tests {
    use super::super::made::Made;
    use super::*;

    #[test]
    fn the_order_of_the_stream_is_everybodys() {
        let made = Made::new().texts(0, &["a", "b", "c"]).hears(0, &["a", "b", "c"]).hears(1, &["b", "c"]);
        assert_eq!(judge(&made.record()), []);
    }

    /// What is kept for an account may come once more over its next connection, and in its order.
    #[test]
    fn only_a_new_connection_is_told_again() {
        let heard = || Made::new().texts(0, &["a", "b"]).hears(2, &["a", "b", "a", "b"]);
        assert_eq!(judge(&heard().record()).len(), 1);
        let again = |record: &mut Record| record.entries.iter_mut().rev().take(2).for_each(|entry| entry.link = 7);
        assert_eq!(judge(&heard().with(again).record()), []);
    }

    #[test]
    fn another_order_and_a_repetition_are_found() {
        let made = Made::new().texts(0, &["a", "b"]);
        assert_eq!(judge(&made.hears(0, &["b", "a"]).record()).len(), 1);
        let made = Made::new().texts(0, &["a", "b"]);
        assert_eq!(judge(&made.hears(1, &["a", "a", "b"]).record()).len(), 1);
        assert_eq!(judge(&Made::new().hears(1, &["a"]).record()).len(), 1, "in no stream");
    }
}
