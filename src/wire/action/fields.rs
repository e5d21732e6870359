//! The fields of a request, each read when it is asked for.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::chat::{Epoch, Nickname, Position, Refusal, RoomId};
use crate::wire::RoomSpelling;
use crate::wire::json::{present, string};
use crate::wire::times;

/// Longest key under which a message is accepted once, in Unicode scalar values.
const KEY_CHARS_MAX: usize = 64;

/// Declares the fields this dialect knows, unread; of a key that stands twice the last one counts.
macro_rules! fields {
    ($($name:ident),* $(,)?) => {
        #[derive(Default)]
        pub struct Fields<'a> {
            $(pub $name: Option<&'a RawValue>,)*
        }

        impl<'de> Fields<'de> {
            fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
                match key {
                    $(stringify!($name) => self.$name = Some(map.next_value()?),)*
                    _ => {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(())
            }
        }
    };
}

fields!(action, nickname, room_id, text, password, token, ext, since, key, to, before, after, from, limit, skip, rooms);

/// Reads an object's fields.
///
/// # Errors
/// When it is no object.
pub fn read(raw: &RawValue) -> Result<Fields<'_>, serde_json::Error> {
    struct Reader;

    impl<'de> Visitor<'de> for Reader {
        type Value = Fields<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
            let mut fields = Fields::default();
            while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                fields.take(key.as_ref(), &mut map)?;
            }
            Ok(fields)
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    deserializer.deserialize_map(Reader)
}

/// A position as clients write it.
#[derive(serde::Deserialize)]
struct PositionBody {
    epoch: u64,
    offset: u64,
}

/// A field that may be missing, and holds text.
pub fn optional(field: Option<&RawValue>, name: &'static str) -> Result<Option<String>, Refusal> {
    let Some(raw) = present(field) else { return Ok(None) };
    string(raw).map(|text| Some(text.into_owned())).ok_or(Refusal::ParameterInvalid(name))
}

/// A field that may be missing, and holds a whole number in this range.
pub fn number(
    field: Option<&RawValue>,
    name: &'static str,
    range: std::ops::RangeInclusive<usize>,
) -> Result<Option<usize>, Refusal> {
    let Some(raw) = present(field) else { return Ok(None) };
    let number = raw.get().parse().ok().filter(|number| range.contains(number));
    number.map(Some).ok_or(Refusal::ParameterInvalid(name))
}

/// A room, and how its id was written.
pub fn room(field: Option<&RawValue>) -> Result<(RoomId, RoomSpelling), Refusal> {
    let raw = present(field).ok_or(Refusal::ParameterMissing("room_id"))?;
    let invalid = Refusal::ParameterInvalid("room_id");
    if let Some(text) = string(raw) {
        let spelling = if text.starts_with('#') { RoomSpelling::Hash } else { RoomSpelling::Text };
        return RoomId::parse(&text).map(|room| (room, spelling)).map_err(|_| invalid);
    }
    let digits = raw.get().strip_prefix('-').unwrap_or(raw.get());
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid);
    }
    let text = if raw.get() == "-0" { "0" } else { raw.get() };
    RoomId::parse(text).map(|room| (room, RoomSpelling::Integer)).map_err(|_| invalid)
}

pub fn nickname(field: Option<&RawValue>) -> Result<Nickname, Refusal> {
    let nickname = present(field).and_then(string).and_then(|raw| Nickname::parse(&raw).ok());
    nickname.ok_or(Refusal::NicknameInvalid)
}

pub fn text(field: Option<&RawValue>) -> Result<String, Refusal> {
    present(field).and_then(string).map(Cow::into_owned).ok_or(Refusal::ParameterMissing("text"))
}

/// A place in a room's stream, of which a client may have learned.
pub fn position(field: Option<&RawValue>, name: &'static str) -> Result<Option<Position>, Refusal> {
    let Some(raw) = present(field) else { return Ok(None) };
    let body: PositionBody = serde_json::from_str(raw.get()).map_err(|_| Refusal::ParameterInvalid(name))?;
    Ok(Some(Position { epoch: Epoch::new(body.epoch), offset: body.offset }))
}

/// A room that a client comes back to, as it writes it.
#[derive(serde::Deserialize)]
struct KnownBody<'a> {
    #[serde(borrow, default)]
    room_id: Option<&'a RawValue>,
    epoch: Option<u64>,
    offset: Option<u64>,
}

/// Rooms with how their ids were written, and the positions up to which the client knows them.
pub fn known_rooms(field: Option<&RawValue>) -> Result<Vec<(RoomId, RoomSpelling, Option<Position>)>, Refusal> {
    let Some(raw) = present(field) else { return Ok(Vec::new()) };
    let bodies: Vec<KnownBody<'_>> = serde_json::from_str(raw.get()).map_err(|_| Refusal::ParameterInvalid("rooms"))?;
    let known = |body: KnownBody<'_>| {
        let (room, spelling) = room(body.room_id)?;
        match (body.epoch, body.offset) {
            (Some(epoch), Some(offset)) => Ok((room, spelling, Some(Position { epoch: Epoch::new(epoch), offset }))),
            (None, None) => Ok((room, spelling, None)),
            _ => Err(Refusal::ParameterInvalid("rooms")),
        }
    };
    bodies.into_iter().map(known).collect()
}

/// What names a message among all of its author's.
pub fn key(field: Option<&RawValue>) -> Result<Option<String>, Refusal> {
    let Some(key) = optional(field, "key")? else { return Ok(None) };
    let fits = (1..=KEY_CHARS_MAX).contains(&key.chars().count()) && !key.chars().any(char::is_control);
    if fits { Ok(Some(key)) } else { Err(Refusal::ParameterInvalid("key")) }
}

/// A point in time, in microseconds since the Unix epoch.
pub fn instant(field: Option<&RawValue>, name: &'static str) -> Result<Option<i64>, Refusal> {
    let Some(text) = optional(field, name)? else { return Ok(None) };
    times::parse_rfc3339(&text).map(Some).ok_or(Refusal::ParameterInvalid(name))
}
