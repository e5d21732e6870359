//! One live owner per nickname, at every moment that can be observed from outside.
//!
//! Somebody who lost a name without knowing it, because its node is cut off, is no second owner as long as nobody lets it act.
//! So what is looked for is an act under a name that another one had been given before, and neither gave up nor can have lost.

use std::collections::HashMap;

use super::truth::exchanges;
use super::{Violation, violations};
use crate::history::{Op, Outcome, SECOND, Us, What};
use crate::stage::Record;

/// A name in somebody's hands.
struct Hold<'a> {
    who: usize,
    node: usize,
    name: &'a str,
    granted: Us,
    /// When it was given up, or the connection ended, or it was asked for another name.
    over: Us,
    /// What was done under it and acknowledged: when that was asked, and what it was.
    acts: Vec<(Us, &'a Op)>,
}

pub fn judge(record: &Record) -> Vec<Violation> {
    let mut by_name: HashMap<&str, Vec<Hold>> = HashMap::new();
    for hold in holds(record) {
        by_name.entry(hold.name).or_default().push(hold);
    }
    let mut found = Vec::new();
    for (name, holds) in by_name {
        for later in &holds {
            let sure = sure_until(record, later);
            let earlier = holds.iter().filter(|hold| hold.granted < later.granted && !std::ptr::eq(*hold, later));
            for hold in earlier {
                let act = hold.acts.iter().find(|(asked, _)| *asked > later.granted && *asked < sure);
                if let Some((asked, op)) = act {
                    found.push(format!(
                        "client {} did {op:?} as {name:?} at {asked} us, which client {} had been given at {} us",
                        hold.who, later.who, later.granted
                    ));
                }
            }
        }
    }
    violations("names", found)
}

/// Until when nothing can have taken the name from its holder: its node may lose its lease in a fault.
fn sure_until(record: &Record, hold: &Hold) -> Us {
    let shaken = record.windows.iter().filter(|window| {
        let strikes = window.fault.node().is_none_or(|node| node == hold.node);
        strikes && window.until + SECOND > hold.granted
    });
    shaken.map(|window| window.from).min().unwrap_or(Us::MAX).min(hold.over)
}

fn holds(record: &Record) -> Vec<Hold<'_>> {
    let mut nodes: HashMap<u32, usize> = HashMap::new();
    let mut ended: HashMap<u32, Us> = HashMap::new();
    for entry in &record.entries {
        match &entry.what {
            What::Began { node } => drop(nodes.insert(entry.link, *node)),
            What::Ended { .. } => drop(ended.insert(entry.link, entry.at)),
            _ => {}
        }
    }
    let mut wanted: HashMap<u32, &str> = HashMap::new();
    let mut open: HashMap<u32, Hold> = HashMap::new();
    let mut over = Vec::new();
    for exchange in exchanges(record) {
        let link = exchange.link;
        let is_pychat = record.kinds[exchange.who].dialect == "pychat";
        let granted = match exchange.op {
            // The name that one has already is granted without a look.
            Op::Login { name } if open.get(&link).is_some_and(|hold| hold.name == name) => None,
            Op::Login { name } => {
                let refused = matches!(exchange.outcome, Outcome::Refused(_));
                if !refused && let Some(hold) = open.remove(&link) {
                    over.push(Hold { over: exchange.asked, ..hold });
                }
                wanted.insert(link, name);
                // pychat lets anybody bear a name, and claims it with the first join.
                (exchange.outcome.is_done() && !is_pychat).then_some(name.as_str())
            }
            Op::Resume(_) => match exchange.outcome {
                Outcome::Done(answer) => answer.nickname.as_deref(),
                _ => None,
            },
            Op::Join { .. } if is_pychat && exchange.outcome.is_done() && !open.contains_key(&link) => {
                wanted.get(&link).copied()
            }
            _ => None,
        };
        if let Some(name) = granted {
            let (who, node, granted) = (exchange.who, nodes[&link], exchange.answered);
            let end = ended.get(&link).copied().unwrap_or(Us::MAX);
            open.insert(link, Hold { who, node, name, granted, over: end, acts: Vec::new() });
        }
        let acts = matches!(exchange.op, Op::Send { .. } | Op::Private { .. } | Op::Join { .. });
        if let (true, true, Some(hold)) = (acts, exchange.outcome.is_done(), open.get_mut(&link)) {
            hold.acts.push((exchange.asked, exchange.op));
        }
    }
    over.extend(open.into_values());
    over
}

#[cfg(test)]
mod tests {
    use super::super::made::Made;
    use super::*;
    use crate::faults::Fault;
    use crate::stage::Window;

    #[test]
    fn one_after_the_other_may_have_a_name() {
        let made = Made::new().login(0, "ann").says(0, "a").ends(0).login(1, "ann").says(1, "b");
        assert_eq!(judge(&made.record()), []);
        let made = Made::new().login(0, "ann").login(0, "ben").login(1, "ann").says(0, "a").says(1, "b");
        assert_eq!(judge(&made.record()), []);
    }

    #[test]
    fn two_that_act_under_one_name_are_found() {
        let made = Made::new().login(0, "ann").login(1, "ann").says(0, "a").says(1, "b");
        assert_eq!(judge(&made.record()).len(), 1);
    }

    #[test]
    fn who_lost_the_name_and_does_nothing_is_no_owner() {
        let made = Made::new().login(0, "ann").says(0, "a").login(1, "ann").says(1, "b").ends(0);
        assert_eq!(judge(&made.record()), []);
    }

    #[test]
    fn whose_node_was_cut_off_may_have_lost_it() {
        let cut = Fault::Cut { node: 0, towards_redis: true, from_redis: true, ms: 13_000 };
        let window = Window { fault: cut, from: 0, until: 100 * SECOND };
        let made = Made::new().login(0, "ann").login(1, "ann").says(0, "a").says(1, "b");
        assert_eq!(judge(&made.with(|record| record.windows.push(window)).record()), []);
    }
}
