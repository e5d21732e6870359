//! Writing out what waits without its connection's task, for as long as the connection takes it.
//!
//! Whoever delivers a room's events puts them into the mailboxes first and flushes afterwards, so that what several events
//! brought for one connection leaves with one call, and nobody's task is woken for it. Everything goes through the mailbox's
//! queue and under its lock, whoever writes; so the order is the queue's.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::state::State;
use super::{BATCH_BYTES, Mailbox, Posted};
use crate::chat::{CloseReason, RoomId};
use crate::telemetry::Metrics;

/// A connection that can be written to by anybody, as far as it takes bytes at once.
pub trait Outlet: Send + Sync {
    /// How many bytes it took.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when it takes none at the moment; any other for good.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
}

/// What a flush came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing waits any more.
    All,
    /// The connection's task has to wait until it takes more.
    Stuck,
    /// The connection cannot be written to any more; the mailbox is closed.
    Broken,
}

/// Writes out mailboxes, one after the other; counts for all of them at once.
pub struct Pass<'a> {
    scratch: Vec<u8>,
    calls: u64,
    bytes: u64,
    metrics: &'a Metrics,
}

impl<'a> Pass<'a> {
    pub fn new(metrics: &'a Metrics) -> Self {
        Self { scratch: Vec::new(), calls: 0, bytes: 0, metrics }
    }

    /// Offers a connection what is at the head of a queue; how much that was, and how much of it was taken.
    fn offer(&mut self, outlet: &dyn Outlet, queue: &VecDeque<Bytes>) -> (usize, io::Result<usize>) {
        let head = match queue.front() {
            // Most often there is one message, which is written from where it is.
            Some(only) if queue.len() == 1 => &only[..],
            _ => {
                self.scratch.clear();
                for bytes in queue {
                    self.scratch.extend_from_slice(bytes);
                    if self.scratch.len() >= BATCH_BYTES {
                        break;
                    }
                }
                &self.scratch
            }
        };
        let written = outlet.try_write(head);
        self.calls += 1;
        self.bytes += *written.as_ref().unwrap_or(&0) as u64;
        (head.len(), written)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.metrics.write_calls_total.inc_by(self.calls);
        self.metrics.bytes_out_total.inc_by(self.bytes);
    }
}

impl Mailbox {
    /// Whoever puts something in may write it out from now on, until [`Mailbox::detach`].
    pub fn attach(&self, outlet: Arc<dyn Outlet>) {
        self.state.lock().outlet = Some(outlet);
    }

    /// The connection is given up: nobody writes to it through this mailbox any more.
    pub fn detach(&self) {
        self.state.lock().outlet = None;
    }

    /// Queues a room's event like [`Mailbox::event`], for somebody who is going to flush what is due then.
    pub fn post(&self, room: &RoomId, bytes: Bytes, own: bool) -> Posted {
        let mut state = self.state.lock();
        let Some(queued) = self.put_event(&mut state, room, bytes, own) else {
            drop(state);
            self.close(CloseReason::SlowReader);
            return Posted::default();
        };
        if queued && !state.stuck && state.outlet.is_some() {
            let is_full = state.queued_bytes >= BATCH_BYTES.min(self.bytes_max / 4);
            return Posted { is_due: !std::mem::replace(&mut state.due, true), is_full };
        }
        self.settle_count(&mut state);
        drop(state);
        if queued {
            self.wake_writer.notify_one();
        }
        Posted::default()
    }

    /// Writes out what waits, if the connection's task does not already wait to do so.
    pub fn flush(&self, pass: &mut Pass<'_>) {
        let mut state = self.state.lock();
        state.due = false;
        if state.stuck || state.outlet.is_none() {
            self.settle_count(&mut state);
            // It may have lost its outlet, or never had one.
            self.wake_writer.notify_one();
            return;
        }
        if self.write_out(&mut state, pass) == Flushed::Stuck {
            self.wake_writer.notify_one();
        }
    }

    /// The same for the connection's task, which is the one to wait when the connection takes no more.
    pub fn flush_by_task(&self, pass: &mut Pass<'_>) -> Flushed {
        self.write_out(&mut self.state.lock(), pass)
    }

    fn write_out(&self, state: &mut State, pass: &mut Pass<'_>) -> Flushed {
        let flushed = loop {
            if state.queue.is_empty() {
                break Flushed::All;
            }
            let Some(outlet) = &state.outlet else { break Flushed::Broken };
            match pass.offer(&**outlet, &state.queue) {
                (offered, Ok(taken)) => {
                    state.consume(taken);
                    if taken < offered {
                        break Flushed::Stuck;
                    }
                }
                (_, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => break Flushed::Stuck,
                (_, Err(error)) => {
                    self.break_off(state, ending(&error));
                    break Flushed::Broken;
                }
            }
        };
        state.stuck = flushed == Flushed::Stuck;
        self.made_room(state);
        self.settle_count(state);
        flushed
    }

    /// The connection cannot be written to any more, or does not take what it should in time.
    pub fn give_up(&self, reason: CloseReason) {
        self.break_off(&mut self.state.lock(), reason);
    }

    fn break_off(&self, state: &mut State, reason: CloseReason) {
        state.closed.get_or_insert(reason);
        state.begun = false;
        state.forget();
        state.outlet = None;
        state.broken = true;
        self.settle_count(state);
        self.wake_writer.notify_one();
        self.changed.notify_waiters();
    }

    /// Waits until there is something for the connection's task to write; `false` when no more will come, or can go.
    pub async fn until_due(&self) -> bool {
        loop {
            {
                let state = self.state.lock();
                if state.broken {
                    return false;
                }
                if !state.queue.is_empty() {
                    return true;
                }
                if state.finished {
                    return false;
                }
            }
            self.wake_writer.notified().await;
        }
    }

    /// The count for [`Mailbox::has_written`] that one write's worth of what is queued comes to.
    pub fn after_next_batch(&self) -> u64 {
        let state = self.state.lock();
        state.written_bytes + state.queued_bytes.min(BATCH_BYTES) as u64
    }
}

/// What it says of the peer that it cannot be written to: the pipe is broken after an end in order, and where there was none
/// the connection was reset, or timed out.
pub fn ending(error: &io::Error) -> CloseReason {
    match error.kind() {
        io::ErrorKind::BrokenPipe => CloseReason::PeerGone,
        _ => CloseReason::PeerLost,
    }
}
