//! The part of docs/protocols/scrp.md that lists every method and push, as they were played.

use std::path::Path;

use super::played::{Method, Played, Push};
use super::{METHODS, PUSHES, names};

const FILE: &str = "docs/protocols/scrp.md";
const BEGIN: &str = "<!-- From here on made from the transcripts (tests/suite/scrp_page). -->\n";
const END: &str = "<!-- To here. -->\n";

/// What stands for numbers that the server makes up.
const NUMBERS: [(&str, &str); 18] = [
    ("message_id", "17"),
    ("request_id", "5"),
    ("target_request_id", "5"),
    ("push_id", "1795281492123221"),
    ("time", "1795281492"),
    ("sign_up_time", "1795200000"),
    ("last_activity_time", "1795280000"),
    ("uptime", "1795100000"),
    ("epoch", "5287"),
    ("offset", "3"),
    ("since", "17"),
    ("before", "17"),
    ("number_of_users", "4"),
    ("max_number_of_users", "5"),
    ("number_of_online_users", "2"),
    ("max_number_of_online_users", "3"),
    ("number_of_rooms", "1"),
    ("max_number_of_rooms", "2"),
];

pub fn hold(played: &Played) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let kept = std::fs::read_to_string(&path).expect("the page is there");
    let (head, rest) = kept.split_once(BEGIN).unwrap_or_else(|| panic!("{FILE} has no line {BEGIN}"));
    let (_, tail) = rest.split_once(END).unwrap_or_else(|| panic!("{FILE} has no line {END}"));
    let made = format!("{head}{BEGIN}{}{END}{tail}", listed(played));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &made).unwrap_or_else(|error| panic!("cannot write {FILE}: {error}"));
    } else {
        assert!(
            kept == made,
            "{FILE} is not what was played; run `BLESS=1 cargo test --test suite scrp_page` and commit it"
        );
    }
}

fn listed(played: &Played) -> String {
    let mut text = "\n### Methods one by one\n".to_owned();
    let nothing = Method::default();
    for name in names(METHODS) {
        text += &method(name, played.methods.get(name).unwrap_or(&nothing));
    }
    text += "\n### Pushes one by one\n\nBeside `method` and `push_id`, and of a room `epoch` and `offset`.\n";
    let mut told = names(PUSHES);
    told.sort_unstable();
    told.dedup();
    for name in told {
        text += &played.pushes.get(name).map(|one| push(name, one)).unwrap_or_default();
    }
    text + "\n"
}

fn method(name: &str, method: &Method) -> String {
    let plain = |field: &str| field.to_owned();
    let item = |field: &str| match method.items.get(field) {
        Some(items) => format!("{field}: {{{}}}…", items.listed(plain)),
        None => plain(field),
    };
    let or_nothing = |fields: String| if fields.is_empty() { "–".to_owned() } else { fields };
    let errors: Vec<String> = method.errors.iter().filter(|number| **number != 233).map(u64::to_string).collect();
    let request = or_nothing(method.request.listed(plain));
    let response = or_nothing(method.response.listed(item));
    let mut text =
        format!("\n**{name}** request: {request} · response: {response} · errors: {}\n", or_nothing(errors.join(" ")));
    if let Some((sent, got, file)) = &method.example {
        text += &format!("(`{file}`)\n\n    > {}\n    < {}\n", shown(sent), shown(got));
    }
    text
}

fn push(name: &str, push: &Push) -> String {
    let mut text = format!("\n**{name}** {}\n", push.fields.listed(str::to_owned));
    if let Some((got, file)) = &push.example {
        text += &format!("(`{file}`)\n\n    < {}\n", shown(got));
    }
    text
}

/// A line without what only the stage needs: names as they are without their digits, and a number for each placeholder.
fn shown(line: &str) -> String {
    let line = line.replace('~', "");
    let mut text = String::new();
    let mut rest = line.as_str();
    while let Some(at) = rest.find('$') {
        let (before, mark) = rest.split_at(at);
        let quoted = before.ends_with('"');
        let end = mark[1..]
            .find(|c: char| !(c.is_ascii_alphanumeric() || ":.$".contains(c)))
            .map_or(mark.len(), |end| end + 1);
        let key = before.trim_end_matches(['"', ':']).rsplit('"').next().unwrap_or_default();
        let number = NUMBERS.iter().find(|(known, _)| *known == key).map_or("…", |(_, number)| number);
        let of_text = mark.starts_with("$number.") || mark.starts_with("$any");
        text += if quoted { &before[..before.len() - 1] } else { before };
        text += &if of_text { "\"…\"".to_owned() } else { number.to_owned() };
        rest = if quoted { mark[end..].strip_prefix('"').unwrap_or(&mark[end..]) } else { &mark[end..] };
    }
    text + rest
}
