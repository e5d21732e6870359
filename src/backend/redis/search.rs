//! Search on Redis: a sorted set of words each for accounts and for rooms, read by ranges of their order.
//!
//! An index is in a slot of its own. It is written before the record, and once more against the record after that; what it says
//! is looked up in the record before it is believed. So a crash in between leaves words for nothing, which whoever meets them
//! removes. (A word that was met and removed before its record came, of a node that crashed right after, is missing until the
//! display nickname changes.)

use std::collections::VecDeque;

use async_trait::async_trait;

use super::super::search::{is_found, looks, probe, words};
use super::super::{BackendError, Page, Search};
use super::Redis;
use super::connection::Connection;
use crate::chat::{Nickname, RoomId};

/// Between a word and whose it is: no name holds it.
const SEPARATOR: char = '\0';
/// Entries of the index read at once, at most.
const ENTRIES_AT_ONCE: usize = 200;

/// How an index has it that something is found by a word.
pub(super) fn entry(word: &str, id: &str) -> String {
    format!("{word}{SEPARATOR}{id}")
}

/// What is searched.
#[derive(Clone, Copy)]
enum Subject {
    Users,
    Rooms,
}

#[async_trait]
impl Search for Redis {
    async fn search_users(
        &self,
        query: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Nickname>, BackendError> {
        let page = self.search(Subject::Users, query, after, limit).await?;
        Ok(Page { found: page.found.iter().filter_map(|id| Nickname::parse(id).ok()).collect(), next: page.next })
    }

    async fn search_rooms(&self, query: &str, after: Option<&str>, limit: usize) -> Result<Page<RoomId>, BackendError> {
        let page = self.search(Subject::Rooms, query, after, limit).await?;
        Ok(Page { found: page.found.iter().filter_map(|id| RoomId::parse(id).ok()).collect(), next: page.next })
    }
}

/// A walk through the ranges of an index in which something may be found: first, where the probe would not find them, the ids that
/// begin with the whole query; then the words that begin with the probe.
struct Walk {
    whole: String,
    probe: String,
    ranges: VecDeque<String>,
    /// The entry after which the walk goes on.
    after: Option<String>,
}

impl Walk {
    fn new(query: &str, after: Option<&str>) -> Self {
        let (whole, probe) = (query.to_lowercase(), probe(query));
        let mut ranges = VecDeque::new();
        if !probe.is_empty() {
            ranges.push_back(probe.clone());
        }
        if probe.is_empty() || !whole.starts_with(&probe) {
            ranges.push_front(whole.clone());
        }
        let mut walk = Self { whole, probe, ranges, after: None };
        if let Some((number, entry)) = after.and_then(|after| after.split_once(' ')) {
            // Counted from the end, so that the last range is always 1.
            while walk.ranges.len() > number.parse().unwrap_or(0) && walk.ranges.pop_front().is_some() {}
            walk.after = walk.ranges.front().filter(|range| entry.starts_with(range.as_str())).map(|_| entry.into());
        }
        walk
    }

    /// Where a page ends that ends with this entry.
    fn cursor(&self, entry: &str) -> String {
        format!("{} {entry}", self.ranges.len())
    }

    /// Whether this entry is the one by which something with these words is found: it may have several.
    fn is_the_one(&self, word: &str, words: &[String], query: &str) -> bool {
        let Some(range) = self.ranges.front() else { return false };
        let by_id = words.first().is_some_and(|id| id.starts_with(&self.whole));
        if *range != self.probe {
            return by_id && words.first().is_some_and(|id| id == word);
        }
        let was_found_before = by_id && !self.whole.starts_with(&self.probe);
        let first = words.iter().filter(|word| word.starts_with(range.as_str())).min();
        !was_found_before && first.is_some_and(|first| first == word) && is_found(words, query)
    }
}

impl Redis {
    async fn search(
        &self,
        subject: Subject,
        query: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<String>, BackendError> {
        let mut connection = self.pooled().await?;
        let mut walk = Walk::new(query, after);
        let mut found: Vec<(String, String)> = Vec::new();
        let mut budget = looks(limit);
        // One more than is asked for tells whether there is more. Where few of them are hits, larger steps are taken.
        let mut step = limit + 1;
        while let Some(range) = walk.ranges.front().cloned() {
            let count = step.min(ENTRIES_AT_ONCE).min(budget);
            step *= 4;
            let entries = self.entries(subject, &range, walk.after.as_deref(), count, &mut connection).await?;
            budget -= entries.len();
            for (entry, id) in self.hits(subject, &walk, query, &entries, &mut connection).await? {
                if found.len() == limit {
                    // There is more than fits.
                    let next = found.last().map(|(cursor, _)| cursor.clone()).or_else(|| after.map(str::to_owned));
                    return Ok(Page { found: ids(found), next });
                }
                found.push((walk.cursor(&entry), id));
            }
            if entries.len() < count {
                walk.ranges.pop_front();
                walk.after = None;
            } else if budget == 0 {
                let next = entries.last().map(|entry| walk.cursor(entry));
                return Ok(Page { found: ids(found), next });
            } else {
                walk.after = entries.last().cloned();
            }
        }
        Ok(Page { found: ids(found), next: None })
    }

    /// The next entries of an index that begin with this.
    async fn entries(
        &self,
        subject: Subject,
        range: &str,
        after: Option<&str>,
        count: usize,
        connection: &mut Connection,
    ) -> Result<Vec<String>, BackendError> {
        let from = after.map_or_else(|| format!("[{range}"), |after| format!("({after}"));
        // No byte of UTF-8 is as large as this.
        let to = [b"(", range.as_bytes(), b"\xff"].concat();
        let mut read = redis::cmd("ZRANGEBYLEX");
        read.arg(self.index(subject)).arg(from).arg(to).arg("LIMIT").arg(0).arg(count);
        self.timed(read.query_async(connection)).await
    }

    /// Of some entries those by which something is found, and what.
    async fn hits(
        &self,
        subject: Subject,
        walk: &Walk,
        query: &str,
        entries: &[String],
        connection: &mut Connection,
    ) -> Result<Vec<(String, String)>, BackendError> {
        let split: Vec<(&str, &str)> = entries.iter().filter_map(|entry| entry.split_once(SEPARATOR)).collect();
        let ids: Vec<&str> = split.iter().map(|(_, id)| *id).collect();
        let records = self.words_of(subject, &ids, connection).await?;
        let mut hits = Vec::new();
        let mut stale = redis::cmd("ZREM");
        stale.arg(self.index(subject));
        let mut any_stale = false;
        for ((word, id), words) in split.into_iter().zip(records) {
            if !words.iter().any(|other| other == word) {
                stale.arg(entry(word, id));
                any_stale = true;
            } else if walk.is_the_one(word, &words, query) {
                hits.push((entry(word, id), id.to_owned()));
            }
        }
        if any_stale {
            self.timed(stale.exec_async(connection)).await?;
        }
        Ok(hits)
    }

    fn index(&self, subject: Subject) -> String {
        match subject {
            Subject::Users => self.keys.search_users(),
            Subject::Rooms => self.keys.search_rooms(),
        }
    }

    /// By which words these are found; none for what is not there.
    async fn words_of(
        &self,
        subject: Subject,
        ids: &[&str],
        connection: &mut Connection,
    ) -> Result<Vec<Vec<String>>, BackendError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut ask = redis::pipe();
        for id in ids {
            let (key, exists) = match subject {
                Subject::Users => (Nickname::parse(id).map(|name| self.keys.user(&name)), "identity"),
                Subject::Rooms => (RoomId::parse(id).map(|room| self.keys.room(&room)), "kept"),
            };
            ask.hmget(key.unwrap_or_default(), &[exists, "nickname"]);
        }
        let records: Vec<(Option<String>, Option<String>)> = self.timed(ask.query_async(connection)).await?;
        let read = |(id, (exists, nickname)): (&&str, (Option<String>, Option<String>))| match (exists, subject) {
            (None, _) => Vec::new(),
            // An account shows its name where it chose nothing else.
            (Some(_), Subject::Users) => words(id, nickname.as_deref().unwrap_or(id)),
            (Some(_), Subject::Rooms) => words(id, nickname.as_deref().unwrap_or_default()),
        };
        Ok(ids.iter().zip(records).map(read).collect())
    }

    pub(super) async fn add_words(
        &self,
        index: &str,
        id: &str,
        words: &[String],
        connection: &mut Connection,
    ) -> Result<(), BackendError> {
        let mut add = redis::cmd("ZADD");
        add.arg(index);
        for word in words {
            add.arg(0).arg(entry(word, id));
        }
        self.timed(add.exec_async(connection)).await
    }

    pub(super) async fn index_user(
        &self,
        account: &Nickname,
        former: &[String],
        connection: &mut Connection,
    ) -> Result<(), BackendError> {
        self.index_truly(Subject::Users, account.as_str(), former, connection).await
    }

    pub(super) async fn index_room(
        &self,
        room: &RoomId,
        former: &[String],
        connection: &mut Connection,
    ) -> Result<(), BackendError> {
        self.index_truly(Subject::Rooms, room.as_str(), former, connection).await
    }

    /// Has the index say what the record says, whoever changed either meanwhile: of the words that it had before, too.
    async fn index_truly(
        &self,
        subject: Subject,
        id: &str,
        former: &[String],
        connection: &mut Connection,
    ) -> Result<(), BackendError> {
        let index = self.index(subject);
        let mut former = former.to_vec();
        let mut now = self.words_of(subject, &[id], connection).await?.concat();
        loop {
            let mut write = redis::pipe();
            for word in &now {
                write.zadd(&index, entry(word, id), 0).ignore();
            }
            for word in former.iter().filter(|word| !now.contains(word)) {
                write.zrem(&index, entry(word, id)).ignore();
            }
            if write.cmd_iter().next().is_some() {
                self.timed(write.exec_async(connection)).await?;
            }
            let later = self.words_of(subject, &[id], connection).await?.concat();
            if later == now {
                return Ok(());
            }
            former.append(&mut now);
            now = later;
        }
    }
}

fn ids(found: Vec<(String, String)>) -> Vec<String> {
    found.into_iter().map(|(_, id)| id).collect()
}
