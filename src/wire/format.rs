//! Which bytes a subscriber wants: the form of its dialect, framed for its transport. Those who want the same share them.

use bytes::Bytes;

use super::framing::{FramingKind, frame};
use super::{Dialect, EventForm};
use crate::chat::{Envelope, Notice};

/// The form of events and notices, and the framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireFormat {
    pub form: EventForm,
    pub framing: FramingKind,
}

impl WireFormat {
    /// A room's event in this format, ready to be written; `None` where the dialect has no words for it.
    pub fn event(self, room: &str, envelope: &Envelope) -> Option<Bytes> {
        let dialect = self.form.dialect();
        let messages = dialect.event(self.form, room, envelope);
        let mut frames = messages.iter().map(|message| self.frame(dialect, message));
        let first = frames.next()?;
        // Several go out as one, so that nothing comes between them.
        Some(frames.fold(first, |all, next| [all, next].concat().into()))
    }

    /// A notice in this format, ready to be written; `None` where the dialect has no words for it.
    pub fn tell(self, notice: &Notice) -> Option<Bytes> {
        let dialect = self.form.dialect();
        dialect.tell(self.form, notice).map(|message| self.frame(dialect, &message))
    }

    fn frame(self, dialect: &dyn Dialect, message: &[u8]) -> Bytes {
        frame(self.framing, dialect.rules().line_end, message)
    }
}
