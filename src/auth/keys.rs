//! The keys that sign our tokens: one signs, that one and the former ones verify.

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{DecodingKey, EncodingKey};

/// Bytes of a key id, taken from the key's hash: enough to tell a few keys apart.
const KEY_ID_BYTES: usize = 8;

pub struct Keys {
    signing: EncodingKey,
    signing_id: String,
    verifying: Vec<(String, DecodingKey)>,
}

impl Keys {
    pub fn new(key: &[u8], former: &[Vec<u8>]) -> Self {
        let all = std::iter::once(key).chain(former.iter().map(Vec::as_slice));
        Self {
            signing: EncodingKey::from_secret(key),
            signing_id: key_id(key),
            verifying: all.map(|key| (key_id(key), DecodingKey::from_secret(key))).collect(),
        }
    }

    /// The key that signs, with its id.
    pub fn signing(&self) -> (&EncodingKey, &str) {
        (&self.signing, &self.signing_id)
    }

    /// The keys that may have signed a token: the one of that id, or all of them for a token without one.
    pub fn candidates<'a>(&'a self, key_id: Option<&'a str>) -> impl Iterator<Item = &'a DecodingKey> {
        self.verifying.iter().filter(move |(id, _)| key_id.is_none_or(|wanted| wanted == id)).map(|(_, key)| key)
    }
}

fn key_id(key: &[u8]) -> String {
    hex(&digest(&SHA256, key).as_ref()[..KEY_ID_BYTES])
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first 128 bits of a text's hash.
pub fn hash_128(text: &str) -> u128 {
    digest(&SHA256, text.as_bytes()).as_ref().iter().take(16).fold(0, |bits, byte| (bits << 8) | u128::from(*byte))
}
