//! What waits to be written to one connection: a queue bounded by bytes.
//!
//! A reply and the events that its request caused arrive by different ways: the reply from the broker's answer, the
//! events from the subscription. While a request that causes an event is in flight, the session's own event and what
//! follows it in the same room wait, so that a client always sees the reply first.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

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

#[derive(Default)]
struct State {
    queue: VecDeque<Bytes>,
    /// Own events, and what came after them in their rooms, until the reply to the request in flight is queued.
    held: VecDeque<(RoomId, Bytes)>,
    /// Bytes in each queue.
    queued_bytes: usize,
    held_bytes: usize,
    /// Which events wait for the reply to the request in flight.
    awaiting_reply: Caused,
    /// Events of this session's own making that passed, shown or not.
    own_seen: u64,
    closed: Option<CloseReason>,
    /// Rooms that the session was put out of and does not know yet; each was one that it had joined.
    put_out: Vec<PutOut>,
    /// Something waits in the inbox of the session's account.
    mail_waits: bool,
    /// The rooms may not have the session's account as a member any more.
    rooms_doubted: bool,
    /// Bytes ever queued or held, and ever written.
    taken_bytes: u64,
    written_bytes: u64,
    /// No more will be queued; the writer ends when it has written the rest.
    finished: bool,
}

impl State {
    fn bytes(&self) -> usize {
        self.queued_bytes + self.held_bytes
    }

    fn enqueue(&mut self, bytes: Bytes) {
        self.queued_bytes += bytes.len();
        self.queue.push_back(bytes);
    }

    /// Lets what was held follow what is queued; `true` if there was anything.
    fn release_held(&mut self) -> bool {
        let held = std::mem::take(&mut self.held);
        self.queued_bytes += std::mem::take(&mut self.held_bytes);
        let any = !held.is_empty();
        self.queue.extend(held.into_iter().map(|(_, bytes)| bytes));
        any
    }
}

/// What the writer has to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// Write these bytes, in order.
    Batch(Vec<Bytes>),
    /// All is written and no more will come.
    Finished,
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
        self.put(bytes, |_| None);
    }

    /// Queues a message that has nothing to do with a request or a room; `false` when the session is ending.
    pub fn notice(&self, bytes: Bytes) -> bool {
        self.put(bytes, |_| None)
    }

    /// Queues what need not be told, unless more than half of what may wait waits already; `false` when it was dropped.
    pub fn hint(&self, bytes: Bytes) -> bool {
        let is_roomy = self.state.lock().bytes() + bytes.len() <= self.bytes_max / 2;
        is_roomy && self.put(bytes, |_| None)
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
        self.put(bytes, |state| {
            let held = match state.awaiting_reply {
                Caused::Nothing => false,
                Caused::Own => own || state.held.iter().any(|(holding, _)| holding == room),
                Caused::Any => true,
            };
            held.then(|| room.clone())
        });
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
                if state.own_seen >= count || state.closed.is_some() || state.finished {
                    return;
                }
            }
            changed.await;
        }
    }

    fn put(&self, bytes: Bytes, held_for: impl FnOnce(&State) -> Option<RoomId>) -> bool {
        let mut state = self.state.lock();
        if state.finished || state.closed.is_some() {
            return false;
        }
        let length = bytes.len();
        if state.bytes() + length > self.bytes_max {
            drop(state);
            self.close(CloseReason::SlowReader);
            return false;
        }
        self.metrics.mailbox_bytes.add(length as i64);
        state.taken_bytes += length as u64;
        match held_for(&state) {
            Some(room) => {
                state.held_bytes += length;
                state.held.push_back((room, bytes));
            }
            None => state.enqueue(bytes),
        }
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
        if state.finished || state.closed.is_some() {
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
            self.forget(&mut state);
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
        for bytes in last {
            self.metrics.mailbox_bytes.add(bytes.len() as i64);
            state.enqueue(bytes);
        }
        state.finished = true;
        drop(state);
        self.wake_writer.notify_one();
    }

    /// Waits until at most half of the limit is queued, so that a long answer is paced by its reader; `false` when the
    /// session ended meanwhile. What is held does not count: it waits for this very answer.
    pub async fn until_roomy(&self) -> bool {
        loop {
            let changed = self.changed.notified();
            {
                let state = self.state.lock();
                if state.closed.is_some() || state.finished {
                    return false;
                }
                if state.queued_bytes <= self.bytes_max / 2 {
                    return true;
                }
            }
            changed.await;
        }
    }

    /// Takes what waits, up to one write's worth. For the one writer of the connection.
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
        self.metrics.mailbox_bytes.sub(taken as i64);
        drop(state);
        self.changed.notify_waiters();
        Some(Outgoing::Batch(batch))
    }

    fn forget(&self, state: &mut State) {
        self.metrics.mailbox_bytes.sub(state.bytes() as i64);
        state.queued_bytes = 0;
        state.held_bytes = 0;
        state.queue = VecDeque::new();
        state.held = VecDeque::new();
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        let mut state = std::mem::take(self.state.get_mut());
        self.forget(&mut state);
    }
}

#[cfg(test)]
mod tests {
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
}
