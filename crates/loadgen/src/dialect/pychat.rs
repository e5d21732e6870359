//! `pychat`: lines in, objects out, one room at a time.

use serde_json::Value;

use super::{Goes, Meaning, Person, said, text_of};

pub fn opening(person: Person<'_>) -> Vec<String> {
    let mut steps = Vec::new();
    if person.goes >= Goes::Named {
        steps.push(format!("LOGIN {}", person.name));
    }
    if person.goes >= Goes::Joined {
        steps.push(format!("JOIN {}", person.room));
    }
    steps
}

/// Errors that answer no request.
const FAREWELLS: [&str; 7] = [
    "The server is restarting, connect again",
    "Messages were not read fast enough",
    "Too many malformed messages",
    "Nothing was heard from you",
    "Your nickname is used by a newer login",
    "Too many connections",
    "Line is too long",
];

pub fn read(frame: &Value) -> Meaning {
    match frame["type"].as_str() {
        Some("commandResult") => Meaning::Done { position: None },
        Some("error") => match text_of(frame, "error") {
            farewell if FAREWELLS.contains(&farewell.as_str()) => Meaning::Farewell(farewell),
            refused => Meaning::Refused(refused),
        },
        Some("message") => said(frame, None, "body"),
        _ => Meaning::Other,
    }
}
