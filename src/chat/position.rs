//! Where a message stands: the epoch of its room's stream and its offset in it.

/// One life of a room's stream. A stream that was lost (or rolled back) comes back under another epoch, so that a
/// client never takes a new offset for an old one. Fits the 53 bits a JSON number keeps exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch of no stream.
    pub const NONE: Self = Self(0);

    /// An epoch from random bits; never 0.
    pub fn from_random(bits: u128) -> Self {
        Self((bits as u64 & ((1 << 53) - 1)).max(1))
    }

    pub fn new(value: u64) -> Self {
        Self(value)
    }

    pub fn value(self) -> u64 {
        self.0
    }
}

/// A place in a room's stream. Offsets count from 1 without holes within one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub epoch: Epoch,
    pub offset: u64,
}

impl Position {
    /// Before the first event of a stream that there is not yet, or of which nothing is known.
    pub const NOWHERE: Self = Self { epoch: Epoch::NONE, offset: 0 };
}
