//! The words of `action`.

use serde_json::{Value, json};

use super::words::{
    Act, At, Happening, INTRODUCTION, NO_COMMAND, Reason, SUPERSEDED, Sight, Verdict, Why, Words, field,
};
use crate::support::dialect::Dialect;
use crate::support::dialect::Dialect::Action as DIALECT;

pub struct Action;

const MESSAGES_ONLY: Reason = "`action` tells of messages only.";

impl Words for Action {
    fn name(&self) -> &'static str {
        "action"
    }

    fn dialect(&self) -> Dialect {
        DIALECT
    }

    fn arrival(&self, nickname: Option<&str>, token: Option<&str>, keeper: &str) -> Vec<String> {
        vec![match (nickname, token) {
            (Some(nickname), Some(token)) => DIALECT.login(nickname, token),
            (Some(nickname), None) => DIALECT.claim(nickname),
            (None, _) => DIALECT.write(keeper, INTRODUCTION),
        }]
    }

    fn request(&self, act: &Act, room: &str) -> Result<String, Reason> {
        match act {
            Act::Join { password: None } => Ok(DIALECT.join(room)),
            Act::Join { password } => {
                Ok(json!({"action": "JOIN ROOM", "room_id": room, "password": password}).to_string())
            }
            Act::Leave => Ok(DIALECT.leave(room)),
            Act::Say(text) => Ok(DIALECT.say(room, text)),
            Act::Write { to, text } => Ok(DIALECT.write(to, text)),
            Act::Claim(nickname) => Ok(DIALECT.claim(nickname)),
            _ => Err(NO_COMMAND),
        }
    }

    fn answer(&self, _: &Act, request: &str, verdict: Verdict, _: &At) -> Vec<Value> {
        let request: Value = serde_json::from_str(request).expect("a request is JSON");
        let (action, message) = match verdict {
            Verdict::Done => ("RESPONSE", "OK"),
            Verdict::Refused(why) => ("ERROR", text(why)),
        };
        vec![json!({"action": action, "request": request, "message": message})]
    }

    fn sight(&self, sight: &Sight, at: &At) -> Result<Value, Reason> {
        match sight {
            Sight::Room(Happening::Said(who, text)) => {
                Ok(json!({"action": "GET MESSAGE", "room_id": at.room, "author": who.shown(), "text": text}))
            }
            Sight::Wrote { from, text, .. } => {
                let room = format!("@{}", from.identifier());
                Ok(json!({"action": "GET MESSAGE", "room_id": room, "author": from.shown(), "text": text}))
            }
            Sight::Superseded => Ok(json!({"action": "ERROR", "request": null, "message": SUPERSEDED})),
            _ => Err(MESSAGES_ONLY),
        }
    }

    fn short(&self, frame: &Value) -> String {
        match field(frame, "action") {
            "ERROR" => format!("`ERROR` {}", field(frame, "message")),
            action => format!("`{action}`"),
        }
    }
}

fn text(why: Why) -> &'static str {
    match why {
        Why::NoSuchRoom => "Room not found",
        Why::RoomExists => "Room already exists",
        Why::NotInRoom | Why::RoomGone => "You should join this room first",
        Why::AlreadyIn => "You are already registered in that room",
        Why::TextTooLong => "Message is too long",
        Why::NobodyThere => "User not found",
        Why::NotFriends | Why::NoMember => "Forbidden",
        Why::NameInUse | Why::NameReserved => "Nickname already in use",
        Why::PasswordMissing => "Room password required",
        Why::PasswordWrong => "Wrong room password",
        Why::MustWait => "Waiting for the permission of the room's owner",
        Why::NotTheOwner => "Forbidden",
    }
}
