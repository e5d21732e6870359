use std::io::{Read, Write};

use proptest::prelude::*;
use tungstenite::error::{Error, ProtocolError};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

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

/// A frame as a client may send it, rightly or wrongly.
#[derive(Debug, Clone)]
struct Sent {
    first: u8,
    masked: bool,
    payload: Vec<u8>,
}

impl Sent {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = masked(self.first, &self.payload);
        if !self.masked {
            let head = if self.payload.len() < 126 { 2 } else { 4 };
            bytes[1] &= 0x7F;
            bytes.truncate(head);
            bytes.extend(&self.payload);
        }
        bytes
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x81, 0x82, 0x01, 0x00, 0x80, 0x89, 0x8A]),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    let text = prop_oneof![
        6 => "[a-zé€𝄞]{0,40}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..6),
        1 => (1000_u16..5000).prop_map(|code| code.to_be_bytes().to_vec()),
        1 => (0_usize..400).prop_map(|length| vec![b'x'; length]),
        // Halves of one character.
        1 => prop::sample::select(vec![vec![0xE2], vec![0x82, 0xAC], vec![0xE2, 0x82]]),
    ];
    (first, prop::bool::weighted(0.97), text).prop_map(|(first, masked, payload)| Sent { first, masked, payload })
}

/// What somebody else's reader makes of the same bytes.
fn judged(stream: &[u8], limit: usize) -> Vec<Result<Frame, FramingError>> {
    let config = WebSocketConfig::default().max_message_size(Some(limit)).max_frame_size(Some(limit));
    let socket = std::io::Cursor::new(stream.to_vec());
    let mut oracle = WebSocket::from_raw_socket(OneWay(socket), Role::Server, Some(config));
    let mut frames = Vec::new();
    loop {
        frames.push(match oracle.read() {
            Ok(Message::Text(text)) => Ok(Frame::Message(text.into())),
            Ok(Message::Binary(bytes)) => Ok(Frame::Message(bytes)),
            Ok(Message::Close(_)) => Ok(Frame::Closed),
            Ok(_) => continue,
            Err(Error::Utf8(_)) => Err(FramingError::NotText),
            Err(Error::Capacity(_)) => Err(FramingError::TooLong),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => return frames,
            Err(_) => Err(FramingError::Broken),
        });
        if !matches!(frames.last(), Some(Ok(Frame::Message(_)))) {
            return frames;
        }
    }
}

/// What it writes is nobody's business.
struct OneWay(std::io::Cursor<Vec<u8>>);

impl Read for OneWay {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(out)
    }
}

impl Write for OneWay {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

proptest! {
    #[test]
    fn whatever_comes_is_read_as_tungstenite_reads_it(
        frames in prop::collection::vec(sent(), 1..8),
        chunk in 1_usize..300,
    ) {
        let stream: Vec<u8> = frames.iter().flat_map(Sent::bytes).collect();
        let mut messages = WebSocketMessages::new(300);
        let mut seen = Vec::new();
        'stream: for piece in stream.chunks(chunk) {
            messages.push(piece);
            while let Some(next) = messages.next_frame().transpose() {
                let ends = !matches!(next, Ok(Frame::Message(_)));
                seen.push(next);
                if ends {
                    break 'stream;
                }
            }
        }
        prop_assert_eq!(seen, judged(&stream, 300));
    }
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    let mut messages = WebSocketMessages::new(4_000);
    messages.push(&masked(0x01, b"in two "));
    messages.push(&masked(0x80, b"pieces"));
    assert_eq!(messages.next_frame(), Ok(Some(Frame::Message("in two pieces".into()))));
    assert_eq!((messages.received.capacity(), messages.begun.is_none()), (0, true));
    messages.push(&masked(0x81, &[b'x'; 3_000])[..10]);
    assert_eq!(messages.next_frame(), Ok(None));
    assert!(messages.received.capacity() < 100, "a promised length takes no memory");
}

#[test]
fn frame_lengths_take_their_three_forms() {
    assert_eq!(text_frame(b"hi").as_ref(), [0x81, 2, b'h', b'i']);
    assert_eq!(text_frame(&[b'a'; 126])[..4], [0x81, 126, 0, 126]);
    assert_eq!(text_frame(&[b'a'; 70_000])[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
    assert_eq!(close_frame(1012, &"é".repeat(100)).len(), 4 + 122);
}
