//! Responses: the number of the request, the error number, and the fields of the method.

use serde::Serialize;

use super::errors::{self, SUCCESS};
use super::fields::access_number;
use super::{PROTOCOL_VERSION, seconds, seconds_of_us};
use crate::chat::{
    Member, Nickname, PendingRequest, Position, Refusal, Reply, RequestKind, RoomSummary, ServerInfo, Source, Told,
    UserView,
};
use crate::wire::json::json;

/// Which fields of what was found out a method answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerForm {
    /// All, under their usual names.
    Plain,
    /// All, and of messages in rooms their places among the room's events.
    Placed,
    /// Users are the asker's friends.
    Friends,
    /// Of a user its last activity alone.
    LastActivity,
    /// Of a room its access type alone.
    AccessType,
    /// A page of members, after so many others.
    Members { skip: usize },
}

#[derive(Serialize)]
struct Answer<'a> {
    resp_id: u32,
    err: u32,
    #[serde(flatten)]
    body: Body<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    Nothing {},
    Sent {
        message_id: u32,
        time: u32,
        #[serde(flatten)]
        place: Option<PlaceBody>,
    },
    Messages {
        messages: Vec<MessageBody<'a>>,
        more: bool,
    },
    Requests {
        requests: Vec<RequestBody<'a>>,
    },
    Users {
        users: Vec<UserBody<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cursor: Option<&'a str>,
    },
    Friends {
        friends: Vec<UserBody<'a>>,
    },
    Rooms {
        rooms: Vec<RoomBody<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cursor: Option<&'a str>,
    },
    Members {
        members: Vec<MemberBody<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cursor: Option<String>,
    },
    User(WholeUser<'a>),
    Room(WholeRoom<'a>),
    LastActivity {
        time: u32,
        last_activity_time: u32,
    },
    AccessType {
        room_access_type: u32,
    },
    Time {
        time: u32,
    },
    Server(Box<ServerBody<'a>>),
}

#[derive(Serialize)]
struct PlaceBody {
    epoch: u64,
    offset: u64,
}

#[derive(Serialize)]
struct MessageBody<'a> {
    message_id: u32,
    time: u32,
    /// `null` when the account is deleted.
    sender: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    content: &'a str,
    #[serde(flatten)]
    place: Option<PlaceBody>,
}

#[derive(Serialize)]
struct RequestBody<'a> {
    request_id: u32,
    kind: &'static str,
    user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    room_id: Option<&'a str>,
    message: &'a str,
    time: u32,
}

#[derive(Serialize)]
struct UserBody<'a> {
    user_id: &'a str,
    user_nickname: &'a str,
    user_description: &'a str,
    mode: u32,
}

#[derive(Serialize)]
struct WholeUser<'a> {
    #[serde(flatten)]
    user: UserBody<'a>,
    sign_up_time: u32,
    last_activity_time: u32,
}

#[derive(Serialize)]
struct RoomBody<'a> {
    room_id: &'a str,
    room_nickname: &'a str,
    room_description: &'a str,
    room_access_type: u32,
    members: u64,
}

#[derive(Serialize)]
struct WholeRoom<'a> {
    #[serde(flatten)]
    room: RoomBody<'a>,
    /// `null` for a room that is everybody's.
    owner: Option<&'a str>,
    admins: Vec<&'a str>,
}

#[derive(Serialize)]
struct MemberBody<'a> {
    user_id: &'a str,
    role: &'static str,
}

/// Section 1.2, under its own names.
#[derive(Serialize)]
struct ServerBody<'a> {
    server_nickname: &'a str,
    server_version: &'a str,
    server_description: &'a str,
    protocol_version: &'static str,
    time: u32,
    uptime: u32,
    number_of_users: u32,
    max_number_of_users: u32,
    number_of_online_users: u32,
    max_number_of_online_users: u32,
    number_of_rooms: u32,
    max_number_of_rooms: u32,
    messages_in: u32,
    messages_out: u32,
    data_in: u64,
    data_out: u64,
}

pub fn failure(number: u32, refusal: &Refusal) -> Vec<u8> {
    json(&Answer { resp_id: number, err: errors::number(refusal), body: Body::Nothing {} })
}

pub fn success(number: u32, form: AnswerForm, reply: &Reply) -> Vec<u8> {
    json(&Answer { resp_id: number, err: SUCCESS, body: body(form, reply) })
}

fn body(form: AnswerForm, reply: &Reply) -> Body<'_> {
    match reply {
        Reply::Sent { id, time_us, position } => {
            let place = (form == AnswerForm::Placed).then(|| PlaceBody::of(*position));
            Body::Sent { message_id: id.0, time: seconds_of_us(*time_us), place }
        }
        Reply::SentPrivately { id, time_us, .. } => {
            Body::Sent { message_id: id.0, time: seconds_of_us(*time_us), place: None }
        }
        Reply::Messages { messages, more } => {
            Body::Messages { messages: messages.iter().map(|told| message(told, form)).collect(), more: *more }
        }
        Reply::Requests { requests } => Body::Requests { requests: requests.iter().map(request).collect() },
        Reply::Users { users, .. } if form == AnswerForm::Friends => {
            Body::Friends { friends: users.iter().map(user).collect() }
        }
        Reply::Users { users, next } => {
            Body::Users { users: users.iter().map(user).collect(), cursor: next.as_deref() }
        }
        Reply::RoomsFound { rooms, next } => {
            Body::Rooms { rooms: rooms.iter().map(room).collect(), cursor: next.as_deref() }
        }
        Reply::Rooms { rooms, .. } => Body::Rooms { rooms: rooms.iter().map(room).collect(), cursor: None },
        Reply::Members { members, more } => {
            let AnswerForm::Members { skip } = form else { return Body::Nothing {} };
            let cursor = more.then(|| (skip + members.len()).to_string());
            Body::Members { members: members.iter().map(member).collect(), cursor }
        }
        Reply::User { user } if form == AnswerForm::LastActivity => {
            let time = seconds(user.last_active_s);
            Body::LastActivity { time, last_activity_time: time }
        }
        Reply::User { user } => Body::User(whole_user(user)),
        Reply::Room { summary, .. } if form == AnswerForm::AccessType => {
            Body::AccessType { room_access_type: access_number(summary.access) }
        }
        Reply::Room { summary, owner, admins } => {
            let admins = admins.iter().map(Nickname::as_str).collect();
            Body::Room(WholeRoom { room: room(summary), owner: owner.as_ref().map(Nickname::as_str), admins })
        }
        Reply::Time { now_s } => Body::Time { time: seconds(*now_s) },
        Reply::Server { info } => Body::Server(Box::new(server(info))),
        Reply::LoggedIn { .. }
        | Reply::Joined { .. }
        | Reply::Left { .. }
        | Reply::Created { .. }
        | Reply::Destroyed { .. }
        | Reply::Done => Body::Nothing {},
        // This dialect has no request for these.
        Reply::Welcome { .. }
        | Reply::Resumed { .. }
        | Reply::History { .. }
        | Reply::Page { .. }
        | Reply::Applicants { .. } => Body::Nothing {},
    }
}

impl PlaceBody {
    fn of(position: Position) -> Self {
        Self { epoch: position.epoch.value(), offset: position.offset }
    }
}

fn message(told: &Told, form: AnswerForm) -> MessageBody<'_> {
    let (room_id, user_id) = match &told.source {
        Source::Room(room) => (Some(room.as_str()), None),
        Source::Talk(with) => (None, Some(with.as_str())),
        Source::Everywhere => (None, None),
    };
    MessageBody {
        message_id: told.id.0,
        time: seconds_of_us(told.time_us),
        sender: told.sender.as_deref(),
        room_id,
        user_id,
        content: &told.text,
        place: (form == AnswerForm::Placed && room_id.is_some()).then(|| PlaceBody::of(told.position)),
    }
}

fn request(request: &PendingRequest) -> RequestBody<'_> {
    let room_id = match &request.kind {
        RequestKind::Friend(_) => None,
        RequestKind::Room(room) => Some(room.as_str()),
    };
    RequestBody {
        request_id: request.id.0,
        kind: kind(&request.kind),
        user_id: &request.from,
        room_id,
        message: &request.text,
        time: seconds(request.asked_s),
    }
}

/// What a request asks for.
pub fn kind(kind: &RequestKind) -> &'static str {
    match kind {
        RequestKind::Friend(_) => "friend",
        RequestKind::Room(_) => "room",
    }
}

fn user(user: &UserView) -> UserBody<'_> {
    UserBody {
        user_id: user.account.as_str(),
        user_nickname: &user.nickname,
        user_description: &user.description,
        mode: u32::from(user.online),
    }
}

fn whole_user(view: &UserView) -> WholeUser<'_> {
    WholeUser {
        user: user(view),
        sign_up_time: seconds(view.signed_up_s),
        last_activity_time: seconds(view.last_active_s),
    }
}

fn room(summary: &RoomSummary) -> RoomBody<'_> {
    RoomBody {
        room_id: summary.room.as_str(),
        room_nickname: &summary.nickname,
        room_description: &summary.description,
        room_access_type: access_number(summary.access),
        members: summary.members,
    }
}

fn member(member: &Member) -> MemberBody<'_> {
    MemberBody { user_id: &member.identifier, role: member.role_label() }
}

fn server(info: &ServerInfo) -> ServerBody<'_> {
    let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    ServerBody {
        server_nickname: &info.nickname,
        server_version: &info.version,
        server_description: &info.description,
        protocol_version: PROTOCOL_VERSION,
        time: seconds(info.time_s),
        uptime: seconds(info.started_s),
        number_of_users: count(info.users),
        max_number_of_users: count(info.users_max),
        number_of_online_users: count(info.online),
        max_number_of_online_users: count(info.online_max),
        number_of_rooms: count(info.rooms),
        max_number_of_rooms: count(info.rooms_max),
        messages_in: count(info.messages_in),
        messages_out: count(info.messages_out),
        data_in: info.bytes_in,
        data_out: info.bytes_out,
    }
}
