//! The promises that are times: how long a dead node's people stay, a deaf node does not know it, nobody can say anything.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::truth::exchanges;
use super::{Violation, gaps, readers, violations};
use crate::faults::Fault;
use crate::history::{Op, SECOND, Us, What};
use crate::stage::{NODES, Record, Window};
use crate::tap::Kept;
use crate::watch::Change;

/// How much later than a lease ends the last leave may be announced: 15 s with a lease of 10 s.
const SWEPT_WITHIN: Us = 5 * SECOND;
const DEAF_CEILING: Us = 5 * SECOND;
/// Readiness is looked at several times a second, on a machine that has much to do.
const LOOK: Us = SECOND;

/// What was measured after each kind of fault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Numbers {
    pub rows: BTreeMap<&'static str, Row>,
    /// Stays in which something was missing, as clients were told.
    pub gaps_real: usize,
}

/// After one kind of fault; times in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    pub times: usize,
    /// From each kill to the last leave of a session of that node.
    pub ghosts: Vec<u64>,
    /// From each silence of all subscription connections of a node until it said that it is not ready.
    pub deaf: Vec<u64>,
    /// From each silence of a subscription connection until the node heard again, everything that was missed included.
    pub hearing: Vec<u64>,
    /// From its end to the first message that was taken on the node where that took longest.
    pub recovery: Vec<u64>,
    /// Gaps of which clients were told.
    pub gaps_told: usize,
    /// Sessions that went on in another connection, and that did not.
    pub resumed: usize,
    pub not_resumed: usize,
    /// Clients that were closed because they did not read.
    pub closed: usize,
}

impl Row {
    pub fn add(&mut self, other: &Self) {
        self.times += other.times;
        self.ghosts.extend(&other.ghosts);
        self.deaf.extend(&other.deaf);
        self.hearing.extend(&other.hearing);
        self.recovery.extend(&other.recovery);
        self.gaps_told += other.gaps_told;
        self.resumed += other.resumed;
        self.not_resumed += other.not_resumed;
        self.closed += other.closed;
    }
}

impl Numbers {
    pub fn add(&mut self, other: &Self) {
        for (label, row) in &other.rows {
            self.rows.entry(label).or_default().add(row);
        }
        self.gaps_real += other.gaps_real;
    }
}

pub fn judge(record: &Record) -> Vec<Violation> {
    let mut found = Vec::new();
    for window in &record.windows {
        match window.fault {
            Fault::Kill { .. } if !redis_was_struck(record, window) => {
                let late = ghost(record, window).filter(|time| *time > record.lease_ms * 1_000 + SWEPT_WITHIN);
                found.extend(late.map(|time| format!("a killed node's people were there for {time} us")));
            }
            Fault::Deafen { .. } => {
                match deafness(record, window) {
                    Some((deaf, _)) if deaf > DEAF_CEILING + LOOK => {
                        found.push(format!("a deaf node knew it after {deaf} us"));
                    }
                    None => found.push("a deaf node never knew it".to_owned()),
                    Some(_) => {}
                }
                let others = others_unready(record, window);
                found.extend(others.map(|node| format!("node {node} was not ready because another one was deaf")));
            }
            _ => {}
        }
    }
    violations("ceilings", found)
}

pub fn numbers(record: &Record) -> Numbers {
    let mut numbers = Numbers { gaps_real: gaps::real(record), ..Numbers::default() };
    for (window, next) in record.windows.iter().zip(record.windows.iter().skip(1).map(Some).chain([None])) {
        let row = row(record, window, next.map_or(Us::MAX, |next| next.from));
        numbers.rows.entry(window.fault.label()).or_default().add(&row);
    }
    numbers
}

/// What came of one fault, up to the next.
fn row(record: &Record, window: &Window, next: Us) -> Row {
    let mut row = Row { times: 1, ..Row::default() };
    match window.fault {
        Fault::Kill { .. } => row.ghosts.extend(ghost(record, window).map(ms)),
        Fault::Deafen { .. } => {
            let times = deafness(record, window);
            let is_told = matches!(window.fault, Fault::Deafen { ms: 1.., .. });
            row.deaf.extend(times.filter(|_| is_told).map(|(deaf, _)| ms(deaf)));
            row.hearing.extend(times.and_then(|(_, hearing)| hearing).map(ms));
        }
        Fault::Sleep { .. } => row.closed = readers::closed(record, window),
        _ => {}
    }
    row.recovery.extend(recovery(record, window).map(ms));
    let follows = |at: Us| (window.from..next).contains(&at);
    let gaps = record.entries.iter().filter(|entry| matches!(entry.what, What::Gap { .. }) && follows(entry.at));
    row.gaps_told = gaps.count();
    let exchanges = exchanges(record);
    let returns = || exchanges.iter().filter(|one| matches!(one.op, Op::Resume(_)) && follows(one.asked));
    row.resumed = returns().filter(|one| one.outcome.is_done()).count();
    row.not_resumed = returns().count() - row.resumed;
    row
}

fn ms(time: Us) -> u64 {
    time / 1_000
}

/// Whether Redis was away or empty while the dead node's people were to be swept.
fn redis_was_struck(record: &Record, window: &Window) -> bool {
    let until = window.from + record.lease_ms * 1_000 + SWEPT_WITHIN;
    record.windows.iter().any(|other| {
        other.fault.is_of_redis() && other.from < until && other.until + record.lease_ms * 1_000 > window.from
    })
}

/// How long the people of a killed node were still there; nothing where it had none.
fn ghost(record: &Record, window: &Window) -> Option<Us> {
    let killed_us = record.began_unix_us + window.from;
    let node = window.fault.node()?;
    let all = || record.streams.values().flatten();
    // A session's id begins with its node's, and each of its clients knows its own name, and since when it had it there: before,
    // somebody may have had it on another node.
    let name = names_on(record, node, window.from).into_iter().find_map(|(name, since)| {
        let since_us = record.began_unix_us + since;
        let named = |event: &&Kept| event.name.as_deref() == Some(name);
        let joined = |event: &&Kept| event.kind == "j" && event.time_us > since_us && named(event);
        all().filter(|event| event.time_us < killed_us).filter(joined).max_by_key(|event| event.time_us)
    })?;
    let of_node = name.session.get(..12)?;
    let may_resume = resumable(record);
    let is_ghost = |event: &&Kept| event.name.as_deref().is_none_or(|name| !may_resume.contains(name));
    let leaves = all().filter(|event| event.session.starts_with(of_node) && event.kind == "l").filter(is_ghost);
    leaves.filter(|leave| leave.time_us > killed_us).map(|leave| leave.time_us - killed_us).max()
}

/// The names under which sessions may have been that are held for a while, to be gone on with.
fn resumable(record: &Record) -> BTreeSet<&str> {
    let of_extended = record.entries.iter().filter(|entry| record.kinds[entry.who].may_resume);
    let names = of_extended.filter_map(|entry| match &entry.what {
        What::Asked(Op::Login { name }) => Some(name.as_str()),
        _ => None,
    });
    names.collect()
}

/// The names that were held over the node at this time, each with since when.
fn names_on(record: &Record, node: usize, at: Us) -> Vec<(&str, Us)> {
    let mut links: BTreeMap<u32, Us> = BTreeMap::new();
    for entry in record.entries.iter().filter(|entry| entry.at < at) {
        match entry.what {
            What::Began { node: of } if of == node => drop(links.insert(entry.link, entry.at)),
            What::Ended { .. } => drop(links.remove(&entry.link)),
            _ => {}
        }
    }
    let logins = exchanges(record).into_iter().filter(|one| one.answered < at && links.contains_key(&one.link));
    let mut newest = BTreeMap::new();
    for login in logins.filter(|one| {
        one.outcome.is_done() && record.kinds[one.who].account.is_none() && !record.kinds[one.who].may_resume
    }) {
        if let Op::Login { name } = login.op {
            newest.insert(login.link, (name.as_str(), login.answered));
        }
    }
    newest.into_values().collect()
}

/// Until the node knew that it is deaf, and until it heard again. It may build its connection again between two looks.
fn deafness(record: &Record, window: &Window) -> Option<(Us, Option<Us>)> {
    let of_node = || record.watched.readiness.iter().filter(|change| Some(change.node) == window.fault.node());
    let before = of_node().rfind(|change| change.at < window.from).map_or(0, |change| change.rebuilt);
    let mut after = of_node().filter(|change| change.at >= window.from);
    // Where it stays deaf, only what it tells the balancer counts.
    let stays_deaf = window.until > window.from + SECOND;
    let knows = |change: &&Change| !change.is_ready || (!stays_deaf && change.rebuilt > before);
    let deaf = after.find(knows).filter(|change| change.at < window.from + 10 * SECOND)?;
    let hears = |change: &&Change| change.is_ready && change.rebuilt > before;
    let hearing = std::iter::once(deaf).chain(after).find(hears);
    Some((deaf.at - window.from, hearing.map(|change| change.at - window.from)))
}

/// The nodes that fell out of service while another one was deaf.
fn others_unready(record: &Record, window: &Window) -> impl Iterator<Item = usize> {
    let (from, until, deaf) = (window.from, window.until, window.fault.node());
    let changes = move || record.watched.readiness.iter();
    let was_ready = move |node: usize| {
        changes().rfind(|change| change.node == node && change.at < from).is_some_and(|change| change.is_ready)
    };
    let fell = move |node: usize| {
        changes().any(|change| change.node == node && !change.is_ready && (from..until).contains(&change.at))
    };
    (0..NODES).filter(move |node| Some(*node) != deaf && was_ready(*node) && fell(*node))
}

/// Until something could be said again on every node that had people to say it.
fn recovery(record: &Record, window: &Window) -> Option<Us> {
    let mut nodes: BTreeMap<u32, usize> = BTreeMap::new();
    for entry in &record.entries {
        if let What::Began { node } = entry.what {
            nodes.insert(entry.link, node);
        }
    }
    let next = record.windows.iter().map(|other| other.from).filter(|from| *from > window.until).min();
    let mut first: BTreeMap<usize, Us> = BTreeMap::new();
    for exchange in exchanges(record) {
        let is_send = matches!(exchange.op, Op::Send { .. }) && exchange.outcome.is_done();
        if is_send && exchange.asked >= window.until && next.is_none_or(|next| exchange.answered < next) {
            let time = exchange.answered - window.until;
            first.entry(nodes[&exchange.link]).and_modify(|first| *first = time.min(*first)).or_insert(time);
        }
    }
    first.into_values().max()
}

#[cfg(test)]
mod tests {
    use super::super::made::Made;
    use super::*;

    fn deafened(knows: Option<Us>) -> Record {
        let window = Window { fault: Fault::Deafen { node: 0, ms: 9_000 }, from: SECOND, until: 10 * SECOND };
        Made::new()
            .with(|record| {
                record.windows.push(window);
                record.watched.readiness.push(Change { at: 0, node: 0, is_ready: true, rebuilt: 0 });
                if let Some(at) = knows {
                    record.watched.readiness.push(Change { at: SECOND + at, node: 0, is_ready: false, rebuilt: 0 });
                    record.watched.readiness.push(Change { at: 2 * SECOND + at, node: 0, is_ready: true, rebuilt: 1 });
                }
            })
            .record()
    }

    #[test]
    fn a_deaf_node_has_to_know_it() {
        assert_eq!(judge(&deafened(Some(4 * SECOND))), []);
        let numbers = numbers(&deafened(Some(4 * SECOND)));
        let row = &numbers.rows["every subscription connection silent"];
        assert_eq!((row.deaf.as_slice(), row.hearing.as_slice()), (&[4_000][..], &[5_000][..]));
        assert_eq!(judge(&deafened(Some(7 * SECOND))).len(), 1);
        assert_eq!(judge(&deafened(None)).len(), 1);
    }

    #[test]
    fn no_other_node_may_be_out_of_service_for_it() {
        let mut record = deafened(Some(4 * SECOND));
        record.watched.readiness.insert(0, Change { at: 0, node: 1, is_ready: true, rebuilt: 0 });
        record.watched.readiness.push(Change { at: 5 * SECOND, node: 1, is_ready: false, rebuilt: 0 });
        assert_eq!(judge(&record).len(), 1);
    }

    fn killed(leaves_after: Us) -> Record {
        let session = "0123456789abcdef";
        let made = Made::new().login(0, &format!("name of {session}")).joins(0).kept(0, "j", session, None);
        let kill = Fault::Kill { node: 0, ms: 0 };
        made.ends(0)
            .kept(0, "l", session, None)
            .with(|record| {
                let from = 8 * SECOND;
                record.windows.push(Window { fault: kill, from, until: from });
                record.streams.get_mut("red").unwrap()[1].time_us = from + leaves_after;
            })
            .record()
    }

    #[test]
    fn the_dead_have_to_leave_in_time() {
        assert_eq!(numbers(&killed(11 * SECOND)).rows["node killed"].ghosts, [11_000]);
        assert_eq!(judge(&killed(11 * SECOND)), []);
        assert_eq!(judge(&killed(16 * SECOND)).len(), 1);
    }

    /// Whoever has the name on the killed node went into no room there.
    #[test]
    fn who_had_the_name_on_another_node_before_is_no_ghost() {
        let session = "fedcba9876543210";
        let made = Made::new().kept(0, "j", session, None).login(0, &format!("name of {session}")).ends(0);
        let kill = Fault::Kill { node: 0, ms: 0 };
        let record = made.kept(0, "l", session, None).with(|record| {
            record.windows.push(Window { fault: kill, from: 6 * SECOND, until: 6 * SECOND });
            record.streams.get_mut("red").unwrap()[1].time_us = 100 * SECOND;
        });
        assert_eq!(judge(&record.record()), []);
    }
}
