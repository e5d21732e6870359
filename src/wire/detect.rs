//! Which dialect a connection speaks, told from its first message.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use super::DialectKind;

/// What the first message tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detected {
    Dialect(DialectKind),
    /// A message of a protocol that is known and not spoken here.
    Unspoken,
}

/// Decides from a client's first message. `target` comes before `action`, because a command of the `simple` protocol has an
/// `action` key too, while no `action` request of its source has a target.
pub fn detect(message: &[u8]) -> Detected {
    // Only the keys of the object matter, a map of ignored values reads them without keeping the rest.
    let Ok(object) = serde_json::from_slice::<BTreeMap<Cow<'_, str>, IgnoredAny>>(message) else {
        return Detected::Dialect(DialectKind::Pychat);
    };
    let has = |key: &str| object.contains_key(key);
    if has("target") || (has("type") && !has("action")) {
        Detected::Dialect(DialectKind::Simple)
    } else if has("action") {
        Detected::Dialect(DialectKind::Action)
    } else if has("method") {
        Detected::Unspoken
    } else {
        Detected::Dialect(DialectKind::Pychat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_tells_the_dialect() {
        let action = Detected::Dialect(DialectKind::Action);
        let simple = Detected::Dialect(DialectKind::Simple);
        let pychat = Detected::Dialect(DialectKind::Pychat);
        for (message, expected) in [
            (r#"{"action":"JOIN ROOM","room_id":5}"#, action),
            (r#"{"action":"JOIN ROOM","room_id":5,"type":"mine"}"#, action),
            (r##"{"type":"command","action":"create","target":"#main"}"##, simple),
            (r##"{"target":"#main","message":"hi"}"##, simple),
            (r#"{"type":"hello","ext":1}"#, simple),
            (r#"{"req_id":1,"method":"GET_TIME"}"#, Detected::Unspoken),
            ("LOGIN alice", pychat),
            ("{\"foo\":1}", pychat),
            ("[1,2]", pychat),
            ("", pychat),
        ] {
            assert_eq!(detect(message.as_bytes()), expected, "{message}");
        }
    }
}
