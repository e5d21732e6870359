//! Pushes: what happens in rooms, what is told to one account, and why a session ends.
//!
//! The number of a push grows per user: it is the number in the inbox where it was kept there, else the broker's time, in
//! microseconds both.

use serde::Serialize;

use super::answers::kind;
use super::fields::access_number;
use super::{seconds, seconds_of_us};
use crate::chat::{
    Actor, CloseReason, Envelope, EventKind, Mail, MessageId, News, Nickname, Notice, PrivateMessage, Push,
    RequestKind, RoomNews,
};
use crate::wire::json::json;

/// Every field a push can have, in the order in which they are written.
#[derive(Serialize, Default)]
struct Message<'a> {
    method: &'static str,
    push_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_nickname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_nickname: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_access_type: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
}

fn number(time_us: i64) -> u64 {
    time_us.max(0) as u64
}

/// A room's event, for its members.
pub fn event(room: &str, envelope: &Envelope) -> Vec<Vec<u8>> {
    let actor = envelope.event.actor.identifier();
    let push = |method| Message {
        method,
        push_id: number(envelope.time_us),
        room_id: Some(room),
        epoch: Some(envelope.position.epoch.value()),
        offset: Some(envelope.position.offset),
        ..Message::default()
    };
    let one = match &envelope.event.kind {
        EventKind::Message { id, text } => Message {
            message_id: Some(id.0),
            time: Some(seconds_of_us(envelope.time_us)),
            sender: Some(&actor),
            content: Some(text),
            ..push("NEW_ROOM_MESSAGE")
        },
        EventKind::Joined => Message { user_id: Some(&actor), ..push("USER_ENTER_ROOM") },
        EventKind::Left => Message { user_id: Some(&actor), ..push("USER_LEAVE_ROOM") },
        EventKind::Removed { who } => {
            let who = who.identifier();
            return vec![json(&Message { user_id: Some(&who), by: Some(&actor), ..push("USER_LEAVE_ROOM") })];
        }
        EventKind::Appointed { account, admin } => {
            let method = if *admin { "APPOINTED_AS_ADMIN" } else { "REMOVED_AS_ADMIN" };
            Message { user_id: Some(account.as_str()), ..push(method) }
        }
        EventKind::Handed { to } => Message { user_id: Some(to.as_str()), ..push("ROOM_OWNER_CHANGED") },
        EventKind::Changed(news) => return changes(news, push),
        EventKind::Destroyed { room: destroyed } if destroyed.as_str() == room => push("ROOM_REMOVED"),
        // A member is one whether it is there or not.
        EventKind::Came | EventKind::Went => return Vec::new(),
        // Of the lobby, in which this dialect is not.
        EventKind::Destroyed { .. } | EventKind::Created { .. } => return Vec::new(),
    };
    vec![json(&one)]
}

/// One push for each thing that was changed.
fn changes<'a>(news: &'a RoomNews, push: impl Fn(&'static str) -> Message<'a>) -> Vec<Vec<u8>> {
    let RoomNews { access, nickname, description } = news;
    let access =
        access.map(|access| Message { room_access_type: Some(access_number(access)), ..push("ROOM_ACCESS_CHANGED") });
    let nickname =
        nickname.as_deref().map(|text| Message { room_nickname: Some(text), ..push("ROOM_NICKNAME_CHANGED") });
    let description =
        description.as_deref().map(|text| Message { room_description: Some(text), ..push("ROOM_DESCRIPTION_CHANGED") });
    let mut messages: Vec<_> = [access, nickname, description].into_iter().flatten().collect();
    // Each has a number of its own, so that none is taken for the repeat of another.
    messages.iter_mut().zip(0..).for_each(|(message, more)| message.push_id += more);
    messages.iter().map(json).collect()
}

/// What one session is told.
pub fn notice(notice: &Notice) -> Option<Vec<u8>> {
    match notice {
        Notice::Farewell { reason, time_us } => farewell(*reason, *time_us),
        Notice::Private { message, id, time_us } => Some(private(message, *id, number(*time_us), *time_us)),
        Notice::Mail(mail) => Some(kept(mail)),
        Notice::News { account, news, time_us } => Some(told_of(account, news, *time_us)),
        // Told by the room's events, or by what is in the inbox.
        Notice::Closing(_)
        | Notice::PutOut { .. }
        | Notice::MailWaiting
        | Notice::Asked { .. }
        | Notice::Gap { .. }
        | Notice::Typing { .. }
        | Notice::Reconnect { .. }
        | Notice::Decided { .. } => None,
    }
}

/// `None` where there is no one to tell, or the last answer said it.
fn farewell(reason: CloseReason, time_us: i64) -> Option<Vec<u8>> {
    reason.notice()?;
    let (method, reason) = ("FORCED_TO_LOGGED_OFF", Some(reason.label()));
    Some(json(&Message { method, push_id: number(time_us), reason, ..Message::default() }))
}

fn private(message: &PrivateMessage, id: MessageId, push_id: u64, time_us: i64) -> Vec<u8> {
    let sender = Actor::identifier(&message.from);
    json(&Message {
        method: "NEW_PRIVATE_MESSAGE",
        push_id,
        message_id: Some(id.0),
        time: Some(seconds_of_us(time_us)),
        sender: Some(&sender),
        content: Some(&message.text),
        ..Message::default()
    })
}

/// Something out of the inbox.
fn kept(mail: &Mail) -> Vec<u8> {
    let push = |method| Message { method, push_id: mail.number, ..Message::default() };
    let time = Some(seconds(mail.time_s()));
    json(&match &mail.push {
        Push::Private { id, time_us, message } => return private(message, *id, mail.number, *time_us),
        Push::FriendRequest { request, from, nickname, text } => Message {
            request_id: Some(request.0),
            user_id: Some(from.as_str()),
            user_nickname: Some(nickname),
            message: Some(text),
            time,
            ..push("NEW_FRIEND_REQUEST")
        },
        Push::EnterRequest { request, identifier, room } => Message {
            request_id: Some(request.0),
            user_id: Some(identifier),
            room_id: Some(room.as_str()),
            time,
            ..push("ENTER_ROOM_REQUEST")
        },
        Push::Decided { request, kind: asked, approved } => {
            let (user_id, room_id) = match asked {
                RequestKind::Friend(account) => (Some(account.as_str()), None),
                RequestKind::Room(room) => (None, Some(room.as_str())),
            };
            let method = if *approved { "REQUEST_APPROVED" } else { "REQUEST_REJECTED" };
            Message { request_id: Some(request.0), kind: Some(kind(asked)), user_id, room_id, ..push(method) }
        }
        Push::FriendRemoved { account } => Message { user_id: Some(account.as_str()), ..push("FRIEND_REMOVED") },
        Push::FriendDeleted { account } => Message { user_id: Some(account.as_str()), ..push("USER_DELETED") },
    })
}

/// News of an account that the session's account knows.
fn told_of(account: &Nickname, news: &News, time_us: i64) -> Vec<u8> {
    let user_id = Some(account.as_str());
    let push = |method| Message { method, push_id: number(time_us), user_id, ..Message::default() };
    json(&match news {
        News::Online => push("USER_ONLINE"),
        News::Offline => push("USER_OFFLINE"),
        News::Nickname(text) => Message { user_nickname: Some(text), ..push("USER_NICKNAME_CHANGED") },
        News::Description(text) => Message { user_description: Some(text), ..push("USER_DESCRIPTION_CHANGED") },
        News::Deleted => push("USER_DELETED"),
    })
}
