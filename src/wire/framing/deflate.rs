//! Messages that are compressed one by one: permessage-deflate (RFC 7692) without context takeover. Sections are of that text.
//!
//! No message refers to one before it, so a room's event is compressed once for all who take it so, and an idle connection
//! holds no window. What compresses and inflates is kept for each thread, and set back for each message.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// What the handshake answers: neither side takes its context from one message to the next.
pub const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
/// Shorter messages go as they are (section 6.1 leaves that to the sender): there is nothing to gain.
const BYTES_MIN: usize = 128;
/// What ends each message and is left out (section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];
/// The window of both sides, when nobody says otherwise: 2^15 bytes.
const WINDOW_BITS: &str = "15";

thread_local! {
    static COMPRESS: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), false));
    static DECOMPRESS: RefCell<Decompress> = RefCell::new(Decompress::new(false));
}

/// Whether one of the offers of a `Sec-WebSocket-Extensions` header is one that [`ANSWER`] accepts (section 7.1): whoever wants our
/// window smaller than it is, or something that is not known, is not given it.
pub fn is_offered(extensions: &str) -> bool {
    extensions.split(',').any(|offer| {
        let mut parts = offer.split(';').map(str::trim);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case("permessage-deflate")) && parts.all(is_accepted)
    })
}

fn is_accepted(parameter: &str) -> bool {
    let (name, value) = match parameter.split_once('=') {
        Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
        None => (parameter, None),
    };
    match name {
        "server_no_context_takeover" | "client_no_context_takeover" => value.is_none(),
        // How small the client's window can be made; ours takes any.
        "client_max_window_bits" => {
            value.is_none_or(|bits| bits.parse().is_ok_and(|bits: u8| (8..=15).contains(&bits)))
        }
        "server_max_window_bits" => value == Some(WINDOW_BITS),
        _ => false,
    }
}

/// A message as it is to be sent, `None` where it had better go as it is.
pub fn compressed(message: &[u8]) -> Option<Vec<u8>> {
    if message.len() < BYTES_MIN {
        return None;
    }
    COMPRESS.with_borrow_mut(|compress| {
        compress.reset();
        // What does not become shorter is not wanted.
        let mut out = Vec::with_capacity(message.len() + TAIL.len());
        let status = compress.compress_vec(message, &mut out, FlushCompress::Sync);
        let is_whole = matches!(status, Ok(Status::Ok)) && compress.total_in() == message.len() as u64;
        if !is_whole || !out.ends_with(&TAIL) {
            return None;
        }
        out.truncate(out.len() - TAIL.len());
        (out.len() < message.len()).then_some(out)
    })
}

/// Why a message cannot be inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    TooLong,
    Broken,
}

/// A message that came compressed, if it is of so many bytes at most: however short it came, no more than that is ever held.
pub fn inflated(message: &[u8], bytes_max: usize) -> Result<Vec<u8>, Fault> {
    DECOMPRESS.with_borrow_mut(|decompress| {
        decompress.reset(false);
        let mut out = Vec::with_capacity((message.len() * 4).max(64).min(bytes_max + 1));
        for piece in [message, &TAIL] {
            inflate(decompress, piece, &mut out, bytes_max)?;
        }
        Ok(out)
    })
}

fn inflate(decompress: &mut Decompress, mut piece: &[u8], out: &mut Vec<u8>, bytes_max: usize) -> Result<(), Fault> {
    loop {
        let (read, written) = (decompress.total_in(), out.len());
        let status = decompress.decompress_vec(piece, out, FlushDecompress::Sync).map_err(|_| Fault::Broken)?;
        if out.len() > bytes_max {
            return Err(Fault::TooLong);
        }
        piece = &piece[(decompress.total_in() - read) as usize..];
        let is_full = out.len() == out.capacity();
        if status == Status::StreamEnd {
            // A last block may end the stream, and another follow (section 7.2.3.4); nobody sends that.
            return if piece.is_empty() { Ok(()) } else { Err(Fault::Broken) };
        }
        if piece.is_empty() && !is_full {
            return Ok(());
        }
        if !is_full && decompress.total_in() == read && out.len() == written {
            return Err(Fault::Broken);
        }
        out.reserve((out.capacity() * 2).min(bytes_max + 1) - out.len().min(bytes_max));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_and_clients_offer_is_accepted_and_what_is_not_kept_is_not() {
        for offer in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=15; server_no_context_takeover",
            "x-webkit-deflate-frame, Permessage-Deflate;server_max_window_bits=\"15\"",
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        ] {
            assert!(is_offered(offer), "{offer}");
        }
        for offer in [
            "",
            "x-webkit-deflate-frame",
            "permessage-deflate; server_max_window_bits=10",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; something",
        ] {
            assert!(!is_offered(offer), "{offer}");
        }
    }

    #[test]
    fn short_messages_and_noise_go_as_they_are() {
        assert_eq!(compressed(b"short"), None);
        let mut state = 1u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        let noise: Vec<u8> = noise.take(4_000).collect();
        assert_eq!(compressed(&noise), None);
    }

    #[test]
    fn a_short_message_that_becomes_a_long_one_is_held_to_the_limit() {
        let bomb = compressed(&vec![b' '; 10_000_000]).unwrap();
        assert!(bomb.len() < 100_000);
        assert_eq!(inflated(&bomb, 65_536), Err(Fault::TooLong));
        assert_eq!(inflated(&bomb, 10_000_000).map(|out| out.len()), Ok(10_000_000));
        assert_eq!(inflated(&bomb, 9_999_999), Err(Fault::TooLong));
        for small in [0, 1, 10] {
            assert_eq!(inflated(&bomb, small), Err(Fault::TooLong));
        }
        assert_eq!(inflated(b"\xff\xff\xff", 100), Err(Fault::Broken));
        assert_eq!(inflated(b"", 100), Ok(Vec::new()));
    }

    proptest::proptest! {
        #[test]
        fn what_was_compressed_is_inflated_to_itself(text in "[a-e]{0,40}", times in 1usize..200) {
            let message = text.repeat(times).into_bytes();
            if let Some(short) = compressed(&message) {
                proptest::prop_assert_eq!(inflated(&short, message.len()), Ok(message));
            }
        }

        #[test]
        fn rubbish_ends(rubbish: Vec<u8>) {
            if let Ok(out) = inflated(&rubbish, 1_000) {
                proptest::prop_assert!(out.len() <= 1_000);
            }
        }
    }
}
