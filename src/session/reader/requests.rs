//! Requests: read, carried out, answered.

use super::Reader;
use crate::chat::{Caused, CloseReason, Command, Fault, Notice, Refusal, Reply};
use crate::hub::{PutOut, WireFormat};
use crate::wire::{Dialect, DialectKind, Frame, FramingError, Request, Tag, detect, frame, ping_frame};

impl Reader<'_> {
    /// Carries out what has come, one request after the other.
    pub(super) async fn take_messages(&mut self) -> Result<(), CloseReason> {
        self.detect_framing().await?;
        loop {
            let next = self.inbound.next_frame();
            if let Some(output) = self.inbound.take_output() {
                self.mailbox.reply(output);
            }
            match next {
                Ok(None) => return Ok(()),
                Ok(Some(Frame::Message(message))) => self.message(&message).await?,
                Ok(Some(Frame::TooLong)) => self.too_long().await?,
                Ok(Some(Frame::Closed)) => return Err(CloseReason::PeerGone),
                Err(FramingError::Broken) => return Err(CloseReason::Unframeable),
                Err(FramingError::NotText) => return Err(CloseReason::NotText),
                Err(FramingError::TooLong) => {
                    self.answer(&Tag::Nothing, &Err(Refusal::FrameTooLong)).await;
                    return Err(CloseReason::FrameTooLong);
                }
            }
        }
    }

    async fn too_long(&mut self) -> Result<(), CloseReason> {
        self.answer(&Tag::Nothing, &Err(Refusal::FrameTooLong)).await;
        let closes = self.speaking.as_ref().is_none_or(|speaking| speaking.dialect.rules().long_message_closes);
        if closes {
            return Err(CloseReason::FrameTooLong);
        }
        self.strike(Some(&Refusal::FrameTooLong))
    }

    async fn message(&mut self, message: &[u8]) -> Result<(), CloseReason> {
        if self.speaking.is_none() {
            self.speak(detect(message)).await?;
        }
        let put_out = self.mailbox.take_put_out();
        if !put_out.is_empty() {
            self.heed_put_out(put_out).await;
        }
        let Some(speaking) = &mut self.speaking else { return Ok(()) };
        // The first message on a detecting listener came in under the general limit.
        if speaking.dialect.rules().message_bytes_max.is_some_and(|limit| message.len() > limit) {
            return self.too_long().await;
        }
        self.shared.metrics.requests_total.with_label_values(&[speaking.kind.label()]).inc();
        let Request { tag, command, form, needs } = speaking.dialect.decode(message);
        let caused = command.as_ref().map(|command| speaking.who.conduct().caused_by(command)).unwrap_or_default();
        if caused != Caused::Nothing {
            self.mailbox.await_reply(caused);
        }
        let extends = command.as_ref().is_ok_and(Command::extends);
        let format = WireFormat { form, framing: self.framing };
        let (result, afterwards) = speaking.carry_out(command, needs, format, tag.forms(), self.shared).await;
        if extends && result.is_ok() {
            self.extend().await;
        }
        self.answer(&tag, &result).await;
        self.mailbox.replied();
        if matches!(result, Ok(Reply::Resumed { .. })) {
            self.ask_for_proof();
        }
        if let (Some(afterwards), Some(speaking)) = (afterwards, &mut self.speaking) {
            self.shared.chat.settle(&mut speaking.who, afterwards).await;
        }
        self.strike(result.as_ref().err())
    }

    pub(super) async fn answer(&self, tag: &Tag, result: &Result<Reply, Refusal>) {
        if let Err(refusal) = result {
            self.shared.metrics.refusals_total.with_label_values(&[refusal.label()]).inc();
            tracing::debug!(session = %self.id, number = refusal.number(), refusal = refusal.label(), "refused");
        }
        let dialect = self.dialect();
        let name = self.speaking.as_ref().and_then(|speaking| speaking.who.name());
        for message in dialect.answer(tag, result, name) {
            if !self.mailbox.until_roomy().await {
                return;
            }
            self.mailbox.reply(frame(self.framing, dialect.rules().line_end, &message));
        }
    }

    /// The dialect to answer in; one that is not told yet is answered as the plainest of all.
    pub(super) fn dialect(&self) -> &'static dyn Dialect {
        self.speaking.as_ref().map_or_else(|| DialectKind::Pychat.dialect(false), |speaking| speaking.dialect)
    }

    /// Counts malformed messages in a row.
    fn strike(&mut self, refusal: Option<&Refusal>) -> Result<(), CloseReason> {
        let Some(speaking) = &mut self.speaking else { return Ok(()) };
        match refusal.map(Refusal::fault) {
            Some(Fault::Malformed) => speaking.strikes += 1,
            // Refused for its pace, so it says nothing about the peer's grammar.
            Some(Fault::Pace) => {}
            _ => speaking.strikes = 0,
        }
        if speaking.strikes >= self.shared.limits.strikes {
            return Err(CloseReason::TooManyStrikes);
        }
        Ok(())
    }

    /// Rooms that the session was put out of: it is told so, in its own words for that.
    pub(super) async fn heed_put_out(&mut self, rooms: Vec<PutOut>) {
        let Some(speaking) = &mut self.speaking else { return };
        let format = WireFormat { form: speaking.dialect.form(), framing: self.framing };
        let out = self.shared.chat.heed_put_out(&mut speaking.who, rooms).await;
        for PutOut { room, .. } in out.into_iter().filter(|out| !out.shown) {
            let notice = Notice::PutOut { room, own_name: speaking.who.name().cloned() };
            if let Some(bytes) = format.tell(&notice) {
                self.mailbox.notice(bytes);
            }
        }
    }

    /// Has the client show that it got the answer, where it does so by itself.
    fn ask_for_proof(&mut self) {
        if let Some(ping) = ping_frame(self.framing) {
            self.mailbox.reply(ping);
            self.owes_proof = true;
        }
    }
}
