//! Accounts and rooms by the beginnings of words: an index in memory, made anew at the start.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use async_trait::async_trait;

use super::super::search::{is_found, looks, probe, words};
use super::super::{BackendError, Page, Search};
use super::Embedded;
use super::accounts::Accounts;
use super::room::Room;
use super::state::{State, Work};
use crate::chat::{Nickname, RoomId};

/// Stands between a word and an id; no name holds it.
const BETWEEN: char = '\0';

/// What is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    User,
    Room,
}

/// `<word>\0<id>` for every word by which something is found.
#[derive(Default)]
pub struct Index {
    users: BTreeSet<String>,
    rooms: BTreeSet<String>,
}

/// A query with its way through the index.
struct Query<'a> {
    text: &'a str,
    /// The beginnings asked for, one after the other.
    beginnings: Vec<String>,
}

fn entries(id: &str, nickname: &str) -> BTreeSet<String> {
    words(id, nickname).into_iter().map(|word| format!("{word}{BETWEEN}{id}")).collect()
}

impl Index {
    pub fn of(accounts: &Accounts, rooms: &HashMap<RoomId, Room>) -> Self {
        let users = accounts.called().flat_map(|(name, called)| entries(name.as_str(), called)).collect();
        let kept = rooms.iter().filter_map(|(id, room)| Some((id, room.kept.as_ref()?)));
        let rooms = kept.flat_map(|(id, kept)| entries(id.as_str(), kept.nickname())).collect();
        Self { users, rooms }
    }

    fn replace(&mut self, kind: Kind, before: &BTreeSet<String>, after: &BTreeSet<String>) {
        let index = match kind {
            Kind::User => &mut self.users,
            Kind::Room => &mut self.rooms,
        };
        for entry in before {
            index.remove(entry);
        }
        index.extend(after.iter().cloned());
    }
}

impl<'a> Query<'a> {
    /// Ids that begin with the whole query have no word of it in the index where they hold more than letters and digits.
    fn new(text: &'a str) -> Self {
        let (whole, word) = (text.to_lowercase(), probe(text));
        let beginnings = match whole.starts_with(&word) {
            _ if word.is_empty() => vec![whole],
            true => vec![word],
            false => vec![whole, word],
        };
        Self { text, beginnings }
    }

    /// Where something with these words is found: at the first of its words that the query leads to.
    fn place<'w>(&self, words: &'w [String]) -> Option<(usize, &'w str)> {
        let first = |beginning: &String| words.iter().filter(|word| word.starts_with(beginning)).min();
        let places = self.beginnings.iter().enumerate();
        let place = places.filter_map(|(at, beginning)| Some((at, first(beginning)?.as_str()))).next();
        place.filter(|_| is_found(words, self.text))
    }

    /// One page: the ids, and the place of the last entry that was looked at, if there are more.
    fn page<T>(
        &self,
        index: &BTreeSet<String>,
        after: Option<&str>,
        limit: usize,
        known: impl Fn(&str) -> Option<(T, Vec<String>)>,
    ) -> Page<T> {
        let (first, after) = after.map_or((0, ""), read_cursor);
        let mut left = looks(limit);
        let (mut found, mut last) = (Vec::new(), None);
        for (at, beginning) in self.beginnings.iter().enumerate().skip(first) {
            let from = match after {
                after if at == first && after >= beginning.as_str() => Bound::Excluded(after),
                _ => Bound::Included(beginning.as_str()),
            };
            let range = index.range::<str, _>((from, Bound::Unbounded));
            for entry in range.take_while(|entry| entry.starts_with(beginning.as_str())) {
                if found.len() >= limit || left == 0 {
                    return Page { found, next: last };
                }
                left -= 1;
                last = Some(format!("{at}{entry}"));
                let Some((word, id)) = entry.split_once(BETWEEN) else { continue };
                let Some((item, words)) = known(id) else { continue };
                if self.place(&words) == Some((at, word)) {
                    found.push(item);
                }
            }
        }
        Page { found, next: None }
    }
}

/// Reads which beginning it was at, and the entry.
fn read_cursor(cursor: &str) -> (usize, &str) {
    match cursor.split_at_checked(1) {
        Some(("0", entry)) => (0, entry),
        Some(("1", entry)) => (1, entry),
        _ => (0, ""),
    }
}

impl State {
    /// Something is called otherwise from now on: `None` for what was, or is, not there.
    pub fn index_again(&mut self, kind: Kind, id: &str, before: Option<&str>, after: Option<&str>, work: &mut Work) {
        if before == after {
            return;
        }
        let of = |nickname: Option<&str>| nickname.map_or_else(BTreeSet::new, |nickname| entries(id, nickname));
        let (before, after) = (of(before), of(after));
        self.index.replace(kind, &before, &after);
        work.or_else(move |state| state.index.replace(kind, &after, &before));
    }

    pub fn search_users(&self, query: &str, after: Option<&str>, limit: usize) -> Page<Nickname> {
        Query::new(query).page(&self.index.users, after, limit, |id| {
            let name = Nickname::parse(id).ok()?;
            let words = words(id, self.accounts.call(&name)?);
            Some((name, words))
        })
    }

    pub fn search_rooms(&self, query: &str, after: Option<&str>, limit: usize) -> Page<RoomId> {
        Query::new(query).page(&self.index.rooms, after, limit, |id| {
            let room = RoomId::parse(id).ok()?;
            let words = words(id, self.rooms.get(&room)?.kept.as_ref()?.nickname());
            Some((room, words))
        })
    }
}

#[async_trait]
impl Search for Embedded {
    async fn search_users(
        &self,
        query: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Nickname>, BackendError> {
        let (query, after) = (query.to_owned(), after.map(str::to_owned));
        self.ask(move |state, _| Ok(state.search_users(&query, after.as_deref(), limit))).await
    }

    async fn search_rooms(&self, query: &str, after: Option<&str>, limit: usize) -> Result<Page<RoomId>, BackendError> {
        let (query, after) = (query.to_owned(), after.map(str::to_owned));
        self.ask(move |state, _| Ok(state.search_rooms(&query, after.as_deref(), limit))).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(known: &[(&str, &str)], query: &str, limit: usize) -> Vec<Vec<String>> {
        let index = known.iter().flat_map(|(id, nickname)| entries(id, nickname)).collect();
        let record = |id: &str| {
            let (id, nickname) = known.iter().find(|(other, _)| *other == id)?;
            Some((id.to_string(), words(id, nickname)))
        };
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let page = Query::new(query).page(&index, after.as_deref(), limit, record);
            pages.push(page.found);
            match page.next {
                Some(next) => after = Some(next),
                None => return pages,
            }
        }
    }

    #[test]
    fn each_is_found_once_over_all_pages() {
        let known = [("ann", "Anna Ant"), ("anton", ""), ("bob", "the ant"), ("cleo", "x")];
        assert_eq!(search(&known, "an", 2), [vec!["ann", "bob"], vec!["anton"]]);
        assert_eq!(search(&known, "ANT", 9), [["ann", "bob", "anton"]]);
        assert_eq!(search(&known, "the an", 9), [["bob"]]);
        assert_eq!(search(&known, "", 3), [vec!["ann", "bob", "anton"], vec!["cleo"]]);
        assert_eq!(search(&known, "y", 3), [Vec::<String>::new()]);
    }

    #[test]
    fn an_id_of_several_words_is_found_by_its_beginning() {
        let known = [("red room", ""), ("red-hot", "a room"), ("room", "red")];
        assert_eq!(search(&known, "red room", 1), [["red room"], ["red-hot"], ["room"]]);
        assert_eq!(search(&known, "red-h", 9), [["red-hot"]]);
    }

    #[test]
    fn a_page_is_a_bounded_piece_of_work() {
        let ids: Vec<String> = (0..1_000).map(|number| format!("ab{number:04}")).collect();
        let known: Vec<_> = ids.iter().map(|id| (id.as_str(), "")).collect();
        let pages = search(&known, "ab x", 5);
        assert_eq!(pages.len(), 7, "150 entries are looked at for a page of 5");
        assert!(pages.iter().all(Vec::is_empty));
    }
}
