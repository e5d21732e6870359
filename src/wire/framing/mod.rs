//! Where one message ends and the next begins: lines or lengths over TCP, messages over WebSocket.

mod deflate;
mod length;
mod line;
mod websocket;

use bytes::{BufMut, Bytes, BytesMut};

pub use deflate::{ANSWER as DEFLATE_ANSWER, is_offered as is_deflate_offered};
pub use length::Lengths;
pub use line::Lines;
pub use websocket::WebSocketMessages;

use crate::chat::CloseReason;

/// How messages are told apart on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FramingKind {
    Lines,
    Lengths,
    WebSocket,
    /// WebSocket with permessage-deflate.
    Deflated,
}

/// What the inbound side found.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    Message(Bytes),
    /// A message over the limit was skipped.
    TooLong,
    /// The peer asked for the end.
    Closed,
}

/// The stream cannot be cut into messages any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    #[error("the message is longer than allowed")]
    TooLong,
    #[error("the stream breaks the framing's rules")]
    Broken,
    #[error("a text message is not valid UTF-8")]
    NotText,
}

/// The inbound side of a framing: takes bytes as they come, gives whole messages. Holds no buffer while nothing is pending.
pub enum Inbound {
    Lines(Lines),
    Lengths(Lengths),
    WebSocket(WebSocketMessages),
}

impl Inbound {
    pub fn new(kind: FramingKind, frame_bytes_max: usize) -> Self {
        match kind {
            FramingKind::Lines => Self::Lines(Lines::new(frame_bytes_max)),
            FramingKind::Lengths => Self::Lengths(Lengths::new(frame_bytes_max)),
            FramingKind::WebSocket => Self::WebSocket(WebSocketMessages::new(frame_bytes_max)),
            FramingKind::Deflated => Self::WebSocket(WebSocketMessages::deflated(frame_bytes_max)),
        }
    }

    /// Before any message was taken: whether the messages have lengths where lines were expected; from then on they have.
    pub fn turns_to_lengths(&mut self) -> bool {
        let Self::Lines(lines) = self else { return false };
        if !lines.begins_with_length() {
            return false;
        }
        *self = Self::Lengths(Lengths::instead_of(std::mem::replace(lines, Lines::new(0))));
        true
    }

    /// Lowers the limit once the dialect is known; never raises it.
    pub fn limit(&mut self, frame_bytes_max: usize) {
        match self {
            Self::Lines(lines) => lines.limit(frame_bytes_max),
            Self::Lengths(lengths) => lengths.limit(frame_bytes_max),
            Self::WebSocket(messages) => messages.limit(frame_bytes_max),
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Lines(lines) => lines.push(bytes),
            Self::Lengths(lengths) => lengths.push(bytes),
            Self::WebSocket(messages) => messages.push(bytes),
        }
    }

    /// The next whole message, `None` when more bytes are needed.
    ///
    /// # Errors
    /// When no further message can be found on this connection.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FramingError> {
        match self {
            Self::Lines(lines) => Ok(lines.next_frame()),
            Self::Lengths(lengths) => lengths.next_frame(),
            Self::WebSocket(messages) => messages.next_frame(),
        }
    }

    /// Bytes the framing itself wants to send (WebSocket pongs), ready to be written.
    pub fn take_output(&mut self) -> Option<Bytes> {
        match self {
            Self::Lines(_) | Self::Lengths(_) => None,
            Self::WebSocket(messages) => messages.take_output(),
        }
    }
}

/// A message ready to be written.
pub fn frame(kind: FramingKind, line_end: &[u8], message: &[u8]) -> Bytes {
    match kind {
        FramingKind::Lines => {
            let mut out = BytesMut::with_capacity(message.len() + line_end.len());
            out.put_slice(message);
            out.put_slice(line_end);
            out.freeze()
        }
        FramingKind::Lengths => length::message_frame(message),
        FramingKind::WebSocket => websocket::text_frame(message),
        FramingKind::Deflated => match deflate::compressed(message) {
            Some(short) => websocket::deflated_text_frame(&short),
            None => websocket::text_frame(message),
        },
    }
}

/// What ends a connection politely on this framing.
pub fn close_frame(kind: FramingKind, reason: CloseReason) -> Option<Bytes> {
    match kind {
        FramingKind::Lines | FramingKind::Lengths => None,
        FramingKind::WebSocket | FramingKind::Deflated => {
            Some(websocket::close_frame(reason.websocket_code(), reason.notice().unwrap_or("")))
        }
    }
}

/// A keep-alive probe that the peer's implementation answers by itself; over plain TCP there is none (TCP keep-alive serves it).
pub fn ping_frame(kind: FramingKind) -> Option<Bytes> {
    match kind {
        FramingKind::Lines | FramingKind::Lengths => None,
        FramingKind::WebSocket | FramingKind::Deflated => Some(Bytes::from_static(&[0x89, 0x00])),
    }
}
