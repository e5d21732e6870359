//! How an event travels and is kept: compact JSON with one-letter keys.
//!
//! Position and time are not in it, because only the broker knows them. Unknown keys are ignored and unknown kinds are an
//! error, so that nodes of neighbouring versions can share a broker: an older node skips, counted, what it has no word for.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::chat::{
    AccessType, Actor, Envelope, Epoch, Event, EventKind, MessageId, Nickname, Position, RoomId, RoomNews, SessionId,
};

#[derive(Serialize, Deserialize, Default)]
struct Wire<'a> {
    /// Kind: `j`oined, `l`eft, came to `v`isit, `g`one from a visit, `m`essage, `c`reated, `d`estroyed, `r`emoved, `a`ppointed, `h`anded over, `n`ews of the room.
    #[serde(borrow)]
    k: Cow<'a, str>,
    /// The acting session, hexadecimal.
    #[serde(borrow)]
    s: Cow<'a, str>,
    /// Its nickname.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    n: Option<Cow<'a, str>>,
    /// The text of a message; the room's new description.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    t: Option<Cow<'a, str>>,
    /// The message's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    i: Option<u32>,
    /// The room that was created or destroyed.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    r: Option<Cow<'a, str>>,
    /// Who it was done to: a nickname.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    w: Option<Cow<'a, str>>,
    /// And their session.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    ws: Option<Cow<'a, str>>,
    /// Whether they are an admin from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    y: Option<bool>,
    /// The room's new nickname.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    rn: Option<Cow<'a, str>>,
    /// The room's new access type.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    ra: Option<Cow<'a, str>>,
    /// W3C trace context.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    c: Option<Cow<'a, str>>,
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
        s: session_text(event.actor.session).into(),
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
            wire.ws = Some(session_text(who.session).into());
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
        s: session_text(heir.session).into(),
        n: heir.nickname.as_ref().map(|name| name.as_str().into()),
        ws: Some(session_text(former).into()),
        ..Wire::default()
    };
    serde_json::to_vec(&wire).unwrap_or_default()
}

fn session_text(session: SessionId) -> String {
    format!("{:032x}", session.as_u128())
}

fn malformed(reason: impl std::fmt::Display) -> EnvelopeError {
    EnvelopeError::Malformed(reason.to_string())
}

fn read_session(text: &str) -> Result<SessionId, EnvelopeError> {
    u128::from_str_radix(text, 16).map(SessionId::from_u128).map_err(malformed)
}

/// Reads what [`encode_event`] wrote.
///
/// # Errors
/// When it is no event, or one that this version has no word for.
pub fn decode_event(bytes: &[u8]) -> Result<Event, EnvelopeError> {
    let wire: Wire<'_> = serde_json::from_slice(bytes).map_err(malformed)?;
    let room = || RoomId::parse(wire.r.as_deref().unwrap_or_default()).map_err(malformed);
    let name =
        |text: &Option<Cow<'_, str>>| text.as_deref().map(|name| Nickname::parse(name).map_err(malformed)).transpose();
    let whom = || name(&wire.w)?.ok_or_else(|| malformed("nobody it was done to"));
    let kind = match wire.k.as_ref() {
        "j" => EventKind::Joined,
        "l" => EventKind::Left,
        "v" => EventKind::Came,
        "g" => EventKind::Went,
        "m" => {
            let text = wire.t.as_deref().ok_or_else(|| malformed("a message without text"))?;
            EventKind::Message { id: MessageId(wire.i.unwrap_or_default()), text: text.to_owned() }
        }
        "c" => EventKind::Created { room: room()? },
        "d" => EventKind::Destroyed { room: room()? },
        "r" => {
            let session = read_session(wire.ws.as_deref().unwrap_or("0"))?;
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
    let actor = Actor { session: read_session(&wire.s)?, nickname: name(&wire.n)? };
    Ok(Event { actor, kind, traceparent: wire.c.map(Cow::into_owned) })
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
