//! Whoever comes back to a held session finds all of it: the name, the rooms, what was said meanwhile, and nobody noticed.

use super::stays::stays;
use super::truth::{Exchange, Truth, exchanges};
use super::{Violation, violations};
use crate::faults::Fault;
use crate::history::{Answer, Op};
use crate::history::{Outcome, Place, Resume, SECOND, Us, What};
use crate::stage::{Record, Window};
use crate::tap::Kept;

/// For so long after a fault something may still be lost that it took.
const SHAKEN: Us = 10 * SECOND;
/// So late after it woke somebody who did not read may find that the connection has ended.
const FOUND_LATE: Us = 2 * SECOND;
/// A stream holds at least so many events, less than the runs' `storage.history_count`.
const HELD: u64 = 4_000;

pub fn judge(record: &Record) -> Vec<Violation> {
    let nodes: std::collections::HashMap<u32, usize> = record
        .entries
        .iter()
        .filter_map(|entry| match entry.what {
            What::Began { node } => Some((entry.link, node)),
            _ => None,
        })
        .collect();
    let truth = Truth::of(record);
    let mut found = Vec::new();
    for exchange in exchanges(record) {
        let node = nodes.get(&exchange.link).copied().unwrap_or_default();
        if let Op::Join { room, since: Some(since) } = exchange.op
            && let Outcome::Done(Answer { recovered: Some(false), place, .. }) = exchange.outcome
        {
            found.extend(recoverable(record, &truth, &exchange, node, (room, *since, *place)));
        }
        if let Op::Resume(resume) = exchange.op {
            found.extend(resumed(record, &truth, &exchange, node, resume));
        }
    }
    found.extend(heard_again(record, &truth));
    violations("returns", found)
}

fn resumed(record: &Record, truth: &Truth, exchange: &Exchange, node: usize, resume: &Resume) -> Vec<String> {
    let Resume { former, heir, name, rooms, lost, node: from, is_held } = resume;
    let told = |what: String| format!("client {} came back at {} us {what}", exchange.who, exchange.asked);
    let may_have_lost = [*from, node]
        .into_iter()
        .any(|node| is_shaken(record, lost.saturating_sub(SHAKEN), exchange.answered, |fault| takes_from(fault, node)));
    // Who did not read may have been closed any time since, and finds out when it wakes.
    let woke = |window: &&Window| (window.from..window.until + FOUND_LATE).contains(lost);
    let slept = |window: &&Window| record.naps.iter().any(|nap| nap.who == exchange.who && nap.from == window.from);
    let nap = record.windows.iter().filter(woke).find(slept);
    let closed = nap.map_or(*lost, |nap| nap.from);
    let in_time = exchange.answered < closed + record.resume_ms * 1_000 / 2;
    let is_held_still = exchange.answered + SECOND < closed + record.resume_ms * 1_000;
    let answer = match exchange.outcome {
        Outcome::Done(answer) => answer,
        Outcome::Refused(why) if *is_held && in_time && !may_have_lost => {
            return vec![told(format!("in time, and was refused: {why}"))];
        }
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    for ((room, since), back) in rooms.iter().zip(&answer.rooms) {
        if let (Some(since), Some(false)) = (since, back.recovered) {
            found.extend(recoverable(record, truth, exchange, node, (room, *since, back.place)));
        }
    }
    if may_have_lost || !is_held_still {
        return found;
    }
    if name.is_some() && answer.nickname != *name {
        found.push(told(format!("without the name {name:?}, as {:?}", answer.nickname)));
    }
    for ((room, _), back) in rooms.iter().zip(&answer.rooms) {
        if let Some(error) = &back.error {
            found.push(told(format!("and not into {room}: {error}")));
            continue;
        }
        let events = || record.streams.get(room).into_iter().flatten();
        let seen_to = |kind: &str, session: &str| {
            let since = events().filter(|event| event.time_us >= record.began_unix_us + lost);
            let mut wanted = since.filter(|Kept { kind: of, session: who, .. }| of == kind && who == session);
            wanted.next().map(|event| event.offset)
        };
        if let Some(offset) = seen_to("l", former) {
            found.push(told(format!("and was said to leave {room} at {offset}")));
        }
        // What comes after the answer is another story: whose room was lost with the data may be said to join the new one.
        let until = record.began_unix_us + exchange.answered;
        let first = events().find(|event| event.session == *heir && event.kind != "m" && event.time_us <= until);
        if let Some(Kept { offset, .. }) = first.filter(|event| event.kind == "j") {
            found.push(told(format!("and was said to join {room} at {offset}")));
        }
    }
    found
}

/// That what was missed is not told, where the stream has it.
fn recoverable(
    record: &Record,
    truth: &Truth,
    exchange: &Exchange,
    node: usize,
    (room, since, now): (&String, Place, Option<Place>),
) -> Option<String> {
    let now = now?;
    let reads_badly = |fault: Fault| fault.is_of_redis() || fault.node() == Some(node);
    let is_kept = since.epoch == now.epoch && now.offset.saturating_sub(since.offset) < HELD;
    let is_excused = is_shaken(record, exchange.asked.saturating_sub(SHAKEN), exchange.answered, reads_badly);
    let is_known = truth.epochs.iter().any(|((of, _), epoch)| of == room && *epoch == since.epoch);
    (is_kept && is_known && !is_excused).then(|| {
        format!("client {} came back to {room} at {} us, and {since:?} is not told on", exchange.who, exchange.asked)
    })
}

/// What was known already when somebody came back and was told that everything missed would follow.
fn heard_again(record: &Record, truth: &Truth) -> Vec<String> {
    let mut found = Vec::new();
    for stay in stays(record) {
        let Some(after) = stay.after else { continue };
        let again = stay.heard.iter().find(|text| {
            let spot = truth.spot(text);
            spot.is_some_and(|spot| {
                truth.epochs.get(&(stay.room, spot.era)) == Some(&after.epoch) && spot.offset <= after.offset
            })
        });
        found.extend(again.map(|text| {
            format!("client {} (connection {}) was told {text:?} again, and knew {after:?}", stay.who, stay.link)
        }));
    }
    found
}

/// Whether a fault can take names and places from the sessions of a node.
fn takes_from(fault: Fault, node: usize) -> bool {
    let is_harmless = matches!(fault, Fault::Restart { .. } | Fault::Deafen { .. } | Fault::Slice { .. });
    fault.is_of_redis() || (fault.node() == Some(node) && !is_harmless)
}

fn is_shaken(record: &Record, from: Us, until: Us, strikes: impl Fn(Fault) -> bool) -> bool {
    record.windows.iter().any(|window| strikes(window.fault) && window.from <= until && from <= window.until)
}

#[cfg(test)]
mod tests {
    use super::super::made::Made;
    use super::*;

    fn place(offset: u64) -> Place {
        Place { epoch: 100, offset }
    }

    fn resume(made: &Made) -> Op {
        Op::Resume(Resume {
            former: "old".to_owned(),
            heir: "new".to_owned(),
            name: Some("ann".to_owned()),
            rooms: vec![("red".to_owned(), Some(place(2)))],
            lost: made.now(),
            node: 0,
            is_held: true,
        })
    }

    fn answer(nickname: Option<&str>, recovered: bool) -> Outcome {
        let back = crate::history::Back { place: Some(place(3)), recovered: Some(recovered), error: None };
        let nickname = nickname.map(str::to_owned);
        Outcome::Done(Answer { nickname, rooms: vec![back], ..Answer::default() })
    }

    /// Ann heard "a", lost the connection, and "b" was said meanwhile.
    fn away() -> Made {
        Made::new().kept(0, "j", "old", None).texts(0, &["a", "b"]).hears(0, &["a"])
    }

    fn back(outcome: Outcome) -> Made {
        let made = away();
        let op = resume(&made);
        made.does(0, op, outcome)
    }

    #[test]
    fn who_comes_back_to_everything_is_back() {
        assert_eq!(judge(&back(answer(Some("ann"), true)).hears(0, &["b"]).record()), []);
    }

    #[test]
    fn a_lost_name_or_room_or_token_is_found() {
        assert_eq!(judge(&back(answer(None, true)).record()).len(), 1);
        assert_eq!(judge(&back(answer(Some("ann"), false)).record()).len(), 1);
        let refused = Outcome::Refused("Session cannot be resumed".to_owned());
        assert_eq!(judge(&back(refused).record()).len(), 1);
    }

    #[test]
    fn what_others_noticed_is_found() {
        assert_eq!(judge(&back(answer(Some("ann"), true)).kept(0, "l", "old", None).record()).len(), 1);
        assert_eq!(judge(&back(answer(Some("ann"), true)).kept(0, "j", "new", None).record()).len(), 1);
    }

    #[test]
    fn what_is_told_again_is_found() {
        assert_eq!(judge(&back(answer(Some("ann"), true)).hears(0, &["a", "b"]).record()).len(), 1);
    }

    /// The server closed it when it did not read, long before it woke.
    #[test]
    fn who_slept_is_not_sure_to_be_held_still() {
        let made = || back(answer(Some("ann"), true)).kept(0, "j", "new", None).with(|record| record.resume_ms = 5_000);
        assert_eq!(judge(&made().record()).len(), 1);
        let slept = made().with(|record| {
            let window = Window { fault: Fault::Sleep { ms: 6_000 }, from: 0, until: 20 * SECOND };
            record.windows.push(window);
            record.naps.push(crate::stage::Nap { who: 0, from: 0 });
        });
        assert_eq!(judge(&slept.record()), []);
    }

    #[test]
    fn a_fault_may_take_it() {
        let window = crate::stage::Window { fault: Fault::Flush, from: 0, until: 100 * SECOND };
        let made = back(answer(None, false)).with(|record| record.windows.push(window));
        assert_eq!(judge(&made.record()), []);
    }
}
