//! Once nothing is wrong any more, everything is as everybody believes: who is where, who has which name, and no more.

use std::collections::{BTreeMap, BTreeSet};

use super::truth::{exchanges, went_with_a_server};
use super::{Violation, violations};
use crate::history::Op;
use crate::stage::{NODES, Record};

pub fn judge(record: &Record) -> Vec<Violation> {
    let mut found: Vec<String> = record.beliefs.iter().flat_map(|belief| belief.refused.clone()).collect();
    let unfinished = record.beliefs.iter().enumerate().filter(|(_, belief)| belief.is_there && !belief.is_done);
    found.extend(unfinished.map(|(who, _)| format!("client {who} could not say its last in time")));
    found.extend(rooms(record));
    found.extend(names(record));
    found.extend(leases(record));
    violations("rosters", found)
}

/// The guests in each room, by the names of their sessions, and the accounts that are members for good.
fn rooms(record: &Record) -> Vec<String> {
    let all = || record.kinds.iter().zip(&record.beliefs).filter(|(_, belief)| belief.is_there);
    let accounts: BTreeSet<&String> = record.kinds.iter().filter_map(|kind| kind.account.as_ref()).collect();
    let mut found = Vec::new();
    for (room, held) in &record.held.sessions {
        let there = all().filter(|(_, belief)| belief.rooms.contains(room));
        let guests = there.filter(|(kind, _)| kind.account.is_none());
        let believed: Vec<String> = guests.map(|(_, belief)| belief.name.clone().unwrap_or_default()).collect();
        let held: Vec<String> = held.iter().filter(|name| !accounts.contains(name)).cloned().collect();
        found.extend(differ(&format!("in {room}"), &believed, &held));
        for (who, belief) in record.beliefs.iter().enumerate().filter(|(_, belief)| belief.is_there) {
            let Some(account) = &record.kinds[who].account else { continue };
            let is_member = record.held.accounts.get(room).is_some_and(|members| members.contains(account));
            let is_sure = !belief.doubtful.contains(room) && !went(record, who, room);
            if is_sure && is_member != belief.rooms.contains(room) {
                found.push(format!("in {room} the account {account} is a member: {is_member}, and believes otherwise"));
            }
        }
    }
    found
}

/// Whether the last that an account did about its membership went with a server. It is no session's, which would do it again.
fn went(record: &Record, who: usize, room: &str) -> bool {
    let about = |op: &Op| matches!(op, Op::Join { room: of, .. } | Op::Leave { room: of } if of == room);
    let mut of_it =
        exchanges(record).into_iter().filter(|one| one.who == who && one.outcome.is_done() && about(one.op));
    of_it.next_back().is_some_and(|last| went_with_a_server(record, room, last.asked, last.answered))
}

fn names(record: &Record) -> Vec<String> {
    let there = || record.beliefs.iter().filter(|belief| belief.is_there);
    // Who was let bear a name may hold it or not.
    let perhaps: BTreeSet<&String> = there().filter_map(|belief| belief.perhaps.as_ref()).collect();
    let believed: Vec<String> = there().filter_map(|belief| belief.name.clone()).collect();
    let sure = |names: &BTreeSet<String>| -> Vec<String> {
        names.iter().filter(|name| !perhaps.contains(name) || believed.contains(name)).cloned().collect()
    };
    let holders = differ("among the holders of names", &believed, &sure(&record.held.holders));
    let sets = differ("in the sets of names", &believed, &sure(&record.held.names));
    holders.into_iter().chain(sets).collect()
}

fn leases(record: &Record) -> Vec<String> {
    let mut found = Vec::new();
    let held = &record.held;
    // Nothing was looked at where there is no room.
    if !held.sessions.is_empty() && (held.leases != NODES || held.live_leases != NODES) {
        found.push(format!("{} leases are listed, of which {} live", held.leases, held.live_leases));
    }
    found.extend(held.orphans.iter().map(|key| format!("{key} belongs to no lease")));
    let debts: f64 = record.watched.last.get("crosstalk_debts").map_or(0.0, |of_nodes| of_nodes.iter().sum());
    if debts > 0.0 {
        found.push(format!("{debts} debts are left"));
    }
    found
}

/// How two lists of names differ, each name as often as it stands there.
fn differ(place: &str, believed: &[String], held: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<&String, i64> = BTreeMap::new();
    believed.iter().for_each(|name| *counts.entry(name).or_default() += 1);
    held.iter().for_each(|name| *counts.entry(name).or_default() -= 1);
    let differing = counts.into_iter().filter(|(_, count)| *count != 0);
    let tell = |(name, count): (&String, i64)| {
        let how = if count > 0 { "is missing" } else { "is there without a client" };
        format!("{place} {name:?} {how}")
    };
    differing.map(tell).collect()
}

#[cfg(test)]
mod tests {
    use super::super::made::Made;
    use super::*;
    use crate::faults::Fault;
    use crate::history::SECOND;
    use crate::stage::Window;
    use crate::world::Belief;

    fn ann_in_red(record: &mut Record) {
        let name = || "ann".to_owned();
        let rooms = ["red".to_owned()].into();
        record.beliefs[0] = Belief { is_there: true, is_done: true, name: Some(name()), rooms, ..Belief::default() };
        record.held.sessions = [("red".to_owned(), vec![name()])].into();
        record.held.names = [name()].into();
        record.held.holders = [name()].into();
        (record.held.leases, record.held.live_leases) = (NODES, NODES);
    }

    fn enrolled(record: &mut Record) {
        (record.beliefs[2].is_there, record.beliefs[2].rooms) = (true, ["red".to_owned()].into());
    }

    #[test]
    fn a_membership_may_go_with_a_killed_master() {
        let window = Window { fault: Fault::MasterKill { ms: 6_000 }, from: 0, until: 10 * SECOND };
        let made = |era| Made::new().joins(2).kept(era, "l", "s", None).with(ann_in_red).with(enrolled);
        let struck = |made: Made| judge(&made.with(|record| record.windows.push(window)).record()).len();
        assert_eq!(struck(made(1)), 0);
        assert_eq!(struck(made(0)), 1, "the room goes on under its epoch");
        assert_eq!(judge(&made(1).record()).len(), 1, "no master was struck");
    }

    fn found_after(change: impl FnOnce(&mut Record)) -> usize {
        judge(&Made::new().with(ann_in_red).with(change).record()).len()
    }

    #[test]
    fn what_agrees_agrees() {
        assert_eq!(found_after(|_| {}), 0);
    }

    #[test]
    fn whoever_is_missing_or_left_over_is_found() {
        assert_eq!(found_after(|record| record.held.sessions.get_mut("red").unwrap().clear()), 1);
        assert_eq!(found_after(|record| record.held.sessions.get_mut("red").unwrap().push("ann".to_owned())), 1);
        assert_eq!(found_after(|record| record.held.names.extend(["ben".to_owned()])), 1);
        assert_eq!(found_after(|record| record.held.holders.clear()), 1);
        assert_eq!(found_after(|record| record.held.leases += 1), 1);
        assert_eq!(found_after(|record| record.held.orphans.push("ct:node:{1}:claims".to_owned())), 1);
        assert_eq!(found_after(|record| record.beliefs[2].is_there = true), 0);
        assert_eq!(found_after(enrolled), 1);
        assert_eq!(found_after(|record| record.beliefs[0].is_done = false), 1);
        assert_eq!(found_after(|record| record.beliefs[0].refused.push("ann in red".to_owned())), 1);
    }
}
