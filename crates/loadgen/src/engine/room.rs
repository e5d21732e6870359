//! A room as this process knows it.

use std::collections::VecDeque;

use crate::dialect::{Dialect, Said};
use crate::judge::heard::Heard;
use crate::judge::placed::Placed;

#[derive(Debug)]
pub struct Room {
    pub name: String,
    /// Those who can send: indices of this process's connections.
    pub speakers: Vec<u32>,
    pub turn: usize,
    pub heard: Heard,
    pub placed: Placed,
    pub frames: Vec<(Dialect, Frames)>,
}

/// A message that was read once, to be known again by its bytes: all members of a dialect get the same.
#[derive(Debug)]
pub struct Known {
    bytes: Vec<u8>,
    pub said: Said,
}

/// The latest messages of a room in one dialect.
#[derive(Debug, Default)]
pub struct Frames {
    known: VecDeque<Known>,
    base: u64,
}

impl Room {
    pub fn new(name: String) -> Self {
        Self {
            name,
            speakers: Vec::new(),
            turn: 0,
            heard: Heard::default(),
            placed: Placed::default(),
            frames: Vec::new(),
        }
    }

    pub fn frames(&mut self, dialect: Dialect) -> &mut Frames {
        let at = self.frames.iter().position(|(known, _)| *known == dialect).unwrap_or_else(|| {
            self.frames.push((dialect, Frames::default()));
            self.frames.len() - 1
        });
        &mut self.frames[at].1
    }
}

impl Frames {
    /// What these bytes were found to mean; `hint` is moved on to what is likely to come next.
    pub fn recall(&self, bytes: &[u8], hint: &mut u64) -> Option<&Known> {
        let likely = hint.checked_sub(self.base).and_then(|at| self.known.get(at as usize));
        if let Some(known) = likely.filter(|known| known.bytes == bytes) {
            *hint += 1;
            return Some(known);
        }
        let at = self.known.iter().rposition(|known| known.bytes == bytes)?;
        *hint = self.base + at as u64 + 1;
        self.known.get(at)
    }

    pub fn keep(&mut self, bytes: &[u8], said: Said, hint: &mut u64, most: usize) {
        if self.known.len() >= most {
            self.known.pop_front();
            self.base += 1;
        }
        self.known.push_back(Known { bytes: bytes.to_vec(), said });
        *hint = self.base + self.known.len() as u64;
    }
}
