//! Every key and channel name, and nowhere else. `docs/BROKER.md` explains them to operators.
//!
//! The part in braces is the hash tag: all keys that one script touches share it, so that they live in one cluster slot.

use crate::chat::{Identity, Nickname, NodeId, RoomId, SessionId};

/// Nicknames are spread over this many sets, so that no single key is hot.
const NICKNAME_SETS: u32 = 256;

#[derive(Clone)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// String: the number of this layout of keys.
    pub fn format(&self) -> String {
        format!("{}format", self.prefix)
    }

    /// Set of nicknames in use, one of 256 by the name's hash.
    pub fn nickname_set(&self, nickname: &Nickname) -> String {
        format!("{}nicks:{{{:02x}}}", self.prefix, fnv1a(nickname.as_str()) % NICKNAME_SETS)
    }

    /// Hash: who holds a nickname.
    pub fn nickname(&self, nickname: &Nickname) -> String {
        format!("{}nick:{{{nickname}}}", self.prefix)
    }

    /// Hash: the account of a reserved name, in the slot of [`Keys::nickname`].
    pub fn user(&self, account: &Nickname) -> String {
        format!("{}user:{{{account}}}", self.prefix)
    }

    /// Sorted set with TTL: an account's ended logins by the time until which they must be remembered.
    pub fn user_revoked(&self, account: &Nickname) -> String {
        format!("{}user:{{{account}}}:revoked", self.prefix)
    }

    /// Set of an account's friends, in the slot of [`Keys::user`] like all that follows of an account.
    pub fn user_friends(&self, account: &Nickname) -> String {
        format!("{}user:{{{account}}}:friends", self.prefix)
    }

    /// Hash: requests that wait for an account, by their numbers.
    pub fn user_requests(&self, account: &Nickname) -> String {
        format!("{}user:{{{account}}}:requests", self.prefix)
    }

    /// Stream of what an account is to be told; the entry ids are the numbers.
    pub fn user_inbox(&self, account: &Nickname) -> String {
        format!("{}user:{{{account}}}:inbox", self.prefix)
    }

    /// Hash: the rooms of which an account is a member, and up to where it was told.
    pub fn user_rooms(&self, account: &Nickname) -> String {
        format!("{}user:{{{account}}}:rooms", self.prefix)
    }

    /// Set of rooms that know an account without having it as a member: it asked to be let in, or runs them.
    pub fn user_ties(&self, account: &Nickname) -> String {
        format!("{}user:{{{account}}}:ties", self.prefix)
    }

    /// String with TTL: when the account of this name was deleted last.
    pub fn deleted(&self, account: &Nickname) -> String {
        format!("{}deleted:{{{account}}}", self.prefix)
    }

    /// Set of all accounts, to count them.
    pub fn users(&self) -> String {
        format!("{}users", self.prefix)
    }

    /// Sorted set: words by which accounts are found.
    pub fn search_users(&self) -> String {
        format!("{}search:users", self.prefix)
    }

    /// Sorted set: words by which kept rooms are found.
    pub fn search_rooms(&self) -> String {
        format!("{}search:rooms", self.prefix)
    }

    /// Hash: the largest numbers that the cluster has seen.
    pub fn census(&self) -> String {
        format!("{}census", self.prefix)
    }

    /// Hash with TTL: wrong attempts at something secret.
    pub fn attempts(&self, of: &str) -> String {
        format!("{}attempts:{{{of}}}", self.prefix)
    }

    /// String: the name that an identity chose.
    pub fn identity(&self, identity: &Identity) -> String {
        format!("{}identity:{{{identity}}}", self.prefix)
    }

    /// Hash: epoch and top offset of a room's stream, and the record of a kept room.
    pub fn room(&self, room: &RoomId) -> String {
        format!("{}room:{{{room}}}", self.prefix)
    }

    /// Set of a room's members: `s:<session>`, and `u:<account>` for an account that is one for good.
    pub fn room_members(&self, room: &RoomId) -> String {
        format!("{}room:{{{room}}}:members", self.prefix)
    }

    /// Hash: session that is there → lease and nickname, for the sweep and for member lists.
    pub fn room_who(&self, room: &RoomId) -> String {
        format!("{}room:{{{room}}}:who", self.prefix)
    }

    /// Stream of a room's events; the entry ids are the offsets.
    pub fn room_log(&self, room: &RoomId) -> String {
        format!("{}room:{{{room}}}:log", self.prefix)
    }

    /// Set of the accounts that are a room's admins.
    pub fn room_admins(&self, room: &RoomId) -> String {
        format!("{}room:{{{room}}}:admins", self.prefix)
    }

    /// Set of whom a permission room lets in: `s:<session>` guests, `u:<account>` accounts.
    pub fn room_admitted(&self, room: &RoomId) -> String {
        format!("{}room:{{{room}}}:admitted", self.prefix)
    }

    /// Hash: who waits for a room's permission, and what they are called.
    pub fn room_applicants(&self, room: &RoomId) -> String {
        format!("{}room:{{{room}}}:applicants", self.prefix)
    }

    /// Sorted set of the accounts that are members for good, by when they became it.
    pub fn room_roll(&self, room: &RoomId) -> String {
        format!("{}room:{{{room}}}:roll", self.prefix)
    }

    /// String with TTL: where the publication stands that an author made under a key.
    pub fn room_key(&self, room: &RoomId, author: &str, key: &str) -> String {
        format!("{}room:{{{room}}}:key:{author}:{key}", self.prefix)
    }

    /// Stream of what backends follow, of all rooms.
    pub fn outbox(&self) -> String {
        format!("{}outbox", self.prefix)
    }

    /// The same of one room, in its slot.
    pub fn room_outbox(&self, room: &RoomId) -> String {
        format!("{}outbox:{{{room}}}", self.prefix)
    }

    /// Sorted set of all kept rooms, every score 0, so that it is in the order of their ids.
    pub fn kept_rooms(&self) -> String {
        format!("{}rooms", self.prefix)
    }

    /// String: the last number that was handed out for messages and requests.
    pub fn numbers(&self) -> String {
        format!("{}numbers", self.prefix)
    }

    /// Channel of a room's live traffic.
    pub fn room_channel(&self, room: &RoomId) -> String {
        format!("{}ch:{{{room}}}", self.prefix)
    }

    /// The room of a channel; `None` for a channel of another kind.
    pub fn room_of_channel(&self, channel: &[u8]) -> Option<RoomId> {
        let channel = std::str::from_utf8(channel).ok()?;
        let room = channel.strip_prefix(&self.prefix)?.strip_prefix("ch:{")?.strip_suffix('}')?;
        RoomId::parse_stored(room).ok()
    }

    /// Channel on which a node hears what is for its sessions.
    pub fn node_channel(&self, node: NodeId) -> String {
        format!("{}to:{{{node}}}", self.prefix)
    }

    /// Channel on which every node hears what is for all.
    pub fn all_nodes_channel(&self) -> String {
        format!("{}to:{{all}}", self.prefix)
    }

    /// Channel on which a node hears its own heartbeats.
    pub fn heartbeat_channel(&self, node: NodeId) -> String {
        format!("{}hb:{{{node}}}", self.prefix)
    }

    /// Hash: what is kept of a session that has a resume token.
    pub fn session(&self, session: SessionId) -> String {
        format!("{}session:{{{session}}}", self.prefix)
    }

    /// Set of the leases that were taken and not yet given up or swept.
    pub fn nodes(&self) -> String {
        format!("{}nodes", self.prefix)
    }

    /// String with TTL: a node's lease.
    pub fn lease(&self, lease: &str) -> String {
        format!("{}node:{{{lease}}}", self.prefix)
    }

    /// Set of what a lease's sessions hold, to be released if the node dies.
    pub fn lease_claims(&self, lease: &str) -> String {
        format!("{}node:{{{lease}}}:claims", self.prefix)
    }

    /// String with TTL: what the lease's node counts.
    pub fn lease_count(&self, lease: &str) -> String {
        format!("{}node:{{{lease}}}:count", self.prefix)
    }

    /// String with TTL: some node is sweeping this lease.
    pub fn lease_sweep(&self, lease: &str) -> String {
        format!("{}node:{{{lease}}}:sweep", self.prefix)
    }
}

/// FNV-1a, 32 bits: stable over versions and platforms, because all nodes must agree on it.
fn fnv1a(text: &str) -> u32 {
    text.bytes().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_documented() {
        let keys = Keys::new("ct:");
        let room = RoomId::parse("red").unwrap();
        assert_eq!(keys.room_members(&room), "ct:room:{red}:members");
        assert_eq!(keys.room_of_channel(keys.room_channel(&room).as_bytes()), Some(room));
        assert_eq!(keys.room_of_channel(b"ct:hb:{x}"), None);
        // Known FNV-1a values: "a" is 0xe40c292c.
        assert_eq!(keys.nickname_set(&Nickname::parse("a").unwrap()), "ct:nicks:{2c}");
    }

    #[test]
    fn a_room_with_braces_keeps_its_name() {
        let keys = Keys::new("ct:");
        let room = RoomId::parse("a}b{c").unwrap();
        assert_eq!(keys.room_of_channel(keys.room_channel(&room).as_bytes()), Some(room));
    }
}
