//! Requests: each method's fields to the command it stands for. Within a method the checks of formats stand in the order of
//! their error numbers, after every field was found and is of its type.

use std::borrow::Cow;

use super::answers::AnswerForm;
use super::fields::{
    DESCRIPTION_CHARS_MAX, Fields, NICKNAME_CHARS_MAX, is_plain, room_description, room_id, room_nickname,
    room_password, user_description, user_id, user_nickname, user_password,
};
use crate::chat::{
    AccessType, Addressee, Command, Credential, From, MessageId, Nickname, Refusal, RequestId, RoomId, RoomRef,
    RoomWishes, Source, Verdict,
};

/// Entries in one page, unless the client asks for fewer.
const PAGE_LIMIT: usize = 200;
/// Hits in one page of a search, unless the client asks for another number: what a person looks at.
const SEARCH_LIMIT: usize = 20;
/// Longest key under which a message is accepted once, in Unicode scalar values.
const KEY_CHARS_MAX: usize = 64;
/// Longest version, of a client or of the protocol.
const VERSION_CHARS_MAX: usize = 16;

/// A request that was understood.
pub struct Asked {
    pub command: Command,
    pub answer: AnswerForm,
}

/// A request whose answer needs no form of its own.
pub fn plain(command: Command) -> Result<Asked, Refusal> {
    Ok(Asked { command, answer: AnswerForm::Plain })
}

pub fn sign_up(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, password) = (fields.text("user_id")?, fields.text("user_password")?);
    let nickname = fields.text("user_nickname")?;
    let account = user_id(&id)?;
    plain(Command::SignUp { account, password: user_password(password)?, nickname: user_nickname(nickname)? })
}

pub fn log_in(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, password) = (fields.text("user_id")?, fields.text("user_password")?);
    let nickname = Some(user_id(&id)?);
    plain(Command::Login { nickname, credential: Credential::Password(user_password(password)?) })
}

pub fn change_user_password(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (old, new) = (fields.text("old_user_password")?, fields.text("new_user_password")?);
    plain(Command::ChangePassword { old: user_password(old)?, new: user_password(new)? })
}

/// Section 1.3: the client says what it is. There is no error number for what does not fit, so it is not understood.
pub fn set_client_info(fields: &Fields<'_>) -> Result<Asked, Refusal> {
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
    let extended = match fields.optional_uint32("ext")? {
        None | Some(0) => false,
        Some(1) => true,
        Some(_) => return Err(Refusal::ParameterInvalid("ext")),
    };
    plain(Command::Introduce { extended })
}

/// The source writes the field's name with a blank. What it holds follows the rule for descriptions, whose error is the one
/// that the source lists here.
pub fn add_friend(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let subject = fields.text("subject_user_id")?;
    let text = match fields.optional_text("verification message")? {
        Some(text) => text,
        None => fields.text("verification_message")?,
    };
    let who = user_id(&subject)?;
    plain(Command::Befriend { who, text: user_description(text)? })
}

pub fn subject(fields: &Fields<'_>) -> Result<Nickname, Refusal> {
    user_id(&fields.text("subject_user_id")?)
}

pub fn subject_in_room(fields: &Fields<'_>) -> Result<(Nickname, RoomId), Refusal> {
    let (subject, room) = (fields.text("subject_user_id")?, fields.text("room_id")?);
    Ok((user_id(&subject)?, room_id(&room)?))
}

pub fn settle(fields: &Fields<'_>, verdict: Verdict) -> Result<Asked, Refusal> {
    plain(Command::Settle { request: RequestId(fields.uint32("target_request_id")?), verdict })
}

pub fn verdict(action_type: u32) -> Result<Verdict, Refusal> {
    match action_type {
        0 => Ok(Verdict::Reject),
        1 => Ok(Verdict::Approve),
        2 => Ok(Verdict::Ignore),
        _ => Err(Refusal::ParameterInvalid("action_type")),
    }
}

pub fn create_room(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, nickname) = (fields.text("room_id")?, fields.text("room_nickname")?);
    let (access, given) = (fields.access()?, fields.optional_text("room_password")?);
    let room = room_id(&id)?;
    let password = password_for(access, given)?;
    let nickname = Some(room_nickname(nickname)?);
    let access = Some(access.ok_or(Refusal::AccessTypeInvalid)?);
    plain(Command::Create { room, wishes: RoomWishes { access, password, nickname, description: None } })
}

pub fn change_room_access(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let id = fields.text("room_id")?;
    let (access, given) = (fields.access()?, fields.optional_text("room_password")?);
    let room = room_id(&id)?;
    let password = password_for(access, given)?;
    let access = Some(access.ok_or(Refusal::AccessTypeInvalid)?);
    plain(Command::Change { room, wishes: RoomWishes { access, password, ..RoomWishes::default() } })
}

/// The password of a room that is to have one; whatever stands in the field otherwise is nobody's concern.
fn password_for(access: Option<AccessType>, given: Option<Cow<'_, str>>) -> Result<Option<String>, Refusal> {
    match access {
        Some(AccessType::Password) => room_password(given.unwrap_or_default()).map(Some),
        _ => Ok(None),
    }
}

pub fn enter_room(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, given) = (fields.text("room_id")?, fields.optional_text("room_password")?);
    let room = room_id(&id)?;
    plain(Command::Join { room, password: given.map(room_password).transpose()?, since: None })
}

pub fn change_room_nickname(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, nickname) = (fields.text("room_id")?, fields.text("new_room_nickname")?);
    let room = room_id(&id)?;
    let nickname = Some(room_nickname(nickname)?);
    plain(Command::Change { room, wishes: RoomWishes { nickname, ..RoomWishes::default() } })
}

pub fn change_room_description(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, description) = (fields.text("room_id")?, fields.text("new_room_description")?);
    let room = room_id(&id)?;
    let description = Some(room_description(description)?);
    plain(Command::Change { room, wishes: RoomWishes { description, ..RoomWishes::default() } })
}

/// The cursor of a member list is the number of members before it.
pub fn get_room_members(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, limit) = (fields.text("room_id")?, limit(fields)?);
    let cursor = fields.optional_text("cursor")?;
    let skip = cursor.map(|cursor| cursor.parse::<u32>().map_err(|_| Refusal::ParameterInvalid("cursor")));
    let skip = skip.transpose()?.unwrap_or(0) as usize;
    let command = Command::ListMembers { room: room_id(&id)?, skip, limit };
    Ok(Asked { command, answer: AnswerForm::Members { skip } })
}

pub fn search(fields: &Fields<'_>) -> Result<(String, Option<String>, usize), Refusal> {
    let (query, cursor) = (fields.text("query")?, fields.optional_text("cursor")?);
    Ok((query.into_owned(), cursor.map(Cow::into_owned), limit_or(SEARCH_LIMIT, fields)?))
}

fn limit(fields: &Fields<'_>) -> Result<usize, Refusal> {
    limit_or(PAGE_LIMIT, fields)
}

fn limit_or(default: usize, fields: &Fields<'_>) -> Result<usize, Refusal> {
    let limit = fields.optional_uint32("limit")?.map_or(default, |limit| limit as usize);
    if (1..=PAGE_LIMIT).contains(&limit) { Ok(limit) } else { Err(Refusal::ParameterInvalid("limit")) }
}

fn key(fields: &Fields<'_>) -> Result<Option<String>, Refusal> {
    let Some(key) = fields.optional_text("key")? else { return Ok(None) };
    let fits = !key.is_empty() && is_plain(&key, KEY_CHARS_MAX);
    if fits { Ok(Some(key.into_owned())) } else { Err(Refusal::ParameterInvalid("key")) }
}

pub fn send_room_message(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, text, key) = (fields.text("room_id")?, fields.text("content")?, key(fields)?);
    let room = RoomRef::Named(room_id(&id)?);
    plain(Command::Send { room, text: text.into_owned(), key })
}

pub fn send_private_message(fields: &Fields<'_>) -> Result<Asked, Refusal> {
    let (id, text, key) = (fields.text("user_id")?, fields.text("content")?, key(fields)?);
    let to = Addressee::Nickname(user_id(&id)?);
    plain(Command::SendPrivate { to, target: format!("@{id}"), text: text.into_owned(), key })
}

/// `since` reads forwards, `before` backwards; with neither it is the newest messages.
pub fn receive_message(fields: &Fields<'_>) -> Result<Asked, Refusal> {
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
