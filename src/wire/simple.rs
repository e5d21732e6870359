//! The `simple` dialect: one JSON object per message, both ways; success is told by the event that it causes.
//!
//! Source: `docs/protocols/simple.md` and the protocol's own text. Events and messages have exactly the keys of the source.
//! The extended mode, asked for by the client, adds keys, commands and answers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::json::{echoed, json, present, raw_with_echo, string};
use super::{Dialect, EventForm, Messages, Needs, Request, Rules, Tag, times};
use crate::chat::{
    AccessType, Addressee, Command, Conduct, Credential, Envelope, EventKind, Mail, Nickname, Notice, PrivateMessage,
    Push, Refusal, Reply, RoomId, RoomRef, RoomSummary, RoomWishes,
};

/// Rooms in one page of a list, unless the client asks for fewer.
const LIST_LIMIT: usize = 100;

pub struct Simple {
    pub extended: bool,
}

const RULES: Rules = Rules {
    conduct: Conduct { in_lobby: true, joins_tell_by_event: true, ..Conduct::PLAIN },
    message_bytes_max: None,
    long_message_closes: false,
    line_end: b"\n",
};

#[derive(Serialize)]
struct ParticipantEvent<'a> {
    r#type: &'static str,
    emitter: &'static str,
    identifier: &'a str,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

#[derive(Serialize)]
struct ChannelEvent<'a> {
    r#type: &'static str,
    emitter: &'static str,
    identifier: &'a str,
    event: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    r#type: &'static str,
    emitter: &'static str,
    target: &'a str,
    identifier: &'a str,
    message: &'a str,
    #[serde(flatten)]
    place: Option<Place>,
}

/// Where and when a message stands, for the extended mode.
#[derive(Serialize)]
struct Place {
    id: String,
    time: String,
    epoch: u64,
    offset: u64,
}

#[derive(Serialize)]
struct ErrorMessage<'a> {
    r#type: &'static str,
    code: &'a str,
    message: &'a str,
    request: &'a RawValue,
}

#[derive(Serialize)]
struct Done<'a> {
    r#type: &'static str,
    request: &'a RawValue,
}

#[derive(Serialize)]
struct Welcome<'a> {
    r#type: &'static str,
    identifier: &'a str,
}

#[derive(Serialize)]
struct Channels<'a> {
    r#type: &'static str,
    channels: Vec<Channel<'a>>,
    more: bool,
}

#[derive(Serialize)]
struct Channel<'a> {
    identifier: String,
    access: &'static str,
    nickname: &'a str,
    description: &'a str,
    participants: u64,
}

#[derive(Serialize)]
struct Requests<'a> {
    r#type: &'static str,
    target: String,
    identifiers: Vec<&'a str>,
}

impl Dialect for Simple {
    fn rules(&self) -> &'static Rules {
        &RULES
    }

    fn form(&self) -> EventForm {
        EventForm::Simple { extended: self.extended }
    }

    fn decode(&self, message: &[u8]) -> Request {
        let (raw, tag) = raw_with_echo(message);
        let fields = raw.and_then(|raw| serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(raw.get()).ok());
        let command = match &fields {
            Some(fields) => Fields(fields).command(self.extended),
            None => Err(Refusal::NotAnObject),
        };
        Request { tag, command, form: self.form(), needs: Needs::Nothing }
    }

    fn answer<'a>(&self, tag: &'a Tag, outcome: &'a Result<Reply, Refusal>, _: Option<&'a Nickname>) -> Messages<'a> {
        let answer = match outcome {
            Err(refusal) => Some(error(code(refusal), &refusal.to_string(), echoed(tag))),
            Ok(Reply::SentPrivately { message, to_self: false, .. }) => Some(private(message)),
            Ok(reply) if self.extended => extended_answer(reply, echoed(tag)),
            Ok(_) => None,
        };
        Box::new(answer.into_iter())
    }

    fn event(&self, form: EventForm, room: &str, envelope: &Envelope) -> Vec<Vec<u8>> {
        event(form == (EventForm::Simple { extended: true }), room, envelope).into_iter().collect()
    }

    fn tell(&self, form: EventForm, notice: &Notice) -> Option<Vec<u8>> {
        let extended = form == (EventForm::Simple { extended: true });
        match notice {
            Notice::Farewell { reason, .. } => {
                reason.notice().map(|sentence| error(reason.label(), sentence, RawValue::NULL))
            }
            Notice::Private { message, .. } => Some(private(message)),
            Notice::Asked { room, identifier } => extended.then(|| {
                let target = Some(format!("#{room}"));
                let event = "request";
                json(&ParticipantEvent { r#type: "event", emitter: "participant", identifier, event, target })
            }),
            Notice::Decided { room, approved } => {
                extended.then(|| channel_event(room, if *approved { "approve" } else { "reject" }))
            }
            Notice::Mail(Mail { push: Push::Private { message, .. }, .. }) => Some(private(message)),
            // The lobby says that the room is gone, the room that one was put out.
            Notice::PutOut { .. }
            | Notice::Mail(_)
            | Notice::MailWaiting
            | Notice::News { .. }
            | Notice::Gap { .. }
            | Notice::Typing { .. }
            | Notice::Reconnect { .. }
            | Notice::Closing(_) => None,
        }
    }
}

fn event(extended: bool, room: &str, envelope: &Envelope) -> Option<Vec<u8>> {
    let identifier = &envelope.event.actor.identifier();
    let participant = |event| {
        let target = extended.then(|| format!("#{room}"));
        json(&ParticipantEvent { r#type: "event", emitter: "participant", identifier, event, target })
    };
    match &envelope.event.kind {
        EventKind::Joined | EventKind::Came => Some(participant("join")),
        EventKind::Left | EventKind::Went => Some(participant("left")),
        EventKind::Message { text, .. } => {
            let target = &format!("#{room}");
            let place = extended.then(|| Place::of(envelope));
            Some(json(&Message { r#type: "message", emitter: "participant", target, identifier, message: text, place }))
        }
        EventKind::Removed { who } => {
            let target = extended.then(|| format!("#{room}"));
            let identifier = &who.identifier();
            Some(json(&ParticipantEvent { r#type: "event", emitter: "participant", identifier, event: "left", target }))
        }
        // Nobody's coming or going.
        EventKind::Appointed { .. } | EventKind::Handed { .. } | EventKind::Changed(_) => None,
        EventKind::Created { room } => Some(channel_event(room, "create")),
        // Everybody hears of it in the lobby; those in the room need not hear it twice.
        EventKind::Destroyed { room: destroyed } if destroyed.as_str() == room => None,
        EventKind::Destroyed { room } => Some(channel_event(room, "destroy")),
    }
}

impl Place {
    fn of(envelope: &Envelope) -> Self {
        let (epoch, offset) = (envelope.position.epoch.value(), envelope.position.offset);
        Self { id: format!("{epoch}-{offset}"), time: times::format_rfc3339_ms(envelope.time_us), epoch, offset }
    }
}

fn channel_event(room: &RoomId, event: &'static str) -> Vec<u8> {
    json(&ChannelEvent { r#type: "event", emitter: "channel", identifier: &format!("#{room}"), event })
}

fn private(message: &PrivateMessage) -> Vec<u8> {
    json(&Message {
        r#type: "message",
        emitter: "participant",
        target: &message.target,
        identifier: &message.from.identifier(),
        message: &message.text,
        place: None,
    })
}

fn error(code: &str, message: &str, request: &RawValue) -> Vec<u8> {
    json(&ErrorMessage { r#type: "error", code, message, request })
}

/// What the extended mode answers where the source has the event alone.
fn extended_answer(reply: &Reply, request: &RawValue) -> Option<Vec<u8>> {
    match reply {
        Reply::Welcome { session, nickname, .. } => {
            let identifier = nickname.as_ref().map_or_else(|| session.to_string(), ToString::to_string);
            Some(json(&Welcome { r#type: "welcome", identifier: &identifier }))
        }
        Reply::Left { .. } | Reply::LoggedIn { .. } | Reply::Done => Some(json(&Done { r#type: "ok", request })),
        Reply::Rooms { rooms, more } => {
            let channels = rooms.iter().map(Channel::of).collect();
            Some(json(&Channels { r#type: "channels", channels, more: *more }))
        }
        Reply::Applicants { room, applicants } => {
            let identifiers = applicants.iter().map(|applicant| applicant.identifier.as_str()).collect();
            Some(json(&Requests { r#type: "requests", target: format!("#{room}"), identifiers }))
        }
        Reply::Joined { .. }
        | Reply::Sent { .. }
        | Reply::SentPrivately { .. }
        | Reply::History { .. }
        | Reply::Created { .. }
        | Reply::Destroyed { .. } => None,
        // Answers of requests that this dialect has no words for.
        _ => None,
    }
}

impl<'a> Channel<'a> {
    fn of(room: &'a RoomSummary) -> Self {
        Self {
            identifier: format!("#{}", room.room),
            access: room.access.label(),
            nickname: &room.nickname,
            description: &room.description,
            participants: room.members,
        }
    }
}

/// Where a message goes.
enum Target {
    Channel(RoomId),
    User(Addressee),
}

/// The fields of one request; of a key that stands twice the last one counts.
struct Fields<'a>(&'a BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Fields<'a> {
    fn raw(&self, key: &str) -> Option<&'a RawValue> {
        present(self.0.get(key).copied())
    }

    /// A field's text, if it is there.
    fn optional(&self, key: &'static str) -> Result<Option<Cow<'a, str>>, Refusal> {
        let Some(raw) = self.raw(key) else { return Ok(None) };
        string(raw).map(Some).ok_or(Refusal::ParameterInvalid(key))
    }

    fn text(&self, key: &'static str) -> Result<Cow<'a, str>, Refusal> {
        self.optional(key)?.ok_or(Refusal::ParameterMissing(key))
    }

    fn command(&self, extended: bool) -> Result<Command, Refusal> {
        let r#type = self.raw("type").map(|raw| string(raw).ok_or(Refusal::ActionUnknown)).transpose()?;
        match r#type.as_deref() {
            Some("command") => self.channel_command(extended),
            Some("message") => self.message(),
            None if self.raw("target").is_some() && self.raw("message").is_some() => self.message(),
            Some("hello") => match self.raw("ext").map(RawValue::get) {
                Some("1") => Ok(Command::Hello { token: self.optional("token")?.map(Cow::into_owned) }),
                _ => Err(Refusal::ParameterInvalid("ext")),
            },
            Some(_) => Err(Refusal::ActionUnknown),
            None => Err(Refusal::ActionMissing),
        }
    }

    fn message(&self) -> Result<Command, Refusal> {
        let text = self.text("message")?.into_owned();
        match self.target()? {
            Target::Channel(room) => Ok(Command::Send { room: RoomRef::Named(room), text, key: None }),
            Target::User(to) => {
                Ok(Command::SendPrivate { to, target: self.text("target")?.into_owned(), text, key: None })
            }
        }
    }

    fn channel_command(&self, extended: bool) -> Result<Command, Refusal> {
        let action = self.raw("action").ok_or(Refusal::ActionMissing)?;
        let action = string(action).ok_or(Refusal::ActionUnknown)?;
        match action.as_ref() {
            "create" => Ok(Command::Create { room: self.new_channel()?, wishes: self.wishes()? }),
            "destroy" => Ok(Command::Destroy { room: self.channel()? }),
            "join" => {
                let password = self.optional("password")?.map(Cow::into_owned);
                Ok(Command::Join { room: self.channel()?, password, since: None })
            }
            "leave" => Ok(Command::Leave { room: RoomRef::Named(self.channel()?) }),
            action if extended => self.extended_command(action),
            _ => Err(Refusal::ActionUnknown),
        }
    }

    fn extended_command(&self, action: &str) -> Result<Command, Refusal> {
        match action {
            "change" => Ok(Command::Change { room: self.channel()?, wishes: self.wishes()? }),
            "approve" | "reject" => {
                let who = Addressee::parse(&self.text("identifier")?);
                let who = who.map_err(|_| Refusal::ParameterInvalid("identifier"))?;
                Ok(Command::Decide { room: self.channel()?, who, approve: action == "approve" })
            }
            "appoint" | "dismiss" => {
                let account = Nickname::parse(&self.text("identifier")?);
                let account = account.map_err(|_| Refusal::ParameterInvalid("identifier"))?;
                Ok(Command::Appoint { room: self.channel()?, account, admin: action == "appoint" })
            }
            "requests" => Ok(Command::ListApplicants { room: self.channel()? }),
            "list" => {
                let after = self.optional("after")?;
                let after = after.map(|raw| RoomId::parse(&raw).map_err(|_| Refusal::ParameterInvalid("after")));
                Ok(Command::ListRooms { after: after.transpose()?, limit: self.limit()? })
            }
            "nick" => match self.target()? {
                Target::User(Addressee::Nickname(name)) => {
                    Ok(Command::Login { nickname: Some(name), credential: Credential::None })
                }
                _ => Err(Refusal::NicknameInvalid),
            },
            "login" => self.login(),
            _ => Err(Refusal::ActionUnknown),
        }
    }

    /// With a token, or as `target` with a password.
    fn login(&self) -> Result<Command, Refusal> {
        if let Some(password) = self.optional("password")? {
            let Target::User(Addressee::Nickname(name)) = self.target()? else { return Err(Refusal::NicknameInvalid) };
            let credential = Credential::Password(password.into_owned());
            return Ok(Command::Login { nickname: Some(name), credential });
        }
        Ok(Command::Login { nickname: None, credential: Credential::Token(self.text("token")?.into_owned()) })
    }

    fn limit(&self) -> Result<usize, Refusal> {
        let Some(raw) = self.raw("limit") else { return Ok(LIST_LIMIT) };
        let limit = raw.get().parse().ok().filter(|limit| (1..=LIST_LIMIT).contains(limit));
        limit.ok_or(Refusal::ParameterInvalid("limit"))
    }

    fn wishes(&self) -> Result<RoomWishes, Refusal> {
        let access = self.optional("access")?;
        let access = access.map(|label| AccessType::from_label(&label).ok_or(Refusal::ParameterInvalid("access")));
        let owned = |key| self.optional(key).map(|text| text.map(Cow::into_owned));
        let wishes = RoomWishes {
            access: access.transpose()?,
            password: owned("password")?,
            nickname: owned("nickname")?,
            description: owned("description")?,
        };
        wishes.check().map(|()| wishes)
    }

    fn target(&self) -> Result<Target, Refusal> {
        let invalid = Refusal::ParameterInvalid("target");
        let target = self.text("target")?;
        if target.starts_with('#') {
            return RoomId::parse(&target).map(Target::Channel).map_err(|_| invalid);
        }
        let name = target.strip_prefix('@').ok_or_else(|| invalid.clone())?;
        Addressee::parse(name).map(Target::User).map_err(|_| invalid)
    }

    fn channel(&self) -> Result<RoomId, Refusal> {
        match self.target()? {
            Target::Channel(room) => Ok(room),
            Target::User(_) => Err(Refusal::ParameterInvalid("target")),
        }
    }

    /// A name that a channel may be created under: letters, digits, `_`, `-` and `.`.
    fn new_channel(&self) -> Result<RoomId, Refusal> {
        let room = self.channel()?;
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        if room.as_str().chars().all(plain) { Ok(room) } else { Err(Refusal::ParameterInvalid("target")) }
    }
}

/// The stable code of a refusal. The source defines no errors; these are the page's.
fn code(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::ActionUnknown => "unknown_command",
        Refusal::ParameterMissing("target") | Refusal::ParameterInvalid("target") | Refusal::RoomNameInvalid(_) => {
            "invalid_target"
        }
        Refusal::NotAnObject
        | Refusal::ActionMissing
        | Refusal::ParameterMissing(_)
        | Refusal::ParameterInvalid(_)
        | Refusal::NicknameInvalid
        | Refusal::DateInvalid(_) => "malformed",
        Refusal::FrameTooLong | Refusal::TextTooLong => "too_long",
        Refusal::NicknameInUse => "nickname_in_use",
        Refusal::AlreadyJoined => "already_joined",
        Refusal::RoomNotFound => "channel_not_found",
        Refusal::RoomExists => "channel_exists",
        Refusal::NotJoined | Refusal::NothingToLeave | Refusal::NoCurrentRoom => "not_participant",
        Refusal::UserNotFound | Refusal::NoSuchApplicant => "user_not_found",
        Refusal::LoginRequired
        | Refusal::AlreadyLoggedIn(_)
        | Refusal::NicknameReserved
        | Refusal::TokenInvalid
        | Refusal::Forbidden
        | Refusal::PasswordRequired
        | Refusal::PasswordWrong
        | Refusal::PermissionPending => "forbidden",
        Refusal::TooManyRooms | Refusal::TooManyRequests | Refusal::TooMany => "rate_limited",
        Refusal::LoginWrong => "forbidden",
        Refusal::TooManyAttempts => "rate_limited",
        Refusal::NotMember => "not_participant",
        Refusal::Unavailable => "unavailable",
        // Of requests that this dialect has no words for.
        _ => "malformed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(text: &str, extended: bool) -> Result<Command, Refusal> {
        Simple { extended }.decode(text.as_bytes()).command
    }

    #[test]
    fn channels_are_created_under_plain_names_only() {
        let create = |name: &str| {
            let text = format!(r#"{{"type":"command","action":"create","target":{}}}"#, serde_json::json!(name));
            command(&text, false)
        };
        for name in ["#main", "#a.b-c_d", "#Zoë", "#5", &format!("#{}", "x".repeat(64))] {
            assert!(create(name).is_ok(), "{name}");
        }
        for name in ["main", "#", "##main", "#two words", "#a/b", "@bob", "", &format!("#{}", "x".repeat(65))] {
            assert_eq!(create(name), Err(Refusal::ParameterInvalid("target")), "{name}");
        }
    }

    #[test]
    fn the_extended_commands_need_the_extended_mode() {
        let list = r#"{"type":"command","action":"list"}"#;
        assert_eq!(command(list, false), Err(Refusal::ActionUnknown));
        assert_eq!(command(list, true), Ok(Command::ListRooms { after: None, limit: LIST_LIMIT }));
        assert_eq!(command(r#"{"type":"hello","ext":1}"#, false), Ok(Command::Hello { token: None }));
        assert_eq!(command(r#"{"type":"hello","ext":2}"#, false), Err(Refusal::ParameterInvalid("ext")));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_every_error_is_json(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let dialect = Simple { extended: true };
            let request = dialect.decode(&bytes);
            let refusal = Err(request.command.err().unwrap_or(Refusal::Unavailable));
            let answers: Vec<_> = dialect.answer(&request.tag, &refusal, None).collect();
            proptest::prop_assert_eq!(answers.len(), 1);
            proptest::prop_assert!(serde_json::from_slice::<serde_json::Value>(&answers[0]).is_ok());
        }
    }
}
