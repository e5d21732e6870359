//! What the transcripts show of `scrp`: each request with its response, and each push.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

/// Fields of an object over many of its kind.
#[derive(Default)]
pub struct Fields {
    seen: u32,
    /// In the order in which they were first seen, with how often.
    fields: Vec<(String, u32)>,
}

#[derive(Default)]
pub struct Method {
    pub request: Fields,
    pub response: Fields,
    /// Of the objects in a list of the response, by its field.
    pub items: BTreeMap<String, Fields>,
    pub errors: BTreeSet<u64>,
    /// The first success: the request, the response, and the file.
    pub example: Option<(String, String, String)>,
}

#[derive(Default)]
pub struct Push {
    pub fields: Fields,
    pub example: Option<(String, String)>,
}

#[derive(Default)]
pub struct Played {
    pub methods: BTreeMap<String, Method>,
    pub pushes: BTreeMap<String, Push>,
    pub numbers: BTreeSet<u64>,
}

impl Played {
    /// From the transcripts as they stand in the folder, all of which the suite plays.
    pub fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
        let mut played = Self::default();
        for theme in ["scrp", "across"] {
            let entries = std::fs::read_dir(folder.join(theme)).expect("the transcripts are there");
            let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry can be read").path()).collect();
            files.sort();
            for file in files {
                let text = std::fs::read_to_string(&file).expect("a transcript can be read");
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                played.take(&format!("{theme}/{name}"), &text);
            }
        }
        played
    }

    fn take(&mut self, file: &str, text: &str) {
        let clients: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("client ")?.split_once(" scrp "))
            .map(|(name, _)| name)
            .collect();
        let mut asked: BTreeMap<(&str, u64), (String, Value)> = BTreeMap::new();
        for line in text.lines() {
            let name = line.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
            let said = &line[name.len()..];
            if !clients.contains(name) {
                continue;
            }
            if let Some(sent) = said.strip_prefix("> ").or_else(|| said.strip_prefix(">* ")) {
                let Some(request) = read(sent) else { continue };
                if let Some(number) = request["req_id"].as_u64() {
                    asked.insert((name, number), (sent.to_owned(), request));
                }
            } else if let Some(got) = said.strip_prefix("< ") {
                let frame = read(got).unwrap_or_else(|| panic!("{file}: {got} is no JSON"));
                if frame["method"].is_string() {
                    self.push(file, got, &frame);
                } else if let Some(asked) = frame["resp_id"].as_u64().and_then(|number| asked.remove(&(name, number))) {
                    self.answer(file, &asked, (got, &frame));
                }
            }
        }
    }

    fn push(&mut self, file: &str, text: &str, frame: &Value) {
        let push = self.pushes.entry(frame["method"].as_str().unwrap_or_default().to_owned()).or_default();
        push.fields.see(frame, text, &["method", "push_id", "epoch", "offset"]);
        push.example.get_or_insert_with(|| (text.to_owned(), file.to_owned()));
    }

    fn answer(&mut self, file: &str, (sent, request): &(String, Value), (got, response): (&str, &Value)) {
        let Some(number) = response["err"].as_u64() else { return };
        self.numbers.insert(number);
        let Some(name) = request["method"].as_str() else { return };
        let method = self.methods.entry(name.to_owned()).or_default();
        if number != 900 {
            method.errors.insert(number);
            return;
        }
        method.request.see(request, sent, &["req_id", "method"]);
        method.response.see(response, got, &["resp_id", "err"]);
        for (field, value) in response.as_object().into_iter().flatten() {
            for item in value.as_array().into_iter().flatten().filter(|item| item.is_object()) {
                method.items.entry(field.clone()).or_default().see(item, got, &[]);
            }
        }
        // The first that shows something: no empty list, and no text of a made-up length.
        if !sent.contains("$repeat") && !got.contains("[]") {
            method.example.get_or_insert_with(|| (sent.clone(), got.to_owned(), file.to_owned()));
        }
    }
}

impl Fields {
    /// `text` is where the object was written, for the order of its fields.
    fn see(&mut self, object: &Value, text: &str, apart: &[&str]) {
        self.seen += 1;
        let mut fields: Vec<&str> = object.as_object().into_iter().flatten().map(|(field, _)| field.as_str()).collect();
        fields.sort_by_key(|field| text.find(&format!("\"{field}\":")));
        for field in fields {
            match self.fields.iter_mut().find(|(known, _)| known == field) {
                Some((_, times)) => *times += 1,
                None if apart.contains(&field) => {}
                None => self.fields.push((field.to_owned(), 1)),
            }
        }
    }

    /// Each field, in brackets where it was not always there.
    pub fn listed(&self, show: impl Fn(&str) -> String) -> String {
        let one = |(field, times): &(String, u32)| {
            if *times == self.seen { show(field) } else { format!("[{}]", show(field)) }
        };
        self.fields.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// The JSON of a line; numbers that a frame has shown stand in what is sent without quotes.
fn read(text: &str) -> Option<Value> {
    let mut parts = text.split(":$n:");
    let mut quoted = parts.next()?.to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
        quoted += &format!(":\"$n:{}\"{}", &part[..end], &part[end..]);
    }
    serde_json::from_str(&quoted).ok()
}
