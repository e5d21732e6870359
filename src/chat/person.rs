//! Who acts and who is addressed: sessions, the node they live on, and how others see them.

use std::fmt;

use super::{NameFault, Nickname};

/// The author shown for a session that has not claimed a nickname.
const ANONYMOUS: &str = "Anonymous";
/// Bits of a node's id: the part of a UUID before its version.
const NODE_BITS: u32 = 48;

/// One running node, unique in the cluster and over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(u64);

impl NodeId {
    pub fn from_random(bits: u128) -> Self {
        Self((bits & ((1 << NODE_BITS) - 1)) as u64)
    }

    /// Reads what [`Display`](fmt::Display) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        u64::from_str_radix(text, 16).ok().filter(|value| *value < 1 << NODE_BITS).map(Self)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0)
    }
}

/// One live connection, unique in the cluster and over time (a version 4 UUID). It begins with the id of its node, so that
/// whoever knows a session knows where to reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u128);

impl SessionId {
    /// A new session on a node, from random bits.
    pub fn on(node: NodeId, bits: u128) -> Self {
        let rest = bits & (u128::MAX >> NODE_BITS) & !(0xF << 76) & !(0x3 << 62);
        Self(u128::from(node.0) << (128 - NODE_BITS) | rest | (0x4 << 76) | (0x2 << 62))
    }

    pub fn node(self) -> NodeId {
        NodeId((self.0 >> (128 - NODE_BITS)) as u64)
    }

    pub fn from_u128(value: u128) -> Self {
        Self(value)
    }

    pub fn as_u128(self) -> u128 {
        self.0
    }

    /// Reads a UUID in its usual form, in either case.
    pub fn parse(text: &str) -> Option<Self> {
        let is_dash = |index: usize| matches!(index, 8 | 13 | 18 | 23);
        let fits = text.len() == 36 && text.bytes().enumerate().all(|(index, byte)| is_dash(index) == (byte == b'-'));
        let digits: String = text.split('-').collect();
        if !fits || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(&digits, 16).ok().map(Self)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            v >> 96,
            (v >> 80) & 0xFFFF,
            (v >> 64) & 0xFFFF,
            (v >> 48) & 0xFFFF,
            v & 0xFFFF_FFFF_FFFF
        )
    }
}

/// Who did it, as the others see them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor {
    pub session: SessionId,
    pub nickname: Option<Nickname>,
}

impl Actor {
    /// An account of which no session is known.
    pub fn account(name: Nickname) -> Self {
        Self { session: SessionId(0), nickname: Some(name) }
    }

    /// The name to show: the nickname, or `Anonymous`.
    pub fn shown_name(&self) -> &str {
        self.nickname.as_ref().map_or(ANONYMOUS, Nickname::as_str)
    }

    /// What others can address: the nickname, or the session's UUID.
    pub fn identifier(&self) -> String {
        self.nickname.as_ref().map_or_else(|| self.session.to_string(), ToString::to_string)
    }
}

/// Whom a private message is for. A nickname is never as long as a UUID, so neither is taken for the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressee {
    Nickname(Nickname),
    Session(SessionId),
}

impl Addressee {
    /// Reads what stands after the `@`.
    ///
    /// # Errors
    /// When it is neither a UUID nor a nickname.
    pub fn parse(raw: &str) -> Result<Self, NameFault> {
        match SessionId::parse(raw) {
            Some(session) => Ok(Self::Session(session)),
            None => Nickname::parse(raw).map(Self::Nickname),
        }
    }
}

/// A message from one to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateMessage {
    pub from: Actor,
    /// The addressee as the sender wrote it, with `@`.
    pub target: String,
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_is_a_version_4_uuid_that_begins_with_its_node() {
        let node = NodeId::from_random(0xdbcf_5b4a_c0ef);
        let id = SessionId::on(node, u128::MAX);
        assert_eq!(id.to_string(), "dbcf5b4a-c0ef-4fff-bfff-ffffffffffff");
        assert_eq!(id.node(), node);
        assert_eq!(SessionId::on(NodeId::from_random(0), 0).to_string(), "00000000-0000-4000-8000-000000000000");
    }

    #[test]
    fn a_uuid_is_read_in_its_usual_form_only() {
        let text = "dbcf5b4a-c0ef-4ddf-8885-f7b6c0631471";
        assert_eq!(SessionId::parse(text).unwrap().to_string(), text);
        assert_eq!(SessionId::parse(&text.to_uppercase()), SessionId::parse(text));
        for other in
            ["", "dbcf5b4ac0ef4ddf8885f7b6c0631471", "dbcf5b4a-c0ef-4ddf-8885-f7b6c063147", &text.replace('d', "+")]
        {
            assert_eq!(SessionId::parse(other), None, "{other}");
        }
        assert_eq!(Addressee::parse("bob"), Ok(Addressee::Nickname(Nickname::parse("bob").unwrap())));
        assert!(matches!(Addressee::parse(text), Ok(Addressee::Session(_))));
        assert!(Addressee::parse("@bob").is_err());
    }
}
