//! What waits to be written to one connection: a queue bounded by bytes.
//!
//! A reply and the events that its request caused arrive by different ways: the reply from the broker's answer, the
//! events from the subscription. While a request that causes an event is in flight, the session's own event and what
//! follows it in the same room wait, so that a client always sees the reply first.

mod flush;
mod state;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

pub use flush::{Flushed, Outlet, Pass, ending};
use state::State;

use crate::chat::{Caused, CloseReason, Position, RoomId};
use crate::telemetry::Metrics;

/// The most that one write takes out of the queue.
const BATCH_BYTES: usize = 64 * 1024;

pub struct Mailbox {
    state: Mutex<State>,
    /// Something to write, or the end.
    wake_writer: Notify,
    /// Room was made, an own event was seen, or the end.
    changed: Notify,
    bytes_max: usize,
    metrics: Arc<Metrics>,
}

/// What the writer has to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// Write these bytes, in order.
    Batch(Vec<Bytes>),
    /// All is written and no more will come.
    Finished,
}

/// What became of an event that is to be flushed by whoever posted it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Posted {
    /// The mailbox is to be flushed, and nobody is going to do it yet.
    pub is_due: bool,
    /// It holds about as much as one write takes: better flushed before more is posted.
    pub is_full: bool,
}

/// A room that a session was put out of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutOut {
    pub room: RoomId,
    /// Up to here it was told what happened in the room.
    pub at: Position,
    /// An event in the room told it so.
    pub shown: bool,
}

/// What calls for the session itself.
#[derive(Debug, PartialEq, Eq)]
pub enum Call {
    Close(CloseReason),
    /// It was put out of these rooms.
    PutOut(Vec<PutOut>),
    /// Something waits in the inbox of its account.
    Mail,
    /// What happened in one of its rooms is lost, and with it perhaps that its account is a member there.
    RoomsDoubted,
}

impl Mailbox {
    /// A mailbox that closes its session when more than `bytes_max` bytes wait.
    pub fn new(bytes_max: usize, metrics: Arc<Metrics>) -> Self {
        Self { state: Mutex::default(), wake_writer: Notify::new(), changed: Notify::new(), bytes_max, metrics }
    }

    /// A request that causes an event is being carried out; its reply will come by [`Mailbox::reply`].
    pub fn await_reply(&self, caused: Caused) {
        self.state.lock().awaiting_reply = caused;
    }

    /// Queues a message that answers the request in flight.
    pub fn reply(&self, bytes: Bytes) {
        self.put(bytes);
    }

    /// Queues a message that has nothing to do with a request or a room; `false` when the session is ending.
    pub fn notice(&self, bytes: Bytes) -> bool {
        self.put(bytes)
    }

    /// Queues what need not be told, unless more than half of what may wait waits already; `false` when it was dropped.
    pub fn hint(&self, bytes: Bytes) -> bool {
        let is_roomy = self.state.lock().bytes() + bytes.len() <= self.bytes_max / 2;
        is_roomy && self.put(bytes)
    }

    /// The request in flight is answered: what waited for it follows.
    pub fn replied(&self) {
        let mut state = self.state.lock();
        state.awaiting_reply = Caused::Nothing;
        if state.release_held() {
            drop(state);
            self.wake_writer.notify_one();
        }
    }

    /// Queues a room's event. `own` marks an event that this session's request caused.
    pub fn event(&self, room: &RoomId, bytes: Bytes, own: bool) {
        let mut state = self.state.lock();
        match self.put_event(&mut state, room, bytes, own) {
            Some(queued) => {
                self.settle_count(&mut state);
                drop(state);
                if queued {
                    self.wake_writer.notify_one();
                }
            }
            None => {
                drop(state);
                self.close(CloseReason::SlowReader);
            }
        }
    }

    /// Whether it was queued, and not held or refused; `None` when there is no room.
    fn put_event(&self, state: &mut State, room: &RoomId, bytes: Bytes, own: bool) -> Option<bool> {
        if state.is_ending() {
            return Some(false);
        }
        if state.bytes() + bytes.len() > self.bytes_max {
            return None;
        }
        state.taken_bytes += bytes.len() as u64;
        let held = match state.awaiting_reply {
            Caused::Nothing => false,
            Caused::Own => own || state.held.iter().any(|(holding, _)| holding == room),
            Caused::Any => true,
        };
        if held {
            state.held_bytes += bytes.len();
            state.held.push_back((room.clone(), bytes));
        } else {
            state.enqueue(bytes);
        }
        Some(!held)
    }

    /// An event that this session's request caused has passed through its room.
    pub fn own_passed(&self) {
        self.state.lock().own_seen += 1;
        self.changed.notify_waiters();
    }

    pub fn own_seen(&self) -> u64 {
        self.state.lock().own_seen
    }

    /// Waits until so many own events have passed, or the session ended.
    pub async fn until_own_seen(&self, count: u64) {
        loop {
            let changed = self.changed.notified();
            {
                let state = self.state.lock();
                if state.own_seen >= count || state.is_ending() {
                    return;
                }
            }
            changed.await;
        }
    }

    fn put(&self, bytes: Bytes) -> bool {
        let mut state = self.state.lock();
        if state.is_ending() {
            return false;
        }
        if state.bytes() + bytes.len() > self.bytes_max {
            drop(state);
            self.close(CloseReason::SlowReader);
            return false;
        }
        state.taken_bytes += bytes.len() as u64;
        state.enqueue(bytes);
        self.settle_count(&mut state);
        drop(state);
        self.wake_writer.notify_one();
        true
    }

    /// The session is out of a room by somebody else's doing.
    pub fn put_out(&self, out: PutOut) {
        self.state.lock().put_out.push(out);
        self.changed.notify_waiters();
    }

    /// Something waits in the inbox of the session's account; `false` when the session is ending.
    pub fn ring(&self) -> bool {
        let mut state = self.state.lock();
        if state.is_ending() {
            return false;
        }
        state.mail_waits = true;
        drop(state);
        self.changed.notify_waiters();
        true
    }

    /// What happened in one of the session's rooms is lost, and with it perhaps that its account is a member there.
    pub fn doubt_rooms(&self) {
        self.state.lock().rooms_doubted = true;
        self.changed.notify_waiters();
    }

    /// Bytes taken so far, for [`Mailbox::has_written`].
    pub fn taken(&self) -> u64 {
        self.state.lock().taken_bytes
    }

    /// Whether the peer's connection took everything that was taken up to this count.
    pub fn has_written(&self, taken: u64) -> bool {
        self.state.lock().written_bytes >= taken
    }

    /// The writer has written this many bytes.
    pub fn wrote(&self, bytes: usize) {
        self.state.lock().written_bytes += bytes as u64;
    }

    /// The rooms that the session was put out of since it asked last.
    pub fn take_put_out(&self) -> Vec<PutOut> {
        std::mem::take(&mut self.state.lock().put_out)
    }

    /// Whether the session was put out of a room and did not ask since.
    pub fn is_put_out_of(&self, room: &RoomId) -> bool {
        self.state.lock().put_out.iter().any(|out| out.room == *room)
    }

    /// Ends the session: what waits is dropped if the peer does not read, the first reason given counts.
    pub fn close(&self, reason: CloseReason) {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return;
        }
        state.closed = Some(reason);
        if reason == CloseReason::SlowReader {
            state.forget();
            self.settle_count(&mut state);
        }
        drop(state);
        self.wake_writer.notify_one();
        self.changed.notify_waiters();
    }

    /// Why the session is to end, if it is.
    pub fn closed(&self) -> Option<CloseReason> {
        self.state.lock().closed
    }

    /// Waits until something calls for the session.
    pub async fn until_called(&self) -> Call {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state.lock();
                if let Some(reason) = state.closed {
                    return Call::Close(reason);
                }
                if !state.put_out.is_empty() {
                    return Call::PutOut(std::mem::take(&mut state.put_out));
                }
                if std::mem::take(&mut state.mail_waits) {
                    return Call::Mail;
                }
                if std::mem::take(&mut state.rooms_doubted) {
                    return Call::RoomsDoubted;
                }
            }
            changed.await;
        }
    }

    /// Waits until the session is to end.
    pub async fn until_closed(&self) -> CloseReason {
        loop {
            let changed = self.changed.notified();
            if let Some(reason) = self.closed() {
                return reason;
            }
            changed.await;
        }
    }

    /// The last message, past every limit; nothing is queued after it.
    pub fn finish(&self, last: impl IntoIterator<Item = Bytes>) {
        let mut state = self.state.lock();
        state.release_held();
        if !state.broken {
            last.into_iter().for_each(|bytes| state.enqueue(bytes));
        }
        state.finished = true;
        self.settle_count(&mut state);
        drop(state);
        self.wake_writer.notify_one();
    }

    /// Nothing is queued any more.
    pub fn is_finished(&self) -> bool {
        self.state.lock().finished
    }

    /// Waits until at most half of the limit is queued, so that a long answer is paced by its reader; `false` when the
    /// session ended meanwhile. What is held does not count: it waits for this very answer.
    pub async fn until_roomy(&self) -> bool {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state.lock();
                if state.is_ending() {
                    return false;
                }
                if state.queued_bytes <= self.bytes_max / 2 {
                    return true;
                }
                state.awaits_room = true;
            }
            changed.await;
        }
    }

    /// Takes what waits, up to one write's worth. For the one writer of a connection that nobody else can write to.
    pub async fn outgoing(&self) -> Outgoing {
        loop {
            if let Some(outgoing) = self.take() {
                return outgoing;
            }
            self.wake_writer.notified().await;
        }
    }

    fn take(&self) -> Option<Outgoing> {
        let mut state = self.state.lock();
        if state.queue.is_empty() {
            state.queue = VecDeque::new();
            return state.finished.then_some(Outgoing::Finished);
        }
        let mut batch = Vec::new();
        let mut taken = 0;
        while let Some(bytes) = state.queue.pop_front() {
            taken += bytes.len();
            batch.push(bytes);
            if taken >= BATCH_BYTES {
                break;
            }
        }
        state.queued_bytes -= taken;
        self.made_room(&mut state);
        self.settle_count(&mut state);
        Some(Outgoing::Batch(batch))
    }

    fn made_room(&self, state: &mut State) {
        if state.awaits_room && state.queued_bytes <= self.bytes_max / 2 {
            state.awaits_room = false;
            self.changed.notify_waiters();
        }
    }

    /// Has the metric follow what waits. What is put in and flushed in one pass it never hears of.
    fn settle_count(&self, state: &mut State) {
        let (before, now) = (state.counted_bytes, state.bytes());
        if before != now {
            self.metrics.mailbox_bytes.add(now as i64 - before as i64);
            state.counted_bytes = now;
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.metrics.mailbox_bytes.sub(self.state.get_mut().counted_bytes as i64);
    }
}

#[cfg(test)]
mod tests;
