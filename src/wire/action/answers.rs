//! Answers: the request's echo and, in the extended mode, what came of it.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::errors::error_text;
use super::events::{RoomIdForm, Spot};
use super::spelling;
use crate::chat::{Envelope, EventKind, Member, Position, Reply, ResumedRoom, Returned, RoomSummary};
use crate::wire::EventForm;
use crate::wire::json::json;
use crate::wire::times;

#[derive(Serialize)]
struct Answer<'a> {
    action: &'static str,
    request: &'a RawValue,
    message: &'a str,
}

/// An answer of the extended mode.
#[derive(Serialize)]
struct Extended<'a> {
    #[serde(flatten)]
    answer: Answer<'a>,
    #[serde(flatten)]
    body: Body<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    Welcome {
        session: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        nickname: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        resume: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        rooms: Option<Vec<ReturnedBody<'a>>>,
    },
    Joined {
        position: PositionBody,
        members: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        recovered: Option<bool>,
    },
    Sent(Spot),
    SentPrivately {
        id: u32,
        time: String,
    },
    Messages {
        messages: Vec<MessageBody<'a>>,
        more: bool,
    },
    Rooms {
        rooms: Vec<RoomBody<'a>>,
        more: bool,
    },
    Members {
        members: Vec<MemberBody<'a>>,
        more: bool,
    },
    Nothing {},
}

/// One room of a session that goes on.
#[derive(Serialize)]
struct ReturnedBody<'a> {
    room_id: RoomIdForm<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<PositionBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'static, str>>,
}

#[derive(Serialize)]
struct PositionBody {
    epoch: u64,
    offset: u64,
}

#[derive(Serialize)]
struct MessageBody<'a> {
    author: &'a str,
    text: &'a str,
    #[serde(flatten)]
    spot: Spot,
}

#[derive(Serialize)]
struct RoomBody<'a> {
    room_id: &'a str,
    access: &'static str,
    nickname: &'a str,
    description: &'a str,
    members: u64,
}

#[derive(Serialize)]
struct MemberBody<'a> {
    name: &'a str,
    role: &'static str,
}

pub fn done(request: &RawValue) -> Vec<u8> {
    json(&Answer { action: "RESPONSE", request, message: "OK" })
}

pub fn error(request: &RawValue, message: &str) -> Vec<u8> {
    json(&Answer { action: "ERROR", request, message })
}

/// What succeeded, with what there is to say of it. `forms`: those of the rooms that the request names.
pub fn extended(request: &RawValue, forms: &[EventForm], reply: &Reply) -> Vec<u8> {
    let answer = Answer { action: "RESPONSE", request, message: "OK" };
    json(&Extended { answer, body: body(forms, reply) })
}

fn body<'a>(forms: &[EventForm], reply: &'a Reply) -> Body<'a> {
    match reply {
        Reply::Welcome { session, nickname, resume } => Body::Welcome {
            session: session.to_string(),
            nickname: nickname.as_ref().map(|name| name.as_str()),
            resume: resume.as_deref(),
            rooms: None,
        },
        Reply::Resumed { session, nickname, resume, rooms } => Body::Welcome {
            session: session.to_string(),
            nickname: nickname.as_ref().map(|name| name.as_str()),
            resume: Some(resume),
            rooms: Some(forms.iter().zip(rooms).map(|(form, room)| returned(*form, room)).collect()),
        },
        Reply::Joined { position, members, recovered, .. } => {
            Body::Joined { position: PositionBody::of(*position), members: *members, recovered: *recovered }
        }
        Reply::Sent { position, id, time_us } => Body::Sent(Spot::new(Some(*id), *time_us, *position)),
        Reply::SentPrivately { id, time_us, .. } => {
            Body::SentPrivately { id: id.0, time: times::format_rfc3339_ms(*time_us) }
        }
        Reply::Page { records, more } => {
            Body::Messages { messages: records.iter().filter_map(message).collect(), more: *more }
        }
        Reply::Rooms { rooms, more } => Body::Rooms { rooms: rooms.iter().map(room).collect(), more: *more },
        Reply::Members { members, more } => {
            Body::Members { members: members.iter().map(member).collect(), more: *more }
        }
        // There is nothing more to say, or no request of this dialect asks for it.
        _ => Body::Nothing {},
    }
}

fn returned(form: EventForm, resumed: &ResumedRoom) -> ReturnedBody<'_> {
    let room_id = RoomIdForm(spelling(form), resumed.room.as_str());
    let nothing = ReturnedBody { room_id, position: None, members: None, recovered: None, error: None };
    match &resumed.outcome {
        Ok(Returned { position, members, recovered }) => ReturnedBody {
            position: Some(PositionBody::of(*position)),
            members: Some(*members),
            recovered: *recovered,
            ..nothing
        },
        Err(refusal) => ReturnedBody { error: Some(error_text(refusal)), ..nothing },
    }
}

impl PositionBody {
    fn of(position: Position) -> Self {
        Self { epoch: position.epoch.value(), offset: position.offset }
    }
}

fn message(envelope: &Envelope) -> Option<MessageBody<'_>> {
    let EventKind::Message { text, .. } = &envelope.event.kind else { return None };
    Some(MessageBody { author: envelope.event.actor.shown_name(), text, spot: Spot::of(envelope) })
}

fn room(summary: &RoomSummary) -> RoomBody<'_> {
    RoomBody {
        room_id: summary.room.as_str(),
        access: summary.access.label(),
        nickname: &summary.nickname,
        description: &summary.description,
        members: summary.members,
    }
}

fn member(member: &Member) -> MemberBody<'_> {
    MemberBody { name: &member.identifier, role: member.role_label() }
}
