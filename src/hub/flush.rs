//! One pass of the dispatcher: what was put into mailboxes and is still to be written out.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{Mailbox, Pass, Posted};
use crate::telemetry::Metrics;

/// Mailboxes that one task writes out: about half a millisecond of system calls, so that whoever waits for the core gets it soon.
const CHUNK: usize = 64;
/// Deliveries of one pass. The last event goes past it, whatever its room's size; it bounds how long the first one waits.
const DELIVERIES_MAX: usize = 200_000;

/// The mailboxes that are due, each once.
pub struct Flush {
    due: Vec<Arc<Mailbox>>,
    deliveries: usize,
    is_full: bool,
    metrics: Arc<Metrics>,
}

impl Flush {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { due: Vec::new(), deliveries: 0, is_full: false, metrics }
    }

    /// An event was posted into this mailbox.
    pub fn add(&mut self, mailbox: &Arc<Mailbox>, posted: Posted) {
        self.deliveries += 1;
        self.is_full |= posted.is_full;
        if posted.is_due {
            self.due.push(mailbox.clone());
        }
    }

    /// Whether more may be posted before this is run.
    pub fn has_room(&self) -> bool {
        !self.is_full && self.deliveries < DELIVERIES_MAX
    }

    /// Whether writing takes so long that it is worth a look whether there is more to go along.
    pub fn is_large(&self) -> bool {
        self.due.len() > CHUNK
    }

    /// Writes all of them out, on as many cores as are free, and waits for it: whoever posts faster than can be written is
    /// slowed down here, where it waits in the queue of what was heard and not in its receivers' mailboxes.
    pub async fn run(mut self) {
        let mut others = JoinSet::new();
        while self.due.len() > CHUNK {
            let mut chunk = Self::new(self.metrics.clone());
            chunk.due = self.due.split_off(self.due.len() - CHUNK);
            others.spawn(async move { drop(chunk) });
        }
        drop(self);
        others.join_all().await;
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let mut pass = Pass::new(&self.metrics);
        for mailbox in self.due.drain(..) {
            mailbox.flush(&mut pass);
        }
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
        flush.run().await;
        assert!(mailboxes.iter().all(|mailbox| mailbox.has_written(6)));
        assert_eq!((metrics.write_calls_total.get(), metrics.bytes_out_total.get()), (1_000, 6_000));
    }
}
