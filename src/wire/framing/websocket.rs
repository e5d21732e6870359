//! WebSocket messages (RFC 6455), the server's side. Sections are of that text.
//!
//! The parser holds what has come of a message and nothing else: an idle connection costs no buffer. Its rules are held against
//! tungstenite's in a test. Writing goes past it, because a prepared frame is shared by all receivers of a room.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{Frame, FramingError, deflate};

/// Fin bit and text opcode (section 5.2).
const FINAL_TEXT: u8 = 0x81;
/// The first reserved bit: with permessage-deflate, on a message's first frame, the message is compressed (RFC 7692, section 6).
const COMPRESSED: u8 = 0x40;
/// Fin bit and close opcode.
const FINAL_CLOSE: u8 = 0x88;
/// Fin bit and pong opcode.
const FINAL_PONG: u8 = 0x8A;
/// A control frame carries so much at most (section 5.5).
const CONTROL_BYTES_MAX: usize = 125;
/// Longest close reason: a control frame without the two bytes of the code.
const CLOSE_REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;
const MASK_BYTES: usize = 4;
/// The code for who breaks the protocol (section 7.4.1).
const PROTOCOL_ERROR: u16 = 1002;

pub struct WebSocketMessages {
    received: BytesMut,
    /// The message of which some frames have come. Boxed, because few clients ever send one in pieces.
    begun: Option<Box<Fragments>>,
    to_send: Vec<u8>,
    message_bytes_max: usize,
    /// Messages may come compressed.
    takes_compressed: bool,
    closed: bool,
}

struct Fragments {
    payload: Vec<u8>,
    is_text: bool,
    is_compressed: bool,
    /// So much of a text is known to be UTF-8.
    checked: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// The head of a frame (section 5.2).
struct Head {
    is_final: bool,
    is_compressed: bool,
    opcode: Opcode,
    /// Bytes of the head itself, the mask included.
    length: usize,
    payload: usize,
}

impl WebSocketMessages {
    pub fn new(message_bytes_max: usize) -> Self {
        let (received, to_send) = (BytesMut::new(), Vec::new());
        Self { received, begun: None, to_send, message_bytes_max, takes_compressed: false, closed: false }
    }

    /// With permessage-deflate.
    pub fn deflated(message_bytes_max: usize) -> Self {
        Self { takes_compressed: true, ..Self::new(message_bytes_max) }
    }

    pub fn limit(&mut self, message_bytes_max: usize) {
        self.message_bytes_max = self.message_bytes_max.min(message_bytes_max);
    }

    pub fn push(&mut self, bytes: &[u8]) {
        // What follows a close frame is ignored (section 5.5.1).
        if !self.closed {
            self.received.extend_from_slice(bytes);
        }
    }

    pub fn next_frame(&mut self) -> Result<Option<Frame>, FramingError> {
        loop {
            if self.closed {
                return Ok(Some(Frame::Closed));
            }
            let Some(head) = self.head()? else { return Ok(None) };
            if self.received.len() < head.length + head.payload {
                return Ok(None);
            }
            let payload = self.unmasked(&head);
            if let Some(frame) = self.heed(&head, payload)? {
                return Ok(Some(frame));
            }
        }
    }

    pub fn take_output(&mut self) -> Option<Bytes> {
        (!self.to_send.is_empty()).then(|| std::mem::take(&mut self.to_send).into())
    }

    /// The head of the next frame; everything that is wrong with it is wrong before its payload has come.
    fn head(&self) -> Result<Option<Head>, FramingError> {
        let [first, second, rest @ ..] = &self.received[..] else { return Ok(None) };
        let opcode = Opcode::of(*first)?;
        let (extension, payload) = match (second & 0x7F, rest) {
            (126, [a, b, ..]) => (2, u64::from(u16::from_be_bytes([*a, *b]))),
            (127, [a, b, c, d, e, f, g, h, ..]) => (8, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])),
            (126 | 127, _) => return Ok(None),
            (length, _) => (0, u64::from(length)),
        };
        let payload = usize::try_from(payload).unwrap_or(usize::MAX);
        if payload > self.message_bytes_max && !(opcode.is_control() && payload <= CONTROL_BYTES_MAX) {
            return Err(FramingError::TooLong);
        }
        let is_final = first & 0x80 != 0;
        let begins_message = matches!(opcode, Opcode::Text | Opcode::Binary);
        let is_compressed = self.takes_compressed && begins_message && first & COMPRESSED != 0;
        let reserved = if is_compressed { 0x30 } else { 0x70 };
        let (is_reserved, is_masked) = (first & reserved != 0, second & 0x80 != 0);
        let breaks_control = opcode.is_control() && (!is_final || payload > CONTROL_BYTES_MAX);
        if is_reserved || !is_masked || breaks_control {
            return Err(FramingError::Broken);
        }
        Ok(Some(Head { is_final, is_compressed, opcode, length: 2 + extension + MASK_BYTES, payload }))
    }

    /// Takes a frame that has come as a whole. Copied out, so that a short message never keeps a long buffer alive.
    fn unmasked(&mut self, head: &Head) -> Vec<u8> {
        let (first, payload) = self.received[..head.length + head.payload].split_at(head.length);
        let mask = first.last_chunk::<MASK_BYTES>().copied().unwrap_or_default();
        let mut out = payload.to_vec();
        let mut chunks = out.chunks_exact_mut(2 * MASK_BYTES);
        let [a, b, c, d] = mask;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        for chunk in &mut chunks {
            if let Ok(bytes) = <[u8; 8]>::try_from(&*chunk) {
                chunk.copy_from_slice(&(u64::from_ne_bytes(bytes) ^ wide).to_ne_bytes());
            }
        }
        chunks.into_remainder().iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        self.received.advance(head.length + head.payload);
        if self.received.is_empty() {
            self.received = BytesMut::new();
        }
        out
    }

    fn heed(&mut self, head: &Head, payload: Vec<u8>) -> Result<Option<Frame>, FramingError> {
        match head.opcode {
            Opcode::Text | Opcode::Binary if self.begun.is_some() => Err(FramingError::Broken),
            Opcode::Text | Opcode::Binary => {
                let (is_text, is_compressed) = (head.opcode == Opcode::Text, head.is_compressed);
                self.end_or_keep(Fragments { payload, is_text, is_compressed, checked: 0 }, head)
            }
            Opcode::Continuation => {
                let Some(mut message) = self.begun.take() else { return Err(FramingError::Broken) };
                if message.payload.len() + payload.len() > self.message_bytes_max {
                    return Err(FramingError::TooLong);
                }
                message.payload.extend_from_slice(&payload);
                self.end_or_keep(*message, head)
            }
            Opcode::Ping => {
                // A pong carries what the ping did (section 5.5.3).
                self.to_send.extend([FINAL_PONG, payload.len() as u8]);
                self.to_send.extend(payload);
                Ok(None)
            }
            Opcode::Pong => Ok(None),
            Opcode::Close => self.close(&payload).map(Some),
        }
    }

    fn end_or_keep(&mut self, mut message: Fragments, head: &Head) -> Result<Option<Frame>, FramingError> {
        if head.is_final && message.is_compressed {
            message.payload =
                deflate::inflated(&message.payload, self.message_bytes_max).map_err(|fault| match fault {
                    deflate::Fault::TooLong => FramingError::TooLong,
                    deflate::Fault::Broken => FramingError::Broken,
                })?;
        }
        if head.is_final || !message.is_compressed {
            message.check(head.is_final)?;
        }
        if head.is_final {
            return Ok(Some(Frame::Message(message.payload.into())));
        }
        self.begun = Some(Box::new(message));
        Ok(None)
    }

    /// Answers with the peer's own code (section 5.5.1), where that is one that may be sent (section 7.4).
    fn close(&mut self, payload: &[u8]) -> Result<Frame, FramingError> {
        match payload {
            [] => self.to_send.extend([FINAL_CLOSE, 0]),
            [_] => return Err(FramingError::Broken),
            [a, b, reason @ ..] => {
                if str::from_utf8(reason).is_err() {
                    return Err(FramingError::NotText);
                }
                let code = match u16::from_be_bytes([*a, *b]) {
                    code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => code,
                    _ => PROTOCOL_ERROR,
                };
                self.to_send.extend_from_slice(&close_frame(code, ""));
            }
        }
        self.closed = true;
        self.received = BytesMut::new();
        Ok(Frame::Closed)
    }
}

impl Opcode {
    fn of(first: u8) -> Result<Self, FramingError> {
        Ok(match first & 0x0F {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return Err(FramingError::Broken),
        })
    }

    fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl Fragments {
    /// A text that is not UTF-8 is found as soon as that is sure (section 8.1); a character may be cut by a frame's end, but not
    /// by the message's.
    fn check(&mut self, is_final: bool) -> Result<(), FramingError> {
        if !self.is_text {
            return Ok(());
        }
        match str::from_utf8(&self.payload[self.checked..]) {
            Ok(_) => self.checked = self.payload.len(),
            Err(error) if error.error_len().is_none() && !is_final => self.checked += error.valid_up_to(),
            Err(_) => return Err(FramingError::NotText),
        }
        Ok(())
    }
}

/// A whole text message in one unmasked frame.
pub fn text_frame(payload: &[u8]) -> Bytes {
    message_frame(FINAL_TEXT, payload)
}

/// The same of one that is compressed.
pub fn deflated_text_frame(payload: &[u8]) -> Bytes {
    message_frame(FINAL_TEXT | COMPRESSED, payload)
}

fn message_frame(first: u8, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(payload.len() + 10);
    out.put_u8(first);
    match payload.len() {
        length @ 0..=125 => out.put_u8(length as u8),
        length @ 126..=0xFFFF => {
            out.put_u8(126);
            out.put_u16(length as u16);
        }
        length => {
            out.put_u8(127);
            out.put_u64(length as u64);
        }
    }
    out.put_slice(payload);
    out.freeze()
}

/// A close frame; a reason too long for a control frame is cut.
pub fn close_frame(code: u16, reason: &str) -> Bytes {
    let cut = reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX);
    let reason = &reason.as_bytes()[..cut];
    let mut out = BytesMut::with_capacity(reason.len() + 4);
    out.put_u8(FINAL_CLOSE);
    out.put_u8(reason.len() as u8 + 2);
    out.put_u16(code);
    out.put_slice(reason);
    out.freeze()
}

#[cfg(test)]
mod tests;
