//! The words of `pychat`.

use serde_json::{Value, json};

use super::words::{Act, At, Happening, NO_COMMAND, Person, Reason, SUPERSEDED, Sight, Verdict, Why, Words, field};
use crate::support::dialect::Dialect;
use crate::support::dialect::Dialect::Pychat as DIALECT;

pub struct Pychat;

const NO_PASSWORD: Reason = "A `pychat` client cannot give a password.";
const ONE_LINE: Reason = "A line end ends a `pychat` message.";
const NOT_INSIDE: Reason = "`pychat` tells only those who are in the room.";
const NO_ROLES: Reason = "`pychat` has no words for how a room is run.";
const NO_FRIENDS: Reason = "`pychat` has no words for friends, and for who is online.";
const NO_PERMISSIONS: Reason = "`pychat` has no words for permissions; the next `JOIN` shows it.";

impl Words for Pychat {
    fn name(&self) -> &'static str {
        "pychat"
    }

    fn dialect(&self) -> Dialect {
        DIALECT
    }

    fn login_first(&self) -> bool {
        true
    }

    fn claim_minds_clash(&self) -> bool {
        false
    }

    fn arrival(&self, nickname: Option<&str>, token: Option<&str>, _: &str) -> Vec<String> {
        let logged_in = |name: &str| token.map_or_else(|| DIALECT.claim(name), |token| DIALECT.login(name, token));
        nickname.map(logged_in).into_iter().collect()
    }

    fn request(&self, act: &Act, room: &str) -> Result<String, Reason> {
        match act {
            Act::Join { password: None } => Ok(DIALECT.join(room)),
            Act::Join { password: Some(_) } => Err(NO_PASSWORD),
            Act::Leave => Ok(DIALECT.leave(room)),
            Act::Say(text) if text.contains(['\n', '\r']) => Err(ONE_LINE),
            // Only a line without the command can be empty.
            Act::Say(text) if text.is_empty() => Ok(String::new()),
            Act::Say(text) => Ok(DIALECT.say(room, text)),
            Act::Write { to, text } => Ok(DIALECT.write(to, text)),
            Act::Claim(nickname) => Ok(DIALECT.claim(nickname)),
            Act::History => Ok("HISTORY".to_owned()),
            _ => Err(NO_COMMAND),
        }
    }

    fn answer(&self, act: &Act, _: &str, verdict: Verdict, at: &At) -> Vec<Value> {
        let result = |text: &str| json!({"type": "commandResult", "result": text});
        match (verdict, act) {
            (Verdict::Refused(why), _) => vec![json!({"type": "error", "error": text(why)})],
            (Verdict::Done, Act::Join { .. }) => vec![result(&format!("Joined room {}", at.room))],
            (Verdict::Done, Act::Claim(nickname)) => vec![result(&format!("Username set to {nickname}"))],
            (Verdict::Done, Act::History) => {
                at.history.iter().filter_map(|record| recorded(record, at)).chain([result("OK")]).collect()
            }
            (Verdict::Done, _) => vec![result("OK")],
        }
    }

    fn sight(&self, sight: &Sight, at: &At) -> Result<Value, Reason> {
        match sight {
            Sight::Room(happening) => told(happening).ok_or(NO_ROLES),
            Sight::Wrote { from, text, .. } => {
                Ok(json!({"type": "privateMessage", "body": text, "from": from.identifier()}))
            }
            // As if one had left: there is no other word for being out.
            Sight::Destroyed { inside: true } => Ok(left(at.me)),
            Sight::Created | Sight::Destroyed { inside: false } => Err(NOT_INSIDE),
            Sight::Asked(_) | Sight::Decided { .. } => Err(NO_PERMISSIONS),
            Sight::Superseded => Ok(json!({"type": "error", "error": SUPERSEDED})),
            Sight::News(..) | Sight::FriendRequest(_) | Sight::FriendDecided { .. } | Sight::FriendRemoved(_) => {
                Err(NO_FRIENDS)
            }
        }
    }

    fn short(&self, frame: &Value) -> String {
        match field(frame, "type") {
            "commandResult" => format!("`{}`", field(frame, "result")),
            "error" => format!("`error` {}", field(frame, "error")),
            "history" => format!("`history` of `{}`", field(&frame["body"], "type")),
            other => format!("`{other}`"),
        }
    }
}

/// `None` for what the dialect has no words for.
fn told(happening: &Happening) -> Option<Value> {
    match happening {
        Happening::Joined(who) | Happening::Came(who) => {
            let body = format!("User {} has joined the room", who.shown());
            Some(json!({"body": body, "type": "userJoined", "from": who.shown()}))
        }
        Happening::Left(who) | Happening::Went(who) | Happening::Removed { who, .. } => Some(left(who)),
        Happening::Said(who, text) => Some(json!({"body": text, "type": "message", "from": who.shown()})),
        Happening::Appointed { .. } | Happening::Handed { .. } | Happening::Changed(_) => None,
    }
}

fn left(who: &Person) -> Value {
    let body = format!("User {} has left the room", who.shown());
    json!({"body": body, "type": "userLeft", "from": who.shown()})
}

fn recorded(happening: &Happening, at: &At) -> Option<Value> {
    let mut body = told(happening)?;
    body["room"] = json!(at.room);
    body["to"] = json!(at.me.shown());
    body["utctimestamp"] = json!("$time");
    Some(json!({"body": body, "type": "history", "from": at.me.shown()}))
}

fn text(why: Why) -> &'static str {
    match why {
        Why::NoSuchRoom => "Room not found",
        Why::RoomExists => "Room already exists",
        Why::NotInRoom | Why::RoomGone => "Join a room first",
        Why::AlreadyIn | Why::NameInUse => "User with such nickname is already present in the requested room",
        Why::TextTooLong => "Message is too long",
        Why::NobodyThere => "User not found",
        Why::PasswordMissing | Why::PasswordWrong => "Room password required",
        Why::MustWait => "Waiting for the permission of the room's owner",
        Why::NameReserved => "Nickname is reserved",
        Why::NotTheOwner | Why::NotFriends | Why::NoMember => "Forbidden",
    }
}
