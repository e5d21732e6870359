//! What a room's stream holds after a position, and whether that is all there was.

use super::{Envelope, Epoch, Position};

/// What a stream holds after a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatchUp {
    /// What was missed, in order; holds no hole.
    pub missed: Vec<Envelope>,
    pub seam: Seam,
}

impl CatchUp {
    /// Where the stream was read up to, from a position on.
    pub fn newest(&self, from: Position) -> Position {
        self.missed.last().map_or(self.seam.goes_on_after(from), |envelope| envelope.position)
    }
}

/// How what a stream holds joins on to the position after which it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seam {
    /// There is no stream.
    NoStream,
    /// Without a hole. The stream's epoch may be another than the position's all the same.
    Whole(Epoch),
    /// What was between is lost, and the stream goes on after this position.
    Torn(Position),
}

impl Seam {
    /// The position after which one goes on who was told everything up to `from`.
    pub fn goes_on_after(self, from: Position) -> Position {
        match self {
            Self::NoStream => from,
            Self::Whole(epoch) => Position { epoch, ..from },
            Self::Torn(position) => position,
        }
    }

    /// The position up to which something is lost, if anything is.
    pub fn gap(self) -> Option<Position> {
        match self {
            Self::Torn(position) => Some(position),
            Self::NoStream | Self::Whole(_) => None,
        }
    }
}
