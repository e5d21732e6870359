//! How an event travels and is kept: compact JSON with one-letter keys.
//!
//! Position and time are not in it, because only the broker knows them. Unknown keys are ignored and unknown kinds are an
//! error, so that nodes of neighbouring versions can share a broker: an older node skips, counted, what it has no word for.

use std::borrow::Cow;
use std::ops::Deref;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::chat::{
    AccessType, Actor, Envelope, Epoch, Event, EventKind, MessageId, Nickname, Position, RoomId, RoomNews, SessionId,
};

#[derive(Serialize, Deserialize, Default)]
struct Wire<'a> {
    /// Kind: `j`oined, `l`eft, came to `v`isit, `g`one from a visit, `m`essage, `c`reated, `d`estroyed, `r`emoved, `a`ppointed, `h`anded over, `n`ews of the room.
    #[serde(borrow)]
    k: Cow<'a, str>,
    /// The acting session.
    s: Hex,
    /// Its nickname.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    n: Option<Text<'a>>,
    /// The text of a message; the room's new description.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    t: Option<Text<'a>>,
    /// The message's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    i: Option<u32>,
    /// The room that was created or destroyed.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    r: Option<Text<'a>>,
    /// Who it was done to: a nickname.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    w: Option<Text<'a>>,
    /// And their session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ws: Option<Hex>,
    /// Whether they are an admin from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<bool>,
    /// The room's new nickname.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    rn: Option<Text<'a>>,
    /// The room's new access type.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    ra: Option<Text<'a>>,
    /// W3C trace context.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    c: Option<Text<'a>>,
}

/// A text; not copied where nothing is escaped in it. A `Cow` in an `Option` borrows only through a wrapper.
#[derive(Serialize, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.into())
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A session, in hexadecimal.
#[derive(Clone, Copy)]
struct Hex(SessionId);

impl Default for Hex {
    fn default() -> Self {
        Self(SessionId::from_u128(0))
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", self.0.as_u128()))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(|value| Self(SessionId::from_u128(value))).map_err(D::Error::custom)
    }
}

/// What is wrong with a stored or received event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("not an event: {0}")]
    Malformed(String),
    #[error("an event of the unknown kind {0:?}")]
    UnknownKind(String),
}

pub fn encode_event(event: &Event) -> Vec<u8> {
    let mut wire = Wire {
        s: Hex(event.actor.session),
        n: event.actor.nickname.as_ref().map(|name| name.as_str().into()),
        c: event.traceparent.as_deref().map(Into::into),
        ..Wire::default()
    };
    wire.k = match &event.kind {
        EventKind::Joined => "j",
        EventKind::Left => "l",
        EventKind::Came => "v",
        EventKind::Went => "g",
        EventKind::Message { id, text } => {
            (wire.i, wire.t) = (Some(id.0), Some(text.as_str().into()));
            "m"
        }
        EventKind::Created { room } => {
            wire.r = Some(room.as_str().into());
            "c"
        }
        EventKind::Destroyed { room } => {
            wire.r = Some(room.as_str().into());
            "d"
        }
        EventKind::Removed { who } => {
            wire.w = who.nickname.as_ref().map(|name| name.as_str().into());
            wire.ws = Some(Hex(who.session));
            "r"
        }
        EventKind::Appointed { account, admin } => {
            (wire.w, wire.y) = (Some(account.as_str().into()), Some(*admin));
            "a"
        }
        EventKind::Handed { to } => {
            wire.w = Some(to.as_str().into());
            "h"
        }
        EventKind::Changed(RoomNews { access, nickname, description }) => {
            wire.ra = access.map(|access| access.label().into());
            wire.rn = nickname.as_deref().map(Into::into);
            wire.t = description.as_deref().map(Into::into);
            "n"
        }
    }
    .into();
    serde_json::to_vec(&wire).unwrap_or_default()
}

/// What backends are told, and nobody else: this session goes on in the place of another, whose places in rooms it has from now on.
pub fn encode_heir(heir: &Actor, former: SessionId) -> Vec<u8> {
    let wire = Wire {
        k: "i".into(),
        s: Hex(heir.session),
        n: heir.nickname.as_ref().map(|name| name.as_str().into()),
        ws: Some(Hex(former)),
        ..Wire::default()
    };
    serde_json::to_vec(&wire).unwrap_or_default()
}

fn malformed(reason: impl std::fmt::Display) -> EnvelopeError {
    EnvelopeError::Malformed(reason.to_string())
}

/// Reads what [`encode_event`] wrote.
///
/// # Errors
/// When it is no event, or one that this version has no word for.
pub fn decode_event(bytes: &[u8]) -> Result<Event, EnvelopeError> {
    let wire: Wire<'_> = serde_json::from_slice(bytes).map_err(malformed)?;
    let room = || RoomId::parse(wire.r.as_deref().unwrap_or_default()).map_err(malformed);
    let name =
        |text: &Option<Text<'_>>| text.as_deref().map(|name| Nickname::parse(name).map_err(malformed)).transpose();
    let whom = || name(&wire.w)?.ok_or_else(|| malformed("nobody it was done to"));
    let kind = match wire.k.as_ref() {
        "j" => EventKind::Joined,
        "l" => EventKind::Left,
        "v" => EventKind::Came,
        "g" => EventKind::Went,
        "m" => {
            let text = wire.t.ok_or_else(|| malformed("a message without text"))?;
            EventKind::Message { id: MessageId(wire.i.unwrap_or_default()), text: text.0.into_owned() }
        }
        "c" => EventKind::Created { room: room()? },
        "d" => EventKind::Destroyed { room: room()? },
        "r" => {
            let Hex(session) = wire.ws.unwrap_or_default();
            EventKind::Removed { who: Actor { session, nickname: name(&wire.w)? } }
        }
        "a" => EventKind::Appointed { account: whom()?, admin: wire.y.unwrap_or_default() },
        "h" => EventKind::Handed { to: whom()? },
        "n" => EventKind::Changed(RoomNews {
            access: wire.ra.as_deref().and_then(AccessType::from_label),
            nickname: wire.rn.as_deref().map(str::to_owned),
            description: wire.t.as_deref().map(str::to_owned),
        }),
        other => return Err(EnvelopeError::UnknownKind(other.to_owned())),
    };
    let actor = Actor { session: wire.s.0, nickname: name(&wire.n)? };
    Ok(Event { actor, kind, traceparent: wire.c.map(|text| text.0.into_owned()) })
}

/// Reads live traffic: `1 <epoch> <offset> <time_us> <event>`, where 1 is the version of this form.
///
/// # Errors
/// When it is of another form, or the event cannot be read.
pub fn decode_live(bytes: &[u8]) -> Result<Envelope, EnvelopeError> {
    let malformed = || EnvelopeError::Malformed("not the live form".into());
    let mut parts = bytes.splitn(5, |byte| *byte == b' ');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
    let (Some(1), Some(epoch), Some(offset), Some(time_us)) = (number(), number(), number(), number()) else {
        return Err(malformed());
    };
    let event = decode_event(parts.next().ok_or_else(malformed)?)?;
    let position = Position { epoch: Epoch::new(epoch), offset };
    Ok(Envelope { position, time_us: time_us as i64, event })
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn every_event_comes_back(text in ".*", name in proptest::option::of("[a-zé]{1,32}"), session: u128, kind in 0..11, id: u32) {
            let room = RoomId::parse("red room").unwrap();
            let kind = match kind {
                0 => EventKind::Joined,
                1 => EventKind::Left,
                8 => EventKind::Came,
                9 => EventKind::Went,
                2 => EventKind::Created { room },
                3 => EventKind::Destroyed { room },
                4 => EventKind::Removed { who: Actor { session: SessionId::from_u128(session / 2), nickname: None } },
                5 => EventKind::Appointed { account: Nickname::parse("adam").unwrap(), admin: id.is_multiple_of(2) },
                6 => EventKind::Handed { to: Nickname::parse("adam").unwrap() },
                7 => EventKind::Changed(RoomNews { nickname: Some(text), ..RoomNews::default() }),
                _ => EventKind::Message { id: MessageId(id), text },
            };
            let nickname = name.map(|name| Nickname::parse(&name).unwrap());
            let actor = Actor { session: SessionId::from_u128(session), nickname };
            let event = Event { actor, kind, traceparent: None };
            proptest::prop_assert_eq!(decode_event(&encode_event(&event)), Ok(event));
        }
    }

    #[test]
    fn live_traffic_is_read_and_another_form_is_not() {
        let envelope = decode_live(br#"1 77 5 1700000000000001 {"k":"m","s":"a","t":"a b"}"#).unwrap();
        assert_eq!(envelope.position, Position { epoch: Epoch::new(77), offset: 5 });
        assert_eq!(
            (envelope.time_us, envelope.event.kind),
            (1_700_000_000_000_001, EventKind::Message { id: MessageId(0), text: "a b".into() })
        );
        for other in [&b"2 77 5 1 {}"[..], b"1 77 5", b"", b"1 x 5 1 {}"] {
            assert!(decode_live(other).is_err());
        }
    }

    #[test]
    fn a_later_versions_event_is_told_from_rubbish() {
        assert_eq!(decode_event(br#"{"k":"poll","s":"1","x":2}"#), Err(EnvelopeError::UnknownKind("poll".into())));
        assert!(matches!(decode_event(b"{}"), Err(EnvelopeError::Malformed(_))));
        assert!(decode_event(br#"{"k":"j","s":"1","later":true}"#).is_ok());
    }
}
