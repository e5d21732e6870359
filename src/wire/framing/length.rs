//! Messages with their length before them: four bytes, the largest first, then as many bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{Frame, FramingError, Lines};

const PREFIX_BYTES: usize = 4;

pub struct Lengths {
    buffer: BytesMut,
    message_bytes_max: usize,
}

impl Lengths {
    pub fn new(message_bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), message_bytes_max }
    }

    /// Goes on where lines were expected.
    pub fn instead_of(lines: Lines) -> Self {
        let (buffer, message_bytes_max) = lines.into_rest();
        Self { buffer, message_bytes_max }
    }

    pub fn limit(&mut self, message_bytes_max: usize) {
        self.message_bytes_max = self.message_bytes_max.min(message_bytes_max);
    }

    /// Holds what has come and never makes room for what a length merely promises.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// # Errors
    /// At a length over the limit. It is not skipped: it may as well be the beginning of another protocol, and what comes
    /// after it no beginning of anything.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FramingError> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let length = u32::from_be_bytes(*prefix) as usize;
        if length > self.message_bytes_max {
            return Err(FramingError::TooLong);
        }
        if self.buffer.len() - PREFIX_BYTES < length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX_BYTES);
        // Copied out, so that a short message never keeps a long buffer alive.
        let message = Bytes::copy_from_slice(&self.buffer[..length]);
        self.buffer.advance(length);
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        Ok(Some(Frame::Message(message)))
    }
}

/// A message with its length before it.
pub fn message_frame(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    // What is sent is far below what 32 bits can say.
    out.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    out.put_slice(message);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(lengths: &mut Lengths) -> Vec<Frame> {
        std::iter::from_fn(|| lengths.next_frame().unwrap()).collect()
    }

    #[test]
    fn messages_however_they_are_cut() {
        let long = "é".repeat(300);
        let texts = ["{}", "", &long, "x"];
        let stream: Vec<u8> = texts.iter().flat_map(|text| message_frame(text.as_bytes())).collect();
        for chunk in 1..stream.len() {
            let mut lengths = Lengths::new(600);
            let mut seen = Vec::new();
            for piece in stream.chunks(chunk) {
                lengths.push(piece);
                seen.extend(drain(&mut lengths));
            }
            assert_eq!(seen, texts.map(|text| Frame::Message(Bytes::copy_from_slice(text.as_bytes()))), "{chunk}");
            assert_eq!(lengths.buffer.capacity(), 0, "an idle connection holds no buffer");
        }
    }

    #[test]
    fn a_length_that_cannot_be_ends_it_whatever_it_is() {
        for (bytes, fits) in [
            (&b"\0\0\x02\x58"[..], true),
            (b"\0\0\x02\x59", false),
            (b"\xff\xff\xff\xff", false),
            (b"GET / HTTP/1.1\r\n", false),
            (b"{\"req_id\":1}", false),
            (b"\x16\x03\x01\x02\0", false),
        ] {
            let mut lengths = Lengths::new(600);
            lengths.push(bytes);
            let expected = if fits { Ok(None) } else { Err(FramingError::TooLong) };
            assert_eq!(lengths.next_frame(), expected, "{bytes:?}");
            assert!(lengths.buffer.capacity() < 600, "a promised length takes no memory");
        }
    }

    #[test]
    fn the_limit_only_sinks() {
        let mut lengths = Lengths::new(2);
        lengths.limit(10);
        lengths.push(&message_frame(b"123"));
        assert_eq!(lengths.next_frame(), Err(FramingError::TooLong));
    }
}
