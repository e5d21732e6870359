//! What was put into mailboxes and is still to be written out, past the connections' tasks.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Mailbox, Pass, Posted};
use crate::telemetry::Metrics;

/// Mailboxes that one task writes out: about a tenth of a millisecond of system calls, so that whoever waits for the core gets it
/// soon. So many are written out at once, by whoever posted.
const CHUNK: usize = 16;
/// Mailboxes whose writing takes long enough for others to be heard meanwhile: half a millisecond of system calls.
const CROWD: usize = 64;
/// Deliveries before all is written out. The last event goes past it, whatever its room's size.
const DELIVERIES_MAX: usize = 200_000;

/// The mailboxes that are due, each once, and the tasks that write out others.
///
/// More may be posted while they write: what comes for a mailbox before its turn leaves with the same call.
pub struct Flush {
    due: Due,
    /// Since all was written out last.
    deliveries: usize,
    /// Since the last run.
    posted: usize,
    is_full: bool,
    writing: JoinSet<()>,
}

/// Written out when dropped, so that none is ever left that nobody is going to flush.
struct Due {
    mailboxes: Vec<Arc<Mailbox>>,
    metrics: Arc<Metrics>,
}

impl Drop for Due {
    fn drop(&mut self) {
        let mut pass = Pass::new(&self.metrics);
        for mailbox in self.mailboxes.drain(..) {
            mailbox.flush(&mut pass);
        }
    }
}

impl Flush {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let due = Due { mailboxes: Vec::new(), metrics };
        Self { due, deliveries: 0, posted: 0, is_full: false, writing: JoinSet::new() }
    }

    /// An event was posted into this mailbox.
    pub fn add(&mut self, mailbox: &Arc<Mailbox>, posted: Posted) {
        self.deliveries += 1;
        self.posted += 1;
        self.is_full |= posted.is_full;
        if posted.is_due {
            self.due.mailboxes.push(mailbox.clone());
        }
    }

    /// Whether more may be posted before this is run.
    pub fn has_room(&self) -> bool {
        !self.is_full && self.deliveries < DELIVERIES_MAX
    }

    /// Has what is due written out: a few at once, more on as many cores as are free. Where there is no room for more it waits until
    /// all is written: whoever posts faster than can be written is slowed down here, where it waits in the queue of what was
    /// heard and not in its receivers' mailboxes.
    ///
    /// It waits, too, where several events go to each of many, and then returns `true`: if more is to come, one more call for each of
    /// them is what it would cost not to wait for that.
    pub async fn run(&mut self) -> bool {
        let is_crowded = self.is_crowded();
        self.posted = 0;
        while self.due.mailboxes.len() > CHUNK {
            let rest = self.due.mailboxes.split_off(CHUNK);
            let chunk = self.take(rest);
            self.writing.spawn(async move { drop(chunk) });
        }
        drop(self.take(Vec::new()));
        if is_crowded || !self.has_room() {
            while self.writing.join_next().await.is_some() {}
        }
        while self.writing.try_join_next().is_some() {}
        if self.writing.is_empty() {
            (self.deliveries, self.is_full) = (0, false);
        } else {
            // They begin, and what comes by then goes along.
            tokio::task::yield_now().await;
        }
        is_crowded
    }

    /// Several events for each of many.
    fn is_crowded(&self) -> bool {
        let due = self.due.mailboxes.len();
        due >= CROWD && self.posted >= 2 * due
    }

    /// The same until all is written.
    pub async fn finish(mut self) {
        self.is_full = true;
        self.run().await;
    }

    /// What is due, and instead of it `rest`.
    fn take(&mut self, rest: Vec<Arc<Mailbox>>) -> Due {
        let mailboxes = std::mem::replace(&mut self.due.mailboxes, rest);
        Due { mailboxes, metrics: self.due.metrics.clone() }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::chat::RoomId;
    use crate::hub::Outlet;

    struct Wide;

    impl Outlet for Wide {
        fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_mailbox_is_written_out_with_one_call_however_many_there_are() {
        let metrics = Arc::new(Metrics::new());
        let red = RoomId::parse("red").unwrap();
        let mailboxes: Vec<_> = (0..1_000).map(|_| Arc::new(Mailbox::new(1_000, metrics.clone()))).collect();
        let mut flush = Flush::new(metrics.clone());
        for mailbox in &mailboxes {
            mailbox.attach(Arc::new(Wide));
        }
        for text in ["one", "two"] {
            for mailbox in &mailboxes {
                flush.add(mailbox, mailbox.post(&red, text.into(), false));
            }
        }
        flush.finish().await;
        assert!(mailboxes.iter().all(|mailbox| mailbox.has_written(6)));
        assert_eq!((metrics.write_calls_total.get(), metrics.bytes_out_total.get()), (1_000, 6_000));
    }

    #[tokio::test]
    async fn only_several_events_for_each_of_many_are_waited_for() {
        let metrics = Arc::new(Metrics::new());
        let red = RoomId::parse("red").unwrap();
        for (members, events, waits) in [(CROWD, 2, true), (CROWD, 1, false), (CROWD - 1, 10, false)] {
            let mailboxes: Vec<_> = (0..members).map(|_| Arc::new(Mailbox::new(1_000, metrics.clone()))).collect();
            let mut flush = Flush::new(metrics.clone());
            for mailbox in &mailboxes {
                mailbox.attach(Arc::new(Wide));
                for _ in 0..events {
                    flush.add(mailbox, mailbox.post(&red, "text".into(), false));
                }
            }
            assert_eq!(flush.run().await, waits, "{events} events for each of {members}");
            if waits {
                assert!(mailboxes.iter().all(|mailbox| mailbox.has_written(4 * events as u64)));
            }
            assert!(!flush.run().await, "there is nothing any more");
        }
    }
}
