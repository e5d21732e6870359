//! How messages lie in the stream of bytes, as a client reads and writes them. Independent of the server's own code, and strict:
//! what the protocol pages do not allow is an error.

use anyhow::{Context, Result, bail, ensure};

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Framing {
    /// RFC 6455, no extensions.
    WebSocket,
    /// LF or CRLF after each message.
    Lines,
    /// Four bytes of length, the largest first, before each message.
    Lengths,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    Message(&'a [u8]),
    Ping(&'a [u8]),
    Pong,
    Close(u16),
}

/// A message longer than this is taken for a broken stream.
const LONGEST: usize = 1 << 24;

impl Framing {
    /// The first frame of `bytes` and how many of them it takes; nothing where more are needed.
    pub fn cut(self, bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>> {
        match self {
            Self::WebSocket => cut_websocket(bytes),
            Self::Lines => {
                let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
                    return Ok(None);
                };
                let line = &bytes[..end];
                Ok(Some((Frame::Message(line.strip_suffix(b"\r").unwrap_or(line)), end + 1)))
            }
            Self::Lengths => {
                let Some((length, rest)) = bytes.split_first_chunk::<4>() else {
                    return Ok(None);
                };
                let length = u32::from_be_bytes(*length) as usize;
                ensure!(length <= LONGEST, "a message of {length} bytes");
                Ok(rest.get(..length).map(|message| (Frame::Message(message), 4 + length)))
            }
        }
    }

    /// Adds one message to `out`. `mask` is what a WebSocket client hides its bytes with.
    pub fn put(self, out: &mut Vec<u8>, message: &[u8], mask: u32) {
        match self {
            Self::WebSocket => put_websocket(out, TEXT, message, mask),
            Self::Lines => {
                out.extend_from_slice(message);
                out.extend_from_slice(b"\r\n");
            }
            Self::Lengths => {
                out.extend_from_slice(&(message.len() as u32).to_be_bytes());
                out.extend_from_slice(message);
            }
        }
    }
}

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

pub fn put_pong(out: &mut Vec<u8>, payload: &[u8], mask: u32) {
    put_websocket(out, PONG, payload, mask);
}

pub fn put_close(out: &mut Vec<u8>, mask: u32) {
    put_websocket(out, CLOSE, &1000_u16.to_be_bytes(), mask);
}

fn cut_websocket(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>> {
    let &[first, second, ref rest @ ..] = bytes else {
        return Ok(None);
    };
    ensure!(second & 0x80 == 0, "the server masked a frame");
    ensure!(first & 0x70 == 0, "the server set a bit that no extension was agreed on for");
    ensure!(first & 0x80 != 0, "the server cut a message in fragments");
    let extended = match second {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some((digits, rest)) = rest.split_at_checked(extended) else {
        return Ok(None);
    };
    let length = if extended == 0 { usize::from(second) } else { number(digits) };
    ensure!(length <= LONGEST, "a frame of {length} bytes");
    let Some(payload) = rest.get(..length) else {
        return Ok(None);
    };
    let frame = match first & 0x0f {
        TEXT => Frame::Message(payload),
        PING => Frame::Ping(payload),
        PONG => Frame::Pong,
        CLOSE => Frame::Close(payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))),
        other => bail!("a frame of the kind {other}"),
    };
    Ok(Some((frame, 2 + extended + length)))
}

/// What a server reads: the first frame of `bytes`, laid bare in its place, and where its payload is; and how long it is. Control
/// frames, of which the floor knows only the close, end the connection.
pub fn unmask(bytes: &mut [u8]) -> Result<Option<(std::ops::Range<usize>, usize)>> {
    let &mut [first, second, ..] = bytes else {
        return Ok(None);
    };
    ensure!(first == 0x80 | TEXT && second & 0x80 != 0, "no masked text");
    let (start, length) = match second & 0x7f {
        126 => (4, bytes.get(2..4).map(number)),
        127 => (10, bytes.get(2..10).map(number)),
        short => (2, Some(usize::from(short))),
    };
    let Some(length) = length.filter(|length| bytes.len() >= start + 4 + length) else {
        return Ok(None);
    };
    let (head, payload) = bytes.split_at_mut(start + 4);
    let mask = &head[start..];
    payload[..length].iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok(Some((start + 4..start + 4 + length, start + 4 + length)))
}

/// Makes `frame` what a server sends to say `message`.
pub fn put_prepared(frame: &mut Vec<u8>, message: &[u8]) {
    frame.clear();
    frame.push(0x80 | TEXT);
    put_length(frame, message.len(), 0);
    frame.extend_from_slice(message);
}

fn number(digits: &[u8]) -> usize {
    digits.iter().fold(0_usize, |value, &byte| value << 8 | usize::from(byte))
}

fn put_websocket(out: &mut Vec<u8>, kind: u8, payload: &[u8], mask: u32) {
    out.push(0x80 | kind);
    put_length(out, payload.len(), 0x80);
    let mask = mask.to_be_bytes();
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// `masked` is the bit that says that a mask follows.
fn put_length(out: &mut Vec<u8>, length: usize, masked: u8) {
    match length {
        short @ 0..126 => out.push(masked | short as u8),
        middle @ 126..0x1_0000 => {
            out.push(masked | 126);
            out.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            out.push(masked | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
}

/// The sample nonce of RFC 6455 and what answers it: one pair is enough, because nothing here depends on its being fresh.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub fn upgrade_request(host: &str, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// What the floor answers to [`upgrade_request`].
pub fn upgrade_response() -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    )
}

/// How long the head of an HTTP message is, its end included; nothing where it goes on.
pub fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// Whether the server agreed to speak WebSocket.
pub fn check_upgrade(head: &[u8]) -> Result<()> {
    let head = std::str::from_utf8(head).context("the answer to the upgrade is no text")?;
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.starts_with("HTTP/1.1 101 "), "the upgrade was answered with {status}");
    let accepted = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .any(|(name, value)| name.eq_ignore_ascii_case("sec-websocket-accept") && value.trim() == ACCEPT);
    ensure!(accepted, "the upgrade was not answered with the key's proof");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_framing_reads_messages_of_every_length_in_any_pieces() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let message = vec![b'a'; length];
            let mut prepared = Vec::new();
            put_prepared(&mut prepared, &message);
            let mut lines = Vec::new();
            Framing::Lines.put(&mut lines, &message, 0);
            let mut lengths = Vec::new();
            Framing::Lengths.put(&mut lengths, &message, 0);
            for (framing, mut bytes) in
                [(Framing::WebSocket, prepared), (Framing::Lines, lines), (Framing::Lengths, lengths)]
            {
                let whole = bytes.len();
                bytes.push(b'z');
                for part in [0, 1, whole / 2, whole - 1] {
                    assert_eq!(framing.cut(&bytes[..part]).unwrap(), None, "{framing:?} {length} {part}");
                }
                assert_eq!(framing.cut(&bytes).unwrap(), Some((Frame::Message(&message[..]), whole)));
            }
        }
    }

    #[test]
    fn what_a_client_masks_the_floor_reads() {
        for length in [0, 125, 126, 70_000] {
            let message = vec![b'm'; length];
            let mut bytes = Vec::new();
            Framing::WebSocket.put(&mut bytes, &message, 0x1234_5678);
            assert_eq!(unmask(&mut bytes.clone()[..bytes.len() - 1]).unwrap(), None);
            let (at, used) = unmask(&mut bytes).unwrap().unwrap();
            assert_eq!((&bytes[at], used), (&message[..], bytes.len()));
        }
    }

    #[test]
    fn control_frames_are_told_apart_and_what_no_server_may_send_is_an_error() {
        let cut = |bytes: &'static [u8]| cut_websocket(bytes).map(|cut| cut.map(|(frame, _)| frame));
        assert_eq!(cut(&[0x89, 1, b'p']).unwrap(), Some(Frame::Ping(b"p")));
        assert_eq!(cut(&[0x8a, 0]).unwrap(), Some(Frame::Pong));
        assert_eq!(cut(&[0x88, 2, 3, 244]).unwrap(), Some(Frame::Close(1012)));
        assert_eq!(cut(&[0x88, 0]).unwrap(), Some(Frame::Close(1005)));
        let wrong: [&'static [u8]; 4] = [&[0x81, 0x80, 0, 0, 0, 0], &[0xc1, 0], &[0x01, 0], &[0x83, 0]];
        for bytes in wrong {
            assert!(cut(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn an_upgrade_needs_its_status_and_its_proof() {
        let answer = upgrade_response();
        assert_eq!(head_length(answer.as_bytes()), Some(answer.len()));
        check_upgrade(answer.as_bytes()).unwrap();
        assert!(check_upgrade(b"HTTP/1.1 503 Too many connections\r\n\r\n").is_err());
        assert!(check_upgrade(answer.replace("s3p", "S3p").as_bytes()).is_err());
    }
}
