//! Whether a room kept its promises: everything acknowledged comes to every member, once, in one order.
//!
//! Two judges, because clients know different things. Who hears everything, oneself included, is judged by the order in which
//! messages are heard ([`heard::Heard`]): the first to hear a message gives it its place, all others have to agree. Who does not hear oneself is
//! judged by the positions that the server gives ([`placed::Placed`]). In a room with both, the two orders have to be the same.
//! A message costs each judge one entry while somebody has yet to hear it, and a delivery costs a comparison.

pub mod heard;
pub mod placed;

use crate::stamp::Id;

/// What a delivery was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Good,
    /// The member had it before.
    Duplicated,
    /// It came after what comes later.
    Reordered,
}

/// What a delivery was, and the message that everybody has by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    pub verdict: Verdict,
    pub complete: Option<Id>,
    /// The message has its place by this delivery.
    pub is_first: bool,
}

/// How far a member has heard its room.
#[derive(Debug, Clone, Default)]
pub struct Ear {
    /// The place after the last message it heard.
    next: u64,
    /// Places before that which it has not heard.
    holes: Vec<u64>,
    /// Places of its own messages behind `next`, which it will not hear.
    own: Vec<u64>,
}

/// More holes than this are forgotten, the oldest first: what fills them then counts as duplicated.
const HOLES: usize = 1024;

impl Ear {
    fn skip(&mut self, from: u64, to: u64) {
        let own = std::mem::take(&mut self.own);
        self.holes.extend((from..to).rev().take(HOLES).filter(|place| !own.contains(place)));
        self.own = own.into_iter().filter(|&place| place >= to).collect();
        let excess = self.holes.len().saturating_sub(HOLES);
        self.holes.drain(..excess);
    }

    fn awaits(&self, place: u64) -> bool {
        (place >= self.next && !self.own.contains(&place)) || self.holes.contains(&place)
    }

    fn fill(&mut self, place: u64) -> bool {
        let found = self.holes.iter().position(|&hole| hole == place);
        found.map(|at| self.holes.swap_remove(at)).is_some()
    }
}

/// A message, and how many have yet to hear it.
#[derive(Debug, Clone, Copy)]
struct Entry {
    id: Id,
    missing: u32,
}

/// The order so far in one number, to be compared with another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Digest {
    pub messages: u64,
    hash: u64,
}

impl Digest {
    fn add(&mut self, id: Id) {
        self.messages += 1;
        let value = u64::from(id.sender()) << 32 | u64::from(id.sequence());
        self.hash = (self.hash.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}
