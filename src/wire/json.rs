//! Reading and writing of JSON, as the JSON dialects share it.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::Tag;

/// JSON of a value that cannot fail to serialise (no maps with odd keys, no failing impls).
pub fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// A message as raw JSON with the tag that echoes it: the whole as it was written, or a string for what is no JSON.
pub fn raw_with_echo(message: &[u8]) -> (Option<&RawValue>, Tag) {
    match serde_json::from_slice::<&RawValue>(message) {
        Ok(raw) => (Some(raw), Tag::Echo(raw.get().to_owned())),
        Err(_) => {
            let echo = serde_json::to_string(&String::from_utf8_lossy(message)).unwrap_or_default();
            (None, Tag::Echo(echo))
        }
    }
}

/// The request to be echoed in an answer.
pub fn echoed(tag: &Tag) -> &RawValue {
    match tag {
        Tag::Echo(text) | Tag::Rooms { echo: text, .. } => serde_json::from_str(text).unwrap_or(RawValue::NULL),
        Tag::Nothing | Tag::Numbered { .. } => RawValue::NULL,
    }
}

/// A field that is there and not null.
pub fn present(field: Option<&RawValue>) -> Option<&RawValue> {
    field.filter(|raw| raw.get() != "null")
}

/// A JSON string's text; not copied where nothing is escaped.
pub fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    // A `Cow` of its own borrows only through this wrapper.
    #[derive(serde::Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str::<Borrowed<'_>>(raw.get()).ok().map(|text| text.0)
}
