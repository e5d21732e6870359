//! Who was in which room over which connection, from when to when, and what was heard there.

use std::collections::HashMap;

use crate::history::{Op, Outcome, Place, Us, What};
use crate::stage::Record;

pub struct Stay<'a> {
    pub who: usize,
    pub link: u32,
    pub room: &'a str,
    /// When the join was acknowledged; nothing where an account was in the room before it came.
    pub joined: Option<Us>,
    /// All that came after this place was promised with the join.
    pub after: Option<Place>,
    pub heard: Vec<&'a str>,
    pub gaps: Vec<Place>,
    pub end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It lasts until the run is over.
    None,
    /// The leave was asked for at this time, and acknowledged.
    Left(Us),
    /// It was cut short.
    Lost,
}

/// Every stay of a run.
pub fn stays(record: &Record) -> Vec<Stay<'_>> {
    let mut reader =
        Reader { record, open: HashMap::new(), asked: HashMap::new(), nodes: HashMap::new(), over: Vec::new() };
    for entry in &record.entries {
        reader.read(entry.at, entry.who, entry.link, &entry.what);
    }
    reader.over.extend(reader.open.into_values());
    reader.over
}

struct Reader<'a> {
    record: &'a Record,
    open: HashMap<(u32, &'a str), Stay<'a>>,
    asked: HashMap<u32, (&'a Op, Us)>,
    nodes: HashMap<u32, usize>,
    over: Vec<Stay<'a>>,
}

impl<'a> Reader<'a> {
    fn read(&mut self, at: Us, who: usize, link: u32, what: &'a What) {
        match what {
            What::Began { node } => {
                self.nodes.insert(link, *node);
            }
            What::Asked(op) => {
                self.asked.insert(link, (op, at));
            }
            What::Answered(outcome) => match self.asked.remove(&link) {
                Some((Op::Join { room, since }, _)) => {
                    if let Outcome::Done(answer) = outcome {
                        let after = since.filter(|_| answer.recovered == Some(true));
                        self.join(at, who, link, room, after);
                    }
                }
                Some((Op::Resume(resume), _)) => {
                    let Outcome::Done(answer) = outcome else { return };
                    for ((room, since), back) in resume.rooms.iter().zip(&answer.rooms) {
                        if back.error.is_none() {
                            let after = since.filter(|_| back.recovered == Some(true));
                            self.join(at, who, link, room, after);
                        }
                    }
                }
                Some((Op::Leave { room }, asked)) => {
                    let is_left = outcome.is_done() && self.tells_all_before_a_leave(who, link, asked, at);
                    self.close(link, room, if is_left { End::Left(asked) } else { End::Lost });
                }
                _ => {}
            },
            What::Heard { room, text, .. } => {
                let stays_on = self.record.kinds[who].account.is_some();
                let is_leaving = matches!(self.asked.get(&link), Some((Op::Leave { .. }, _)));
                if stays_on && !is_leaving && !self.open.contains_key(&(link, room)) {
                    self.begin(None, None, who, link, room);
                }
                if let Some(stay) = self.open.get_mut(&(link, room)) {
                    stay.heard.push(text);
                }
            }
            What::Gap { room, place } => {
                if let Some(stay) = self.open.get_mut(&(link, room)) {
                    stay.gaps.push(*place);
                }
            }
            What::Turned { room, is_in: false } => self.close(link, room, End::Lost),
            What::Turned { .. } => {}
            What::Ended { .. } => {
                for room in self.rooms(link) {
                    self.close(link, room, End::Lost);
                }
            }
        }
    }

    /// Whether what was said before a leave comes before its answer. In `pychat` it comes after it, in `scrp` nobody says so. A
    /// node that does not hear the leave itself reads the stream before it answers; only while a fault lasts that keeps it from
    /// that as well, it answers all the same, since the leave is done.
    fn tells_all_before_a_leave(&self, who: usize, link: u32, asked: Us, answered: Us) -> bool {
        let is_struck = self.record.windows.iter().any(|window| {
            let strikes = match window.fault.node() {
                Some(node) => Some(&node) == self.nodes.get(&link),
                None => window.fault.is_of_redis(),
            };
            strikes && window.from <= answered && asked <= window.until
        });
        matches!(self.record.kinds[who].dialect, "action" | "simple") && !is_struck
    }

    fn rooms(&self, link: u32) -> Vec<&'a str> {
        self.open.keys().filter(|(of, _)| *of == link).map(|(_, room)| *room).collect()
    }

    fn join(&mut self, at: Us, who: usize, link: u32, room: &'a str, after: Option<Place>) {
        // There, whoever joins leaves the room that it was in.
        if self.record.kinds[who].dialect == "pychat" {
            for former in self.rooms(link) {
                self.close(link, former, End::Lost);
            }
        }
        self.begin(Some(at), after, who, link, room);
    }

    fn begin(&mut self, joined: Option<Us>, after: Option<Place>, who: usize, link: u32, room: &'a str) {
        let stay = Stay { who, link, room, joined, after, heard: Vec::new(), gaps: Vec::new(), end: End::None };
        if let Some(former) = self.open.insert((link, room), stay) {
            self.over.push(Stay { end: End::Lost, ..former });
        }
    }

    fn close(&mut self, link: u32, room: &'a str, end: End) {
        if let Some((_, stay)) = self.open.remove_entry(&(link, room)) {
            self.over.push(Stay { end, ..stay });
        }
    }
}
