//! Each coming and each going of a guest is announced once, and what was announced is how it is in the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::truth::exchanges;
use super::{Violation, violations};
use crate::history::{Op, Outcome, Resume};
use crate::stage::Record;
use crate::tap::Kept;

pub fn judge(record: &Record) -> Vec<Violation> {
    let mut found = Vec::new();
    let heirs = heirs(record);
    for (room, events) in &record.streams {
        let accounts: BTreeSet<&str> = record.kinds.iter().filter_map(|kind| kind.account.as_deref()).collect();
        let is_guest = |event: &&Kept| event.name.as_deref().is_none_or(|name| !accounts.contains(name));
        let mut there = There { heirs: heirs.clone(), ..There::default() };
        for event in events.iter().filter(is_guest) {
            found.extend(there.after(event).map(|what| format!("in {room}: {what}")));
        }
        // Where data was lost, who was there is made so again without a word.
        let has_one_stream = events.last().is_some_and(|last| last.era == 0);
        if let (true, Some(members)) = (has_one_stream, record.held.members.get(room)) {
            let members: BTreeSet<String> = members.iter().map(|session| there.announced(session)).collect();
            let inside: BTreeSet<String> = there.inside.into_keys().collect();
            if inside != members {
                let differ: Vec<&String> = inside.symmetric_difference(&members).collect();
                found.push(format!("in {room}: what was announced and who is a member differ in {differ:?}"));
            }
        }
    }
    violations("announcements", found)
}

#[derive(Default)]
struct There<'a> {
    era: usize,
    /// Who came or went in this era.
    met: BTreeSet<String>,
    /// Session → where it joined.
    inside: BTreeMap<String, u64>,
    /// Was there when the data was lost, and may have been made a member again.
    perhaps: BTreeSet<String>,
    /// Heir → the session in whose place it is, or perhaps is.
    heirs: HashMap<&'a str, &'a str>,
}

/// Whoever goes on in the place of another session is not announced.
fn heirs(record: &Record) -> HashMap<&str, &str> {
    let exchanges = exchanges(record).into_iter();
    let taken = exchanges.filter(|exchange| !matches!(exchange.outcome, Outcome::Refused(_)));
    let mut heirs = HashMap::new();
    for exchange in taken {
        if let Op::Resume(Resume { former, heir, .. }) = exchange.op {
            heirs.insert(heir.as_str(), former.as_str());
        }
    }
    heirs
}

impl There<'_> {
    /// Under which session it was announced that this one is there.
    fn announced(&self, session: &str) -> String {
        let is_known = |session: &str| self.inside.contains_key(session) || self.perhaps.contains(session);
        let mut line = std::iter::successors(Some(session), |session| self.heirs.get(session).copied());
        line.find(|session| is_known(session)).unwrap_or(session).to_owned()
    }

    fn after(&mut self, event: &Kept) -> Option<String> {
        if event.era != self.era {
            self.era = event.era;
            self.met.clear();
            self.perhaps.extend(std::mem::take(&mut self.inside).into_keys());
        }
        let Kept { session, offset, name, .. } = event;
        let is_new = event.kind != "m" && self.met.insert(session.clone());
        match event.kind.as_str() {
            "j" => {
                self.perhaps.remove(session);
                let before = self.inside.insert(session.clone(), *offset)?;
                Some(format!("{name:?} ({session}) was announced at {before} and, still there, again at {offset}"))
            }
            "l" => {
                let announced = self.announced(session);
                // Whoever joins while what was lost is made again may be made a member with it, without a word.
                let is_restored = event.era > 0 && is_new;
                let was_there = self.inside.remove(&announced).is_some() || self.perhaps.remove(&announced);
                (!was_there && !is_restored)
                    .then(|| format!("{name:?} ({session}) was said to leave at {offset}, and was not there"))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::made::Made;
    use super::*;

    #[test]
    fn coming_and_going_by_turns_is_right() {
        let made = Made::new().kept(0, "j", "1", None).kept(0, "l", "1", None).kept(0, "j", "1", None);
        let members = |record: &mut Record| drop(record.held.members.insert("red".to_owned(), ["1".to_owned()].into()));
        assert_eq!(judge(&made.with(members).record()), []);
    }

    #[test]
    fn an_heir_leaves_for_the_one_that_came() {
        let resume = |outcome| {
            let op = Op::Resume(Resume {
                former: "1".to_owned(),
                heir: "2".to_owned(),
                name: None,
                rooms: Vec::new(),
                lost: 0,
                node: 0,
                is_held: true,
            });
            Made::new().does(0, op, outcome).kept(0, "j", "1", None).kept(0, "l", "2", None).record()
        };
        assert_eq!(judge(&resume(Outcome::done())), []);
        assert_eq!(judge(&resume(Outcome::Refused("no".to_owned()))).len(), 1);
    }

    #[test]
    fn a_second_leave_or_join_is_found() {
        let made = Made::new().kept(0, "j", "1", None).kept(0, "l", "1", None).kept(0, "l", "1", None);
        assert_eq!(judge(&made.record()).len(), 1);
        assert_eq!(judge(&Made::new().kept(0, "j", "1", None).kept(0, "j", "1", None).record()).len(), 1);
    }

    #[test]
    fn who_was_announced_and_is_no_member_is_found() {
        let made = Made::new().kept(0, "j", "1", None);
        let nobody = |record: &mut Record| drop(record.held.members.insert("red".to_owned(), BTreeSet::new()));
        assert_eq!(judge(&made.with(nobody).record()).len(), 1);
    }

    #[test]
    fn where_data_was_lost_members_are_restored_silently() {
        let made = Made::new().kept(0, "j", "1", None).kept(1, "l", "1", None);
        assert_eq!(judge(&made.record()), []);
    }
}
