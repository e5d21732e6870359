//! Messages in rooms: said, and read again.

use std::time::Duration;

use super::{Chat, Participant, unavailable};
use crate::backend::{Proclamation, Publication, Published, Publisher};
use crate::chat::{Actor, Epoch, Event, EventKind, MessageId, Position, Refusal, Reply, RoomId, RoomRef, TimeRange};
use crate::planted::{self, Bug};
use crate::telemetry::traces::PublishSpan;

/// For how long others may believe that somebody writes who said so.
const TYPING_LIFE: Duration = Duration::from_secs(3);

impl Chat {
    pub(super) async fn send(
        &self,
        who: &mut Participant,
        room: RoomRef,
        text: String,
        key: Option<String>,
    ) -> Result<Reply, Refusal> {
        let room = match (who.resolve(&room), room) {
            (Err(refusal), RoomRef::Named(room)) if !who.conduct.join_creates => {
                return Err(self.why_not_in(who, &room, refusal).await);
            }
            (resolved, _) => resolved?,
        };
        self.check_length(&text)?;
        let span = self.tracer.publish_span(|| self.hub.members_here(&room));
        let mut event = Event::new(who.actor(), EventKind::Message { id: self.numbers.message().await?, text });
        event.traceparent = span.as_ref().map(PublishSpan::traceparent);
        let began_us = self.clock.unix_us();
        let publisher = Publisher::Member { account: who.account() };
        let publication = Publication { event: &event, publisher, key: key.as_deref().map(|key| who.key(key)) };
        self.may_act(who)?;
        let published = self.backend.broker.publish(&room, publication).await;
        let published =
            if planted::has(Bug::AcknowledgeBeforeScript) { published.or(Ok(nowhere())) } else { published };
        let took_us = self.clock.unix_us().saturating_sub(began_us).max(0);
        let Some(Published { position, time_us, id, .. }) =
            published.map_err(|error| unavailable("publish", &error))?
        else {
            return Err(self.why_not_published(who, &room));
        };
        self.metrics.publish_seconds.observe(took_us as f64 / 1e6);
        self.metrics.publishes_total.inc();
        who.caused += 1;
        Ok(Reply::Sent { position, id, time_us })
    }

    /// Has the others in a room told that somebody is writing. Again within [`TYPING_LIFE`] it is not said again. Nothing is kept,
    /// and what cannot be said now is not said.
    pub(super) async fn typing(&self, who: &mut Participant, room: RoomId) -> Result<Reply, Refusal> {
        if !who.rooms.contains(&room) {
            return Err(Refusal::NotJoined);
        }
        let now_ms = self.clock.now_ms();
        who.typed.retain(|(_, since_ms)| now_ms.saturating_sub(*since_ms) < TYPING_LIFE.as_millis() as u64);
        if who.typed.iter().any(|(other, _)| *other == room) {
            self.metrics.typing_total.with_label_values(&["coalesced"]).inc();
            return Ok(Reply::Done);
        }
        who.typed.push((room.clone(), now_ms));
        self.may_act(who)?;
        let said = self.backend.post.proclaim(&Proclamation::Typing { room, who: who.actor() }).await;
        said.map_err(|error| unavailable("typing", &error))?;
        self.metrics.typing_total.with_label_values(&["said"]).inc();
        Ok(Reply::Done)
    }

    /// Somebody on some node is writing.
    pub(super) fn tell_typing(&self, room: &RoomId, who: &Actor) {
        if !self.hub.tell_typing(room, who, self.clock.now_ms()) {
            self.metrics.typing_total.with_label_values(&["dropped"]).inc();
        }
    }

    /// The session believes that it is in the room, and the broker does not.
    fn why_not_published(&self, who: &Participant, room: &RoomId) -> Refusal {
        if who.mailbox.is_put_out_of(room) {
            return Refusal::NotJoined;
        }
        // Either the news of its being out has not come yet, or the broker lost its data and what this node's sessions hold
        // is about to be claimed again: a moment later it is clear.
        Refusal::Unavailable
    }

    pub(super) fn check_length(&self, text: &str) -> Result<(), Refusal> {
        if text.len() > self.limits.text_bytes { Err(Refusal::TextTooLong) } else { Ok(()) }
    }

    pub(super) async fn history(&self, who: &Participant, room: RoomRef, range: TimeRange) -> Result<Reply, Refusal> {
        let room = who.resolve(&room)?;
        let records = self.backend.broker.history(&room).await;
        let mut records = records.map_err(|error| unavailable("history", &error))?;
        records.retain(|envelope| range.contains(envelope.time_us));
        self.rename_gone(&mut records).await.map_err(|error| unavailable("history", &error))?;
        Ok(Reply::History { room, records })
    }
}

/// What [`Bug::AcknowledgeBeforeScript`] tells of a message that the broker did not take.
fn nowhere() -> Option<Published> {
    let position = Position { epoch: Epoch::new(1), offset: 0 };
    Some(Published { position, time_us: 0, id: MessageId::default(), repeated: false })
}
