//! Lines ended by LF or CRLF. A line over the limit is skipped to its end, and reported once.

use bytes::{Buf, Bytes, BytesMut};

use super::Frame;

pub struct Lines {
    buffer: BytesMut,
    /// Bytes at the buffer's start that are known to hold no line end.
    searched: usize,
    /// Inside a line that is too long: everything up to its end is dropped.
    skipping: bool,
    line_bytes_max: usize,
}

impl Lines {
    pub fn new(line_bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), searched: 0, skipping: false, line_bytes_max }
    }

    pub fn limit(&mut self, line_bytes_max: usize) {
        self.line_bytes_max = self.line_bytes_max.min(line_bytes_max);
    }

    /// Whether it begins with a byte that begins no text: the first of a length that is under 16 MiB.
    pub fn begins_with_length(&self) -> bool {
        self.buffer.first() == Some(&0)
    }

    /// What has come and is not taken, and the limit.
    pub fn into_rest(self) -> (BytesMut, usize) {
        (self.buffer, self.line_bytes_max)
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            let end = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
            let Some(end) = end.map(|index| index + self.searched) else {
                return self.without_line_end();
            };
            let mut line = self.buffer.split_to(end);
            self.buffer.advance(1);
            self.searched = 0;
            self.release_if_empty();
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            if line.len() > self.line_bytes_max {
                return Some(Frame::TooLong);
            }
            // Copied out, so that a short line never keeps a long buffer alive.
            return Some(Frame::Message(Bytes::copy_from_slice(&line)));
        }
    }

    fn without_line_end(&mut self) -> Option<Frame> {
        // One more for a CR that may stand before the LF still to come.
        let too_long = self.buffer.len() > self.line_bytes_max + 1;
        if self.skipping || too_long {
            self.buffer = BytesMut::new();
            self.searched = 0;
        }
        self.searched = self.buffer.len();
        let newly_too_long = too_long && !self.skipping;
        self.skipping |= too_long;
        newly_too_long.then_some(Frame::TooLong)
    }

    fn release_if_empty(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(lines: &mut Lines) -> Vec<Frame> {
        std::iter::from_fn(|| lines.next_frame()).collect()
    }

    fn message(text: &'static str) -> Frame {
        Frame::Message(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn lines_however_they_are_cut() {
        let stream = b"one\r\ntwo\n\r\nthree and\r more\n";
        let expected = [message("one"), message("two"), message(""), message("three and\r more")];
        for chunk in 1..stream.len() {
            let mut lines = Lines::new(100);
            let mut seen = Vec::new();
            for piece in stream.chunks(chunk) {
                lines.push(piece);
                seen.extend(drain(&mut lines));
            }
            assert_eq!(seen, expected, "in pieces of {chunk}");
            assert_eq!(lines.buffer.capacity(), 0, "an idle connection holds no buffer");
        }
    }

    #[test]
    fn a_long_line_is_skipped_and_reported_once() {
        for chunk in 1..40 {
            let mut lines = Lines::new(4);
            let mut seen = Vec::new();
            for piece in b"1234\r\n12345\nok\naaaaaaaaaaaaaaaaaaaaaa\nend\n".chunks(chunk) {
                lines.push(piece);
                seen.extend(drain(&mut lines));
                assert!(lines.buffer.len() <= 5 + chunk);
            }
            assert_eq!(
                seen,
                [message("1234"), Frame::TooLong, message("ok"), Frame::TooLong, message("end")],
                "{chunk}"
            );
        }
    }
}
