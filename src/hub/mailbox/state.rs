//! What a mailbox holds, under its lock.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::{Outlet, PutOut};
use crate::chat::{Caused, CloseReason, RoomId};

#[derive(Default)]
pub(super) struct State {
    pub queue: VecDeque<Bytes>,
    /// Own events, and what came after them in their rooms, until the reply to the request in flight is queued.
    pub held: VecDeque<(RoomId, Bytes)>,
    /// Bytes in each queue.
    pub queued_bytes: usize,
    pub held_bytes: usize,
    /// How much of these the metric knows of.
    pub counted_bytes: usize,
    /// Which events wait for the reply to the request in flight.
    pub awaiting_reply: Caused,
    /// Events of this session's own making that passed, shown or not.
    pub own_seen: u64,
    pub closed: Option<CloseReason>,
    /// Rooms that the session was put out of and does not know yet; each was one that it had joined.
    pub put_out: Vec<PutOut>,
    /// Something waits in the inbox of the session's account.
    pub mail_waits: bool,
    /// The rooms may not have the session's account as a member any more.
    pub rooms_doubted: bool,
    /// Bytes ever queued or held, and ever written.
    pub taken_bytes: u64,
    pub written_bytes: u64,
    /// No more will be queued; the writer ends when it has written the rest.
    pub finished: bool,
    /// Where whoever puts something in may write it out at once; `None` where only the connection's task can write.
    pub outlet: Option<Arc<dyn Outlet>>,
    /// The connection took less than there was: its task waits until it takes more.
    pub stuck: bool,
    /// Somebody who put something in is going to flush.
    pub due: bool,
    /// Nothing can be written any more.
    pub broken: bool,
    /// The queue's first message is partly written.
    pub begun: bool,
    /// A long answer waits until there is room.
    pub awaits_room: bool,
}

impl State {
    pub fn bytes(&self) -> usize {
        self.queued_bytes + self.held_bytes
    }

    pub fn is_ending(&self) -> bool {
        self.finished || self.closed.is_some()
    }

    pub fn enqueue(&mut self, bytes: Bytes) {
        self.queued_bytes += bytes.len();
        self.queue.push_back(bytes);
    }

    /// Lets what was held follow what is queued; `true` if there was anything.
    pub fn release_held(&mut self) -> bool {
        let held = std::mem::take(&mut self.held);
        self.queued_bytes += std::mem::take(&mut self.held_bytes);
        let any = !held.is_empty();
        self.queue.extend(held.into_iter().map(|(_, bytes)| bytes));
        any
    }

    /// Takes written bytes off the front of the queue.
    pub fn consume(&mut self, count: usize) {
        self.queued_bytes -= count;
        self.written_bytes += count as u64;
        let mut left = count;
        while let Some(front) = self.queue.front_mut().filter(|_| left > 0) {
            self.begun = left < front.len();
            if self.begun {
                front.advance(left);
                break;
            }
            left -= front.len();
            self.queue.pop_front();
        }
        if self.queue.is_empty() {
            // An idle connection holds no buffer.
            self.queue = VecDeque::new();
        }
    }

    /// Drops what waits, but for the rest of a message that is partly written: what follows would be read as its end.
    pub fn forget(&mut self) {
        let rest = if self.begun { self.queue.pop_front() } else { None };
        self.queued_bytes = rest.as_ref().map_or(0, Bytes::len);
        self.held_bytes = 0;
        self.queue = rest.into_iter().collect();
        self.held = VecDeque::new();
    }
}
