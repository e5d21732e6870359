//! From what the broker sends to the members' mailboxes, and back to the stream where something is missing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Chat, SETTLING_LIMIT};
use crate::ambient::timer_now;
use crate::backend::{BackendError, Heard, Inbound, Proclamation, decode_live};
use crate::chat::{CatchUp, Envelope, Position, RoomId, Seam};
use crate::hub::{Delivered, Flush};
use crate::planted::{self, Bug};

/// Rooms read from the broker at once; after a reconnect all rooms queue here instead of stampeding.
const CATCH_UPS_AT_ONCE: usize = 8;
/// Events that are put into mailboxes before the first of them is written out.
const EVENTS_PER_PASS: usize = 256;
/// Of the time that a pass took, the part that the next one waits for followers: 1 / so much.
const FOLLOWERS_SHARE: u32 = 4;
const FOLLOWERS_WAIT_MAX: Duration = Duration::from_millis(10);
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// How often somebody who leaves looks whether another reader of the stream is done.
const LOOK_AGAIN_EVERY: Duration = Duration::from_millis(50);

/// Hands everything heard to the hub, one after the other, until the broker is gone or `stop`.
pub async fn dispatch(chat: Arc<Chat>, mut inbound: Inbound, stop: CancellationToken) {
    let catch_ups = CatchUps {
        chat: chat.clone(),
        tasks: TaskTracker::new(),
        permits: Arc::new(Semaphore::new(CATCH_UPS_AT_ONCE)),
        stop: stop.clone(),
    };
    let mut flush = Flush::new(chat.metrics.clone());
    let mut followers = Followers::none();
    while let Some(Some(heard)) = stop.run_until_cancelled(inbound.next()).await {
        catch_ups.heed(heard, &mut flush);
        let also = catch_ups.heed_followers(&mut inbound, &followers, &mut flush).await;
        let began = timer_now();
        followers = match flush.run().await {
            true => Followers::of_pass(also, began.elapsed()),
            false => Followers::none(),
        };
    }
}

/// How many events are expected right behind the next one, and until when they are waited for.
///
/// In a large room where much is said, a write to each member costs far more than what it carries. Whoever answers what the last pass
/// brought is on the way while it ends, so after a little wait their events leave with one call for each member, and not with two.
/// An event that comes by itself waits for nothing.
struct Followers {
    count: usize,
    until: Instant,
}

impl Followers {
    fn none() -> Self {
        Self { count: 0, until: timer_now() }
    }

    /// As many as followed the first event of the pass that is just over.
    fn of_pass(count: usize, took: Duration) -> Self {
        Self { count, until: timer_now() + (took / FOLLOWERS_SHARE).min(FOLLOWERS_WAIT_MAX) }
    }

    /// The next thing heard, waited for if it is the `nth` expected one or an earlier one.
    async fn next(&self, nth: usize, inbound: &mut Inbound) -> Option<Heard> {
        match inbound.try_next() {
            None if nth <= self.count => tokio::time::timeout_at(self.until, inbound.next()).await.ok().flatten(),
            heard => heard,
        }
    }
}

struct CatchUps {
    chat: Arc<Chat>,
    tasks: TaskTracker,
    permits: Arc<Semaphore>,
    stop: CancellationToken,
}

impl CatchUps {
    /// Takes what waits already and what is expected, as far as it fits into this pass; how much that was.
    async fn heed_followers(&self, inbound: &mut Inbound, followers: &Followers, flush: &mut Flush) -> usize {
        let mut taken = 0;
        while taken + 1 < EVENTS_PER_PASS && flush.has_room() {
            let Some(heard) = followers.next(taken + 1, inbound).await else { break };
            self.heed(heard, flush);
            taken += 1;
        }
        taken
    }

    fn heed(&self, heard: Heard, flush: &mut Flush) {
        let chat = &self.chat;
        match heard {
            Heard::Raw { room, bytes } => match decode_live(&bytes) {
                Ok(envelope) => self.deliver(room, &envelope, flush),
                Err(error) => {
                    chat.metrics.undecodable_total.inc();
                    tracing::debug!(%error, %room, "an event cannot be read");
                }
            },
            Heard::Event { room, envelope } => self.deliver(room, &envelope, flush),
            Heard::Notice { session, notice, delivered } => {
                // Who sent it may have given up.
                let _ = delivered.send(chat.sessions.tell(session, &notice));
            }
            Heard::Proclamation(Proclamation::Revoked { account, which }) => chat.sessions.revoke(&account, &which),
            Heard::Proclamation(Proclamation::News(bulletin)) => chat.tell_news(&bulletin),
            Heard::Proclamation(Proclamation::Typing { room, who }) => chat.tell_typing(&room, &who),
            Heard::Interrupted => {
                self.rooms(chat.hub.rooms());
                self.notices();
            }
            Heard::MissedIn(rooms) => self.rooms(rooms),
            Heard::MissedNotices => self.notices(),
            Heard::Barrier(reached) => {
                // Who waited may have given up.
                let _ = reached.send(());
            }
        }
    }

    fn deliver(&self, room: RoomId, envelope: &Envelope, flush: &mut Flush) {
        let chat = &self.chat;
        chat.metrics.events_total.inc();
        match chat.hub.deliver(&room, envelope, flush) {
            Delivered::To(receivers) => {
                let delay_us = chat.clock.unix_us().saturating_sub(envelope.time_us).max(0);
                chat.metrics.event_delay_seconds.observe(delay_us as f64 / 1e6);
                if let Some(traceparent) = &envelope.event.traceparent {
                    chat.tracer.record_delivery(traceparent, envelope.time_us, receivers);
                }
            }
            Delivered::Ignored => {}
            Delivered::CatchUpFrom(from) => self.begin(room, from),
        }
    }

    fn rooms(&self, rooms: Vec<RoomId>) {
        for room in rooms {
            if let Some(from) = self.chat.hub.begin_catch_up(&room) {
                self.begin(room, from);
            } else if room == RoomId::lobby() {
                // Whoever came first could not find out where it stands.
                let chat = self.chat.clone();
                self.spawn(async move { chat.begin_lobby(&room).await });
            }
        }
    }

    /// What was revoked while nothing was heard is found out, and what waits in inboxes.
    fn notices(&self) {
        // A bell may have been missed.
        self.chat.sessions.ring_all();
        let (chat, stop) = (self.chat.clone(), self.stop.clone());
        let looking = async move {
            while !chat.look_at_logins().await {
                tokio::time::sleep(RETRY_EVERY).await;
            }
        };
        self.tasks.spawn(async move { stop.run_until_cancelled(looking).await });
    }

    fn begin(&self, room: RoomId, from: Position) {
        let (chat, permits) = (self.chat.clone(), self.permits.clone());
        self.spawn(async move { catch_up(&chat, &room, from, &permits).await });
    }

    /// Has a room's stream read, unless the node stops; counted from now until it is done.
    fn spawn(&self, reading: impl Future<Output = ()> + Send + 'static) {
        let (metrics, stop) = (self.chat.metrics.clone(), self.stop.clone());
        metrics.backfills_waiting.inc();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(reading).await;
            metrics.backfills_waiting.dec();
        });
    }
}

/// Reads a room's stream until nothing newer was heard meanwhile. Tries for as long as the room has members here: live
/// delivery waits for it.
async fn catch_up(chat: &Chat, room: &RoomId, mut from: Position, permits: &Semaphore) {
    let mut fruitless = 0;
    while chat.hub.epoch(room).is_some() {
        let read = match permits.acquire().await {
            Ok(_permit) => chat.backfill(room, from).await,
            Err(_) => return,
        };
        let Ok(next) = read else {
            tokio::time::sleep(RETRY_EVERY).await;
            continue;
        };
        let Some(next) = next else { return };
        if next == from {
            fruitless += 1;
            if fruitless > 3 {
                // What was heard is not in the stream. The next event heard starts over.
                chat.hub.abandon_catch_up(room);
                return;
            }
            tokio::time::sleep(RETRY_EVERY).await;
        }
        from = next;
    }
}

impl Chat {
    /// Delivers what a room's members here did not hear after a position. Returns the one to read on from, when more was heard
    /// meanwhile.
    async fn backfill(&self, room: &RoomId, from: Position) -> Result<Option<Position>, BackendError> {
        let mut read = self.backend.broker.catch_up(room, from).await;
        if let Ok(CatchUp { seam: seam @ Seam::Torn(Position { offset: 0, .. }), .. }) = &mut read
            && from == Position::NOWHERE
        {
            // There was no stream, and now there is one from its beginning.
            *seam = Seam::Whole(seam.goes_on_after(from).epoch);
        }
        let outcome = match &read {
            Err(_) => "failed",
            Ok(read) if read.seam.gap().is_some() => "incomplete",
            Ok(_) => "complete",
        };
        self.metrics.backfills_total.with_label_values(&[outcome]).inc();
        let mut read = read?;
        if let Some(Position { epoch, offset }) = read.seam.gap() {
            self.metrics.gaps_total.inc();
            tracing::warn!(%room, epoch = epoch.value(), offset, "part of the stream is lost");
        }
        if planted::has(Bug::DropBackfill) {
            read.missed.clear();
        }
        let mut flush = Flush::new(self.metrics.clone());
        let behind = self.hub.caught_up(room, &read, &mut flush);
        flush.finish().await;
        Ok(behind)
    }

    /// Reads a room's stream at once, though nobody noticed yet that something was not heard. `false` when somebody reads it
    /// already.
    pub(super) async fn look_at_stream(&self, room: &RoomId) -> bool {
        let Some(from) = self.hub.begin_catch_up(room) else { return false };
        if !matches!(self.backfill(room, from).await, Ok(None)) {
            // The next event heard starts over.
            self.hub.abandon_catch_up(room);
        }
        true
    }

    /// Has a room's members here told all that its stream holds, also where somebody reads it already; for a bounded time.
    pub(super) async fn read_up(&self, room: &RoomId) {
        let reading = async {
            while !self.look_at_stream(room).await {
                tokio::time::sleep(LOOK_AGAIN_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(SETTLING_LIMIT, reading).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::inbound;
    use crate::telemetry::Metrics;

    #[tokio::test]
    async fn so_many_followers_are_waited_for_and_not_for_ever() {
        let (sender, mut inbound) = inbound(1_000_000, Arc::new(Metrics::new()));
        let followers = Followers { count: 2, until: timer_now() + Duration::from_secs(600) };
        let speaking = tokio::spawn(async move {
            for _ in 0..2 {
                tokio::task::yield_now().await;
                sender.send(Heard::MissedNotices);
            }
            sender
        });
        assert!(followers.next(1, &mut inbound).await.is_some());
        assert!(followers.next(2, &mut inbound).await.is_some());
        assert!(followers.next(3, &mut inbound).await.is_none(), "nobody expects a third one");

        let sender = speaking.await.unwrap();
        let followers = Followers { count: 2, until: timer_now() };
        assert!(followers.next(1, &mut inbound).await.is_none(), "it is too late to wait");
        sender.send(Heard::MissedNotices);
        sender.send(Heard::MissedNotices);
        sender.send(Heard::MissedNotices);
        for nth in 1..=3 {
            assert!(followers.next(nth, &mut inbound).await.is_some(), "it waits already");
        }
    }

    #[test]
    fn followers_are_waited_for_in_proportion_to_the_pass_and_never_long() {
        for (took_ms, wait_ms) in [(8, 2), (10_000, 10)] {
            let before = timer_now();
            let until = Followers::of_pass(1, Duration::from_millis(took_ms)).until;
            assert!(until >= before + Duration::from_millis(wait_ms));
            assert!(until <= timer_now() + Duration::from_millis(wait_ms));
        }
    }
}
