//! `simple`: commands that are answered by the events they cause.

use serde_json::{Value, json};

use super::{Goes, Meaning, Person, said, text_of};

/// Without the extended mode there are no names, so that a client goes from being connected to being in its channel.
pub fn opening(person: Person<'_>) -> Vec<String> {
    let mut steps = Vec::new();
    if person.goes >= Goes::Joined {
        if person.is_first {
            steps.push(command("create", person.room));
        }
        steps.push(command("join", person.room));
    }
    steps
}

fn command(action: &str, room: &str) -> String {
    json!({"type": "command", "action": action, "target": format!("#{room}")}).to_string()
}

pub fn say(room: &str, text: &str) -> String {
    json!({"type": "message", "target": format!("#{room}"), "message": text}).to_string()
}

pub fn read(frame: &Value) -> Meaning {
    let emitter = frame["emitter"].as_str();
    match (frame["type"].as_str(), emitter, frame["event"].as_str()) {
        (Some("message"), Some("participant"), _) => said(frame, Some("target"), "message"),
        (Some("event"), Some("channel"), Some("create")) => {
            Meaning::Created(text_of(frame, "identifier").trim_start_matches('#').to_owned())
        }
        (Some("event"), Some("participant"), Some("join")) => Meaning::Entered,
        (Some("error"), ..) if frame["request"].is_null() => Meaning::Farewell(text_of(frame, "code")),
        (Some("error"), ..) => Meaning::Refused(text_of(frame, "code")),
        _ => Meaning::Other,
    }
}
