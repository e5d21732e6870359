//! Requests: the fields of each action to the command it stands for.

use serde_json::value::RawValue;

use super::fields::{Fields, instant, key, known_rooms, nickname, number, optional, position, room, text};
use crate::chat::{Addressee, Command, Credential, MessageId, Page, Place, Refusal, RoomId, RoomRef, Span, TimeRange};
use crate::wire::json::{present, string};
use crate::wire::{EventForm, RoomSpelling};

/// Messages in one page of a history, at most.
const HISTORY_LIMIT: usize = 200;
/// Messages in one page of a history, unless the client asks for another number.
const HISTORY_PAGE: usize = 50;
/// Rooms or members in one page of a list, at most and unless the client asks for fewer.
const LIST_LIMIT: usize = 100;
/// Members that may be skipped: more than a room is made for, few enough for a cursor of any backend.
const SKIP_MAX: usize = 10_000_000;

type Read = Result<(Command, EventForm), Refusal>;

/// The command of a request, and the form in which events of a room that it joins are wanted.
pub fn command(fields: &Fields<'_>, extended: bool) -> Read {
    let action = present(fields.action).ok_or(Refusal::ActionMissing)?;
    let action = string(action).ok_or(Refusal::ActionUnknown)?;
    let form = EventForm::Action { spelling: RoomSpelling::Text, extended };
    let plain = |command: Result<Command, Refusal>| command.map(|command| (command, form));
    match action.as_ref() {
        "LOGIN NICK" => plain(login(fields)),
        "JOIN ROOM" => join(fields, extended),
        "LEFT ROOM" => plain(room(fields.room_id).map(|(room, _)| Command::Leave { room: RoomRef::Named(room) })),
        "SEND MESSAGE" => plain(send(fields, extended)),
        // Without `ext` it is an action like any other that is not there.
        "HELLO" if present(fields.ext).is_some() => plain(hello(fields)),
        action if extended => plain(extended_command(action, fields)),
        _ => Err(Refusal::ActionUnknown),
    }
}

/// Whether it is the one request that names several rooms.
pub fn is_resume(fields: &Fields<'_>) -> bool {
    present(fields.action).and_then(string).as_deref() == Some("RESUME")
}

/// The command, and the forms in which events of the rooms that it names are wanted, in their order.
pub fn resume(fields: &Fields<'_>) -> Result<(Command, Vec<EventForm>), Refusal> {
    let token = optional(fields.token, "token")?.ok_or(Refusal::ParameterMissing("token"))?;
    let known = known_rooms(fields.rooms)?;
    let form = |spelling| EventForm::Action { spelling, extended: true };
    let forms = known.iter().map(|(_, spelling, _)| form(*spelling)).collect();
    let rooms = known.into_iter().map(|(room, _, position)| (room, position)).collect();
    Ok((Command::Resume { token, rooms }, forms))
}

fn extended_command(action: &str, fields: &Fields<'_>) -> Result<Command, Refusal> {
    let named = || room(fields.room_id).map(|(room, _)| room);
    match action {
        "GET HISTORY" => history(named()?, fields),
        "LIST ROOMS" => {
            let after = optional(fields.after, "after")?;
            let after = after.map(|raw| RoomId::parse(&raw).map_err(|_| Refusal::ParameterInvalid("after")));
            Ok(Command::ListRooms { after: after.transpose()?, limit: limit(fields, LIST_LIMIT, LIST_LIMIT)? })
        }
        "LIST MEMBERS" => {
            let skip = number(fields.skip, "skip", 0..=SKIP_MAX)?.unwrap_or_default();
            Ok(Command::ListMembers { room: named()?, skip, limit: limit(fields, LIST_LIMIT, LIST_LIMIT)? })
        }
        "SEND PRIVATE" => send_private(fields),
        "TYPING" => Ok(Command::Typing { room: named()? }),
        "PING" => Ok(Command::Ping),
        _ => Err(Refusal::ActionUnknown),
    }
}

fn hello(fields: &Fields<'_>) -> Result<Command, Refusal> {
    match fields.ext.map(RawValue::get) {
        Some("1") => Ok(Command::Hello { token: optional(fields.token, "token")? }),
        _ => Err(Refusal::ParameterInvalid("ext")),
    }
}

fn login(fields: &Fields<'_>) -> Result<Command, Refusal> {
    let token = optional(fields.token, "token")?;
    let nickname = match present(fields.nickname) {
        None if token.is_some() => None,
        raw => Some(nickname(raw)?),
    };
    let password = optional(fields.password, "password")?;
    let credential = match (token, password) {
        (Some(token), _) => Credential::Token(token),
        (None, Some(password)) => Credential::Password(password),
        (None, None) => Credential::None,
    };
    Ok(Command::Login { nickname, credential })
}

fn join(fields: &Fields<'_>, extended: bool) -> Read {
    let (room, spelling) = room(fields.room_id)?;
    let password = optional(fields.password, "password")?;
    let since = if extended { position(fields.since, "since")? } else { None };
    Ok((Command::Join { room, password, since }, EventForm::Action { spelling, extended }))
}

/// A room id that begins with `@` is somebody to write to.
fn send(fields: &Fields<'_>, extended: bool) -> Result<Command, Refusal> {
    let target = present(fields.room_id).and_then(string);
    let key = || if extended { key(fields.key) } else { Ok(None) };
    if let Some(name) = target.as_deref().and_then(|target| target.strip_prefix('@')) {
        let to = Addressee::parse(name).map_err(|_| Refusal::ParameterInvalid("room_id"))?;
        return Ok(Command::SendPrivate { to, target: format!("@{name}"), text: text(fields.text)?, key: key()? });
    }
    let room = RoomRef::Named(room(fields.room_id)?.0);
    Ok(Command::Send { room, text: text(fields.text)?, key: key()? })
}

/// `to` is a nickname or a session's UUID, with or without the `@` that stands before it in other places.
fn send_private(fields: &Fields<'_>) -> Result<Command, Refusal> {
    let to = optional(fields.to, "to")?.ok_or(Refusal::ParameterMissing("to"))?;
    let name = to.strip_prefix('@').unwrap_or(&to);
    let addressee = Addressee::parse(name).map_err(|_| Refusal::ParameterInvalid("to"))?;
    let (target, text) = (format!("@{name}"), text(fields.text)?);
    Ok(Command::SendPrivate { to: addressee, target, text, key: key(fields.key)? })
}

/// `before` and `after` are places among the room's messages; from `from` on a page leads forwards, else it is the newest.
fn history(room: RoomId, fields: &Fields<'_>) -> Result<Command, Refusal> {
    let (before, after) = (place(fields.before, "before")?, place(fields.after, "after")?);
    let range = TimeRange { from_us: instant(fields.from, "from")?, to_us: instant(fields.to, "to")? };
    let span = match (before, after) {
        (Some(_), Some(_)) => return Err(Refusal::ParameterInvalid("after")),
        (Some(place), None) => Span::Before(place),
        (None, Some(place)) => Span::After(place),
        (None, None) if range.from_us.is_some() => Span::Oldest,
        (None, None) => Span::Newest,
    };
    let limit = limit(fields, HISTORY_PAGE, HISTORY_LIMIT)?;
    Ok(Command::ReadPage { room, page: Page { span, range, limit } })
}

/// A position, or the number of a message.
fn place(field: Option<&RawValue>, name: &'static str) -> Result<Option<Place>, Refusal> {
    let Some(raw) = present(field) else { return Ok(None) };
    if let Ok(id) = raw.get().parse() {
        return Ok(Some(Place::Message(MessageId(id))));
    }
    Ok(position(field, name)?.map(Place::At))
}

fn limit(fields: &Fields<'_>, usual: usize, max: usize) -> Result<usize, Refusal> {
    Ok(number(fields.limit, "limit", 1..=max)?.unwrap_or(usual))
}
