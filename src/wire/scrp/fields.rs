//! The fields of a request: first whether they are there and of their type, then whether they are valid. The source's
//! definitions of validity are in its sections 1.3 to 1.5; lengths count Unicode scalar values.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::chat::{AccessType, Nickname, Refusal, RoomId};
use crate::wire::json::{present, string};

/// Longest id of a user or a room.
const ID_CHARS_MAX: usize = 16;
/// Length of a password.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 6..=64;
/// Longest nickname.
pub const NICKNAME_CHARS_MAX: usize = 32;
/// Longest description; what somebody says to be recognised by is as long at most.
pub const DESCRIPTION_CHARS_MAX: usize = 256;

/// The fields of one request; of a key that stands twice the last one counts. `null` is no value.
pub struct Fields<'a>(pub &'a BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Fields<'a> {
    pub fn raw(&self, key: &str) -> Option<&'a RawValue> {
        present(self.0.get(key).copied())
    }

    pub fn optional_text(&self, key: &'static str) -> Result<Option<Cow<'a, str>>, Refusal> {
        let Some(raw) = self.raw(key) else { return Ok(None) };
        string(raw).map(Some).ok_or(Refusal::ParameterInvalid(key))
    }

    pub fn text(&self, key: &'static str) -> Result<Cow<'a, str>, Refusal> {
        self.optional_text(key)?.ok_or(Refusal::ParameterMissing(key))
    }

    pub fn optional_uint32(&self, key: &'static str) -> Result<Option<u32>, Refusal> {
        let Some(raw) = self.raw(key) else { return Ok(None) };
        uint32(raw).map(Some).ok_or(Refusal::ParameterInvalid(key))
    }

    pub fn uint32(&self, key: &'static str) -> Result<u32, Refusal> {
        self.optional_uint32(key)?.ok_or(Refusal::ParameterMissing(key))
    }

    /// An access type, under the name that either method of the source has for it; `Ok(None)` for one that there is not.
    pub fn access(&self) -> Result<Option<AccessType>, Refusal> {
        let raw = self.raw("room_access").or_else(|| self.raw("room_access_type"));
        let raw = raw.ok_or(Refusal::ParameterMissing("room_access"))?;
        if let Some(name) = string(raw) {
            return Ok(AccessType::ALL.into_iter().find(|access| constant(*access) == name));
        }
        if raw.get().parse::<f64>().is_err() {
            return Err(Refusal::ParameterInvalid("room_access"));
        }
        let number = uint32(raw);
        Ok(AccessType::ALL.into_iter().find(|access| Some(access_number(*access)) == number))
    }
}

/// The number of an access type on the wire.
pub fn access_number(access: AccessType) -> u32 {
    match access {
        AccessType::Public => 0,
        AccessType::Password => 1,
        AccessType::Permission => 2,
    }
}

fn constant(access: AccessType) -> &'static str {
    match access {
        AccessType::Public => "ROOM_ACCESS_PUBLIC",
        AccessType::Password => "ROOM_ACCESS_PASSWORD",
        AccessType::Permission => "ROOM_ACCESS_PERMISSION",
    }
}

/// A JSON number whose value is a uint32, however it is written: some JSON libraries know no integers.
fn uint32(raw: &RawValue) -> Option<u32> {
    let text = raw.get();
    let fraction = || {
        let number: f64 = text.parse().ok()?;
        (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number)).then_some(number as u32)
    };
    text.parse().ok().or_else(fraction)
}

pub fn user_id(text: &str) -> Result<Nickname, Refusal> {
    Nickname::parse(text).ok().filter(|_| is_id(text)).ok_or(Refusal::UserIdInvalid)
}

pub fn room_id(text: &str) -> Result<RoomId, Refusal> {
    RoomId::parse(text).ok().filter(|_| is_id(text)).ok_or(Refusal::RoomIdInvalid)
}

fn is_id(text: &str) -> bool {
    (1..=ID_CHARS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

pub fn user_password(text: Cow<'_, str>) -> Result<String, Refusal> {
    if is_password(&text) { Ok(text.into_owned()) } else { Err(Refusal::UserPasswordInvalid) }
}

pub fn room_password(text: Cow<'_, str>) -> Result<String, Refusal> {
    if is_password(&text) { Ok(text.into_owned()) } else { Err(Refusal::RoomPasswordInvalid) }
}

fn is_password(text: &str) -> bool {
    PASSWORD_CHARS.contains(&text.len()) && text.bytes().all(|byte| (0x20..=0x7E).contains(&byte))
}

pub fn user_nickname(text: Cow<'_, str>) -> Result<String, Refusal> {
    if is_nickname(&text) { Ok(text.into_owned()) } else { Err(Refusal::UserNicknameInvalid) }
}

pub fn room_nickname(text: Cow<'_, str>) -> Result<String, Refusal> {
    if is_nickname(&text) { Ok(text.into_owned()) } else { Err(Refusal::RoomNicknameInvalid) }
}

fn is_nickname(text: &str) -> bool {
    !text.is_empty() && is_plain(text, NICKNAME_CHARS_MAX)
}

pub fn user_description(text: Cow<'_, str>) -> Result<String, Refusal> {
    if is_plain(&text, DESCRIPTION_CHARS_MAX) { Ok(text.into_owned()) } else { Err(Refusal::UserDescriptionInvalid) }
}

pub fn room_description(text: Cow<'_, str>) -> Result<String, Refusal> {
    if is_plain(&text, DESCRIPTION_CHARS_MAX) { Ok(text.into_owned()) } else { Err(Refusal::RoomDescriptionInvalid) }
}

/// A text of a bounded length, without control characters.
pub fn is_plain(text: &str, chars_max: usize) -> bool {
    text.chars().count() <= chars_max && !text.chars().any(char::is_control)
}
