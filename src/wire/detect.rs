//! Which dialect a connection speaks, told from its first message.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use super::DialectKind;

/// Decides from a client's first message. `target` comes before `action`, because a command of the `simple` protocol has an
/// `action` key too, while no `action` request of its source has a target.
pub fn detect(message: &[u8]) -> DialectKind {
    // Only the keys of the object matter, a map of ignored values reads them without keeping the rest.
    let Ok(object) = serde_json::from_slice::<BTreeMap<Cow<'_, str>, IgnoredAny>>(message) else {
        return DialectKind::Pychat;
    };
    let has = |key: &str| object.contains_key(key);
    if has("target") || (has("type") && !has("action")) {
        DialectKind::Simple
    } else if has("action") {
        DialectKind::Action
    } else if has("method") {
        DialectKind::Scrp
    } else {
        DialectKind::Pychat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_tells_the_dialect() {
        use DialectKind::{Action, Pychat, Scrp, Simple};
        for (message, expected) in [
            (r#"{"action":"JOIN ROOM","room_id":5}"#, Action),
            (r#"{"action":"JOIN ROOM","room_id":5,"type":"mine"}"#, Action),
            (r##"{"type":"command","action":"create","target":"#main"}"##, Simple),
            (r##"{"target":"#main","message":"hi"}"##, Simple),
            (r#"{"type":"hello","ext":1}"#, Simple),
            (r#"{"req_id":1,"method":"GET_TIME"}"#, Scrp),
            ("LOGIN alice", Pychat),
            ("{\"foo\":1}", Pychat),
            ("[1,2]", Pychat),
            ("", Pychat),
        ] {
            assert_eq!(detect(message.as_bytes()), expected, "{message}");
        }
    }
}
