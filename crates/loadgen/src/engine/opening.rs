//! From a socket to a member of a room.

use std::io;

use anyhow::Result;
use mio::{Interest, Token};

use super::Engine;
use super::conn::{Stage, connect};
use crate::clock::{self, SECOND};
use crate::dialect::{Dialect, Goes, Meaning, Person};
use crate::framing::{self, Framing};
use crate::plan::Plan;
use crate::tally::count;

/// A connection that takes longer has failed.
const OPENING_DEADLINE_NS: u64 = 60 * SECOND;

impl Engine {
    /// Opens all connections: first those that make a room, where that is a step of its own, then the rest. Gives how long it took, in
    /// nanoseconds.
    pub fn open(&mut self, progress: &mut dyn FnMut(f64)) -> Result<u64> {
        let start = clock::now();
        let (first, rest): (Vec<u32>, Vec<u32>) = (0..self.plan.people).partition(|&at| self.is_first(at));
        for wave in [first, rest] {
            self.to_open = wave.into();
            self.open_some();
            while self.opening > 0 {
                self.turn(clock::now() + SECOND / 10)?;
                self.give_up_the_slow();
                progress(self.tally.opened as f64 / f64::from(self.plan.people));
            }
        }
        Ok(clock::now() - start)
    }

    /// The first of its room, if it is this process's to make the room.
    fn is_first(&self, at: u32) -> bool {
        (self.plan.first + at).is_multiple_of(self.plan.members_per_room)
    }

    pub(super) fn open_some(&mut self) {
        while self.opening < self.plan.opening_at_once
            && let Some(at) = self.to_open.pop_front()
        {
            if let Err(error) = self.begin(at) {
                count(&mut self.tally.not_opened, &error.to_string());
            }
        }
    }

    fn begin(&mut self, at: u32) -> io::Result<()> {
        let person = self.plan.first + at;
        let mut stream = connect(self.plan.route_of(person), person, self.plan.is_stalled(person))?;
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(at as usize), both)?;
        let conn = &mut self.conns[at as usize];
        conn.stream = Some(stream);
        conn.stage = Stage::Connecting;
        conn.comings += 1;
        conn.opening_since_ns = clock::now();
        self.opening += 1;
        Ok(())
    }

    /// The socket is writable for the first time: it is connected, or failed to.
    pub(super) fn connected(&mut self, at: u32) {
        let stream = self.conns[at as usize].stream.as_ref();
        let outcome =
            stream.map_or(Ok(None), |stream| stream.take_error().map(|error| error.map(|error| error.to_string())));
        match outcome {
            Ok(None) => {}
            Ok(Some(error)) => return self.ended(at, &error),
            Err(error) => return self.ended(at, &error.to_string()),
        }
        let person = self.plan.first + at;
        let route = self.plan.route_of(person);
        match route.framing {
            Framing::WebSocket => {
                // The floor is told the room by the path, because that is all it is told.
                let path = match route.dialect {
                    Dialect::Floor => format!("{}/{}", route.path, self.plan.room_of(person)),
                    _ => route.path.clone(),
                };
                let request = framing::upgrade_request(&route.host, &path);
                self.conns[at as usize].stage = Stage::Upgrading;
                self.write(at, request.as_bytes());
            }
            Framing::Lines | Framing::Lengths => self.step(at, 0),
        }
    }

    /// Asks for the `step`th thing on the way, or is there.
    pub(super) fn step(&mut self, at: u32, step: usize) {
        let dialect = self.plan.route_of(self.plan.first + at).dialect;
        match self.with_person(at, |person| dialect.opening(person, step)) {
            Some(request) => {
                self.conns[at as usize].stage = Stage::Opening(step);
                self.say(at, &request);
            }
            None => self.arrived(at),
        }
    }

    fn arrived(&mut self, at: u32) {
        let person = self.plan.first + at;
        self.conns[at as usize].stage = Stage::Ready;
        self.opening -= 1;
        self.tally.opened += 1;
        if self.plan.goes == Goes::Joined {
            let positions = self.plan.route_of(person).dialect.has_positions();
            let room = &mut self.rooms[(self.plan.room_of(person) - self.first_room) as usize];
            if self.plan.is_judged(person) {
                self.conns[at as usize].ear = if positions { room.placed.enter() } else { room.heard.enter() };
                room.speakers.push(at);
            }
        }
        self.open_some();
    }

    /// What a frame means to somebody who is on the way.
    pub(super) fn heard_on_the_way(&mut self, at: u32, step: usize, meaning: Meaning) {
        let dialect = self.plan.route_of(self.plan.first + at).dialect;
        match meaning {
            Meaning::Done { .. } => self.step(at, step + 1),
            Meaning::Created(room) => {
                let asked = self.with_person(at, |person| {
                    dialect.opening(person, step).is_some_and(|asked| asked.contains("create")) && person.room == room
                });
                if asked {
                    self.step(at, step + 1);
                }
            }
            // Nobody else's coming is told before one's own.
            Meaning::Entered if dialect.is_answered_by_hearing() => self.step(at, step + 1),
            Meaning::Refused(why) => {
                if self.with_person(at, |person| dialect.may_be_refused(person, step, &why)) {
                    self.step(at, step + 1);
                } else {
                    self.ended(at, &format!("refused: {why}"));
                }
            }
            Meaning::Farewell(why) => self.conns[at as usize].farewell = Some(why),
            Meaning::Entered | Meaning::Said(_) | Meaning::Other => {}
        }
    }

    fn with_person<T>(&self, at: u32, use_it: impl FnOnce(Person<'_>) -> T) -> T {
        let number = self.plan.first + at;
        let room = &self.rooms[(self.plan.room_of(number) - self.first_room) as usize].name;
        let name = self.plan.name_of(number, self.conns[at as usize].comings);
        let Plan { own_rooms, goes, .. } = self.plan;
        use_it(Person { name: &name, room, is_first: self.is_first(at), own_rooms, goes })
    }

    fn give_up_the_slow(&mut self) {
        let late = clock::now().saturating_sub(OPENING_DEADLINE_NS);
        for at in 0..self.plan.people {
            let conn = &self.conns[at as usize];
            let is_opening = matches!(conn.stage, Stage::Connecting | Stage::Upgrading | Stage::Opening(_));
            if is_opening && conn.opening_since_ns < late {
                let stage = conn.stage;
                self.ended(at, &format!("no answer within a minute ({stage:?})"));
                self.open_some();
            }
        }
    }
}
