//! The words of `scrp`.

use serde_json::{Value, json};

use super::words::{
    Act, At, Change, EPOCH, FRIENDLY_TEXT, Happening, NO_COMMAND, News, Person, Profile, Reason, Sight, Verdict, Why,
    Words, field,
};
use crate::support::dialect::Dialect::Scrp as DIALECT;
use crate::support::dialect::{Dialect, request, sign_up};

pub struct Scrp;

const ADDRESSES: Reason = "`scrp` addresses people by ids, and a session's UUID is none.";
const OWN_MESSAGE: Reason = "In `scrp` the answer stands for one's own message.";
const OWN_LEAVING: Reason = "In `scrp` the answer stands for one's own leaving.";
const NOT_A_MEMBER: Reason = "`scrp` tells of rooms to their members.";
const COMES_AND_GOES: Reason = "To `scrp` a member is one whether it is there or not.";

/// Placeholders for numbers that stand in two frames of one cell.
pub const REQUEST: &str = "$n:request";
const LETTER: &str = "$n:letter";
const LETTER_TIME: &str = "$n:lettertime";

impl Words for Scrp {
    fn name(&self) -> &'static str {
        "scrp"
    }

    fn dialect(&self) -> Dialect {
        DIALECT
    }

    fn login_first(&self) -> bool {
        true
    }

    fn is_of_accounts(&self) -> bool {
        true
    }

    fn join_makes_rooms(&self) -> bool {
        false
    }

    fn arrival(&self, nickname: Option<&str>, _: Option<&str>, _: &str) -> Vec<String> {
        nickname.map(|account| DIALECT.claim(account)).into_iter().collect()
    }

    fn request(&self, act: &Act, room: &str) -> Result<String, Reason> {
        let to_room = |method: &str, mut fields: Value| {
            fields["room_id"] = json!(room);
            Ok(request(method, fields))
        };
        let about = |method: &str, who: &str| {
            if is_id(who) { to_room(method, json!({"subject_user_id": who})) } else { Err(ADDRESSES) }
        };
        match act {
            Act::Create => to_room("CREATE_ROOM", json!({"room_nickname": room, "room_access": 0})),
            Act::Destroy => to_room("REMOVE_ROOM", json!({})),
            Act::Join { password: None } => Ok(DIALECT.join(room)),
            Act::Join { password } => to_room("ENTER_ROOM", json!({"room_password": password})),
            Act::Leave => Ok(DIALECT.leave(room)),
            Act::Say(text) => Ok(DIALECT.say(room, text)),
            Act::Write { to, text } if is_id(to) => Ok(DIALECT.write(to, text)),
            Act::Write { .. } => Err(ADDRESSES),
            Act::Claim(name) => Ok(sign_up(name)),
            Act::Change(Change::Password(password)) => {
                to_room("CHANGE_ROOM_ACCESS", json!({"room_access_type": 1, "room_password": password}))
            }
            Act::Change(Change::Permission) => to_room("CHANGE_ROOM_ACCESS", json!({"room_access_type": 2})),
            Act::Change(Change::Nickname(text)) => to_room("CHANGE_ROOM_NICKNAME", json!({"new_room_nickname": text})),
            Act::Change(Change::Description(text)) => {
                to_room("CHANGE_ROOM_DESCRIPTION", json!({"new_room_description": text}))
            }
            Act::Appoint(who) => about("SET_ADMIN", who),
            Act::Dismiss(who) => about("REMOVE_ADMIN", who),
            Act::HandOver(who) => about("TRANSFER_ROOM", who),
            Act::Remove(who) => about("REMOVE_USER_FROM_ROOM", who),
            Act::Delete => Ok(request("DELETE_USER", json!({"user_password": crate::support::dialect::PASSWORD}))),
            Act::Befriend(who) => {
                let fields = json!({"subject_user_id": who, "verification_message": FRIENDLY_TEXT});
                if is_id(who) { Ok(request("ADD_FRIEND", fields)) } else { Err(ADDRESSES) }
            }
            Act::Unfriend(who) => Ok(request("REMOVE_FRIEND", json!({"subject_user_id": who}))),
            Act::Settle { approve } => {
                let method = if *approve { "APPROVE_REQUEST" } else { "REJECT_REQUEST" };
                Ok(request(method, json!({"target_request_id": REQUEST})))
            }
            // A room's request is decided like a friend's.
            Act::Decide { approve, .. } => self.request(&Act::Settle { approve: *approve }, room),
            Act::Present(Profile::Nickname(text)) => {
                Ok(request("CHANGE_USER_NICKNAME", json!({"user_nickname": text})))
            }
            Act::Present(Profile::Description(text)) => {
                Ok(request("CHANGE_USER_DESCRIPTION", json!({"user_description": text})))
            }
            Act::History | Act::Disconnect | Act::Arrive => Err(NO_COMMAND),
        }
    }

    fn answer(&self, act: &Act, request: &str, verdict: Verdict, at: &At) -> Vec<Value> {
        let request: Value = serde_json::from_str(request).expect("a request is JSON");
        let mut answer = json!({"resp_id": request["req_id"], "err": number(verdict)});
        let sent = match act {
            Act::Say(_) => Some((at.numbered("message"), at.numbered("time"))),
            Act::Write { .. } => Some((LETTER.to_owned(), LETTER_TIME.to_owned())),
            _ => None,
        };
        if let (Some((message, time)), Verdict::Done) = (sent, verdict) {
            (answer["message_id"], answer["time"]) = (json!(message), json!(time));
        }
        vec![answer]
    }

    fn sight(&self, sight: &Sight, at: &At) -> Result<Value, Reason> {
        let push = |method: &str, mut fields: Value| {
            fields["method"] = json!(method);
            fields["push_id"] = json!("$number");
            Ok(fields)
        };
        let of_user = |method: &str, who: &Person| push(method, json!({"user_id": who.identifier()}));
        match sight {
            Sight::Room(happening) => happened(happening, at),
            Sight::Wrote { from, text, .. } => {
                let message = json!({"sender": from.identifier(), "content": text});
                push("NEW_PRIVATE_MESSAGE", with(message, [("message_id", LETTER), ("time", LETTER_TIME)]))
            }
            Sight::Destroyed { inside: true } => {
                let place = [("epoch", EPOCH), ("offset", "$number")];
                push("ROOM_REMOVED", with(json!({"room_id": at.room}), place))
            }
            Sight::Created | Sight::Destroyed { inside: false } => Err(NOT_A_MEMBER),
            Sight::Asked(who) => {
                let asked = json!({"user_id": who.identifier(), "room_id": at.room});
                push("ENTER_ROOM_REQUEST", with(asked, [("request_id", REQUEST), ("time", "$number")]))
            }
            Sight::Decided { approved } => {
                let decided = json!({"kind": "room", "room_id": at.room});
                push(decision(*approved), with(decided, [("request_id", REQUEST)]))
            }
            Sight::News(who, News::Online) => of_user("USER_ONLINE", who),
            Sight::News(who, News::Offline) => of_user("USER_OFFLINE", who),
            Sight::News(who, News::Deleted) => of_user("USER_DELETED", who),
            Sight::News(who, News::Profile(Profile::Nickname(text))) => {
                push("USER_NICKNAME_CHANGED", json!({"user_id": who.identifier(), "user_nickname": text}))
            }
            Sight::News(who, News::Profile(Profile::Description(text))) => {
                push("USER_DESCRIPTION_CHANGED", json!({"user_id": who.identifier(), "user_description": text}))
            }
            Sight::FriendRequest(who) => {
                let id = who.identifier();
                let asked = json!({"user_id": id, "user_nickname": id, "message": FRIENDLY_TEXT});
                push("NEW_FRIEND_REQUEST", with(asked, [("request_id", REQUEST), ("time", "$number")]))
            }
            Sight::FriendDecided { by, approved } => {
                let decided = json!({"kind": "friend", "user_id": by.identifier()});
                push(decision(*approved), with(decided, [("request_id", REQUEST)]))
            }
            Sight::FriendRemoved(who) => of_user("FRIEND_REMOVED", who),
            Sight::Superseded => push("FORCED_TO_LOGGED_OFF", json!({"reason": "superseded"})),
        }
    }

    fn short(&self, frame: &Value) -> String {
        match (field(frame, "method"), DIALECT.error(frame)) {
            ("", Some(error)) => format!("`{}` {error}", frame["err"]),
            ("", None) => format!("`{}`", frame["err"]),
            (method, _) => format!("`{method}`"),
        }
    }
}

fn happened(happening: &Happening, at: &At) -> Result<Value, Reason> {
    let push = |method: &str, mut fields: Value| {
        fields["method"] = json!(method);
        fields["room_id"] = json!(at.room);
        Ok(with(fields, [("push_id", "$number"), ("epoch", EPOCH), ("offset", &at.offset())]))
    };
    let of_user = |method: &str, who: &Person| push(method, json!({"user_id": who.identifier()}));
    match happening {
        Happening::Joined(who) => of_user("USER_ENTER_ROOM", who),
        Happening::Left(who) if who == at.me => Err(OWN_LEAVING),
        Happening::Left(who) => of_user("USER_LEAVE_ROOM", who),
        Happening::Came(_) | Happening::Went(_) => Err(COMES_AND_GOES),
        Happening::Said(who, _) if who == at.me => Err(OWN_MESSAGE),
        Happening::Said(who, text) => {
            let (id, time) = (at.numbered("message"), at.numbered("time"));
            let message = json!({"sender": who.identifier(), "content": text});
            push("NEW_ROOM_MESSAGE", with(message, [("message_id", id.as_str()), ("time", &time)]))
        }
        Happening::Removed { who, by } => {
            push("USER_LEAVE_ROOM", json!({"user_id": who.identifier(), "by": by.identifier()}))
        }
        Happening::Appointed { who, admin: true } => of_user("APPOINTED_AS_ADMIN", who),
        Happening::Appointed { who, admin: false } => of_user("REMOVED_AS_ADMIN", who),
        Happening::Handed { to } => of_user("ROOM_OWNER_CHANGED", to),
        Happening::Changed(Change::Password(_)) => push("ROOM_ACCESS_CHANGED", json!({"room_access_type": 1})),
        Happening::Changed(Change::Permission) => push("ROOM_ACCESS_CHANGED", json!({"room_access_type": 2})),
        Happening::Changed(Change::Nickname(text)) => push("ROOM_NICKNAME_CHANGED", json!({"room_nickname": text})),
        Happening::Changed(Change::Description(text)) => {
            push("ROOM_DESCRIPTION_CHANGED", json!({"room_description": text}))
        }
    }
}

/// Whether a name can be an id.
fn is_id(name: &str) -> bool {
    name.len() <= 16 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn with<const N: usize>(mut frame: Value, placeholders: [(&str, &str); N]) -> Value {
    placeholders.into_iter().for_each(|(key, value)| frame[key] = json!(value));
    frame
}

fn decision(approved: bool) -> &'static str {
    if approved { "REQUEST_APPROVED" } else { "REQUEST_REJECTED" }
}

fn number(verdict: Verdict) -> u32 {
    let Verdict::Refused(why) = verdict else { return 900 };
    match why {
        Why::NameInUse | Why::NameReserved => 400,
        Why::RoomExists => 401,
        Why::PasswordMissing | Why::PasswordWrong => 403,
        Why::NoSuchRoom | Why::RoomGone => 404,
        Why::NobodyThere => 405,
        Why::AlreadyIn => 406,
        Why::NotInRoom | Why::NoMember => 407,
        Why::NotFriends => 408,
        Why::TextTooLong => 410,
        Why::NotTheOwner => 801,
        // The wish is passed on.
        Why::MustWait => 900,
    }
}
