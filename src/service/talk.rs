//! Messages: said in rooms, written to somebody, read again.

use super::{Chat, Outcome, Participant, Settling, unavailable};
use crate::backend::{Delivery, Publication, Published, Publisher};
use crate::chat::{
    Addressee, Event, EventKind, Notice, PrivateMessage, Refusal, Reply, RoomId, RoomRef, SessionId, TimeRange,
};
use crate::telemetry::traces::PublishSpan;

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
                return Err(self.why_not_in(&room, refusal).await);
            }
            (resolved, _) => resolved?,
        };
        self.check_length(&text)?;
        let span = self.tracer.publish_span();
        let mut event = Event::new(who.actor(), EventKind::Message { id: self.numbers.message().await?, text });
        event.traceparent = span.as_ref().map(PublishSpan::traceparent);
        let began_us = self.clock.unix_us();
        let publisher = Publisher::Member { account: who.account() };
        let publication = Publication { event: &event, publisher, key: key.as_deref() };
        let published = self.backend.broker.publish(&room, publication).await;
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

    /// The session believes that it is in the room, and the broker does not.
    fn why_not_published(&self, who: &Participant, room: &RoomId) -> Refusal {
        if who.mailbox.is_put_out_of(room) {
            return Refusal::NotJoined;
        }
        // Either the news of its being out has not come yet, or the broker lost its data and what this node's sessions hold
        // is about to be claimed again: a moment later it is clear.
        Refusal::Unavailable
    }

    fn check_length(&self, text: &str) -> Result<(), Refusal> {
        if text.len() > self.limits.text_bytes { Err(Refusal::TextTooLong) } else { Ok(()) }
    }

    /// Answered with success once it is in the mailbox of a live session; what one writes to oneself comes after the answer.
    pub(super) async fn send_private(&self, who: &Participant, to: Addressee, target: String, text: String) -> Outcome {
        let (id, time_us) = match self.numbers.message().await {
            Ok(id) => (id, self.clock.unix_us()),
            Err(refusal) => return Outcome::refused(refusal),
        };
        let message = PrivateMessage { from: who.actor(), target, text };
        let notice = Notice::Private { message: message.clone(), id, time_us };
        let result = self.hand_over(who, to, &message.text, &notice).await;
        let to_self = result.as_ref().is_ok_and(|session| *session == who.id);
        let afterwards = to_self.then_some(Settling::OwnNotice(notice));
        Outcome { result: result.map(|_| Reply::SentPrivately { message, to_self, id, time_us }), afterwards }
    }

    async fn hand_over(
        &self,
        who: &Participant,
        to: Addressee,
        text: &str,
        notice: &Notice,
    ) -> Result<SessionId, Refusal> {
        self.check_length(text)?;
        let session = self.session_of(&to).await?;
        if session == who.id {
            self.metrics.private_messages_total.inc();
            return Ok(session);
        }
        let delivered = self.backend.post.deliver(session, notice).await;
        match (delivered.map_err(|error| unavailable("private message", &error))?, to) {
            (Delivery::Done, _) => {}
            // Somebody holds the name on a node that does not hear: it will come back, or be swept.
            (Delivery::NoNode, Addressee::Nickname(_)) => return Err(Refusal::Unavailable),
            (Delivery::NoNode | Delivery::NoSession, _) => return Err(Refusal::UserNotFound),
        }
        self.metrics.private_messages_total.inc();
        Ok(session)
    }

    async fn session_of(&self, to: &Addressee) -> Result<SessionId, Refusal> {
        match to {
            Addressee::Session(session) => Ok(*session),
            Addressee::Nickname(name) => {
                let holder = self.backend.presence.holder(name).await;
                let holder = holder.map_err(|error| unavailable("holder", &error))?;
                holder.map(|holder| holder.session).ok_or(Refusal::UserNotFound)
            }
        }
    }

    pub(super) async fn history(&self, who: &Participant, room: RoomRef, range: TimeRange) -> Result<Reply, Refusal> {
        let room = who.resolve(&room)?;
        let records = self.backend.broker.history(&room).await;
        let mut records = records.map_err(|error| unavailable("history", &error))?;
        records.retain(|envelope| range.contains(envelope.time_us));
        Ok(Reply::History { room, records })
    }
}
