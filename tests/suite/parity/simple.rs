//! The words of `simple`, as the source has them and in the extended mode.

use serde_json::{Value, json};

use super::words::{
    Act, At, Change, EPOCH, Happening, INTRODUCTION, NO_COMMAND, Person, Reason, SUPERSEDED, Sight, Verdict, Why,
    Words, field,
};
use crate::support::dialect::Dialect::Simple as DIALECT;
use crate::support::dialect::{Dialect, command};

pub struct Simple {
    pub extended: bool,
}

const OWN_LEAVING: Reason = "`simple` tells of a leaving to the others only.";
const NO_ROLES: Reason = "`simple` has no words for how a room is run.";
const NO_FRIENDS: Reason = "`simple` has no words for friends, and for who is online.";
const NOT_ASKED: Reason = "`simple` tells of requests for permission in its extended mode only.";

impl Words for Simple {
    fn name(&self) -> &'static str {
        if self.extended { "simple, ext" } else { "simple" }
    }

    fn dialect(&self) -> Dialect {
        DIALECT
    }

    fn has_nickname(&self) -> bool {
        self.extended
    }

    fn join_makes_rooms(&self) -> bool {
        false
    }

    fn login_path(&self, token: &str) -> Option<String> {
        (!self.extended).then(|| format!("{}?token={token}", DIALECT.websocket_path()))
    }

    fn arrival(&self, nickname: Option<&str>, token: Option<&str>, keeper: &str) -> Vec<String> {
        let greeting = DIALECT.greeting().filter(|_| self.extended).map(str::to_owned);
        match (nickname, token) {
            (Some(nickname), Some(token)) if self.extended => vec![DIALECT.login(nickname, token)],
            // The connection itself says who it is; whoever is answered is known.
            (Some(_), Some(_)) => vec![DIALECT.write(keeper, INTRODUCTION)],
            (Some(nickname), None) => greeting.into_iter().chain([DIALECT.claim(nickname)]).collect(),
            (None, _) => greeting.into_iter().chain([DIALECT.write(keeper, INTRODUCTION)]).collect(),
        }
    }

    fn request(&self, act: &Act, room: &str) -> Result<String, Reason> {
        let channel = &format!("#{room}");
        let with = |action: &str, more: Value| {
            let mut request = json!({"type": "command", "action": action, "target": channel});
            let fields = request.as_object_mut().expect("an object");
            fields.extend(more.as_object().expect("an object").clone());
            Ok(request.to_string())
        };
        match act {
            Act::Create => Ok(command("create", channel)),
            Act::Destroy => Ok(command("destroy", channel)),
            Act::Join { password: None } => Ok(command("join", channel)),
            Act::Join { password } => with("join", json!({"password": password})),
            Act::Leave => Ok(command("leave", channel)),
            Act::Say(text) => Ok(DIALECT.say(room, text)),
            Act::Write { to, text } => Ok(DIALECT.write(to, text)),
            _ if !self.extended => Err(NO_COMMAND),
            Act::Claim(nickname) => Ok(command("nick", &format!("@{nickname}"))),
            Act::Change(change) => with("change", wish(change)),
            Act::Decide { who, approve } => {
                with(if *approve { "approve" } else { "reject" }, json!({"identifier": who}))
            }
            Act::Appoint(account) => with("appoint", json!({"identifier": account})),
            Act::Dismiss(account) => with("dismiss", json!({"identifier": account})),
            _ => Err(NO_COMMAND),
        }
    }

    fn answer(&self, act: &Act, request: &str, verdict: Verdict, at: &At) -> Vec<Value> {
        let request: Value = serde_json::from_str(request).expect("a request is JSON");
        match (verdict, act) {
            (Verdict::Refused(why), _) => {
                let (code, message) = error(why);
                vec![json!({"type": "error", "code": code, "message": message, "request": request})]
            }
            (Verdict::Done, Act::Write { to, text }) => vec![private(at.me, to, text)],
            // The event that it causes is the answer.
            (Verdict::Done, Act::Create | Act::Destroy | Act::Join { .. } | Act::Say(_)) => Vec::new(),
            (Verdict::Done, _) if self.extended => vec![json!({"type": "ok", "request": request})],
            (Verdict::Done, _) => Vec::new(),
        }
    }

    fn sight(&self, sight: &Sight, at: &At) -> Result<Value, Reason> {
        let room = format!("#{}", at.room);
        let participant = |who: &Person, event: &str| {
            let mut frame =
                json!({"type": "event", "emitter": "participant", "identifier": who.identifier(), "event": event});
            if self.extended {
                frame["target"] = json!(room);
            }
            Ok(frame)
        };
        let channel =
            |event: &str| Ok(json!({"type": "event", "emitter": "channel", "identifier": room, "event": event}));
        match sight {
            Sight::Room(Happening::Joined(who) | Happening::Came(who)) => participant(who, "join"),
            Sight::Room(Happening::Left(who) | Happening::Went(who)) if who == at.me => Err(OWN_LEAVING),
            Sight::Room(Happening::Left(who) | Happening::Went(who) | Happening::Removed { who, .. }) => {
                participant(who, "left")
            }
            Sight::Room(Happening::Appointed { .. } | Happening::Handed { .. } | Happening::Changed(_)) => {
                Err(NO_ROLES)
            }
            Sight::Room(Happening::Said(who, text)) => {
                let mut frame = json!({
                    "type": "message", "emitter": "participant", "target": room, "identifier": who.identifier(),
                    "message": text
                });
                if self.extended {
                    frame["time"] = json!("$instant");
                    frame["id"] = json!(format!("{EPOCH}-{}", at.offset()));
                    frame["epoch"] = json!(EPOCH);
                    frame["offset"] = json!(at.offset());
                }
                Ok(frame)
            }
            Sight::Wrote { from, to, text } => Ok(private(from, to, text)),
            Sight::Created => channel("create"),
            Sight::Destroyed { .. } => channel("destroy"),
            Sight::Asked(_) | Sight::Decided { .. } if !self.extended => Err(NOT_ASKED),
            Sight::Asked(who) => participant(who, "request"),
            Sight::Superseded => {
                Ok(json!({"type": "error", "code": "superseded", "message": SUPERSEDED, "request": null}))
            }
            Sight::News(..) | Sight::FriendRequest(_) | Sight::FriendDecided { .. } | Sight::FriendRemoved(_) => {
                Err(NO_FRIENDS)
            }
            Sight::Decided { approved } => channel(if *approved { "approve" } else { "reject" }),
        }
    }

    fn short(&self, frame: &Value) -> String {
        match field(frame, "type") {
            "event" => format!("`event {}`", field(frame, "event")),
            "error" if frame["code"] == "forbidden" => format!("`error forbidden` {}", field(frame, "message")),
            "error" => format!("`error {}`", field(frame, "code")),
            other => format!("`{other}`"),
        }
    }
}

fn wish(change: &Change) -> Value {
    match change {
        Change::Password(password) => json!({"access": "password", "password": password}),
        Change::Permission => json!({"access": "permission"}),
        Change::Nickname(nickname) => json!({"nickname": nickname}),
        Change::Description(description) => json!({"description": description}),
    }
}

fn private(from: &Person, to: &str, text: &str) -> Value {
    json!({
        "type": "message", "emitter": "participant", "target": format!("@{to}"), "identifier": from.identifier(),
        "message": text
    })
}

fn error(why: Why) -> (&'static str, &'static str) {
    match why {
        Why::NoSuchRoom | Why::RoomGone => ("channel_not_found", "the room does not exist"),
        Why::RoomExists => ("channel_exists", "the room exists already"),
        Why::NotInRoom => ("not_participant", "the session is not in the room"),
        Why::AlreadyIn => ("already_joined", "the session is in the room already"),
        Why::TextTooLong => ("too_long", "the text is longer than allowed"),
        Why::NobodyThere => ("user_not_found", "the user is not there"),
        Why::NameInUse => ("nickname_in_use", "the nickname is held by another session"),
        Why::NameReserved => ("forbidden", "the nickname is reserved for an account"),
        Why::NotFriends | Why::NoMember => ("forbidden", "it is not the session's to do"),
        Why::PasswordMissing => ("forbidden", "the room has a password, and none was given"),
        Why::PasswordWrong => ("forbidden", "the password is wrong"),
        Why::MustWait => ("forbidden", "the room's owner was asked and has not yet agreed"),
        Why::NotTheOwner => ("forbidden", "it is not the session's to do"),
    }
}
