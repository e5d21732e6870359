//! The `action` dialect: one JSON object per message, both ways.
//!
//! Source: `docs/protocols/action.md` and the protocol's own text. Every request is answered by RESPONSE or ERROR, which
//! echo the request whole, as it was written.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json::{echoed, json, present, raw_with_echo, string};
use super::{Dialect, EventForm, Messages, Needs, Request, Rules, Tag};
use crate::chat::{
    Addressee, Command, Conduct, Credential, Envelope, EventKind, Nickname, Notice, Refusal, Reply, RoomId, RoomRef,
};

pub struct Action;

const RULES: Rules = Rules {
    conduct: Conduct { join_creates: true, ..Conduct::PLAIN },
    message_bytes_max: None,
    long_message_closes: false,
    line_end: b"\n",
};

#[derive(Serialize)]
struct Answer<'a> {
    action: &'static str,
    request: &'a RawValue,
    message: &'a str,
}

#[derive(Serialize)]
struct GetMessage<'a> {
    action: &'static str,
    room_id: RoomIdForm<'a>,
    author: &'a str,
    text: &'a str,
}

/// A room id in the JSON form with which the subscriber joined.
struct RoomIdForm<'a>(EventForm, &'a str);

impl Serialize for RoomIdForm<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            EventForm::ActionHash => serializer.collect_str(&format_args!("#{}", self.1)),
            EventForm::ActionInteger => match RawValue::from_string(self.1.to_owned()) {
                Ok(integer) => integer.serialize(serializer),
                Err(_) => serializer.serialize_str(self.1),
            },
            _ => serializer.serialize_str(self.1),
        }
    }
}

impl Dialect for Action {
    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn form(&self) -> EventForm {
        EventForm::ActionText
    }

    fn decode(&self, message: &[u8]) -> Request {
        let (raw, tag) = raw_with_echo(message);
        let Some(fields) = raw.and_then(|raw| read_fields(raw).ok()) else {
            let command = Err(Refusal::NotAnObject);
            return Request { tag, command, form: self.form(), needs: Needs::Nothing };
        };
        let (command, form) = match command(&fields) {
            Ok((command, form)) => (Ok(command), form),
            Err(refusal) => (Err(refusal), self.form()),
        };
        Request { tag, command, form, needs: Needs::Nothing }
    }

    fn answer<'a>(&self, tag: &'a Tag, outcome: &'a Result<Reply, Refusal>, _: Option<&'a Nickname>) -> Messages<'a> {
        let request = echoed(tag);
        let answer = match outcome {
            Ok(_) => json(&Answer { action: "RESPONSE", request, message: "OK" }),
            Err(refusal) => json(&Answer { action: "ERROR", request, message: &error_text(refusal) }),
        };
        Box::new(std::iter::once(answer))
    }

    fn event(&self, form: EventForm, room: &str, envelope: &Envelope) -> Vec<Vec<u8>> {
        match &envelope.event.kind {
            EventKind::Message { text, .. } => vec![json(&GetMessage {
                action: "GET MESSAGE",
                room_id: RoomIdForm(form, room),
                author: envelope.event.actor.shown_name(),
                text,
            })],
            // Only the extended mode has words for these.
            _ => Vec::new(),
        }
    }

    fn tell(&self, _: EventForm, notice: &Notice) -> Option<Vec<u8>> {
        match notice {
            Notice::Farewell { reason, .. } => {
                let message = reason.notice()?;
                Some(json(&Answer { action: "ERROR", request: RawValue::NULL, message }))
            }
            Notice::Private { message, .. } => {
                let room = format!("@{}", message.from.identifier());
                Some(json(&GetMessage {
                    action: "GET MESSAGE",
                    room_id: RoomIdForm(EventForm::ActionText, &room),
                    author: message.from.shown_name(),
                    text: &message.text,
                }))
            }
            Notice::Mail(mail) => mail.as_private().and_then(|private| self.tell(self.form(), &private)),
            // Only the extended mode has words for these.
            _ => None,
        }
    }
}

/// The fields this dialect knows, unread; of a key that stands twice the last one counts.
#[derive(Default)]
struct Fields<'a> {
    action: Option<&'a RawValue>,
    nickname: Option<&'a RawValue>,
    room_id: Option<&'a RawValue>,
    text: Option<&'a RawValue>,
    password: Option<&'a RawValue>,
    token: Option<&'a RawValue>,
}

fn read_fields(raw: &RawValue) -> Result<Fields<'_>, serde_json::Error> {
    struct Reader;

    impl<'de> Visitor<'de> for Reader {
        type Value = Fields<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
            let mut fields = Fields::default();
            while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                match key.as_ref() {
                    "action" => fields.action = Some(map.next_value()?),
                    "nickname" => fields.nickname = Some(map.next_value()?),
                    "room_id" => fields.room_id = Some(map.next_value()?),
                    "text" => fields.text = Some(map.next_value()?),
                    "password" => fields.password = Some(map.next_value()?),
                    "token" => fields.token = Some(map.next_value()?),
                    _ => {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
            }
            Ok(fields)
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    deserializer.deserialize_map(Reader)
}

fn command(fields: &Fields<'_>) -> Result<(Command, EventForm), Refusal> {
    let action = present(fields.action).ok_or(Refusal::ActionMissing)?;
    let action = string(action).ok_or(Refusal::ActionUnknown)?;
    let text_form = EventForm::ActionText;
    match action.as_ref() {
        "LOGIN NICK" => login(fields).map(|command| (command, text_form)),
        "JOIN ROOM" => {
            let (room, form) = room(fields)?;
            let password = optional(fields.password, "password")?;
            Ok((Command::Join { room, password }, form))
        }
        "LEFT ROOM" => Ok((Command::Leave { room: RoomRef::Named(room(fields)?.0) }, text_form)),
        "SEND MESSAGE" => send(fields).map(|command| (command, text_form)),
        _ => Err(Refusal::ActionUnknown),
    }
}

fn login(fields: &Fields<'_>) -> Result<Command, Refusal> {
    let token = optional(fields.token, "token")?;
    let nickname = match present(fields.nickname) {
        None if token.is_some() => None,
        raw => {
            let nickname = raw.and_then(string).and_then(|raw| Nickname::parse(&raw).ok());
            Some(nickname.ok_or(Refusal::NicknameInvalid)?)
        }
    };
    let password = optional(fields.password, "password")?;
    let credential = match (token, password) {
        (Some(token), _) => Credential::Token(token),
        (None, Some(password)) => Credential::Password(password),
        (None, None) => Credential::None,
    };
    Ok(Command::Login { nickname, credential })
}

/// A room id that begins with `@` is somebody to write to.
fn send(fields: &Fields<'_>) -> Result<Command, Refusal> {
    let text = || present(fields.text).and_then(string).map(Cow::into_owned).ok_or(Refusal::ParameterMissing("text"));
    let target = present(fields.room_id).and_then(string);
    if let Some(name) = target.as_deref().and_then(|target| target.strip_prefix('@')) {
        let to = Addressee::parse(name).map_err(|_| Refusal::ParameterInvalid("room_id"))?;
        return Ok(Command::SendPrivate { to, target: format!("@{name}"), text: text()?, key: None });
    }
    let room = RoomRef::Named(room(fields)?.0);
    Ok(Command::Send { room, text: text()?, key: None })
}

fn optional(field: Option<&RawValue>, name: &'static str) -> Result<Option<String>, Refusal> {
    let Some(raw) = present(field) else { return Ok(None) };
    string(raw).map(|text| Some(text.into_owned())).ok_or(Refusal::ParameterInvalid(name))
}

fn room(fields: &Fields<'_>) -> Result<(RoomId, EventForm), Refusal> {
    let raw = present(fields.room_id).ok_or(Refusal::ParameterMissing("room_id"))?;
    let invalid = Refusal::ParameterInvalid("room_id");
    if let Some(text) = string(raw) {
        let form = if text.starts_with('#') { EventForm::ActionHash } else { EventForm::ActionText };
        return RoomId::parse(&text).map(|room| (room, form)).map_err(|_| invalid);
    }
    let digits = raw.get().strip_prefix('-').unwrap_or(raw.get());
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid);
    }
    let text = if raw.get() == "-0" { "0" } else { raw.get() };
    RoomId::parse(text).map(|room| (room, EventForm::ActionInteger)).map_err(|_| invalid)
}

fn error_text(refusal: &Refusal) -> Cow<'static, str> {
    Cow::Borrowed(match refusal {
        Refusal::NotAnObject => "Unknown message format",
        Refusal::ActionMissing => "Action is not specified",
        Refusal::ActionUnknown => "Action is not supported",
        Refusal::ParameterMissing(name) => return Cow::Owned(format!("Parameter '{name}' is missing")),
        Refusal::ParameterInvalid(name) => return Cow::Owned(format!("Parameter '{name}' is invalid")),
        Refusal::RoomNameInvalid(_) => "Parameter 'room_id' is invalid",
        Refusal::NicknameInvalid => "Parameter 'nickname' is invalid",
        Refusal::DateInvalid(_) => "Parameter 'from' or 'to' is invalid",
        Refusal::FrameTooLong | Refusal::TextTooLong => "Message is too long",
        Refusal::LoginRequired => "Login required",
        Refusal::AlreadyLoggedIn(_) => "You are already logged in",
        Refusal::NicknameInUse => "Nickname already in use",
        Refusal::AlreadyJoined => "You are already registered in that room",
        Refusal::RoomNotFound => "Room not found",
        Refusal::NotJoined | Refusal::NoCurrentRoom => "You should join this room first",
        Refusal::NothingToLeave => "You are already leave this room",
        Refusal::NicknameReserved => "Nickname already in use",
        Refusal::RoomExists => "Room already exists",
        Refusal::UserNotFound | Refusal::NoSuchApplicant => "User not found",
        Refusal::TokenInvalid => "Parameter 'token' is invalid",
        Refusal::Forbidden => "Forbidden",
        Refusal::PasswordRequired => "Room password required",
        Refusal::PasswordWrong => "Wrong room password",
        Refusal::PermissionPending => "Waiting for the permission of the room's owner",
        Refusal::LoginWrong => "Wrong nickname or password",
        Refusal::TooManyAttempts => "Too many wrong attempts, try again later",
        Refusal::TooManyRooms => "Too many rooms",
        Refusal::TooManyRequests | Refusal::TooMany => "Too many requests",
        Refusal::Unavailable => "Service is unavailable, try again",
        // Of requests that this dialect has no words for.
        other => return Cow::Owned(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Request {
        Action.decode(text.as_bytes())
    }

    #[test]
    fn a_room_id_keeps_the_json_form_of_its_join() {
        for (raw, form, room) in [
            (r#""main""#, EventForm::ActionText, "main"),
            (r##""#main""##, EventForm::ActionHash, "main"),
            ("5", EventForm::ActionInteger, "5"),
            ("-7", EventForm::ActionInteger, "-7"),
            ("-0", EventForm::ActionInteger, "0"),
            ("123456789012345678901234567890", EventForm::ActionInteger, "123456789012345678901234567890"),
        ] {
            let request = decode(&format!(r#"{{"action":"JOIN ROOM","room_id":{raw}}}"#));
            let room_id = RoomId::parse(room).unwrap();
            assert_eq!(request.command, Ok(Command::Join { room: room_id, password: None }));
            assert_eq!(request.form, form);
            let shown = json(&RoomIdForm(form, room));
            assert_eq!(String::from_utf8(shown).unwrap(), raw.replace("-0", "0"));
        }
        for raw in ["5.0", "1e3", "[]", "{}", "true", r#""""#, r#""@bob""#, r#""\ud800""#] {
            let request = decode(&format!(r#"{{"action":"JOIN ROOM","room_id":{raw}}}"#));
            assert_eq!(request.command, Err(Refusal::ParameterInvalid("room_id")), "{raw}");
        }
    }

    #[test]
    fn the_last_of_two_equal_keys_counts_and_the_echo_is_verbatim() {
        let text = r#"{"action":"X", "action" : "LOGIN NICK","nickname":"Bob","n":1.50}"#;
        let request = decode(text);
        assert_eq!(
            request.command,
            Ok(Command::Login { nickname: Nickname::parse("Bob").ok(), credential: Credential::None })
        );
        assert_eq!(request.tag, Tag::Echo(text.to_owned()));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_every_answer_is_json(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let request = Action.decode(&bytes);
            let refusal = Err(request.command.err().unwrap_or(Refusal::Unavailable));
            for message in Action.answer(&request.tag, &refusal, None) {
                proptest::prop_assert!(serde_json::from_slice::<serde_json::Value>(&message).is_ok());
            }
        }
    }
}
