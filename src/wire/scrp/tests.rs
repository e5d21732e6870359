mod answers;
mod pushes;
mod requests;

use serde_json::{Value, json};

use super::*;
use crate::chat::{Command, RoomId};

fn name(text: &str) -> Nickname {
    Nickname::parse(text).unwrap()
}

fn room(text: &str) -> RoomId {
    RoomId::parse(text).unwrap()
}

/// The request of a method with these fields.
fn decode(method: &str, mut fields: Value) -> Request {
    fields["req_id"] = json!(7);
    fields["method"] = json!(method);
    Scrp { extended: false }.decode(fields.to_string().as_bytes())
}

/// The error number under which it is refused as it stands, 900 where its form is good.
fn verdict(method: &str, fields: Value) -> u32 {
    decode(method, fields).command.map_or_else(|refusal| errors::number(&refusal), |_| 900)
}

fn command(method: &str, fields: Value) -> Command {
    decode(method, fields).command.unwrap()
}

fn answer(request: &Request, outcome: Result<Reply, Refusal>) -> Value {
    let messages: Vec<_> = Scrp { extended: false }.answer(&request.tag, &outcome, None).collect();
    assert_eq!(messages.len(), 1);
    serde_json::from_slice(&messages[0]).unwrap()
}

fn answered(method: &str, fields: Value, reply: Reply) -> Value {
    answer(&decode(method, fields), Ok(reply))
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_every_answer_is_json(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let request = Scrp { extended: false }.decode(&bytes);
        let refusal = request.command.clone().err().unwrap_or(Refusal::Unavailable);
        let answer = answer(&request, Err(refusal));
        proptest::prop_assert!(answer["err"].is_u64() && answer["resp_id"].is_u64());
    }

    #[test]
    fn no_fields_make_it_panic(method in "[A-Z_]{3,12}|SIGN_UP|CREATE_ROOM|RECEIVE_MESSAGE", id in "\\PC{0,20}", access in "-?[0-9]{1,3}(\\.[0-9])?|\"\\PC{0,5}\"") {
        let fields = json!({"user_id": id, "room_id": id, "room_nickname": id, "user_password": id, "user_nickname": id}).to_string();
        let message = format!(r#"{{"req_id":1,"method":"{method}","room_access":{access},{}"#, &fields[1..]);
        let request = Scrp { extended: false }.decode(message.as_bytes());
        let numbered = matches!(request.tag, Tag::Numbered { number: 0 | 1, .. });
        proptest::prop_assert!(numbered);
    }
}
