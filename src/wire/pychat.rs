//! The `pychat` dialect: a text line in, a compact JSON object out.
//!
//! Source: `docs/protocols/pychat.md` and the protocol's own text. Key order and the joined-up `alphanumericcharacters`
//! are kept on purpose: clients compare text.

use std::borrow::Cow;

use serde::Serialize;

use super::json::json;
use super::{Dialect, EventForm, Messages, Needs, Request, Rules, Tag, pychat_dates, times};
use crate::chat::{
    Addressee, Command, Conduct, Credential, Envelope, EventKind, Nickname, Notice, Refusal, Reply, RoomId, RoomRef,
};

pub struct Pychat;

const RULES: Rules = Rules {
    conduct: Conduct {
        login_first: true,
        login_once: true,
        login_tolerates_clash: true,
        join_creates: true,
        single_room: true,
        sees_own_leaving: true,
        in_step: true,
        ..Conduct::PLAIN
    },
    message_bytes_max: Some(16_384),
    long_message_closes: true,
    line_end: b"\r\n",
};

#[derive(Serialize)]
struct CommandResult<'a> {
    r#type: &'static str,
    result: &'a str,
}

#[derive(Serialize)]
struct Error<'a> {
    r#type: &'static str,
    error: &'a str,
}

#[derive(Serialize)]
struct RoomEvent<'a> {
    body: &'a str,
    r#type: &'static str,
    from: &'a str,
}

#[derive(Serialize)]
struct PrivateMessage<'a> {
    r#type: &'static str,
    body: &'a str,
    from: &'a str,
}

#[derive(Serialize)]
struct History<'a> {
    body: Record<'a>,
    r#type: &'static str,
    from: &'a str,
}

#[derive(Serialize)]
struct Record<'a> {
    body: &'a str,
    from: &'a str,
    room: &'a str,
    utctimestamp: String,
    to: &'a str,
    r#type: &'static str,
}

impl Dialect for Pychat {
    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn form(&self) -> EventForm {
        EventForm::Pychat
    }

    fn decode(&self, message: &[u8]) -> Request {
        let command = match std::str::from_utf8(message) {
            Ok(line) => command(line.trim_end_matches(['\r', '\n'])),
            Err(_) => Err(Refusal::ParameterInvalid("encoding")),
        };
        let needs = match command {
            Err(Refusal::NicknameInvalid | Refusal::ParameterMissing("nickname")) => Needs::NoLogin,
            _ => Needs::Login,
        };
        Request { tag: Tag::Nothing, command, form: EventForm::Pychat, needs }
    }

    fn answer<'a>(
        &self,
        _: &'a Tag,
        outcome: &'a Result<Reply, Refusal>,
        own_name: Option<&'a Nickname>,
    ) -> Messages<'a> {
        let one = |message| Box::new(std::iter::once(message));
        match outcome {
            Ok(Reply::LoggedIn { nickname }) => one(result(&format!("Username set to {nickname}"))),
            Ok(Reply::Joined { room, .. }) => one(result(&format!("Joined room {room}"))),
            Ok(Reply::History { room, records }) => {
                let asker = own_name.map_or("", Nickname::as_str);
                let frames = records.iter().filter_map(move |envelope| history_record(room.as_str(), envelope, asker));
                Box::new(frames.chain(std::iter::once(result("OK"))))
            }
            Ok(_) => one(result("OK")),
            Err(refusal) => one(error(&error_text(refusal))),
        }
    }

    fn event(&self, _: EventForm, _: &str, envelope: &Envelope) -> Vec<Vec<u8>> {
        let event = described(envelope);
        event.iter().map(|Described { r#type, body, from }| json(&RoomEvent { body, r#type, from })).collect()
    }

    fn tell(&self, _: EventForm, notice: &Notice) -> Option<Vec<u8>> {
        match notice {
            Notice::Farewell { reason, .. } => reason.notice().map(error),
            // As if it had left: the dialect has no other word for being out.
            Notice::PutOut { own_name, .. } => {
                let from = own_name.as_ref().map_or("", Nickname::as_str);
                Some(json(&RoomEvent { body: &has_left(from), r#type: "userLeft", from }))
            }
            Notice::Private { message, .. } => {
                let from = &message.from.identifier();
                Some(json(&PrivateMessage { r#type: "privateMessage", body: &message.text, from }))
            }
            Notice::Mail(mail) => mail.as_private().and_then(|private| self.tell(self.form(), &private)),
            Notice::Closing(_)
            | Notice::MailWaiting
            | Notice::Gap { .. }
            | Notice::Typing { .. }
            | Notice::Reconnect { .. }
            | Notice::News { .. }
            | Notice::Asked { .. }
            | Notice::Decided { .. } => None,
        }
    }
}

fn result(text: &str) -> Vec<u8> {
    json(&CommandResult { r#type: "commandResult", result: text })
}

fn error(text: &str) -> Vec<u8> {
    json(&Error { r#type: "error", error: text })
}

/// What an event is in this dialect, the same live and in the history.
struct Described<'a> {
    r#type: &'static str,
    body: Cow<'a, str>,
    from: &'a str,
}

/// `None` for what the dialect has no words for.
fn described(envelope: &Envelope) -> Option<Described<'_>> {
    let from = envelope.event.actor.shown_name();
    match &envelope.event.kind {
        EventKind::Joined | EventKind::Came => {
            Some(Described { r#type: "userJoined", body: format!("User {from} has joined the room").into(), from })
        }
        EventKind::Left | EventKind::Went => Some(Described { r#type: "userLeft", body: has_left(from).into(), from }),
        EventKind::Message { text, .. } => Some(Described { r#type: "message", body: text.into(), from }),
        EventKind::Removed { who } => {
            let from = who.shown_name();
            Some(Described { r#type: "userLeft", body: has_left(from).into(), from })
        }
        // Each member is told by a notice of its own that it is out.
        EventKind::Created { .. } | EventKind::Destroyed { .. } => None,
        EventKind::Appointed { .. } | EventKind::Handed { .. } | EventKind::Changed(_) => None,
    }
}

fn has_left(name: &str) -> String {
    format!("User {name} has left the room")
}

fn history_record(room: &str, envelope: &Envelope, asker: &str) -> Option<Vec<u8>> {
    let Described { r#type, body, from } = described(envelope)?;
    let utctimestamp = times::format_utc(envelope.time_us);
    let body = Record { body: &body, from, room, utctimestamp, to: asker, r#type };
    Some(json(&History { body, r#type: "history", from: asker }))
}

fn command(line: &str) -> Result<Command, Refusal> {
    let (word, rest) = split_word(line);
    match word {
        "LOGIN" => {
            let (name, rest) = split_word(rest);
            if name.is_empty() {
                return Err(Refusal::ParameterMissing("nickname"));
            }
            let fits = (3..=16).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let nickname = Nickname::parse(name).ok().filter(|_| fits).ok_or(Refusal::NicknameInvalid)?;
            let credential = match split_word(rest).0 {
                "" => Credential::None,
                word if looks_like_token(word) => Credential::Token(word.to_owned()),
                _ => Credential::PasswordOfAccount(rest.to_owned()),
            };
            Ok(Command::Login { nickname: Some(nickname), credential })
        }
        "JOIN" => join(without_room_word(rest)),
        "LEAVE" | "LEFT" => Ok(Command::Leave { room: RoomRef::Current }),
        "HISTORY" => {
            let range = pychat_dates::parse_range(rest).map_err(Refusal::DateInvalid)?;
            Ok(Command::History { room: RoomRef::Current, range })
        }
        "MSG" => private(rest),
        "MESSAGE" if rest.is_empty() => Err(Refusal::ParameterMissing("text")),
        "MESSAGE" => Ok(say(rest)),
        _ => Ok(say(line)),
    }
}

fn join(room: &str) -> Result<Command, Refusal> {
    let room = room.trim();
    if room.is_empty() {
        return Err(Refusal::ParameterMissing("room"));
    }
    let invalid = || Refusal::RoomNameInvalid(room.to_owned());
    if !room.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(invalid());
    }
    RoomId::parse(room).map(|room| Command::Join { room, password: None, since: None }).map_err(|_| invalid())
}

/// `MSG name text`; the name with or without `@`, or a session's UUID.
fn private(rest: &str) -> Result<Command, Refusal> {
    let (name, text) = split_word(rest);
    let name = name.strip_prefix('@').unwrap_or(name);
    if name.is_empty() || text.is_empty() {
        return Err(Refusal::ParameterMissing("message"));
    }
    let to = Addressee::parse(name).map_err(|_| Refusal::UserNotFound)?;
    Ok(Command::SendPrivate { to, target: format!("@{name}"), text: text.to_owned(), key: None })
}

/// Whether a word after a login's name is a signed token (RFC 7519, section 3: three parts with dots between) and no mere
/// word, which this dialect has always passed over.
fn looks_like_token(word: &str) -> bool {
    word.starts_with("ey") && word.bytes().filter(|byte| *byte == b'.').count() == 2
}

fn say(text: &str) -> Command {
    Command::Send { room: RoomRef::Current, text: text.to_owned(), key: None }
}

/// `JOIN ROOM red` is `JOIN red`.
fn without_room_word(rest: &str) -> &str {
    match split_word(rest) {
        ("ROOM", after) => after,
        _ => rest,
    }
}

/// The first word and what follows its blanks. A word that merely starts like a command is another word.
fn split_word(line: &str) -> (&str, &str) {
    match line.find([' ', '\t']) {
        Some(end) => (&line[..end], line[end..].trim_start_matches([' ', '\t'])),
        None => (line, ""),
    }
}

fn error_text(refusal: &Refusal) -> String {
    let text = match refusal {
        Refusal::ParameterMissing(_) => "Missing required parameter",
        Refusal::NicknameInvalid => "Invalid nickname",
        Refusal::RoomNameInvalid(name) => {
            return format!("Invalid room name: {name}, please use alphanumericcharacters only");
        }
        Refusal::DateInvalid(date) => return format!("Invalid date: {date}"),
        Refusal::AlreadyLoggedIn(name) => return format!("User already logged in with name {name}"),
        Refusal::LoginRequired => "Login required",
        Refusal::NicknameReserved => "Nickname is reserved",
        Refusal::RoomExists => "Room already exists",
        Refusal::UserNotFound | Refusal::NoSuchApplicant => "User not found",
        Refusal::TokenInvalid => "Invalid token",
        Refusal::Forbidden => "Forbidden",
        Refusal::PasswordRequired | Refusal::PasswordWrong => "Room password required",
        Refusal::PermissionPending => "Waiting for the permission of the room's owner",
        Refusal::NicknameInUse | Refusal::AlreadyJoined => {
            "User with such nickname is already present in the requested room"
        }
        Refusal::NoCurrentRoom | Refusal::NotJoined | Refusal::NothingToLeave => "Join a room first",
        Refusal::RoomNotFound => "Room not found",
        Refusal::FrameTooLong => "Line is too long",
        Refusal::TextTooLong => "Message is too long",
        Refusal::ParameterInvalid(_) => "Message is not valid UTF-8",
        Refusal::NotAnObject | Refusal::ActionMissing | Refusal::ActionUnknown => "Unknown command",
        Refusal::TooManyRooms => "Too many rooms",
        Refusal::TooManyRequests | Refusal::TooMany => "Too many requests",
        Refusal::LoginWrong => "Wrong nickname or password",
        Refusal::TooManyAttempts => "Too many wrong attempts, try again later",
        Refusal::Unavailable => "Service is unavailable, try again",
        // Of requests that this dialect has no words for.
        other => return other.to_string(),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_merely_start_like_a_command_are_messages() {
        for line in ["LEFTOVERS are fine", "LOGINS", "JOINED", "HISTORYbook", "message hi", " JOIN red", "MESSAGES", ""]
        {
            let said = Command::Send { room: RoomRef::Current, text: line.to_owned(), key: None };
            assert_eq!(command(line), Ok(said));
        }
        let said = Command::Send { room: RoomRef::Current, text: "LEFT  he said".to_owned(), key: None };
        assert_eq!(command("MESSAGE LEFT  he said"), Ok(said));
    }

    #[test]
    fn room_aliases_and_odd_rooms() {
        let red = Ok(Command::Join { room: RoomId::parse("red").unwrap(), password: None, since: None });
        assert_eq!(command("JOIN red"), red);
        assert_eq!(command("JOIN ROOM  red "), red);
        assert_eq!(
            command("JOIN ROOMY"),
            Ok(Command::Join { room: RoomId::parse("ROOMY").unwrap(), password: None, since: None })
        );
        assert_eq!(command("JOIN ROOM"), Err(Refusal::ParameterMissing("room")));
        assert_eq!(command("JOIN !@#"), Err(Refusal::RoomNameInvalid("!@#".into())));
        assert_eq!(command("JOIN red blue"), Err(Refusal::RoomNameInvalid("red blue".into())));
    }
}
