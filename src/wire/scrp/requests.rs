//! Requests: each method's fields to the command it stands for. Within a method the checks of formats stand in the order of
//! their error numbers, after every field was found and is of its type.

use super::Needs;
use super::answers::AnswerForm;
use super::fields::{
    DESCRIPTION_CHARS_MAX, Fields, NICKNAME_CHARS_MAX, is_plain, room_description, room_id, room_nickname,
    room_password, user_description, user_id, user_nickname, user_password,
};
use crate::chat::{
    AccessType, Addressee, Command, Credential, From, Refusal, RequestId, RoomRef, RoomWishes, Source, Verdict,
};
use crate::chat::{MessageId, Nickname};

/// Entries in one page, unless the client asks for fewer.
const PAGE_LIMIT: usize = 200;
/// Longest key under which a message is accepted once, in Unicode scalar values.
const KEY_CHARS_MAX: usize = 64;
/// Longest version, of a client or of the protocol.
const VERSION_CHARS_MAX: usize = 16;

/// A request that was understood.
pub struct Asked {
    pub command: Command,
    pub answer: AnswerForm,
}

/// One method of the protocol.
pub struct Method {
    pub needs: Needs,
    pub read: fn(&Fields<'_>) -> Result<Asked, Refusal>,
}

impl std::convert::From<Command> for Asked {
    fn from(command: Command) -> Self {
        Self { command, answer: AnswerForm::Plain }
    }
}

/// Finds a method by its name.
pub fn method(name: &str) -> Option<Method> {
    let (needs, read): (Needs, fn(&Fields<'_>) -> Result<Asked, Refusal>) = match name {
        "SIGN_UP" => (Needs::Nothing, sign_up),
        "LOG_IN" => (Needs::NoLogin, log_in),
        "GET_TIME" => (Needs::Nothing, |_| plain(Command::Time)),
        "GET_SERVER_INFO" => (Needs::Nothing, |_| plain(Command::ServerInfo)),
        "SET_CLIENT_INFO" => (Needs::Nothing, set_client_info),
        _ => (Needs::Login, of_account(name).or_else(|| of_room(name)).or_else(|| of_talk(name))?),
    };
    Some(Method { needs, read })
}

/// Methods about accounts and friends.
fn of_account(name: &str) -> Option<fn(&Fields<'_>) -> Result<Asked, Refusal>> {
    Some(match name {
        "LOG_OFF" => |_| plain(Command::LogOff),
        "DELETE_USER" => |fields| {
            let password = fields.text("user_password")?;
            plain(Command::DeleteAccount { password: user_password(password)? })
        },
        "CHANGE_USER_PASSWORD" => change_user_password,
        "CHANGE_USER_NICKNAME" => |fields| {
            let nickname = Some(user_nickname(fields.text("user_nickname")?)?);
            plain(Command::ChangeProfile { nickname, description: None })
        },
        "CHANGE_USER_DESCRIPTION" => |fields| {
            let description = Some(user_description(fields.text("user_description")?)?);
            plain(Command::ChangeProfile { nickname: None, description })
        },
        "ADD_FRIEND" => add_friend,
        "REMOVE_FRIEND" => |fields| plain(Command::Unfriend { who: subject(fields)? }),
        "GET_FRIENDS" => |_| Ok(Asked { command: Command::ListFriends, answer: AnswerForm::Friends }),
        "GET_REQUESTS" => |_| plain(Command::ListRequests),
        "HANDLE_REQUEST" => |fields| settle(fields, verdict(fields.uint32("action_type")?)?),
        "APPROVE_REQUEST" => |fields| settle(fields, Verdict::Approve),
        "REJECT_REQUEST" => |fields| settle(fields, Verdict::Reject),
        "IGNORE_REQUEST" => |fields| settle(fields, Verdict::Ignore),
        "GET_USER" => |fields| plain(Command::ViewUser { who: user_id(&fields.text("user_id")?)? }),
        "GET_USER_LAST_ACTIVITY_TIME" => |fields| {
            let command = Command::ViewUser { who: user_id(&fields.text("user_id")?)? };
            Ok(Asked { command, answer: AnswerForm::LastActivity })
        },
        "SEARCH_USER" => |fields| {
            let (query, after, limit) = search(fields)?;
            plain(Command::SearchUsers { query, after, limit })
        },
        _ => return None,
    })
}

/// Methods about rooms.
fn of_room(name: &str) -> Option<fn(&Fields<'_>) -> Result<Asked, Refusal>> {
    Some(match name {
        "CREATE_ROOM" => create_room,
        "ENTER_ROOM" => enter_room,
        "LEAVE_ROOM" => |fields| {
            let room = RoomRef::Named(room_id(&fields.text("room_id")?)?);
            plain(Command::Leave { room })
        },
        "REMOVE_ROOM" => |fields| plain(Command::Destroy { room: room_id(&fields.text("room_id")?)? }),
        "CHANGE_ROOM_ACCESS" => change_room_access,
        "CHANGE_ROOM_NICKNAME" => change_room_nickname,
        "CHANGE_ROOM_DESCRIPTION" => change_room_description,
        "REMOVE_USER_FROM_ROOM" => |fields| {
            let (who, room) = subject_in_room(fields)?;
            plain(Command::Remove { room, who })
        },
        "SET_ADMIN" => |fields| {
            let (account, room) = subject_in_room(fields)?;
            plain(Command::Appoint { room, account, admin: true })
        },
        "REMOVE_ADMIN" => |fields| {
            let (account, room) = subject_in_room(fields)?;
            plain(Command::Appoint { room, account, admin: false })
        },
        "TRANSFER_ROOM" => |fields| {
            let (to, room) = subject_in_room(fields)?;
            plain(Command::HandOver { room, to })
        },
        "GET_ROOM" => |fields| plain(Command::ViewRoom { room: room_id(&fields.text("room_id")?)? }),
        "GET_ROOM_ACCESS_TYPE" => |fields| {
            let command = Command::ViewRoom { room: room_id(&fields.text("room_id")?)? };
            Ok(Asked { command, answer: AnswerForm::AccessType })
        },
        "GET_ROOMS" => |_| plain(Command::ListEnrolments),
        "GET_ROOM_MEMBERS" => get_room_members,
        "SEARCH_ROOM" => |fields| {
            let (query, after, limit) = search(fields)?;
            plain(Command::SearchRooms { query, after, limit })
        },
        _ => return None,
    })
}

/// Methods about messages.
fn of_talk(name: &str) -> Option<fn(&Fields<'_>) -> Result<Asked, Refusal>> {
    Some(match name {
        "SEND_ROOM_MESSAGE" => send_room_message,
        "SEND_PRIVATE_MESSAGE" => send_private_message,
        "RECEIVE_MESSAGE" => receive_message,
        _ => return None,
    })
}

fn plain(command: Command) -> Result<Asked, Refusal> {
    Ok(command.into())
}

fn sign_up(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, password) = (fields.text("user_id")?, fields.text("user_password")?);
    let nickname = fields.text("user_nickname")?;
    let account = user_id(&id)?;
    plain(Command::SignUp { account, password: user_password(password)?, nickname: user_nickname(nickname)? })
}

fn log_in(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, password) = (fields.text("user_id")?, fields.text("user_password")?);
    let nickname = Some(user_id(&id)?);
    plain(Command::Login { nickname, credential: Credential::Password(user_password(password)?) })
}

fn change_user_password(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (old, new) = (fields.text("old_user_password")?, fields.text("new_user_password")?);
    plain(Command::ChangePassword { old: user_password(old)?, new: user_password(new)? })
}

/// Section 1.3: the client says what it is. There is no error number for what does not fit, so it is not understood.
fn set_client_info(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    for (key, chars_max, is_ascii) in [
        ("client_nickname", NICKNAME_CHARS_MAX, false),
        ("client_version", VERSION_CHARS_MAX, true),
        ("client_description", DESCRIPTION_CHARS_MAX, false),
        ("protocol_version", VERSION_CHARS_MAX, true),
    ] {
        let text = fields.optional_text(key)?.unwrap_or_default();
        if !is_plain(&text, chars_max) || (is_ascii && !text.is_ascii()) {
            return Err(Refusal::ParameterInvalid(key));
        }
    }
    fields.optional_uint32("time")?;
    plain(Command::Introduce)
}

/// The source writes the field's name with a blank. What it holds follows the rule for descriptions, whose error is the one
/// that the source lists here.
fn add_friend(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let subject = fields.text("subject_user_id")?;
    let text = match fields.optional_text("verification message")? {
        Some(text) => text,
        None => fields.text("verification_message")?,
    };
    let who = user_id(&subject)?;
    plain(Command::Befriend { who, text: user_description(text)? })
}

fn subject(fields: &Fields<'_>) -> Result<Nickname, Refusal> {
    user_id(&fields.text("subject_user_id")?)
}

fn subject_in_room(fields: &Fields<'_>) -> Result<(Nickname, crate::chat::RoomId), Refusal> {
    let (subject, room) = (fields.text("subject_user_id")?, fields.text("room_id")?);
    Ok((user_id(&subject)?, room_id(&room)?))
}

fn settle(fields: &Fields<'_>, verdict: Verdict) -> Result<Asked, Refusal> {
    plain(Command::Settle { request: RequestId(fields.uint32("target_request_id")?), verdict })
}

fn verdict(action_type: u32) -> Result<Verdict, Refusal> {
    match action_type {
        0 => Ok(Verdict::Reject),
        1 => Ok(Verdict::Approve),
        2 => Ok(Verdict::Ignore),
        _ => Err(Refusal::ParameterInvalid("action_type")),
    }
}

fn create_room(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, nickname) = (fields.text("room_id")?, fields.text("room_nickname")?);
    let (access, given) = (fields.access()?, fields.optional_text("room_password")?);
    let room = room_id(&id)?;
    let password = password_for(access, given)?;
    let nickname = Some(room_nickname(nickname)?);
    let access = Some(access.ok_or(Refusal::AccessTypeInvalid)?);
    plain(Command::Create { room, wishes: RoomWishes { access, password, nickname, description: None } })
}

fn change_room_access(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let id = fields.text("room_id")?;
    let (access, given) = (fields.access()?, fields.optional_text("room_password")?);
    let room = room_id(&id)?;
    let password = password_for(access, given)?;
    let access = Some(access.ok_or(Refusal::AccessTypeInvalid)?);
    plain(Command::Change { room, wishes: RoomWishes { access, password, ..RoomWishes::default() } })
}

/// The password of a room that is to have one; whatever stands in the field otherwise is nobody's concern.
fn password_for(
    access: Option<AccessType>,
    given: Option<std::borrow::Cow<'_, str>>,
) -> Result<Option<String>, Refusal> {
    match access {
        Some(AccessType::Password) => room_password(given.unwrap_or_default()).map(Some),
        _ => Ok(None),
    }
}

fn enter_room(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, given) = (fields.text("room_id")?, fields.optional_text("room_password")?);
    let room = room_id(&id)?;
    plain(Command::Join { room, password: given.map(room_password).transpose()? })
}

fn change_room_nickname(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, nickname) = (fields.text("room_id")?, fields.text("new_room_nickname")?);
    let room = room_id(&id)?;
    let nickname = Some(room_nickname(nickname)?);
    plain(Command::Change { room, wishes: RoomWishes { nickname, ..RoomWishes::default() } })
}

fn change_room_description(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, description) = (fields.text("room_id")?, fields.text("new_room_description")?);
    let room = room_id(&id)?;
    let description = Some(room_description(description)?);
    plain(Command::Change { room, wishes: RoomWishes { description, ..RoomWishes::default() } })
}

/// The cursor of a member list is the number of members before it.
fn get_room_members(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, limit) = (fields.text("room_id")?, limit(fields)?);
    let cursor = fields.optional_text("cursor")?;
    let skip = cursor.map(|cursor| cursor.parse::<u32>().map_err(|_| Refusal::ParameterInvalid("cursor")));
    let skip = skip.transpose()?.unwrap_or(0) as usize;
    let command = Command::ListMembers { room: room_id(&id)?, skip, limit };
    Ok(Asked { command, answer: AnswerForm::Members { skip } })
}

fn search(fields: &Fields<'_>) -> Result<(String, Option<String>, usize), Refusal> {
    let (query, cursor) = (fields.text("query")?, fields.optional_text("cursor")?);
    Ok((query.into_owned(), cursor.map(std::borrow::Cow::into_owned), limit(fields)?))
}

fn limit(fields: &Fields<'_>) -> Result<usize, Refusal> {
    let limit = fields.optional_uint32("limit")?.map_or(PAGE_LIMIT, |limit| limit as usize);
    if (1..=PAGE_LIMIT).contains(&limit) { Ok(limit) } else { Err(Refusal::ParameterInvalid("limit")) }
}

fn key(fields: &Fields<'_>) -> Result<Option<String>, Refusal> {
    let Some(key) = fields.optional_text("key")? else { return Ok(None) };
    let fits = !key.is_empty() && is_plain(&key, KEY_CHARS_MAX);
    if fits { Ok(Some(key.into_owned())) } else { Err(Refusal::ParameterInvalid("key")) }
}

fn send_room_message(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, text, key) = (fields.text("room_id")?, fields.text("content")?, key(fields)?);
    let room = RoomRef::Named(room_id(&id)?);
    plain(Command::Send { room, text: text.into_owned(), key })
}

fn send_private_message(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, text, key) = (fields.text("user_id")?, fields.text("content")?, key(fields)?);
    let to = Addressee::Nickname(user_id(&id)?);
    plain(Command::SendPrivate { to, target: format!("@{id}"), text: text.into_owned(), key })
}

/// `since` reads forwards, `before` backwards; with neither it is the newest messages.
fn receive_message(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (user, room) = (fields.optional_text("user_id")?, fields.optional_text("room_id")?);
    let (since, before) = (fields.optional_uint32("since")?, fields.optional_uint32("before")?);
    let limit = limit(fields)?;
    let from = match (since, before) {
        (Some(since), None) => From::After(MessageId(since)),
        (None, Some(before)) => From::Before(MessageId(before)),
        (None, None) => From::End,
        (Some(_), Some(_)) => return Err(Refusal::ParameterInvalid("before")),
    };
    let source = match (user, room) {
        (Some(user), None) => Source::Talk(user_id(&user)?),
        (None, Some(room)) => Source::Room(room_id(&room)?),
        (None, None) => Source::Everywhere,
        (Some(_), Some(_)) => return Err(Refusal::ParameterInvalid("room_id")),
    };
    plain(Command::Receive { source, from, limit })
}
