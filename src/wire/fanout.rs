//! One event on its way to many mailboxes: each wire format is encoded at most once, on first use, and shared.

use std::cell::OnceCell;

use bytes::Bytes;

use super::EventForm;
use super::framing::{FramingKind, frame};
use crate::chat::Envelope;

/// The bytes one subscriber of a room wants: the form of the event, framed for its transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireFormat {
    pub form: EventForm,
    pub framing: FramingKind,
}

const FRAMINGS: usize = FramingKind::WebSocket as usize + 1;

impl WireFormat {
    fn index(self) -> usize {
        self.form.index() * FRAMINGS + self.framing as usize
    }
}

/// An event of a room with its encodings.
pub struct Fanout<'a> {
    room: &'a str,
    envelope: &'a Envelope,
    encoded: [OnceCell<Option<Bytes>>; EventForm::COUNT * FRAMINGS],
}

impl<'a> Fanout<'a> {
    pub fn new(room: &'a str, envelope: &'a Envelope) -> Self {
        Self { room, envelope, encoded: Default::default() }
    }

    pub fn envelope(&self) -> &Envelope {
        self.envelope
    }

    /// The event in this format, ready to be written; `None` where the dialect has no words for it.
    pub fn bytes(&self, format: WireFormat) -> Option<&Bytes> {
        self.encoded[format.index()]
            .get_or_init(|| {
                let dialect = format.form.dialect();
                let messages = dialect.event(format.form, self.room, self.envelope);
                let mut frames =
                    messages.iter().map(|message| frame(format.framing, dialect.rules().line_end, message));
                let first = frames.next()?;
                // Several go out as one, so that nothing comes between them.
                Some(frames.fold(first, |all, next| [all, next].concat().into()))
            })
            .as_ref()
    }
}
