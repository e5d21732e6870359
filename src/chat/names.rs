//! Nicknames and room ids: one rule for what a name may be, in every dialect.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

/// Longest nickname, in Unicode scalar values after NFC.
pub const NICKNAME_MAX_CHARS: usize = 32;
/// Longest room id, in Unicode scalar values after NFC.
pub const ROOM_ID_MAX_CHARS: usize = 64;

/// Begins with a sigil, so that it is no room id of a client's.
const LOBBY: &str = "@lobby";
const TALK: &str = "@talk ";

/// Begins with a sigil, so that it is no nickname of a client's.
const DELETED: &str = "@deleted";

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    #[error("is empty")]
    Empty,
    #[error("is too long")]
    TooLong,
    #[error("contains a control character")]
    ControlCharacter,
    #[error("begins or ends with a blank")]
    OuterBlank,
    #[error("begins with a sigil (# or @)")]
    Sigil,
}

/// A nickname (handle): 1 to 32 Unicode scalar values after NFC, no control characters, no blank at either end, not
/// starting with `#` or `@`. Case-sensitive, unique in the cluster while held.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nickname(Arc<str>);

/// A room id: the rules of [`Nickname`] with 64 scalar values; one leading `#` is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(Arc<str>);

impl Nickname {
    /// Normalises and checks a nickname as a client sent it.
    pub fn parse(raw: &str) -> Result<Self, NameFault> {
        checked(raw, NICKNAME_MAX_CHARS).map(Self)
    }

    /// Shown instead of the name of an account that is deleted. Nobody else can have it.
    pub fn deleted() -> Self {
        Self(DELETED.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RoomId {
    /// Normalises and checks a room id as a client sent it; `#main` and `main` are one room.
    pub fn parse(raw: &str) -> Result<Self, NameFault> {
        checked(raw.strip_prefix('#').unwrap_or(raw), ROOM_ID_MAX_CHARS).map(Self)
    }

    /// The lobby: where the coming and going of rooms themselves is told. No client can name it.
    pub fn lobby() -> Self {
        Self(LOBBY.into())
    }

    /// Where two accounts' private messages to one another are kept for reading again. No client can name it.
    pub fn talk(one: &Nickname, other: &Nickname) -> Self {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        // No name holds a control character, so two pairs never share a talk.
        Self(format!("{TALK}{first}\u{1f}{second}").into())
    }

    /// A room id that was stored or sent by a node: one that a client may name, the lobby, or a talk.
    pub fn parse_stored(raw: &str) -> Result<Self, NameFault> {
        let talk = || {
            let (one, other) = raw.strip_prefix(TALK)?.split_once('\u{1f}')?;
            Some(Self::talk(&Nickname::parse(one).ok()?, &Nickname::parse(other).ok()?))
        };
        if raw == LOBBY { Ok(Self::lobby()) } else { talk().map_or_else(|| Self::parse(raw), Ok) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Nickname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn checked(raw: &str, max_chars: usize) -> Result<Arc<str>, NameFault> {
    // NFC never makes a text longer than three times its scalar values, so a hostile giant is refused before the work.
    if raw.len() > max_chars * 16 {
        return Err(NameFault::TooLong);
    }
    // Most names are ASCII, in which nothing is to be composed.
    let name: Cow<'_, str> = if raw.is_ascii() { raw.into() } else { raw.nfc().collect() };
    if name.is_empty() {
        return Err(NameFault::Empty);
    }
    if name.chars().count() > max_chars {
        return Err(NameFault::TooLong);
    }
    if name.chars().any(char::is_control) {
        return Err(NameFault::ControlCharacter);
    }
    if name.starts_with(char::is_whitespace) || name.ends_with(char::is_whitespace) {
        return Err(NameFault::OuterBlank);
    }
    if name.starts_with(['#', '@']) {
        return Err(NameFault::Sigil);
    }
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_the_page() {
        assert_eq!(Nickname::parse("Zoë").unwrap().as_str(), "Zoë");
        // "e" + combining diaeresis is the same name after NFC.
        assert_eq!(Nickname::parse("Zoe\u{308}"), Nickname::parse("Zoë"));
        assert_eq!(Nickname::parse(""), Err(NameFault::Empty));
        assert_eq!(Nickname::parse(" bob"), Err(NameFault::OuterBlank));
        assert_eq!(Nickname::parse("bob\u{a0}"), Err(NameFault::OuterBlank));
        assert_eq!(Nickname::parse("a\u{7}b"), Err(NameFault::ControlCharacter));
        assert_eq!(Nickname::parse("#bob"), Err(NameFault::Sigil));
        assert_eq!(Nickname::parse("@bob"), Err(NameFault::Sigil));
        assert!(Nickname::parse(&"ä".repeat(32)).is_ok());
        assert_eq!(Nickname::parse(&"ä".repeat(33)), Err(NameFault::TooLong));
        assert_ne!(Nickname::parse("bob"), Nickname::parse("Bob"));
    }

    #[test]
    fn one_leading_hash_of_a_room_is_dropped_and_only_one() {
        assert_eq!(RoomId::parse("#main"), RoomId::parse("main"));
        assert_eq!(RoomId::parse("##main"), Err(NameFault::Sigil));
        assert_eq!(RoomId::parse("#"), Err(NameFault::Empty));
        assert!(RoomId::parse(&"x".repeat(64)).is_ok());
        assert_eq!(RoomId::parse(&"x".repeat(65)), Err(NameFault::TooLong));
    }

    proptest::proptest! {
        #[test]
        fn an_accepted_name_is_a_fixed_point(raw in "\\PC{0,40}") {
            if let Ok(name) = Nickname::parse(&raw) {
                proptest::prop_assert_eq!(Nickname::parse(name.as_str()), Ok(name));
            }
        }
    }
}
