//! From bytes to verdicts.

use anyhow::{Context, Result};

use super::conn::Stage;
use super::{Engine, Progress};
use crate::clock;
use crate::dialect::{Dialect, Meaning, Position, Said};
use crate::framing::{self, Frame, Framing};
use crate::judge::{Judgement, Verdict};
use crate::stamp::Id;
use crate::tally::count;

/// Messages that all rooms together remember by their bytes.
const REMEMBERED: usize = 1 << 16;
const REMEMBERED_PER_ROOM: usize = 64;

impl Engine {
    /// Takes what was read; the rest of a message that is not whole is kept.
    pub(super) fn consume(&mut self, at: u32, bytes: &[u8]) -> Result<()> {
        let mut input = std::mem::take(&mut self.conns[at as usize].input);
        let rest = if input.is_empty() {
            let used = self.frames(at, bytes)?;
            bytes[used..].to_vec()
        } else {
            input.extend_from_slice(bytes);
            let used = self.frames(at, &input)?;
            input.drain(..used);
            input
        };
        if self.conns[at as usize].stage != Stage::Closed && !rest.is_empty() {
            self.conns[at as usize].input = rest;
        }
        Ok(())
    }

    /// Handles every whole frame and gives how many bytes they were.
    fn frames(&mut self, at: u32, bytes: &[u8]) -> Result<usize> {
        let framing = self.plan.route_of(self.plan.first + at).framing;
        let now = clock::now();
        let mut used = 0;
        if self.conns[at as usize].stage == Stage::Upgrading {
            let Some(length) = framing::head_length(bytes) else { return Ok(0) };
            framing::check_upgrade(&bytes[..length])?;
            used = length;
            self.step(at, 0);
        }
        while self.conns[at as usize].stage != Stage::Closed
            && let Some((frame, length)) = framing.cut(&bytes[used..])?
        {
            used += length;
            self.frame(at, framing, &frame, now)?;
        }
        Ok(used)
    }

    fn frame(&mut self, at: u32, framing: Framing, frame: &Frame<'_>, now: u64) -> Result<()> {
        match frame {
            Frame::Message(message) => self.message(at, message, now)?,
            Frame::Ping(payload) => {
                let mask = self.next_random() as u32;
                framing::put_pong(&mut self.conns[at as usize].output, payload, mask);
                self.flush(at);
            }
            Frame::Pong => {}
            Frame::Close(code) => {
                debug_assert_eq!(framing, Framing::WebSocket);
                self.ended(at, &format!("closed by the server with {code}"));
            }
        }
        Ok(())
    }

    fn message(&mut self, at: u32, message: &[u8], now: u64) -> Result<()> {
        let person = self.plan.first + at;
        let dialect = self.plan.route_of(person).dialect;
        let stage = self.conns[at as usize].stage;
        let room = &mut self.rooms[(self.plan.room_of(person) - self.first_room) as usize];
        if stage == Stage::Ready
            && let Some(known) = room.frames(dialect).recall(message, &mut self.conns[at as usize].hint)
        {
            let (stamp, position, in_place) = (known.said.stamp, known.said.position, known.said.room.is_none());
            debug_assert!(in_place);
            self.delivered(at, dialect, stamp, position, now);
            return Ok(());
        }
        let meaning = dialect.read(message).with_context(|| {
            format!("not understood: {}", String::from_utf8_lossy(&message[..message.len().min(200)]))
        })?;
        match (stage, meaning) {
            (Stage::Opening(step), meaning) => self.heard_on_the_way(at, step, meaning),
            (_, Meaning::Done { position }) => self.answered(at, Ok(position), now),
            (_, Meaning::Refused(why)) => self.answered(at, Err(why), now),
            (_, Meaning::Farewell(why)) => self.conns[at as usize].farewell = Some(why),
            (_, Meaning::Said(said)) => self.heard_first(at, dialect, message, said, now),
            (_, Meaning::Created(_) | Meaning::Entered | Meaning::Other) => {}
        }
        Ok(())
    }

    /// A message whose bytes this process has not seen yet.
    fn heard_first(&mut self, at: u32, dialect: Dialect, message: &[u8], mut said: Said, now: u64) {
        let number = self.plan.room_of(self.plan.first + at);
        let (rooms, first_room) = (self.rooms.len(), self.first_room);
        let room = &mut self.rooms[(number - first_room) as usize];
        let Some((id, time)) = said.stamp else {
            self.tally.strange += 1;
            return;
        };
        let is_elsewhere = said.room.take().is_some_and(|name| name != room.name);
        if is_elsewhere || self.plan.room_of(id.sender()) != number {
            self.tally.misdirected += 1;
            return;
        }
        let time = self.flights.get(&id).map(|flight| flight.intended_ns).or(time);
        said.stamp = Some((id, time));
        let (stamp, position) = (said.stamp, said.position);
        let most = (REMEMBERED / rooms).clamp(2, REMEMBERED_PER_ROOM);
        room.frames(dialect).keep(message, said, &mut self.conns[at as usize].hint, most);
        self.delivered(at, dialect, stamp, position, now);
    }

    fn delivered(
        &mut self,
        at: u32,
        dialect: Dialect,
        stamp: Option<(Id, Option<u64>)>,
        position: Option<Position>,
        now: u64,
    ) {
        let Some((id, intended)) = stamp else { return };
        self.tally.delivered += 1;
        if let Some(intended) = intended {
            self.tally.delivery.note(intended, now);
        }
        let person = self.plan.first + at;
        if id.sender() == person && dialect.is_answered_by_hearing() {
            self.answered(at, Ok(None), now);
        }
        if !self.plan.is_judged(person) {
            return;
        }
        let conn = &mut self.conns[at as usize];
        let room = &mut self.rooms[(self.plan.room_of(person) - self.first_room) as usize];
        match position.filter(|_| dialect.has_positions()) {
            Some(position) => {
                let judgement = room.placed.hear(&mut conn.ear, id, position);
                self.judged(id, judgement, false);
            }
            None => {
                let judgement = room.heard.hear(&mut conn.ear, id);
                self.judged(id, judgement, true);
            }
        }
    }

    /// Who does not hear itself is told where its message went.
    pub(super) fn placed_own(&mut self, at: u32, id: Id, position: Position) {
        let conn = &mut self.conns[at as usize];
        let room = &mut self.rooms[(self.plan.room_of(self.plan.first + at) - self.first_room) as usize];
        let judgement = room.placed.own(&mut conn.ear, id, position);
        self.judged(id, judgement, false);
    }

    fn judged(&mut self, id: Id, judgement: Judgement, by_hearing: bool) {
        match judgement.verdict {
            Verdict::Good => {}
            Verdict::Duplicated => self.tally.duplicated += 1,
            Verdict::Reordered => self.tally.reordered += 1,
        }
        if judgement.is_first && judgement.complete != Some(id) {
            self.progress(id, by_hearing, Progress::Seen);
        }
        if let Some(complete) = judgement.complete {
            self.progress(complete, by_hearing, Progress::Complete);
        }
    }

    pub(super) fn progress(&mut self, id: Id, by_hearing: bool, progress: Progress) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        *(if by_hearing { &mut flight.heard } else { &mut flight.placed }) = progress;
        self.land(id);
    }

    /// Forgets a message that is over.
    pub(super) fn land(&mut self, id: Id) {
        let is_over = self.flights.get(&id).is_some_and(|flight| {
            flight.is_acknowledged && flight.heard == Progress::Complete && flight.placed == Progress::Complete
        });
        if is_over {
            self.flights.remove(&id);
        }
    }

    /// A closed or churned member: nothing is waited for on its behalf.
    pub(super) fn leave_judges(&mut self, at: u32) {
        let person = self.plan.first + at;
        let by_hearing = !self.plan.route_of(person).dialect.has_positions();
        let ear = std::mem::take(&mut self.conns[at as usize].ear);
        let room = &mut self.rooms[(self.plan.room_of(person) - self.first_room) as usize];
        room.speakers.retain(|&speaker| speaker != at);
        let complete = if by_hearing { room.heard.leave(&ear) } else { room.placed.leave(&ear) };
        for id in complete {
            self.progress(id, by_hearing, Progress::Complete);
        }
    }

    pub(super) fn refused(&mut self, why: &str) {
        count(&mut self.tally.refused, why);
    }
}
