//! How a session begins: its dialect, its login, its welcome.

use super::Reader;
use crate::chat::{Caused, CloseReason, Refusal};
use crate::service::Participant;
use crate::session::speaking::Speaking;
use crate::wire::{DialectKind, FramingKind, Tag, WireFormat};

impl Reader<'_> {
    /// A listener that tells dialects apart tells this one from the framing alone: no other has it.
    pub(super) async fn detect_framing(&mut self) -> Result<(), CloseReason> {
        if self.speaking.is_some() || !self.inbound.turns_to_lengths() {
            return Ok(());
        }
        self.framing = FramingKind::Lengths;
        self.speak(DialectKind::Scrp).await
    }

    /// The dialect is known: the session begins.
    pub(super) async fn speak(&mut self, kind: DialectKind) -> Result<(), CloseReason> {
        let dialect = kind.dialect(self.extended);
        if let Some(limit) = dialect.rules().message_bytes_max {
            self.inbound.limit(limit);
        }
        self.gauge.label(kind.label());
        let who = Participant::new(self.id, self.mailbox.clone(), dialect.rules().conduct, self.peer);
        let now_ms = self.shared.clock.now_ms();
        let speaking = self.speaking.insert(Speaking::new(kind, self.extended, who, &self.shared.limits, now_ms));
        let chat = &self.shared.chat;
        if dialect.greets() {
            // Whatever is heard comes after the welcome.
            self.mailbox.await_reply(Caused::Any);
        }
        chat.arrive(&speaking.who, WireFormat { form: dialect.form(), framing: self.framing }).await;
        let signed_in = match self.login.take() {
            Some(login) => Some(chat.sign_in(&mut speaking.who, *login).await),
            None => None,
        };
        let (result, afterwards) = signed_in.map_or((None, None), |outcome| (Some(outcome.result), outcome.afterwards));
        match result {
            None | Some(Ok(_)) => {}
            Some(Err(Refusal::TokenInvalid)) => return Err(CloseReason::LoggedOut),
            Some(Err(_)) => return Err(CloseReason::LoginUnavailable),
        }
        if dialect.greets() {
            let welcome = chat.greet(&mut speaking.who, None).await;
            self.answer(&Tag::Nothing, &welcome.result).await;
            self.mailbox.replied();
        }
        if let (Some(afterwards), Some(speaking)) = (afterwards, &mut self.speaking) {
            chat.settle(&mut speaking.who, afterwards).await;
        }
        Ok(())
    }

    /// The client asked for the extended mode.
    pub(super) async fn extend(&mut self) {
        let Some(speaking) = &mut self.speaking else { return };
        speaking.dialect = speaking.kind.dialect(true);
        let format = WireFormat { form: speaking.dialect.form(), framing: self.framing };
        let conduct = speaking.dialect.rules().conduct;
        self.shared.chat.extend(&mut speaking.who, conduct, format).await;
    }
}
