//! The words of the dialects, as far as a client has to know them.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::node::Node;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Dialect {
    Action,
    Simple,
    Pychat,
    Scrp,
}

/// A message as its receiver sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    pub author: String,
    pub text: String,
}

use Dialect::{Action, Pychat, Scrp, Simple};

/// What every account that the tests make in `scrp` is logged in with.
pub const PASSWORD: &str = "open sesame";

/// What a frame is to somebody who waits for the reply to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    Reply,
    /// The event that the request caused, where that is the only sign of its success.
    OwnEvent,
    /// A message of one's own, which is a sign of success and is to be read as a message all the same.
    OwnMessage,
    Other,
}

impl Dialect {
    pub const ALL: [Self; 4] = [Action, Simple, Pychat, Scrp];
    /// Those in which somebody without an account can take part.
    pub const OF_GUESTS: [Self; 3] = [Action, Simple, Pychat];

    pub fn label(self) -> &'static str {
        match self {
            Action => "action",
            Simple => "simple",
            Pychat => "pychat",
            Scrp => "scrp",
        }
    }

    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.label() == label)
    }

    /// The end of every line that the server sends over TCP; nothing where messages have their lengths before them.
    pub fn line_end(self) -> Option<&'static str> {
        match self {
            Action | Simple => Some("\n"),
            Pychat => Some("\r\n"),
            Scrp => None,
        }
    }

    pub fn tcp_listener(self) -> &'static str {
        match self {
            Action => "action_tcp",
            Simple => "simple_tcp",
            Pychat => "pychat",
            Scrp => "scrp",
        }
    }

    pub fn websocket_path(self) -> &'static str {
        match self {
            Action => "/chat/action",
            Simple => "/chat/simple",
            Pychat => "/chat/pychat",
            Scrp => "/chat/scrp",
        }
    }

    /// What has to be said before a claim is understood.
    pub fn greeting(self) -> Option<&'static str> {
        (self == Simple).then_some(r#"{"type":"hello","ext":1}"#)
    }

    /// What begins the extended mode, as an account where a token of one is given; `None` where there is no such mode.
    pub fn hello(self, token: Option<&str>) -> Option<String> {
        let mut hello = match self {
            Action => json!({"action": "HELLO", "ext": 1}),
            Simple => json!({"type": "hello", "ext": 1}),
            Scrp => return Some(request("SET_CLIENT_INFO", json!({"ext": 1}))),
            Pychat => return None,
        };
        if let Some(token) = token {
            hello["token"] = json!(token);
        }
        Some(hello.to_string())
    }

    /// In `simple` this needs the [`Self::greeting`] first, in `scrp` a [`sign_up`].
    pub fn claim(self, nickname: &str) -> String {
        match self {
            Action => json!({"action": "LOGIN NICK", "nickname": nickname}).to_string(),
            Simple => command("nick", &format!("@{nickname}")),
            Pychat => format!("LOGIN {nickname}"),
            Scrp => request("LOG_IN", json!({"user_id": nickname, "user_password": PASSWORD})),
        }
    }

    /// Logs in as an account, whose name is `account`, by a token; `scrp` has no word for that.
    pub fn login(self, account: &str, token: &str) -> String {
        match self {
            Action => json!({"action": "LOGIN NICK", "nickname": account, "token": token}).to_string(),
            Simple => json!({"type": "hello", "ext": 1, "token": token}).to_string(),
            Pychat => format!("LOGIN {account} {token}"),
            Scrp => self.claim(account),
        }
    }

    pub fn join(self, room: &str) -> String {
        match self {
            Action => json!({"action": "JOIN ROOM", "room_id": room}).to_string(),
            Simple => command("join", &format!("#{room}")),
            Pychat => format!("JOIN {room}"),
            Scrp => request("ENTER_ROOM", json!({"room_id": room})),
        }
    }

    pub fn leave(self, room: &str) -> String {
        match self {
            Action => json!({"action": "LEFT ROOM", "room_id": room}).to_string(),
            Simple => command("leave", &format!("#{room}")),
            Pychat => "LEAVE".to_owned(),
            Scrp => request("LEAVE_ROOM", json!({"room_id": room})),
        }
    }

    pub fn say(self, room: &str, text: &str) -> String {
        match self {
            Action => json!({"action": "SEND MESSAGE", "room_id": room, "text": text}).to_string(),
            Simple => json!({"type": "message", "target": format!("#{room}"), "message": text}).to_string(),
            Pychat => format!("MESSAGE {text}"),
            Scrp => request("SEND_ROOM_MESSAGE", json!({"room_id": room, "content": text})),
        }
    }

    /// A private message to a nickname or a session's UUID.
    pub fn write(self, to: &str, text: &str) -> String {
        match self {
            Action => json!({"action": "SEND MESSAGE", "room_id": format!("@{to}"), "text": text}).to_string(),
            Simple => json!({"type": "message", "target": format!("@{to}"), "message": text}).to_string(),
            Pychat => format!("MSG {to} {text}"),
            Scrp => request("SEND_PRIVATE_MESSAGE", json!({"user_id": to, "content": text})),
        }
    }

    /// Whether `frame` answers a request, rather than telling of something in a room.
    pub fn is_reply(self, frame: &Value) -> bool {
        match self {
            Action => frame["action"] == "RESPONSE" || frame["action"] == "ERROR",
            Simple => frame["type"] != "event" && frame["type"] != "message",
            Pychat => frame["type"] == "commandResult" || frame["type"] == "error",
            Scrp => frame["method"].is_null(),
        }
    }

    /// What `frame` is to a client that is known as `own`, if it knows that, and waits for the reply to `request`. In `simple` most requests
    /// that succeed have no reply, but an event that everybody concerned is told, the one who asked included.
    pub fn meaning(self, request: &str, own: Option<&str>, frame: &Value) -> Meaning {
        if self.is_reply(frame) {
            return Meaning::Reply;
        }
        let request: Value = match self {
            Simple => serde_json::from_str(request).unwrap_or_default(),
            Action | Pychat | Scrp => return Meaning::Other,
        };
        let mine = own.is_none_or(|own| frame["identifier"] == own);
        let event = |emitter: &str| frame["emitter"] == emitter && frame["event"] == request["action"];
        match request["action"].as_str() {
            // Who is in the extended mode is told the channel as well.
            Some("join") if event("participant") && mine && frame["target"] == request["target"] => Meaning::OwnEvent,
            Some("create" | "destroy") if event("channel") && frame["identifier"] == request["target"] => {
                Meaning::OwnEvent
            }
            None if mine && ["target", "message"].iter().all(|key| frame[key] == request[key]) => {
                let to_room = request["target"].as_str().is_some_and(|target| target.starts_with('#'));
                if to_room { Meaning::OwnMessage } else { Meaning::OwnEvent }
            }
            _ => Meaning::Other,
        }
    }

    /// What an error reply says: its text, in `simple` its code, in `scrp` the name of its number.
    pub fn error(self, frame: &Value) -> Option<&str> {
        match self {
            Action if frame["action"] == "ERROR" => frame["message"].as_str(),
            Simple if frame["type"] == "error" => frame["code"].as_str(),
            Pychat if frame["type"] == "error" => frame["error"].as_str(),
            Scrp if frame["method"].is_null() && frame["err"] != 900 => Some(name_of(&frame["err"])),
            _ => None,
        }
    }

    /// A message that was said in a room.
    pub fn message(self, frame: &Value) -> Option<Message> {
        match self {
            Action if frame["action"] == "GET MESSAGE" && !is_private(&frame["room_id"]) => {
                Message::of(frame, "author", "text")
            }
            Simple if frame["type"] == "message" && !is_private(&frame["target"]) => {
                Message::of(frame, "identifier", "message")
            }
            Pychat if frame["type"] == "message" => Message::of(frame, "from", "body"),
            Scrp if frame["method"] == "NEW_ROOM_MESSAGE" => Message::of(frame, "sender", "content"),
            _ => None,
        }
    }

    /// A message that was written to the client alone; its author as the client can answer to it.
    pub fn private_message(self, frame: &Value) -> Option<Message> {
        match self {
            Action if frame["action"] == "GET MESSAGE" && is_private(&frame["room_id"]) => {
                let message = Message::of(frame, "room_id", "text")?;
                Some(Message { author: message.author.trim_start_matches('@').to_owned(), ..message })
            }
            Simple if frame["type"] == "message" && is_private(&frame["target"]) => {
                Message::of(frame, "identifier", "message")
            }
            Pychat if frame["type"] == "privateMessage" => Message::of(frame, "from", "body"),
            Scrp if frame["method"] == "NEW_PRIVATE_MESSAGE" => Message::of(frame, "sender", "content"),
            _ => None,
        }
    }

    /// A request that changes nothing, and the errors that may answer it.
    pub fn probe(self) -> (&'static str, Vec<Value>) {
        match self {
            Action => (
                r#"{"action":"PROBE"}"#,
                vec![json!({"action": "ERROR", "request": {"action": "PROBE"}, "message": "Action is not supported"})],
            ),
            Simple => (
                r#"{"type":"probe"}"#,
                vec![json!({
                    "type": "error", "code": "unknown_command", "message": "the action is unknown",
                    "request": {"type": "probe"}
                })],
            ),
            Pychat => (
                "JOIN !",
                ["Login required", "Invalid room name: !, please use alphanumericcharacters only"]
                    .map(|error| json!({"type": "error", "error": error}))
                    .to_vec(),
            ),
            Scrp => {
                (r#"{"req_id":4000000000,"method":"PROBE"}"#, vec![json!({"resp_id": 4_000_000_000_u32, "err": 233})])
            }
        }
    }
}

/// A request of `scrp` under a number that no other of this run has.
pub fn request(method: &str, mut fields: Value) -> String {
    static NUMBERS: AtomicU32 = AtomicU32::new(1);
    fields["req_id"] = json!(NUMBERS.fetch_add(1, Ordering::Relaxed));
    fields["method"] = json!(method);
    fields.to_string()
}

/// Makes an account of `scrp`, whose nickname is its id.
pub fn sign_up(account: &str) -> String {
    request("SIGN_UP", json!({"user_id": account, "user_password": PASSWORD, "user_nickname": account}))
}

/// The name of an error number of `scrp`.
fn name_of(number: &Value) -> &'static str {
    match number.as_u64() {
        Some(233) => "BAD_REQUEST",
        Some(250) => "USER_NOT_LOGGED_IN",
        Some(251) => "USER_ALREADY_LOGGED_IN",
        Some(300) => "INVALID_USER_ID",
        Some(301) => "INVALID_ROOM_ID",
        Some(310) => "INVALID_USER_PASSWORD",
        Some(311) => "INVALID_ROOM_PASSWORD",
        Some(320) => "INVALID_USER_NICKNAME",
        Some(321) => "INVALID_ROOM_NICKNAME",
        Some(330) => "INVALID_USER_DESCRIPTION",
        Some(331) => "INVALID_ROOM_DESCRIPTION",
        Some(340) => "INVALID_ROOM_ACCESS_TYPE",
        Some(400) => "USER_ALREADY_EXISTS",
        Some(401) => "ROOM_ALREADY_EXISTS",
        Some(402) => "TOO_MANY_WRONG_ATTEMPTS",
        Some(403) => "ID_PASSWORD_NOT_MATCH",
        Some(404) => "ROOM_NOT_FOUND",
        Some(405) => "USER_NOT_FOUND",
        Some(406) => "ALREADY_A_MEMBER",
        Some(407) => "NOT_A_MEMBER",
        Some(408) => "NOT_FRIENDS",
        Some(409) => "REQUEST_NOT_FOUND",
        Some(410) => "MESSAGE_TOO_LONG",
        Some(411) => "ALREADY_FRIENDS",
        Some(501) => "TOO_MANY_REQUESTS",
        Some(502) => "SERVICE_UNAVAILABLE",
        Some(801) => "FORBIDDEN",
        _ => "an error that the protocol does not have",
    }
}

/// A command of `simple` about a channel or a user.
pub fn command(action: &str, target: &str) -> String {
    json!({"type": "command", "action": action, "target": target}).to_string()
}

/// Whether what a message came by is a person.
fn is_private(place: &Value) -> bool {
    place.as_str().is_some_and(|place| place.starts_with('@'))
}

impl Message {
    fn of(frame: &Value, author: &str, text: &str) -> Option<Self> {
        let field = |name: &str| frame[name].as_str().map(str::to_owned);
        Some(Self { author: field(author)?, text: field(text)? })
    }
}

/// The way to the server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Transport {
    Tcp,
    WebSocket,
}

impl Transport {
    pub const ALL: [Self; 2] = [Self::Tcp, Self::WebSocket];

    /// The listener of `node` that takes `dialect` over this transport.
    pub fn address(self, node: &Node, dialect: Dialect) -> std::net::SocketAddr {
        match self {
            Self::Tcp => node.address(dialect.tcp_listener()),
            Self::WebSocket => node.address("http"),
        }
    }
}
