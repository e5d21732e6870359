//! One thread, one epoll, all connections of this process.
//!
//! Every connection takes a file descriptor, a few hundred bytes here, and nothing else: all are read into one buffer, and a
//! message is parsed once however many hear it. What must stay cheap is a delivery, because the machine that runs the server
//! usually runs this, too.

mod conn;
mod hearing;
mod opening;
mod room;
mod talking;

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::Duration;

use anyhow::Result;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::clock::{self, MILLISECOND, SECOND};
use crate::judge::Digest;
use crate::plan::{Plan, Traffic};
use crate::stamp::Id;
use crate::tally::{Tally, count};
use conn::{Conn, Stage};
use room::Room;

pub struct Engine {
    plan: Plan,
    poll: Poll,
    timer: OwnedFd,
    conns: Vec<Conn>,
    rooms: Vec<Room>,
    /// The number of the first of `rooms`.
    first_room: u32,
    scratch: Vec<u8>,
    /// What was sent and is not both answered and heard by everybody.
    flights: HashMap<Id, Flight>,
    /// Where sending goes on.
    next_room: usize,
    to_open: VecDeque<u32>,
    opening: usize,
    traffic: Traffic,
    next_due_ns: f64,
    next_churn_ns: f64,
    next_churner: u32,
    random: u64,
    /// When anything was read last.
    active_ns: u64,
    tally: Tally,
    acknowledged_before: u64,
    /// Nothing is measured any more.
    is_over: bool,
}

/// A message on its way.
#[derive(Debug, Clone, Copy)]
struct Flight {
    room: u32,
    intended_ns: u64,
    is_acknowledged: bool,
    /// Which judges have yet to see it come to all their members.
    heard: Progress,
    placed: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Unseen,
    Seen,
    Complete,
}

const EVENTS: usize = 1024;
/// How long stalled readers, once they read, are given to see the end.
const STALLED_QUIET_MS: u64 = 500;
const STALLED_MS: u64 = 10_000;
const SCRATCH_BYTES: usize = 256 * 1024;
const TIMER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

impl Engine {
    pub fn new(plan: Plan) -> Result<Self> {
        let poll = Poll::new()?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        let first_room = plan.room_of(plan.first);
        let last_room = plan.room_of(plan.first + plan.people.saturating_sub(1));
        Ok(Self {
            poll,
            timer,
            conns: (0..plan.people).map(|_| Conn::new()).collect(),
            rooms: (first_room..=last_room).map(|room| Room::new(plan.room_name(room))).collect(),
            first_room,
            scratch: vec![0; SCRATCH_BYTES],
            flights: HashMap::new(),
            next_room: 0,
            to_open: VecDeque::new(),
            opening: 0,
            traffic: Traffic::Silence,
            next_due_ns: 0.0,
            next_churn_ns: 0.0,
            next_churner: 0,
            random: clock::now() | 1,
            active_ns: clock::now(),
            tally: Tally::new()?,
            acknowledged_before: 0,
            is_over: false,
            plan,
        })
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What was sent and heard so far was for warming up; what was broken stays.
    pub fn start_counting(&mut self) {
        self.acknowledged_before += self.tally.acknowledged;
        self.tally.forget_traffic();
    }

    /// The order of the first room as it was heard, or by its positions where nobody hears itself; and how many are judged by it.
    pub fn first_digest(&self) -> (Option<Digest>, u32) {
        let Some(room) = self.rooms.first() else { return (None, 0) };
        let (heard, placed) = (room.heard.members(), room.placed.members());
        if heard > 0 { (Some(room.heard.digest()), heard) } else { (Some(room.placed.digest()), placed) }
    }

    /// Warming up included.
    pub fn acknowledged_ever(&self) -> u64 {
        self.acknowledged_before + self.tally.acknowledged
    }

    /// Handles what comes until there is an order; nothing when there will be none.
    pub fn idle_until(&mut self, orders: &Receiver<String>) -> Result<Option<String>> {
        loop {
            match orders.try_recv() {
                Ok(order) => return Ok(Some(order)),
                Err(TryRecvError::Disconnected) => return Ok(None),
                Err(TryRecvError::Empty) => self.turn(clock::now() + SECOND)?,
            }
        }
    }

    /// Takes orders from a thread of its own, which wakes this one.
    pub fn listen(
        &self,
        mut lines: impl Iterator<Item = io::Result<String>> + Send + 'static,
    ) -> Result<Receiver<String>> {
        let waker = Waker::new(self.poll.registry(), WAKER)?;
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            while let Some(Ok(line)) = lines.next()
                && send.send(line).is_ok()
                && waker.wake().is_ok()
            {}
            drop(send);
            waker.wake()
        });
        Ok(receive)
    }

    /// Sends for so long, then waits until all came, or the time for that is over. Gives how long it took, in nanoseconds.
    pub fn talk(&mut self, seconds: f64, progress: &mut dyn FnMut()) -> Result<u64> {
        let start = clock::now();
        let end = start + (seconds * SECOND as f64) as u64;
        self.traffic = self.plan.traffic;
        (self.next_due_ns, self.next_churn_ns) = (start as f64, start as f64);
        let before = self.tally.sent;
        while clock::now() < end && self.tally.sent - before < self.plan.most_messages {
            self.pump();
            let due = self.due().min(end);
            self.turn(due)?;
            progress();
        }
        self.traffic = Traffic::Silence;
        let last = clock::now() + self.plan.drain_ms * MILLISECOND;
        while clock::now() < last && !self.is_quiet() {
            self.turn((clock::now() + 10 * MILLISECOND).min(last))?;
            progress();
        }
        Ok(clock::now() - start)
    }

    /// Nothing is under way, as far as this process can know: others' messages are over when nothing came for a while.
    fn is_quiet(&self) -> bool {
        self.flights.is_empty()
            && self.opening == 0
            && self.rooms.iter().all(|room| room.heard.missing() + room.placed.missing() == 0)
            && (!self.plan.has_strangers() || clock::now() - self.active_ns > SECOND / 2)
    }

    /// Waits without sending until nothing was read for so long, at most for `most_ms`.
    pub fn settle(&mut self, quiet_ms: u64, most_ms: u64) -> Result<()> {
        let last = clock::now() + most_ms * MILLISECOND;
        self.active_ns = clock::now();
        while clock::now() < last && clock::now() - self.active_ns < quiet_ms * MILLISECOND {
            self.turn((clock::now() + quiet_ms * MILLISECOND).min(last))?;
        }
        Ok(())
    }

    /// Counts what did not come, once nothing more is waited for.
    pub fn conclude(&mut self) {
        let missing: u64 = self.rooms.iter().map(|room| room.heard.missing() + room.placed.missing()).sum();
        let mut never_seen = 0;
        // Where the room is spread over processes, those who know what all acknowledged count that.
        let is_whole = !self.plan.has_strangers();
        for flight in self.flights.values().filter(|flight| flight.is_acknowledged && is_whole) {
            let room = &self.rooms[(flight.room - self.first_room) as usize];
            never_seen += if flight.heard == Progress::Unseen { u64::from(room.heard.members()) } else { 0 };
            never_seen += if flight.placed == Progress::Unseen { u64::from(room.placed.members()) } else { 0 };
        }
        self.tally.lost += missing + never_seen;
        self.tally.unanswered += self.conns.iter().map(|conn| conn.asked.len() as u64).sum::<u64>();
        for room in &self.rooms {
            let (heard, placed) = (room.heard.digest(), room.placed.digest());
            let both = room.heard.members() > 0 && room.placed.members() > 0;
            if both && heard.messages == placed.messages && heard != placed {
                self.tally.reordered += 1;
            }
        }
    }

    /// Waits for something to happen, at most until `until_ns`, and handles it.
    fn turn(&mut self, until_ns: u64) -> Result<()> {
        self.set_timer(until_ns)?;
        let mut events = Events::with_capacity(EVENTS);
        match self.poll.poll(&mut events, Some(Duration::from_secs(1))) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            if [TIMER, WAKER].contains(&event.token()) {
                continue;
            }
            let at = event.token().0 as u32;
            if event.is_writable() {
                self.writable(at);
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.readable(at, event.is_read_closed() || event.is_error());
            }
        }
        Ok(())
    }

    /// Precise to microseconds, which the timeout of `epoll_wait` is not.
    fn set_timer(&self, until_ns: u64) -> Result<()> {
        let until = until_ns.max(1);
        let value = Timespec { tv_sec: (until / SECOND) as i64, tv_nsec: (until % SECOND) as i64 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once)?;
        Ok(())
    }

    fn writable(&mut self, at: u32) {
        let conn = &mut self.conns[at as usize];
        if conn.stage == Stage::Connecting {
            self.connected(at);
        } else if !conn.output.is_empty()
            && let Err(error) = conn.flush()
        {
            self.ended(at, &error.to_string());
        }
    }

    fn readable(&mut self, at: u32, is_ended: bool) {
        let is_stalled = self.plan.is_stalled(self.plan.first + at);
        if is_stalled && self.conns[at as usize].stage == Stage::Ready {
            if self.is_over {
                self.throw_away(at);
            } else if is_ended {
                self.ended(at, "closed by the server");
            }
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        while let Some(stream) = &mut self.conns[at as usize].stream {
            match stream.read(&mut scratch) {
                Ok(0) => self.ended(at, "closed by the server"),
                Ok(length) => {
                    self.active_ns = clock::now();
                    if let Err(error) = self.consume(at, &scratch[..length]) {
                        self.ended(at, &format!("{error:#}"));
                    }
                    // Edge-triggered: a read that did not fill the buffer emptied the socket, and what comes later, or an end, is another event.
                    if length < scratch.len() && !is_ended {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.ended(at, &error.to_string()),
            }
        }
        self.scratch = scratch;
    }

    /// Who read nothing so far reads on, to see whether the server ended the connection: its end stands behind what was not read.
    pub fn wake_the_stalled(&mut self) -> Result<()> {
        self.is_over = true;
        let stalled: Vec<u32> =
            (0..self.plan.people).filter(|&at| self.plan.is_stalled(self.plan.first + at)).collect();
        stalled.iter().for_each(|&at| self.readable(at, false));
        if stalled.is_empty() { Ok(()) } else { self.settle(STALLED_QUIET_MS, STALLED_MS) }
    }

    fn throw_away(&mut self, at: u32) {
        let mut scratch = std::mem::take(&mut self.scratch);
        while let Some(stream) = &mut self.conns[at as usize].stream {
            match stream.read(&mut scratch) {
                Ok(0) => self.ended(at, "closed by the server"),
                Ok(_) => self.active_ns = clock::now(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.ended(at, &error.to_string()),
            }
        }
        self.scratch = scratch;
    }

    /// The connection is over, expected or not.
    fn ended(&mut self, at: u32, why: &str) {
        let person = self.plan.first + at;
        let conn = &mut self.conns[at as usize];
        let (stage, farewell) = (conn.stage, conn.farewell.take());
        conn.stream = None;
        conn.stage = Stage::Closed;
        conn.input = Vec::new();
        conn.output = Vec::new();
        let why = farewell.as_deref().unwrap_or(why);
        match stage {
            Stage::Closed | Stage::Leaving => {}
            Stage::Connecting | Stage::Upgrading | Stage::Opening(_) => {
                self.opening -= 1;
                count(&mut self.tally.not_opened, why);
            }
            Stage::Ready if self.plan.is_stalled(person) => self.tally.stalled_closed += 1,
            Stage::Ready => count(&mut self.tally.closed, why),
        }
        self.abandon(at);
        if stage == Stage::Ready && self.plan.is_judged(person) {
            self.leave_judges(at);
        }
        if self.plan.is_churning(person) && stage == Stage::Leaving {
            self.to_open.push_back(at);
            self.open_some();
        }
    }
}
