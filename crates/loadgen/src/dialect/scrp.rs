//! `scrp`: numbered requests, and accounts that have to be there first.

use serde_json::{Value, json};

use super::{Goes, Meaning, Person, position, said, text_of};

const PASSWORD: &str = "open sesame";

pub fn opening(person: Person<'_>) -> Vec<String> {
    let mut steps = vec![json!({"req_id": 1, "method": "SET_CLIENT_INFO", "ext": 1}).to_string()];
    if person.goes >= Goes::Named {
        steps.push(
            json!({
                "req_id": 2, "method": "SIGN_UP", "user_id": person.name, "user_password": PASSWORD,
                "user_nickname": person.name
            })
            .to_string(),
        );
        steps.push(
            json!({"req_id": 3, "method": "LOG_IN", "user_id": person.name, "user_password": PASSWORD}).to_string(),
        );
    }
    if person.goes >= Goes::Joined {
        if person.is_first {
            steps.push(
                json!({
                    "req_id": 4, "method": "CREATE_ROOM", "room_id": person.room, "room_nickname": person.room,
                    "room_access": 0
                })
                .to_string(),
            );
        }
        steps.push(json!({"req_id": 5, "method": "ENTER_ROOM", "room_id": person.room}).to_string());
    }
    steps
}

pub fn say(room: &str, text: &str) -> String {
    json!({"req_id": 6, "method": "SEND_ROOM_MESSAGE", "room_id": room, "content": text}).to_string()
}

pub fn read(frame: &Value) -> Meaning {
    match frame["method"].as_str() {
        Some("NEW_ROOM_MESSAGE") => said(frame, Some("room_id"), "content"),
        Some("FORCED_TO_LOGGED_OFF") => Meaning::Farewell(text_of(frame, "reason")),
        Some(_) => Meaning::Other,
        None if frame["err"] == 900 => Meaning::Done { position: position(frame) },
        None => Meaning::Refused(frame["err"].to_string()),
    }
}
