//! Who does not read is closed, and nobody else.

use super::{Violation, violations};
use crate::faults::Fault;
use crate::history::{Entry, OWN_ENDS, SECOND, Us, What};
use crate::stage::{Record, Window};

/// So late after it woke somebody may find that the connection has ended.
const FOUND_LATE: Us = 2 * SECOND;

pub fn judge(record: &Record) -> Vec<Violation> {
    let mut found = Vec::new();
    for window in record.windows.iter().filter(|window| matches!(window.fault, Fault::Sleep { .. })) {
        let ends = ended_by_servers(record, window);
        let slept = |entry: &&Entry| naps(record, window).any(|who| who == entry.who);
        let others = ends.iter().copied().filter(|entry| !slept(entry));
        found.extend(others.map(|entry| {
            format!("client {} read all the while, and its connection ended at {} us", entry.who, entry.at)
        }));
        if naps(record, window).next().is_some() && !ends.iter().any(slept) {
            found.push(format!("nobody of those who did not read from {} us on was closed", window.from));
        }
    }
    violations("readers", found)
}

/// How many were closed because they did not read.
pub fn closed(record: &Record, window: &Window) -> usize {
    let ends = ended_by_servers(record, window);
    ends.iter().filter(|entry| naps(record, window).any(|who| who == entry.who)).count()
}

fn naps<'a>(record: &'a Record, window: &Window) -> impl Iterator<Item = usize> + use<'a> {
    let from = window.from;
    record.naps.iter().filter(move |nap| nap.from == from).map(|nap| nap.who)
}

fn ended_by_servers<'a>(record: &'a Record, window: &Window) -> Vec<&'a Entry> {
    let within = record.entries.iter().filter(|entry| (window.from..window.until + FOUND_LATE).contains(&entry.at));
    let by_server = |entry: &&Entry| matches!(&entry.what, What::Ended { why } if !OWN_ENDS.contains(&why.as_str()));
    within.filter(by_server).collect()
}

#[cfg(test)]
mod tests {
    use super::super::made::Made;
    use super::*;
    use crate::stage::Nap;

    fn made() -> Made {
        let window = Window { fault: Fault::Sleep { ms: 6_000 }, from: 0, until: 20 * SECOND };
        Made::new().with(|record| {
            record.windows.push(window);
            record.naps.push(Nap { who: 0, from: 0 });
        })
    }

    #[test]
    fn who_slept_is_closed() {
        assert_eq!(judge(&made().ends(0).record()), []);
    }

    #[test]
    fn a_sleeper_that_is_kept_and_a_reader_that_is_closed_are_found() {
        assert_eq!(judge(&made().record()).len(), 1);
        assert_eq!(judge(&made().ends(0).ends(1).record()).len(), 1);
        let went = What::Ended { why: "went away".to_owned() };
        assert_eq!(judge(&made().ends(0).saw(1, went).record()), []);
    }
}
