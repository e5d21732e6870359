//! Finding accounts and rooms by the beginnings of words.

use async_trait::async_trait;

use super::BackendError;
use crate::chat::{Nickname, RoomId};

/// Entries of the index that one page looks at, at most: where few of them are hits, the page is short, and the next one goes
/// on from there.
const LOOKS_MAX: usize = 300;

/// How many entries of the index a page of so many hits looks at, at most.
pub fn looks(limit: usize) -> usize {
    limit.saturating_mul(10).saturating_add(100).min(LOOKS_MAX)
}

/// Words of one text that it can be found by; further ones are not looked at.
pub const WORDS_MAX: usize = 8;

/// One page of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub found: Vec<T>,
    /// Where the next page begins; `None` after the last. Opaque.
    pub next: Option<String>,
}

/// Finds by an index, never by looking at everything: a query is folded to lower case and cut into words; found is whose id
/// begins with the whole query, or whose id and display nickname have a word for the beginning of each. Each is found once
/// per page; in the order of the index.
#[async_trait]
pub trait Search: Send + Sync {
    async fn search_users(
        &self,
        query: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Nickname>, BackendError>;

    /// Kept rooms, of every access type.
    async fn search_rooms(&self, query: &str, after: Option<&str>, limit: usize) -> Result<Page<RoomId>, BackendError>;
}

/// The words by which something is found: those of its id and its display nickname, in lower case, each once.
pub fn words(id: &str, nickname: &str) -> Vec<String> {
    let mut words = vec![id.to_lowercase()];
    for word in query_words(id).into_iter().chain(query_words(nickname)) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// A text's words in lower case.
pub fn query_words(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c)).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).take(WORDS_MAX).collect()
}

/// Whether something with these words is found by a query.
pub fn is_found(words: &[String], query: &str) -> bool {
    let whole = query.to_lowercase();
    let asked = query_words(query);
    let begins = |asked: &String| words.iter().any(|word| word.starts_with(asked.as_str()));
    words.first().is_some_and(|id| id.starts_with(&whole)) || (!asked.is_empty() && asked.iter().all(begins))
}

/// The beginning by which the index is asked: the longest word of the query, because the fewest begin with it.
pub fn probe(query: &str) -> String {
    query_words(query).into_iter().max_by_key(String::len).unwrap_or_default()
}
