//! How an event travels and is kept: compact JSON with one-letter keys.
//!
//! Position and time are not in it, because only the broker knows them. Unknown keys are ignored and unknown kinds are an
//! error, so that nodes of neighbouring versions can share a broker: an older node skips, counted, what it has no word for.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::chat::{Actor, Envelope, Epoch, Event, EventKind, Nickname, Position, RoomId, SessionId};

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    /// Kind: `j`oined, `l`eft, `m`essage, `c`reated, `d`estroyed.
    #[serde(borrow)]
    k: Cow<'a, str>,
    /// The acting session, hexadecimal.
    #[serde(borrow)]
    s: Cow<'a, str>,
    /// Its nickname.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    n: Option<Cow<'a, str>>,
    /// The text of a message.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    t: Option<Cow<'a, str>>,
    /// The room that was created or destroyed.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    r: Option<Cow<'a, str>>,
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
    let (kind, text, room) = match &event.kind {
        EventKind::Joined => ("j", None, None),
        EventKind::Left => ("l", None, None),
        EventKind::Message { text } => ("m", Some(text), None),
        EventKind::Created { room } => ("c", None, Some(room)),
        EventKind::Destroyed { room } => ("d", None, Some(room)),
    };
    let wire = Wire {
        k: kind.into(),
        s: format!("{:032x}", event.actor.session.as_u128()).into(),
        n: event.actor.nickname.as_ref().map(|name| name.as_str().into()),
        t: text.map(|text| text.as_str().into()),
        r: room.map(|room| room.as_str().into()),
        c: event.traceparent.as_deref().map(Into::into),
    };
    serde_json::to_vec(&wire).unwrap_or_default()
}

/// Reads what [`encode_event`] wrote.
///
/// # Errors
/// When it is no event, or one that this version has no word for.
pub fn decode_event(bytes: &[u8]) -> Result<Event, EnvelopeError> {
    let malformed = |reason: &dyn std::fmt::Display| EnvelopeError::Malformed(reason.to_string());
    let wire: Wire<'_> = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    let room = || RoomId::parse(wire.r.as_deref().unwrap_or_default()).map_err(|fault| malformed(&fault));
    let kind = match (wire.k.as_ref(), wire.t) {
        ("j", _) => EventKind::Joined,
        ("l", _) => EventKind::Left,
        ("m", Some(text)) => EventKind::Message { text: text.into_owned() },
        ("m", None) => return Err(malformed(&"a message without text")),
        ("c", _) => EventKind::Created { room: room()? },
        ("d", _) => EventKind::Destroyed { room: room()? },
        (other, _) => return Err(EnvelopeError::UnknownKind(other.to_owned())),
    };
    let session = u128::from_str_radix(&wire.s, 16).map_err(|error| malformed(&error))?;
    let nickname = match wire.n {
        Some(name) => Some(Nickname::parse(&name).map_err(|fault| malformed(&fault))?),
        None => None,
    };
    let actor = Actor { session: SessionId::from_u128(session), nickname };
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
        fn every_event_comes_back(text in ".*", name in proptest::option::of("[a-zé]{1,32}"), session: u128, kind in 0..5) {
            let room = RoomId::parse("red room").unwrap();
            let kind = match kind {
                0 => EventKind::Joined,
                1 => EventKind::Left,
                2 => EventKind::Created { room },
                3 => EventKind::Destroyed { room },
                _ => EventKind::Message { text },
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
            (1_700_000_000_000_001, EventKind::Message { text: "a b".into() })
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
