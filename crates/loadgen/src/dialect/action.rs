//! `action`: requests that are echoed, plain and extended.

use serde_json::{Value, json};

use super::{Goes, Meaning, Person, position, said, text_of};

pub fn opening(person: Person<'_>, is_extended: bool) -> Vec<String> {
    let mut steps = Vec::new();
    if is_extended {
        steps.push(json!({"action": "HELLO", "ext": 1}).to_string());
    }
    if person.goes >= Goes::Named {
        steps.push(json!({"action": "LOGIN NICK", "nickname": person.name}).to_string());
    }
    if person.goes >= Goes::Joined {
        let own = (0..person.own_rooms).map(|number| format!("{}o{number}", person.name));
        let rooms = own.chain([person.room.to_owned()]);
        steps.extend(rooms.map(|room| json!({"action": "JOIN ROOM", "room_id": room}).to_string()));
    }
    steps
}

pub fn say(room: &str, text: &str) -> String {
    json!({"action": "SEND MESSAGE", "room_id": room, "text": text}).to_string()
}

pub fn read(frame: &Value) -> Meaning {
    match frame["action"].as_str() {
        Some("RESPONSE") => Meaning::Done { position: position(frame) },
        Some("ERROR") if frame["request"].is_null() => Meaning::Farewell(text_of(frame, "message")),
        Some("ERROR") => Meaning::Refused(text_of(frame, "message")),
        Some("GET MESSAGE") => said(frame, Some("room_id"), "text"),
        _ => Meaning::Other,
    }
}
