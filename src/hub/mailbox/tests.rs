//! Order, bounds and ends of what waits for a connection.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::chat::Epoch;

fn out(room: RoomId) -> PutOut {
    PutOut { room, at: Position { epoch: Epoch::NONE, offset: 1 }, shown: false }
}

fn mailbox(bytes_max: usize) -> Mailbox {
    Mailbox::new(bytes_max, Arc::new(Metrics::new()))
}

fn red() -> RoomId {
    RoomId::parse("red").unwrap()
}

fn taken(mailbox: &Mailbox) -> Vec<Bytes> {
    match mailbox.take() {
        Some(Outgoing::Batch(batch)) => batch,
        _ => Vec::new(),
    }
}

#[test]
fn a_reply_comes_before_the_events_it_caused_and_after_those_before() {
    let mailbox = mailbox(100);
    mailbox.await_reply(Caused::Own);
    mailbox.event(&red(), "earlier".into(), false);
    mailbox.event(&red(), "own".into(), true);
    mailbox.event(&red(), "later".into(), false);
    mailbox.event(&RoomId::parse("blue").unwrap(), "elsewhere".into(), false);
    assert_eq!(taken(&mailbox), ["earlier", "elsewhere"]);
    mailbox.reply("reply".into());
    mailbox.replied();
    assert_eq!(taken(&mailbox), ["reply", "own", "later"]);
    mailbox.event(&red(), "own again".into(), true);
    assert_eq!(taken(&mailbox), ["own again"], "nothing is held without a request in flight");
    mailbox.await_reply(Caused::Any);
    mailbox.event(&red(), "somebody comes".into(), false);
    mailbox.reply("let in".into());
    mailbox.replied();
    assert_eq!(taken(&mailbox), ["let in", "somebody comes"]);
}

#[test]
fn a_full_mailbox_closes_its_session_and_frees_its_bytes() {
    let mailbox = mailbox(10);
    mailbox.event(&red(), "12345".into(), false);
    mailbox.await_reply(Caused::Own);
    mailbox.event(&red(), "1234".into(), true);
    assert_eq!(mailbox.closed(), None);
    assert_eq!(mailbox.metrics.mailbox_bytes.get(), 9);
    mailbox.event(&red(), "12".into(), false);
    assert_eq!(mailbox.closed(), Some(CloseReason::SlowReader));
    assert_eq!(mailbox.metrics.mailbox_bytes.get(), 0);
    mailbox.event(&red(), "more".into(), false);
    assert_eq!(taken(&mailbox), Vec::<Bytes>::new());
    mailbox.finish(["last words, longer than the limit".into()]);
    assert_eq!(taken(&mailbox).len(), 1);
    assert_eq!(mailbox.take(), Some(Outgoing::Finished));
}

#[test]
fn one_write_takes_a_bounded_batch() {
    let mailbox = mailbox(1_000_000);
    for _ in 0..10 {
        mailbox.event(&red(), vec![b'x'; 30_000].into(), false);
    }
    assert_eq!(taken(&mailbox).len(), 3);
    assert_eq!(mailbox.metrics.mailbox_bytes.get(), 7 * 30_000);
}

#[tokio::test]
async fn a_long_answer_waits_for_its_reader() {
    let mailbox = Arc::new(mailbox(10));
    mailbox.reply("12345678".into());
    let waiting = tokio::spawn({
        let mailbox = mailbox.clone();
        async move { mailbox.until_roomy().await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    taken(&mailbox);
    assert!(waiting.await.unwrap());
    mailbox.await_reply(Caused::Own);
    mailbox.event(&red(), "1234567".into(), true);
    assert!(mailbox.until_roomy().await, "what is held waits for the answer, the answer not for it");
    mailbox.close(CloseReason::Restart);
    assert!(!mailbox.until_roomy().await);
}

#[test]
fn a_hint_is_dropped_where_much_waits() {
    let mailbox = mailbox(10);
    assert!(mailbox.hint("12345".into()));
    assert!(!mailbox.hint("6".into()));
    mailbox.event(&red(), "67890".into(), false);
    assert_eq!((mailbox.closed(), taken(&mailbox).len()), (None, 2));
}

#[tokio::test]
async fn a_session_is_called_for_once_for_all_rooms_that_it_is_out_of() {
    let mailbox = Arc::new(mailbox(100));
    let calling = tokio::spawn({
        let mailbox = mailbox.clone();
        async move { mailbox.until_called().await }
    });
    tokio::task::yield_now().await;
    assert!(!calling.is_finished());
    mailbox.put_out(out(red()));
    assert_eq!(calling.await.unwrap(), Call::PutOut(vec![out(red())]));
    assert!(!mailbox.is_put_out_of(&red()), "it has been told");
    let blue = RoomId::parse("blue").unwrap();
    mailbox.put_out(out(red()));
    mailbox.put_out(out(blue.clone()));
    assert!(mailbox.is_put_out_of(&blue));
    assert_eq!(mailbox.until_called().await, Call::PutOut(vec![out(red()), out(blue)]));
    mailbox.put_out(out(red()));
    assert_eq!(mailbox.take_put_out(), [out(red())]);
    assert_eq!(mailbox.take_put_out(), []);
}

#[tokio::test]
async fn the_end_of_a_session_comes_before_all_else() {
    let mailbox = mailbox(100);
    assert!(mailbox.notice("before".into()));
    mailbox.put_out(out(red()));
    mailbox.close(CloseReason::Superseded);
    mailbox.close(CloseReason::Restart);
    assert_eq!(mailbox.until_called().await, Call::Close(CloseReason::Superseded), "the first reason counts");
    assert!(!mailbox.notice("after".into()), "who is ending is told nothing more");
    assert_eq!(taken(&mailbox), ["before"]);
}

/// A connection that takes so many bytes at once.
#[derive(Default)]
struct Pipe {
    room: AtomicUsize,
    broken: AtomicBool,
    writes: Mutex<Vec<String>>,
}

impl Outlet for Pipe {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let taken = bytes.len().min(self.room.load(Ordering::Relaxed));
        self.room.fetch_sub(taken, Ordering::Relaxed);
        if taken == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.writes.lock().push(String::from_utf8_lossy(&bytes[..taken]).into_owned());
        Ok(taken)
    }
}

impl Pipe {
    fn attached(mailbox: &Mailbox, room: usize) -> Arc<Self> {
        let pipe = Arc::new(Self { room: room.into(), ..Self::default() });
        mailbox.attach(pipe.clone());
        pipe
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.writes.lock())
    }
}

fn flush(mailbox: &Mailbox) {
    mailbox.flush(&mut Pass::new(&mailbox.metrics));
}

#[test]
fn what_is_posted_before_a_flush_leaves_with_one_call_and_in_order() {
    let mailbox = mailbox(100);
    let pipe = Pipe::attached(&mailbox, 100);
    assert!(mailbox.post(&red(), "one ".into(), false).is_due);
    assert!(!mailbox.post(&red(), "two ".into(), false).is_due, "one flush is for all");
    mailbox.await_reply(Caused::Own);
    assert!(!mailbox.post(&red(), "own ".into(), true).is_due);
    mailbox.reply("reply ".into());
    flush(&mailbox);
    assert_eq!(pipe.take(), ["one two reply "]);
    mailbox.replied();
    assert_eq!(mailbox.flush_by_task(&mut Pass::new(&mailbox.metrics)), Flushed::All);
    assert_eq!(pipe.take(), ["own "]);
    assert_eq!((mailbox.metrics.write_calls_total.get(), mailbox.metrics.bytes_out_total.get()), (2, 18));
    assert_eq!(mailbox.metrics.mailbox_bytes.get(), 0);
    assert!(mailbox.has_written(18) && mailbox.post(&red(), "next".into(), false).is_due);
}

#[test]
fn a_connection_that_takes_no_more_is_left_to_its_task() {
    let mailbox = mailbox(100);
    let pipe = Pipe::attached(&mailbox, 6);
    mailbox.post(&red(), "one ".into(), false);
    mailbox.post(&red(), "two ".into(), false);
    flush(&mailbox);
    assert_eq!(pipe.take(), ["one tw"]);
    pipe.room.store(100, Ordering::Relaxed);
    assert!(!mailbox.post(&red(), "three ".into(), false).is_due, "its task will write it");
    flush(&mailbox);
    assert_eq!((pipe.take().len(), mailbox.metrics.mailbox_bytes.get()), (0, 8));
    assert_eq!(mailbox.after_next_batch(), 14);
    assert_eq!(mailbox.flush_by_task(&mut Pass::new(&mailbox.metrics)), Flushed::All);
    assert_eq!(pipe.take(), ["o three "]);
    assert!(mailbox.has_written(14) && mailbox.post(&red(), "four".into(), false).is_due);
}

#[test]
fn what_a_slow_reader_is_told_last_follows_a_whole_message() {
    let mailbox = mailbox(10);
    let pipe = Pipe::attached(&mailbox, 2);
    mailbox.post(&red(), "12345".into(), false);
    mailbox.post(&red(), "67".into(), false);
    flush(&mailbox);
    mailbox.post(&red(), "much more".into(), false);
    assert_eq!(mailbox.closed(), Some(CloseReason::SlowReader));
    assert_eq!(mailbox.metrics.mailbox_bytes.get(), 3, "the rest of what was begun");
    mailbox.finish(["farewell".into()]);
    pipe.room.store(100, Ordering::Relaxed);
    mailbox.flush_by_task(&mut Pass::new(&mailbox.metrics));
    assert_eq!(pipe.take().concat(), "12345farewell");
}

#[tokio::test]
async fn a_connection_that_breaks_ends_its_session() {
    let mailbox = mailbox(100);
    let pipe = Pipe::attached(&mailbox, 3);
    mailbox.post(&red(), "12345".into(), false);
    flush(&mailbox);
    pipe.broken.store(true, Ordering::Relaxed);
    assert!(mailbox.until_due().await, "the task waits for it");
    assert_eq!(mailbox.flush_by_task(&mut Pass::new(&mailbox.metrics)), Flushed::Broken);
    assert_eq!(mailbox.until_called().await, Call::Close(CloseReason::PeerLost));
    assert_eq!(mailbox.post(&red(), "more".into(), false), Posted::default());
    mailbox.finish(["farewell".into()]);
    assert!(!mailbox.until_due().await);
    assert_eq!(mailbox.metrics.mailbox_bytes.get(), 0);
}

#[test]
fn more_than_one_write_is_not_posted_before_a_flush() {
    let mailbox = mailbox(1_000_000);
    let pipe = Pipe::attached(&mailbox, 1_000_000);
    let frame = Bytes::from(vec![b'x'; 30_000]);
    let full = [(); 3].map(|()| mailbox.post(&red(), frame.clone(), false).is_full);
    assert_eq!(full, [false, false, true]);
    flush(&mailbox);
    assert_eq!(pipe.take().len(), 1);
}
