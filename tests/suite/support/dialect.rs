//! The words of the two dialects, as far as a client has to know them.

use serde_json::{Value, json};

use super::node::Node;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Dialect {
    Action,
    Pychat,
}

/// A message as its receiver sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Message {
    pub author: String,
    pub text: String,
}

use Dialect::{Action, Pychat};

impl Dialect {
    /// The end of every line that the server sends over TCP.
    pub fn line_end(self) -> &'static str {
        match self {
            Action => "\n",
            Pychat => "\r\n",
        }
    }

    pub fn tcp_listener(self) -> &'static str {
        match self {
            Action => "action_tcp",
            Pychat => "pychat",
        }
    }

    pub fn websocket_path(self) -> &'static str {
        match self {
            Action => "/chat/action",
            Pychat => "/chat/pychat",
        }
    }

    pub fn claim(self, nickname: &str) -> String {
        match self {
            Action => json!({"action": "LOGIN NICK", "nickname": nickname}).to_string(),
            Pychat => format!("LOGIN {nickname}"),
        }
    }

    pub fn join(self, room: &str) -> String {
        match self {
            Action => json!({"action": "JOIN ROOM", "room_id": room}).to_string(),
            Pychat => format!("JOIN {room}"),
        }
    }

    pub fn leave(self, room: &str) -> String {
        match self {
            Action => json!({"action": "LEFT ROOM", "room_id": room}).to_string(),
            Pychat => "LEAVE".to_owned(),
        }
    }

    pub fn say(self, room: &str, text: &str) -> String {
        match self {
            Action => json!({"action": "SEND MESSAGE", "room_id": room, "text": text}).to_string(),
            Pychat => format!("MESSAGE {text}"),
        }
    }

    /// Whether `frame` answers a request, rather than telling of something in a room.
    pub fn is_reply(self, frame: &Value) -> bool {
        match self {
            Action => frame["action"] == "RESPONSE" || frame["action"] == "ERROR",
            Pychat => frame["type"] == "commandResult" || frame["type"] == "error",
        }
    }

    /// The text of an error reply.
    pub fn error(self, frame: &Value) -> Option<&str> {
        match self {
            Action if frame["action"] == "ERROR" => frame["message"].as_str(),
            Pychat if frame["type"] == "error" => frame["error"].as_str(),
            _ => None,
        }
    }

    pub fn message(self, frame: &Value) -> Option<Message> {
        let (author, text) = match self {
            Action if frame["action"] == "GET MESSAGE" => ("author", "text"),
            Pychat if frame["type"] == "message" => ("from", "body"),
            _ => return None,
        };
        let field = |name: &str| frame[name].as_str().map(str::to_owned);
        Some(Message { author: field(author)?, text: field(text)? })
    }

    /// A request that changes nothing, and the errors that may answer it.
    pub fn probe(self) -> (&'static str, Vec<Value>) {
        match self {
            Action => (
                r#"{"action":"PROBE"}"#,
                vec![json!({"action": "ERROR", "request": {"action": "PROBE"}, "message": "Action is not supported"})],
            ),
            Pychat => (
                "JOIN !",
                ["Login required", "Invalid room name: !, please use alphanumericcharacters only"]
                    .map(|error| json!({"type": "error", "error": error}))
                    .to_vec(),
            ),
        }
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
