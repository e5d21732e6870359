//! Reads a `.chat` file and judges frames by it; its language is described in tests/transcripts/README.md.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::dialect::{Dialect, Transport};

/// What `~` becomes is this many digits long, so that a file can rely on the length of its names.
const TAG_DIGITS: usize = 3;

#[derive(Debug, Clone)]
pub struct Transcript {
    /// Relative to the folder of transcripts.
    pub file: PathBuf,
    pub only: Option<Transport>,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub struct Step {
    pub line: usize,
    pub client: String,
    pub act: Act,
}

#[derive(Debug, Clone)]
pub enum Act {
    Appear {
        dialect: Dialect,
        node: usize,
    },
    Connect,
    Disconnect,
    Send(String),
    SendBytes(Vec<u8>),
    /// Send again and again until the answer is this frame.
    Insist {
        text: String,
        answer: Value,
    },
    Frame(Value),
    Text(String),
    Quiet,
    Closed {
        code: Option<u16>,
    },
}

/// Every transcript below `folder`, in the order of their paths, each with names of its own.
pub fn all_below(folder: &Path) -> Vec<Transcript> {
    let mut files = Vec::new();
    collect(folder, &mut files);
    files.sort();
    let tags = 10_usize.pow(TAG_DIGITS as u32 - 1)..;
    files.iter().zip(tags).map(|(file, tag)| read(folder, file, &tag.to_string())).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot read {}: {error}", folder.display()));
    for path in entries.map(|entry| entry.expect("a folder's entry can be read").path()) {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "chat") {
            files.push(path);
        }
    }
}

fn read(folder: &Path, path: &Path, tag: &str) -> Transcript {
    assert_eq!(tag.len(), TAG_DIGITS, "there are more transcripts than tags");
    let file = path.strip_prefix(folder).expect("the file is below the folder").to_owned();
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    parse(&file, &text, tag).unwrap_or_else(|(line, error)| panic!("{}:{line}: {error}", file.display()))
}

fn parse(file: &Path, text: &str, tag: &str) -> Result<Transcript, (usize, String)> {
    let mut transcript = Transcript { file: file.to_owned(), only: None, steps: Vec::new() };
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let fault = |error: String| (number, error);
        match line {
            "only tcp" => transcript.only = Some(Transport::Tcp),
            "only websocket" => transcript.only = Some(Transport::WebSocket),
            _ if line.is_empty() || line.starts_with('#') => {}
            _ => {
                let (client, act) = parse_step(&expanded(line, tag).map_err(fault)?).map_err(fault)?;
                transcript.steps.push(Step { line: number, client, act });
            }
        }
    }
    join_insistence(transcript.steps).map(|steps| Transcript { steps, ..transcript })
}

/// An insistence ends with the frame of the step after it, and takes it in.
fn join_insistence(steps: Vec<Step>) -> Result<Vec<Step>, (usize, String)> {
    let mut joined: Vec<Step> = Vec::new();
    for step in steps {
        let open = joined.last_mut().filter(|last| matches!(last.act, Act::Insist { answer: Value::Null, .. }));
        match (open.map(|last| (&last.client, &mut last.act)), &step.act) {
            (Some((client, Act::Insist { answer, .. })), Act::Frame(frame)) if *client == step.client => {
                *answer = frame.clone()
            }
            (Some(_), _) => return Err((step.line, "after `>*` its answer is expected with `<`".to_owned())),
            (None, _) => joined.push(step),
        }
    }
    Ok(joined)
}

fn parse_step(line: &str) -> Result<(String, Act), String> {
    if let Some(rest) = line.strip_prefix("client ") {
        return parse_client(rest);
    }
    let name_end = line.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(line.len());
    let (name, rest) = line.split_at(name_end);
    let after = |mark: &str| rest.strip_prefix(mark).map(str::to_owned);
    let act = match rest {
        " connect" => Act::Connect,
        " disconnect" => Act::Disconnect,
        "<." => Act::Quiet,
        "<closed" => Act::Closed { code: None },
        _ => {
            if let Some(text) = after("> ") {
                Act::Send(text)
            } else if let Some(text) = after(">* ") {
                Act::Insist { text, answer: Value::Null }
            } else if let Some(text) = after(">bytes ") {
                Act::SendBytes(parse_json::<String>(&text)?.into_bytes())
            } else if let Some(text) = after("< ") {
                Act::Frame(parse_json(&text)?)
            } else if let Some(text) = after("<= ") {
                Act::Text(text)
            } else if let Some(code) = after("<closed ") {
                Act::Closed { code: Some(code.parse().map_err(|_| format!("{code:?} is no close code"))?) }
            } else {
                return Err(format!("{line:?} is no step"));
            }
        }
    };
    Ok((name.to_owned(), act))
}

fn parse_client(rest: &str) -> Result<(String, Act), String> {
    let words: Vec<&str> = rest.split(' ').collect();
    let [name, dialect, "node", node] = words[..] else {
        return Err("a client is `client NAME DIALECT node N`".to_owned());
    };
    let dialect = Dialect::from_label(dialect).ok_or_else(|| format!("{dialect:?} is no dialect"))?;
    let node = node.parse().map_err(|_| format!("{node:?} is no node"))?;
    Ok((name.to_owned(), Act::Appear { dialect, node }))
}

fn parse_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("{text} is not the JSON it should be: {error}"))
}

/// Puts the file's tag for `~` and writes out every `$repeat(text,count)`.
fn expanded(line: &str, tag: &str) -> Result<String, String> {
    let mut rest = line.replace('~', tag);
    let mut result = String::new();
    while let Some((before, call)) = rest.split_once("$repeat(") {
        let (call, after) = call.split_once(')').ok_or("$repeat( without )")?;
        let (text, count) = call.rsplit_once(',').ok_or("$repeat(text,count) has two parts")?;
        let count = count.parse().map_err(|_| format!("{count:?} is no count"))?;
        result += before;
        result += &text.repeat(count);
        rest = after.to_owned();
    }
    Ok(result + &rest)
}

/// Whether `received` is what a `<` line asks for: equal as JSON, with `"$any"` and `"$time"` as placeholders.
pub fn is_frame(expected: &Value, received: &Value) -> bool {
    match (expected, received) {
        (Value::String(word), _) if word == "$any" => true,
        (Value::String(word), Value::String(text)) if word == "$time" => is_time(text),
        (Value::Object(expected), Value::Object(received)) => {
            let same = |(key, value): (&String, &Value)| received.get(key).is_some_and(|other| is_frame(value, other));
            expected.len() == received.len() && expected.iter().all(same)
        }
        (Value::Array(expected), Value::Array(received)) => {
            expected.len() == received.len() && expected.iter().zip(received).all(|(one, other)| is_frame(one, other))
        }
        _ => expected == received,
    }
}

/// Whether `received` is what a `<=` line asks for: equal to the letter, with `$time` as placeholder.
pub fn is_text(expected: &str, received: &str) -> bool {
    match expected.split_once("$time") {
        None => expected == received,
        Some((before, after)) => {
            let rest = received.strip_prefix(before).and_then(|rest| rest.split_at_checked(TIME.len()));
            rest.is_some_and(|(time, rest)| is_time(time) && is_text(after, rest))
        }
    }
}

/// The shape of pychat's `utctimestamp`; 0 stands for any digit.
const TIME: &str = "0000-00-00 00:00:00.000000";

fn is_time(text: &str) -> bool {
    let same = |(shape, c): (char, char)| if shape == '0' { c.is_ascii_digit() } else { c == shape };
    text.len() == TIME.len() && TIME.chars().zip(text.chars()).all(same)
}
