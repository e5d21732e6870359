//! WebSocket messages (RFC 6455), the server's side.
//!
//! Reading is left to tungstenite, which knows the protocol's rules; it works here on memory instead of a socket.
//! Writing is ours, because a prepared frame is shared by all receivers of a room and several frames go out in one write.

use std::io::{self, Read, Write};

use bytes::{BufMut, Bytes, BytesMut};
use tungstenite::Message;
use tungstenite::error::Error;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};

use super::{Frame, FramingError};

/// What the parser keeps at hand per connection; larger messages grow it for their time.
const READ_BUFFER_BYTES: usize = 512;
/// Fin bit and text opcode (section 5.2).
const FINAL_TEXT: u8 = 0x81;
/// Fin bit and close opcode.
const FINAL_CLOSE: u8 = 0x88;
/// Longest close reason: a control frame carries 125 bytes, two of them the code (section 5.5).
const CLOSE_REASON_BYTES_MAX: usize = 123;

pub struct WebSocketMessages {
    context: WebSocketContext,
    memory: Memory,
}

/// A "socket" in memory: what was received and not yet parsed, and what the parser wants to send.
#[derive(Default)]
struct Memory {
    received: BytesMut,
    to_send: Vec<u8>,
}

impl Read for Memory {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.received.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = out.len().min(self.received.len());
        out[..count].copy_from_slice(&self.received.split_to(count));
        if self.received.is_empty() {
            self.received = BytesMut::new();
        }
        Ok(count)
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to_send.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WebSocketMessages {
    pub fn new(message_bytes_max: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(message_bytes_max))
            .max_frame_size(Some(message_bytes_max));
        Self { context: WebSocketContext::new(Role::Server, Some(config)), memory: Memory::default() }
    }

    pub fn limit(&mut self, message_bytes_max: usize) {
        let lower = |limit: Option<usize>| Some(limit.unwrap_or(usize::MAX).min(message_bytes_max));
        self.context.set_config(|config| {
            config.max_message_size = lower(config.max_message_size);
            config.max_frame_size = lower(config.max_frame_size);
        });
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.memory.received.extend_from_slice(bytes);
    }

    pub fn next_frame(&mut self) -> Result<Option<Frame>, FramingError> {
        loop {
            match self.context.read(&mut self.memory) {
                Ok(Message::Text(text)) => return Ok(Some(Frame::Message(text.into()))),
                Ok(Message::Binary(bytes)) => return Ok(Some(Frame::Message(bytes))),
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Ok(Message::Close(_)) => {
                    // One more turn lets the parser put its answer to the close into the outgoing bytes.
                    let _ = self.context.flush(&mut self.memory);
                    return Ok(Some(Frame::Closed));
                }
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Ok(Some(Frame::Closed)),
                Err(Error::Utf8(_)) => return Err(FramingError::NotText),
                Err(Error::Capacity(_)) => return Err(FramingError::TooLong),
                Err(_) => return Err(FramingError::Broken),
            }
        }
    }

    pub fn take_output(&mut self) -> Option<Bytes> {
        (!self.memory.to_send.is_empty()).then(|| std::mem::take(&mut self.memory.to_send).into())
    }
}

/// A whole text message in one unmasked frame.
pub fn text_frame(payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(payload.len() + 10);
    out.put_u8(FINAL_TEXT);
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
mod tests {
    use super::*;

    /// A client's frame, masked with a fixed key.
    fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let key = [1u8, 2, 3, 4];
        let mut out = vec![opcode];
        if payload.len() < 126 {
            out.push(0x80 | payload.len() as u8);
        } else {
            out.push(0x80 | 126);
            out.extend((payload.len() as u16).to_be_bytes());
        }
        out.extend(key);
        out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        out
    }

    #[test]
    fn messages_however_they_are_cut_and_a_pong_for_each_ping() {
        let long = "x".repeat(3_000);
        let mut stream = masked(0x81, b"hello");
        stream.extend(masked(0x89, b"p"));
        stream.extend(masked(0x82, long.as_bytes()));
        for chunk in [1, 7, 512, 5_000] {
            let mut messages = WebSocketMessages::new(4_000);
            let mut seen = Vec::new();
            for piece in stream.chunks(chunk) {
                messages.push(piece);
                while let Some(frame) = messages.next_frame().unwrap() {
                    seen.push(frame);
                }
            }
            let expected = [Frame::Message("hello".into()), Frame::Message(long.clone().into())];
            assert_eq!(seen, expected, "in pieces of {chunk}");
            assert_eq!(messages.take_output().unwrap().as_ref(), [0x8A, 1, b'p']);
            assert_eq!(messages.take_output(), None);
        }
    }

    #[test]
    fn too_long_broken_and_closed_are_told_apart() {
        let mut messages = WebSocketMessages::new(10);
        messages.push(&masked(0x81, b"12345678901"));
        assert_eq!(messages.next_frame(), Err(FramingError::TooLong));

        let mut messages = WebSocketMessages::new(10);
        messages.push(&[0x81, 0x01, b'a']); // not masked
        assert_eq!(messages.next_frame(), Err(FramingError::Broken));

        let mut messages = WebSocketMessages::new(10);
        messages.push(&masked(0x81, b"\xff\xfe"));
        assert_eq!(messages.next_frame(), Err(FramingError::NotText));

        let mut messages = WebSocketMessages::new(10);
        messages.push(&masked(0x88, &1000u16.to_be_bytes()));
        assert_eq!(messages.next_frame(), Ok(Some(Frame::Closed)));
        assert_eq!(messages.take_output().unwrap().as_ref(), [0x88, 2, 0x03, 0xE8]);
    }

    #[test]
    fn frame_lengths_take_their_three_forms() {
        assert_eq!(text_frame(b"hi").as_ref(), [0x81, 2, b'h', b'i']);
        assert_eq!(text_frame(&[b'a'; 126])[..4], [0x81, 126, 0, 126]);
        assert_eq!(text_frame(&[b'a'; 70_000])[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
        assert_eq!(close_frame(1012, &"é".repeat(100)).len(), 4 + 122);
    }
}
