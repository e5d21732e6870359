//! What every text begins with: who said it, as which of their messages, and when it was meant to be said.
//!
//! Ten characters are enough for the first two, so that texts of ten bytes can be measured; the time follows where there is place
//! for it. It is needed only by processes that did not send the message themselves.

/// Sender and sequence number: 24 and 28 bits, and 8 that tell a stamp from other texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(u64);

const ID_CHARS: usize = 10;
const TIME_CHARS: usize = 11;
const ALPHABET: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-";

pub const SHORTEST_TEXT: usize = ID_CHARS;
pub const SENDERS: u32 = 1 << 24;

impl Id {
    pub fn new(sender: u32, sequence: u32) -> Self {
        Self(u64::from(sender % SENDERS) << 28 | u64::from(sequence % (1 << 28)))
    }

    pub fn sender(self) -> u32 {
        (self.0 >> 28) as u32
    }

    pub fn sequence(self) -> u32 {
        (self.0 & ((1 << 28) - 1)) as u32
    }

    fn check(self) -> u64 {
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56
    }
}

/// A text of `bytes` that says `id` and, if it fits, the intended time.
pub fn text(id: Id, intended_ns: u64, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes.max(ID_CHARS));
    put(&mut text, id.0 << 8 | id.check(), ID_CHARS);
    if bytes >= ID_CHARS + TIME_CHARS {
        put(&mut text, intended_ns, TIME_CHARS);
    }
    while text.len() < bytes {
        text.push('.');
    }
    text
}

/// What [`text`] wrote; nothing where the text is a stranger's.
pub fn read(text: &str) -> Option<(Id, Option<u64>)> {
    let stamp = take(text.get(..ID_CHARS)?)?;
    let id = Id(stamp >> 8);
    if id.check() != stamp & 0xff {
        return None;
    }
    let time = text.get(ID_CHARS..ID_CHARS + TIME_CHARS).and_then(take);
    Some((id, time))
}

fn put(text: &mut String, value: u64, chars: usize) {
    for digit in (0..chars).rev() {
        text.push(char::from(ALPHABET[(value.checked_shr(6 * digit as u32).unwrap_or(0) & 63) as usize]));
    }
}

fn take(digits: &str) -> Option<u64> {
    digits.bytes().try_fold(0_u64, |value, byte| {
        let digit = ALPHABET.iter().position(|&known| known == byte)?;
        Some(value << 6 | digit as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written_and_strangers_texts_are_none() {
        let id = Id::new(SENDERS - 1, 123_456_789);
        assert_eq!(read(&text(id, 77, 10)), Some((id, None)));
        assert_eq!(text(id, 77, 10).len(), 10);
        assert_eq!(read(&text(id, u64::MAX / 2, 100)), Some((id, Some(u64::MAX / 2))));
        assert_eq!(text(id, 77, 100).len(), 100);
        assert_eq!((id.sender(), id.sequence()), (SENDERS - 1, 123_456_789));
        for stranger in ["", "hello", "hello all of you", "ünïcödé text"] {
            assert_eq!(read(stranger), None, "{stranger}");
        }
    }
}
