//! From a schedule to requests, and what is answered.

use super::conn::{Asked, Stage};
use super::{Engine, Flight, Progress};
use crate::clock::{self, SECOND};
use crate::dialect::Position;
use crate::framing;
use crate::plan::Traffic;
use crate::stamp::{self, Id};

/// More messages than this are never under way; what was to be sent beyond it is counted as unsent.
const MOST_FLIGHTS: usize = 1 << 20;

impl Engine {
    /// Sends what is due.
    pub(super) fn pump(&mut self) {
        let now = clock::now();
        match self.traffic {
            Traffic::Silence => {}
            Traffic::Closed { in_flight } => while self.flights.len() < in_flight && self.send(clock::now()) {},
            Traffic::Open { per_second } => {
                while self.next_due_ns <= now as f64 {
                    let intended = self.next_due_ns as u64;
                    self.next_due_ns += SECOND as f64 / per_second;
                    self.tally.lateness.note(intended, clock::now());
                    self.send(intended);
                }
            }
        }
        if self.plan.churn_per_second > 0.0 {
            while self.next_churn_ns <= now as f64 {
                self.next_churn_ns += SECOND as f64 / self.plan.churn_per_second;
                self.send_one_away();
            }
        }
    }

    /// When [`Self::pump`] has something to do again.
    pub(super) fn due(&self) -> u64 {
        let talk = if matches!(self.traffic, Traffic::Open { .. }) { self.next_due_ns } else { f64::MAX };
        let churn = if self.plan.churn_per_second > 0.0 { self.next_churn_ns } else { f64::MAX };
        talk.min(churn) as u64
    }

    /// Has the next member of the next room say something; whether there was one.
    fn send(&mut self, intended_ns: u64) -> bool {
        let Some((number, at)) = self.next_speaker().filter(|_| self.flights.len() < MOST_FLIGHTS) else {
            self.tally.unsent += 1;
            return false;
        };
        let person = self.plan.first + at;
        let conn = &mut self.conns[at as usize];
        conn.sequence += 1;
        let (sequence, sent_ns) = (conn.sequence, clock::now());
        conn.asked.push_back(Asked { sequence, sent_ns });
        let id = Id::new(person, sequence);
        let room = &self.rooms[number];
        let waits = |members: u32| if members > 0 { Progress::Unseen } else { Progress::Complete };
        let flight = Flight {
            room: self.first_room + number as u32,
            intended_ns,
            is_acknowledged: false,
            heard: waits(room.heard.members()),
            placed: waits(room.placed.members()),
        };
        let text = stamp::text(id, intended_ns, self.plan.text_bytes);
        let request = self.plan.route_of(person).dialect.say(&room.name, &text);
        self.flights.insert(id, flight);
        self.tally.sent += 1;
        self.say(at, &request);
        true
    }

    /// Rooms take turns, and in each its members.
    fn next_speaker(&mut self) -> Option<(usize, u32)> {
        for _ in 0..self.rooms.len() {
            let number = self.next_room;
            self.next_room = (self.next_room + 1) % self.rooms.len();
            let room = &mut self.rooms[number];
            if !room.speakers.is_empty() {
                room.turn = (room.turn + 1) % room.speakers.len();
                return Some((number, room.speakers[room.turn]));
            }
        }
        None
    }

    /// The oldest request of the connection that waits was carried out, or why it was not.
    pub(super) fn answered(&mut self, at: u32, outcome: Result<Option<Position>, String>, now: u64) {
        let Some(asked) = self.conns[at as usize].asked.pop_front() else { return };
        let id = Id::new(self.plan.first + at, asked.sequence);
        self.tally.answer.note(asked.sent_ns, now);
        match outcome {
            Err(why) => {
                self.flights.remove(&id);
                self.refused(&why);
            }
            Ok(position) => {
                self.tally.acknowledged += 1;
                if let Some(flight) = self.flights.get_mut(&id) {
                    flight.is_acknowledged = true;
                }
                let hears_itself = self.plan.route_of(self.plan.first + at).dialect.hears_itself();
                if let Some(position) = position.filter(|_| !hears_itself) {
                    self.placed_own(at, id, position);
                }
                self.land(id);
            }
        }
    }

    /// What the connection asked is not answered any more.
    pub(super) fn abandon(&mut self, at: u32) {
        let asked = std::mem::take(&mut self.conns[at as usize].asked);
        self.tally.unanswered += asked.len() as u64;
        for asked in asked {
            self.flights.remove(&Id::new(self.plan.first + at, asked.sequence));
        }
    }

    fn send_one_away(&mut self) {
        let every = self.plan.churning_every;
        for _ in 0..self.plan.people {
            let at = self.next_churner % self.plan.people;
            self.next_churner = at + 1;
            if every > 0 && self.plan.is_churning(self.plan.first + at) && self.conns[at as usize].stage == Stage::Ready
            {
                self.part(at);
                self.tally.came_again += 1;
                return;
            }
        }
    }

    /// Goes in an orderly way.
    fn part(&mut self, at: u32) {
        let mask = self.next_random() as u32;
        let is_websocket = self.plan.route_of(self.plan.first + at).framing == framing::Framing::WebSocket;
        let conn = &mut self.conns[at as usize];
        conn.stage = Stage::Leaving;
        if is_websocket {
            framing::put_close(&mut conn.output, mask);
            self.flush(at);
        } else if let Some(stream) = &conn.stream {
            // Fails only where the other side was faster.
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
    }

    /// Sends one message of the connection's dialect.
    pub(super) fn say(&mut self, at: u32, request: &str) {
        let mask = self.next_random() as u32;
        let framing = self.plan.route_of(self.plan.first + at).framing;
        framing.put(&mut self.conns[at as usize].output, request.as_bytes(), mask);
        self.flush(at);
    }

    pub(super) fn write(&mut self, at: u32, bytes: &[u8]) {
        self.conns[at as usize].output.extend_from_slice(bytes);
        self.flush(at);
    }

    pub(super) fn flush(&mut self, at: u32) {
        if let Err(error) = self.conns[at as usize].flush() {
            self.ended(at, &error.to_string());
        }
    }

    /// Masks have to differ, and nothing else: xorshift is enough.
    pub(super) fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}
