//! Reads a `.chat` file and judges frames by it; its language is described in tests/transcripts/README.md.

use std::collections::BTreeMap;
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
    /// What `~` stands for in it.
    pub tag: String,
    pub steps: Vec<Step>,
}

/// How a client of a transcript connects.
#[derive(Debug, Clone)]
pub struct Part {
    pub dialect: Dialect,
    /// In the extended mode of the dialect from the beginning.
    pub extended: bool,
    /// Logged in as this account from the beginning.
    pub account: Option<String>,
    pub node: usize,
}

#[derive(Debug, Clone)]
pub struct Step {
    pub line: usize,
    pub client: String,
    pub act: Act,
}

#[derive(Debug, Clone)]
pub enum Act {
    Appear(Part),
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
    /// This frame may come before the next one that must, or not at all.
    Maybe(Value),
    Text(String),
    Quiet,
    Closed {
        code: Option<u16>,
    },
}

impl Act {
    /// Whether it takes what the client gets.
    pub fn awaits(&self) -> bool {
        matches!(self, Self::Frame(_) | Self::Text(_) | Self::Quiet)
    }
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
    let mut transcript = Transcript { file: file.to_owned(), only: None, tag: tag.to_owned(), steps: Vec::new() };
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
            } else if let Some(text) = after("<? ") {
                Act::Maybe(parse_json(&text)?)
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
    let [name, dialect, options @ .., "node", node] = &words[..] else {
        return Err("a client is `client NAME DIALECT [ext] [as ACCOUNT] node N`".to_owned());
    };
    let dialect = Dialect::from_label(dialect).ok_or_else(|| format!("{dialect:?} is no dialect"))?;
    let (extended, options) = match options {
        ["ext", options @ ..] => (true, options),
        options => (false, options),
    };
    let account = match options {
        [] => None,
        ["as", account] => Some((*account).to_owned()),
        _ => return Err(format!("{options:?} is not `as ACCOUNT`")),
    };
    if (extended && dialect.hello(None).is_none()) || (dialect == Dialect::Simple && account.is_some() && !extended) {
        return Err(
            "accounts of simple are `ext`, and clients of a dialect that has no extended mode are not".to_owned()
        );
    }
    let node = node.parse().map_err(|_| format!("{node:?} is no node"))?;
    Ok(((*name).to_owned(), Act::Appear(Part { dialect, extended, account, node })))
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

/// What the placeholders `$id:NAME`, `$n:NAME` and `$token:NAME` stand for, once a frame has shown it.
#[derive(Debug, Clone, Default)]
pub struct Known(BTreeMap<String, String>);

impl Known {
    /// Whether `received` is what a `<` line asks for: equal as JSON, with placeholders. What they stand for is known from then
    /// on.
    pub fn is_frame(&mut self, expected: &Value, received: &Value) -> bool {
        self.learn(|known| known.fits(expected, received))
    }

    /// Whether `received` is what a `<=` line asks for: equal to the letter, with placeholders.
    pub fn is_text(&mut self, expected: &str, received: &str) -> bool {
        self.learn(|known| known.reads(expected, received))
    }

    /// A text that is sent, with what is known in the place of its placeholders.
    pub fn filled(&self, text: &str) -> Result<String, String> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, mark, after)) = next_mark(rest) {
            let (name, after) = split_name(after);
            let key = format!("{mark}{name}");
            let known = self.0.get(&key).ok_or_else(|| format!("{key} was not in a frame yet"))?;
            result = result + before + known;
            rest = after;
        }
        Ok(result + rest)
    }

    /// Whether a placeholder stands for this text; for the first that it meets it does from then on.
    fn is_known(&mut self, key: String, text: &str) -> bool {
        *self.0.entry(key).or_insert_with(|| text.to_owned()) == text
    }

    fn learn(&mut self, judge: impl FnOnce(&mut Self) -> bool) -> bool {
        let mut known = self.clone();
        let fits = judge(&mut known);
        if fits {
            *self = known;
        }
        fits
    }

    fn fits(&mut self, expected: &Value, received: &Value) -> bool {
        match (expected, received) {
            (Value::String(word), _) if word == "$any" => true,
            (Value::String(word), Value::String(text)) => self.reads(word, text),
            // A number stands for itself without quotes.
            (Value::String(word), Value::Number(number)) => {
                word.starts_with('$') && self.reads(word, &number.to_string())
            }
            (Value::Object(expected), Value::Object(received)) => {
                let mut same =
                    |(key, value): (&String, &Value)| received.get(key).is_some_and(|other| self.fits(value, other));
                expected.len() == received.len() && expected.iter().all(&mut same)
            }
            (Value::Array(expected), Value::Array(received)) => {
                expected.len() == received.len()
                    && expected.iter().zip(received).all(|(one, other)| self.fits(one, other))
            }
            _ => expected == received,
        }
    }

    fn reads(&mut self, expected: &str, received: &str) -> bool {
        let Some((before, after)) = expected.split_once('$') else { return expected == received };
        let Some(rest) = received.strip_prefix(before) else { return false };
        if let Some(after) = after.strip_prefix("time") {
            return is_shape(TIME, rest).is_some_and(|rest| self.reads(after, rest));
        }
        if let Some(after) = after.strip_prefix("instant") {
            return is_shape(INSTANT, rest).is_some_and(|rest| self.reads(after, rest));
        }
        if let Some(after) = after.strip_prefix("number") {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            return end > 0 && self.reads(after, &rest[end..]);
        }
        if let Some(after) = after.strip_prefix("id:") {
            let (name, after) = split_name(after);
            let Some(tail) = is_shape(UUID, rest) else { return false };
            return self.is_known(format!("{ID}{name}"), &rest[..UUID.len()]) && self.reads(after, tail);
        }
        if let Some(after) = after.strip_prefix("token:") {
            let (name, after) = split_name(after);
            let Some(tail) = is_shape(TOKEN, rest) else { return false };
            return self.is_known(format!("{TOKEN_OF}{name}"), &rest[..TOKEN.len()]) && self.reads(after, tail);
        }
        if let Some(after) = after.strip_prefix("n:") {
            let (name, after) = split_name(after);
            let (digits, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
            return !digits.is_empty() && self.is_known(format!("{NUMBER}{name}"), digits) && self.reads(after, tail);
        }
        rest.strip_prefix('$').is_some_and(|rest| self.reads(after, rest))
    }
}

const ID: &str = "$id:";
const NUMBER: &str = "$n:";
const TOKEN_OF: &str = "$token:";
/// The shape of pychat's `utctimestamp`; 0 stands for any digit.
const TIME: &str = "0000-00-00 00:00:00.000000";
/// The shape of a time in the extended modes.
const INSTANT: &str = "0000-00-00T00:00:00.000Z";
/// The shape of a session's identifier; x stands for any hexadecimal digit.
const UUID: &str = "xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx";
/// The shape of a resume token.
const TOKEN: &str = "xxxxxxxx-xxxx-4xxx-xxxx-xxxxxxxxxxxx.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// What follows a text of this shape at the beginning.
fn is_shape<'a>(shape: &str, text: &'a str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(shape.len())?;
    let same = |(shape, c): (char, char)| match shape {
        '0' => c.is_ascii_digit(),
        'x' => c.is_ascii_digit() || ('a'..='f').contains(&c),
        shape => c == shape,
    };
    shape.chars().zip(head.chars()).all(same).then_some(rest)
}

/// The first placeholder that is filled where it is sent, with what stands before and after its mark.
fn next_mark(text: &str) -> Option<(&str, &'static str, &str)> {
    let marks = [ID, NUMBER, TOKEN_OF].into_iter().filter_map(|mark| Some((text.find(mark)?, mark)));
    let (at, mark) = marks.min()?;
    Some((&text[..at], mark, &text[at + mark.len()..]))
}

fn split_name(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len()))
}

/// Whether a frame tells of the creation or the end of another transcript's room. The tag counts only where no other digit is
/// beside it.
pub fn is_about_another(tag: &str, frame: &Value) -> bool {
    let of_simple = frame["identifier"].as_str().filter(|_| frame["emitter"] == "channel");
    let is_of_lobby = frame["action"] == "ROOM EVENT" && (frame["event"] == "create" || frame["event"] == "destroy");
    let Some(channel) = of_simple.or(frame["room_id"].as_str().filter(|_| is_of_lobby)) else { return false };
    let touches = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    !channel.match_indices(tag).any(|(at, tag)| {
        !touches(channel[..at].chars().next_back()) && !touches(channel[at + tag.len()..].chars().next())
    })
}
