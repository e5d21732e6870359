//! What happens in rooms and what one session is told, in the form of each subscriber.

use serde::Serialize;
use serde_json::value::RawValue;

use super::answers;
use crate::chat::{Envelope, EventKind, MessageId, Notice, Position, PrivateMessage, RoomNews};
use crate::wire::RoomSpelling;
use crate::wire::json::json;
use crate::wire::times;

/// A message of a room; the extended mode says where it stands.
#[derive(Serialize)]
struct GetMessage<'a> {
    action: &'static str,
    room_id: RoomIdForm<'a>,
    author: &'a str,
    text: &'a str,
}

#[derive(Serialize)]
struct GetMessageExtended<'a> {
    #[serde(flatten)]
    message: GetMessage<'a>,
    #[serde(flatten)]
    spot: Spot,
}

/// Where and when something stands.
#[derive(Serialize)]
pub struct Spot {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u32>,
    time: String,
    epoch: u64,
    offset: u64,
}

/// Everything that a room's event can say, in the order in which it is written.
#[derive(Serialize, Default)]
struct RoomEvent<'a> {
    action: &'static str,
    room_id: RoomIdForm<'a>,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'a str>,
    /// Who it was done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nickname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
}

#[derive(Serialize)]
struct Private<'a> {
    action: &'static str,
    from: &'a str,
    text: &'a str,
    id: u32,
    time: String,
}

#[derive(Serialize)]
struct Reconnect {
    action: &'static str,
    after_ms: u64,
    resume: bool,
}

#[derive(Serialize)]
struct Typing<'a> {
    action: &'static str,
    room_id: RoomIdForm<'a>,
    author: &'a str,
}

/// A room id in the JSON form with which the subscriber joined.
#[derive(Clone, Copy)]
pub struct RoomIdForm<'a>(pub RoomSpelling, pub &'a str);

impl Default for RoomIdForm<'_> {
    fn default() -> Self {
        Self(RoomSpelling::Text, "")
    }
}

impl Serialize for RoomIdForm<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            RoomSpelling::Text => serializer.serialize_str(self.1),
            RoomSpelling::Hash => serializer.collect_str(&format_args!("#{}", self.1)),
            RoomSpelling::Integer => match RawValue::from_string(self.1.to_owned()) {
                Ok(integer) => integer.serialize(serializer),
                Err(_) => serializer.serialize_str(self.1),
            },
        }
    }
}

impl Spot {
    pub fn new(id: Option<MessageId>, time_us: i64, position: Position) -> Self {
        let (epoch, offset) = (position.epoch.value(), position.offset);
        Self { id: id.map(|id| id.0), time: times::format_rfc3339_ms(time_us), epoch, offset }
    }

    pub fn of(envelope: &Envelope) -> Self {
        let id = match &envelope.event.kind {
            EventKind::Message { id, .. } => Some(*id),
            _ => None,
        };
        Self::new(id, envelope.time_us, envelope.position)
    }
}

/// A room's event, for its members.
pub fn event(room_id: RoomIdForm<'_>, extended: bool, envelope: &Envelope) -> Vec<Vec<u8>> {
    match &envelope.event.kind {
        EventKind::Message { text, .. } => {
            let author = envelope.event.actor.shown_name();
            let message = GetMessage { action: "GET MESSAGE", room_id, author, text };
            vec![if extended {
                json(&GetMessageExtended { message, spot: Spot::of(envelope) })
            } else {
                json(&message)
            }]
        }
        // Only the extended mode has words for the rest.
        _ if !extended => Vec::new(),
        _ => room_event(room_id, envelope).into_iter().collect(),
    }
}

fn room_event(room_id: RoomIdForm<'_>, envelope: &Envelope) -> Option<Vec<u8>> {
    let author = envelope.event.actor.identifier();
    let event = |event| RoomEvent {
        action: "ROOM EVENT",
        room_id,
        event,
        author: Some(&author),
        time: Some(times::format_rfc3339_ms(envelope.time_us)),
        epoch: Some(envelope.position.epoch.value()),
        offset: Some(envelope.position.offset),
        ..RoomEvent::default()
    };
    // What is said in the lobby of another room has no place in that room's stream.
    let of_lobby = |name, room| {
        let room_id = RoomIdForm(room_id.0, room);
        RoomEvent { room_id, epoch: None, offset: None, ..event(name) }
    };
    let removed;
    Some(json(&match &envelope.event.kind {
        EventKind::Joined | EventKind::Came => event("join"),
        EventKind::Left | EventKind::Went => event("left"),
        EventKind::Removed { who } => {
            removed = who.identifier();
            RoomEvent { subject: Some(&removed), ..event("kick") }
        }
        EventKind::Appointed { account, admin } => {
            RoomEvent { subject: Some(account.as_str()), ..event(if *admin { "appoint" } else { "dismiss" }) }
        }
        EventKind::Handed { to } => RoomEvent { subject: Some(to.as_str()), ..event("owner") },
        EventKind::Changed(RoomNews { access, nickname, description }) => RoomEvent {
            access: access.map(|access| access.label()),
            nickname: nickname.as_deref(),
            description: description.as_deref(),
            ..event("change")
        },
        EventKind::Created { room } => of_lobby("create", room.as_str()),
        EventKind::Destroyed { room } if room.as_str() == room_id.1 => event("destroy"),
        EventKind::Destroyed { room } => of_lobby("destroy", room.as_str()),
        // Told as what it is, by `event`.
        EventKind::Message { .. } => return None,
    }))
}

/// What one session is told.
pub fn notice(spelling: RoomSpelling, extended: bool, notice: &Notice) -> Option<Vec<u8>> {
    match notice {
        Notice::Farewell { reason, .. } => Some(answers::error(RawValue::NULL, reason.notice()?)),
        Notice::Private { message, id, time_us } if extended => Some(private(message, *id, *time_us)),
        Notice::Private { message, .. } => {
            let room = format!("@{}", message.from.identifier());
            Some(json(&GetMessage {
                action: "GET MESSAGE",
                room_id: RoomIdForm(RoomSpelling::Text, &room),
                author: message.from.shown_name(),
                text: &message.text,
            }))
        }
        Notice::Mail(mail) => mail.as_private().and_then(|private| self::notice(spelling, extended, &private)),
        Notice::Reconnect { after_ms, resume } if extended => {
            Some(json(&Reconnect { action: "RECONNECT", after_ms: *after_ms, resume: *resume }))
        }
        Notice::Gap { room, position } if extended => Some(json(&RoomEvent {
            action: "ROOM EVENT",
            room_id: RoomIdForm(spelling, room.as_str()),
            event: "gap",
            epoch: Some(position.epoch.value()),
            offset: Some(position.offset),
            ..RoomEvent::default()
        })),
        Notice::Typing { room, who } if extended => Some(json(&Typing {
            action: "TYPING",
            room_id: RoomIdForm(spelling, room.as_str()),
            author: &who.identifier(),
        })),
        // This dialect has no words for these.
        _ => None,
    }
}

fn private(message: &PrivateMessage, id: MessageId, time_us: i64) -> Vec<u8> {
    let from = message.from.identifier();
    let time = times::format_rfc3339_ms(time_us);
    json(&Private { action: "PRIVATE MESSAGE", from: &from, text: &message.text, id: id.0, time })
}
