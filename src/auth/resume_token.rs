//! Tokens by which a session is gone on with in another connection: `<session>.<secret>`.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

use super::keys::hex;
use crate::chat::SessionId;

/// Hexadecimal digits of a secret: 128 random bits.
const SECRET_DIGITS: usize = 32;

/// Whoever shows it is the session's client. Only its hash is ever kept.
#[derive(Clone, PartialEq, Eq)]
pub struct ResumeToken {
    pub session: SessionId,
    secret: String,
}

impl ResumeToken {
    /// A new one, from random bits.
    pub fn new(session: SessionId, bits: u128) -> Self {
        Self { session, secret: format!("{bits:032x}") }
    }

    /// Reads what [`Display`](fmt::Display) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (session, secret) = text.split_once('.')?;
        let fits = secret.len() == SECRET_DIGITS && secret.bytes().all(|digit| digit.is_ascii_hexdigit());
        Some(Self { session: SessionId::parse(session)?, secret: secret.to_owned() }).filter(|_| fits)
    }

    /// SHA-256 of the secret, hexadecimal. It needs no salt: nobody guesses 128 random bits.
    pub fn secret_hash(&self) -> String {
        hex(digest(&SHA256, self.secret.as_bytes()).as_ref())
    }
}

impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.session, self.secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_and_nothing_else_is_one() {
        let token = ResumeToken::new(SessionId::from_u128(7), u128::MAX - 5);
        let text = token.to_string();
        let read = ResumeToken::parse(&text).unwrap();
        assert!(read == token && read.secret_hash().len() == 64);
        for wrong in ["", ".", "7.7", &text[1..], &text[..text.len() - 1], &format!("{text}0"), &text.replace('f', "g")]
        {
            assert!(ResumeToken::parse(wrong).is_none(), "{wrong:?}");
        }
    }
}
