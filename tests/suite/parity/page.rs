//! docs/protocols/PARITY.md, written from the table.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use super::cast::{Cast, Role, Shown};
use super::model::Model;
use super::words::{At, Change, Happening, NO_COMMAND, News, Person, Profile, Reason, Sight, Words};
use super::{Cell, DIALECTS, NODES, Scenario, cells};

const FILE: &str = "docs/protocols/PARITY.md";

const HEAD: &str = "\
# What the dialects see of one another

For authors of clients: what a client gets when clients of other dialects, or of its own, do something. Each table has the
sender's dialect on the left and the receiver's at the top; `simple, ext` is the extended mode of `simple`. A cell names the frames
that the receiver gets, in their order, and there are no others; the frames themselves stand in the next section. The second
column is what the sender gets, answers and events alike.

`–` is nothing, and the footnote says why; `n/a` means that one of the two cannot take part, and a sender's dialect that never can
has no row. Authors are shown by nickname; who has none is `Anonymous`, in `simple` and as the place of a private message the session's
UUID. An answer of `scrp` is named by its error number, of which 900 is success.

An *account* is a person with a login; a client of `scrp` always is one, a client of another dialect may be. What an account enters by
`scrp`, or owns, it is a *member of for good*: also while it is away, and while it comes by another dialect. Everybody else is a member for
as long as the connection is in the room.

This page is made by the test suite (`tests/suite/parity/`) from the table that it plays with real clients, so that it says what the
server does.";

pub fn hold() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let made = page();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &made).unwrap_or_else(|error| panic!("cannot write {FILE}: {error}"));
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "{FILE} is not what the table says; run `BLESS=1 cargo test --test suite parity` and commit it"
    );
}

/// What came of a cell for the page.
type Told = Result<(Shown, Shown), Reason>;

fn page() -> String {
    let mut notes = Notes::default();
    let cells: Vec<Cell> = cells().collect();
    let possible = cells.iter().filter(|cell| cell.is_possible()).count();
    let nodes = NODES.map(|nodes| {
        if nodes == 1 { "one node with the embedded store".to_owned() } else { format!("{nodes} nodes on Redis") }
    });
    let mut page = format!(
        "{HEAD} Each of the {possible} cells with an outcome is played\non {}, where sender and receiver are on different ones.\n",
        nodes.join(", and on ")
    );
    page += &frames();
    for scenario in cells.chunks(DIALECTS.len() * DIALECTS.len()) {
        section(&mut page, scenario, &mut notes);
    }
    page.push('\n');
    for (number, reason) in notes.0.iter().enumerate() {
        writeln!(page, "[^{}]: {reason}", number + 1).expect("a string takes everything");
    }
    page
}

/// Footnotes in the order of their first use.
#[derive(Default)]
struct Notes(Vec<Reason>);

impl Notes {
    fn mark(&mut self, reason: Reason) -> String {
        let known = self.0.iter().position(|other| *other == reason);
        let index = known.unwrap_or_else(|| {
            self.0.push(reason);
            self.0.len() - 1
        });
        format!("[^{}]", index + 1)
    }
}

fn section(page: &mut String, cells: &[Cell], notes: &mut Notes) {
    let scenario = cells[0].scenario;
    *page += &format!("\n## {}\n\n", scenario.title);
    if !scenario.about.is_empty() {
        *page += &format!("{}\n\n", scenario.about);
    }
    let columns: String = DIALECTS.iter().map(|words| format!(" {} gets |", words.name())).collect();
    *page += &format!("| sender | it gets |{columns}\n|---|---|{}\n", "---|".repeat(DIALECTS.len()));
    let mut left_out: Vec<(&str, Reason)> = Vec::new();
    for row in cells.chunks(DIALECTS.len()) {
        let told: Vec<(Cell, Told)> = row.iter().map(|cell| (*cell, told(cell))).collect();
        if let Some(reason) = why_never(&told) {
            left_out.push((row[0].sender.name(), reason));
            continue;
        }
        let mut line = format!("| {} | {} |", row[0].sender.name(), answers(&told, scenario, notes));
        for (cell, told) in &told {
            line += &match told {
                Ok((_, receiver)) => format!(" {} |", summary(cell.receiver, receiver, scenario, notes)),
                Err(reason) => format!(" n/a{} |", notes.mark(reason)),
            };
        }
        *page += &format!("{line}\n");
    }
    if !left_out.is_empty() {
        let senders: Vec<String> =
            left_out.iter().map(|(sender, reason)| format!("{sender}{}", notes.mark(reason))).collect();
        *page += &format!("\nNot from: {}\n", senders.join("; "));
    }
}

/// Why a sender's dialect can never do it, if that is so.
fn why_never(row: &[(Cell, Told)]) -> Option<Reason> {
    let reasons: Option<Vec<Reason>> = row.iter().map(|(_, told)| told.as_ref().err().copied()).collect();
    reasons.and_then(|reasons| reasons.into_iter().max_by_key(|reason| *reason == NO_COMMAND))
}

/// What the shown steps of a cell show to the sender and to the receiver.
fn told(cell: &Cell) -> Told {
    let cast = Cast { room: "red".to_owned(), ..cell.cast_called("") };
    let mut model = Model::new(cast, &cell.scenario.start);
    let (mut sender, mut receiver) = (Shown::new(), Shown::new());
    for step in (cell.scenario.script)(&model.cast.clone())? {
        let mut expected = model.perform(&step)?;
        if step.shown {
            sender.extend(expected.shown.remove(&Role::Sender).unwrap_or_default());
            receiver.extend(expected.shown.remove(&Role::Receiver).unwrap_or_default());
        }
    }
    Ok((sender, receiver))
}

/// What the sender gets, which is the same whoever receives.
fn answers(row: &[(Cell, Told)], scenario: &Scenario, notes: &mut Notes) -> String {
    let possible = row.iter().filter_map(|(cell, told)| Some((cell, told.as_ref().ok()?)));
    let distinct: BTreeSet<String> =
        possible.map(|(cell, (sender, _))| summary(cell.sender, sender, scenario, notes)).collect();
    if distinct.is_empty() { "n/a".to_owned() } else { Vec::from_iter(distinct).join(" or ") }
}

fn summary(words: &dyn Words, shown: &Shown, scenario: &Scenario, notes: &mut Notes) -> String {
    let frames: Vec<String> = shown.iter().flatten().map(|frame| words.short(frame)).collect();
    if !frames.is_empty() {
        return frames.join(", ");
    }
    let reason = shown.iter().find_map(|shown| shown.as_ref().err().copied());
    format!("–{}", notes.mark(reason.unwrap_or(scenario.quiet)))
}

/// Every frame that one can get without having asked.
fn frames() -> String {
    let person = |name: &str| Person { nickname: Some(name.to_owned()), id: None };
    let (ann, bob, me) = (person("ann"), person("bob"), person("me"));
    let happenings = [
        ("ann joins", Happening::Joined(ann.clone())),
        ("ann leaves; in other dialects than `scrp` also: disconnects", Happening::Left(ann.clone())),
        ("ann, a member for good, comes by another dialect (or goes: as above)", Happening::Came(ann.clone())),
        ("ann says hi", Happening::Said(ann.clone(), "hi".to_owned())),
        ("bob puts ann out", Happening::Removed { who: ann.clone(), by: bob }),
        ("ann becomes an admin", Happening::Appointed { who: ann.clone(), admin: true }),
        ("ann is no admin any more", Happening::Appointed { who: ann.clone(), admin: false }),
        ("ann becomes the owner", Happening::Handed { to: ann.clone() }),
        ("the room's access is changed", Happening::Changed(Change::Permission)),
        ("the room's nickname is changed", Happening::Changed(Change::Nickname("The red room"))),
        ("the room's description is changed", Happening::Changed(Change::Description("All in red"))),
    ];
    let renamed = News::Profile(Profile::Nickname("Ann"));
    let described = News::Profile(Profile::Description("It is me"));
    let others = [
        ("ann writes hi to me", Sight::Wrote { from: &ann, to: "me", text: "hi" }),
        ("the room is created", Sight::Created),
        ("the room is destroyed, and I was in it", Sight::Destroyed { inside: true }),
        ("the room is destroyed, and I was not in it", Sight::Destroyed { inside: false }),
        ("ann asks to be let into my room", Sight::Asked(&ann)),
        ("I am let in (or not: `reject`, `REQUEST_REJECTED`)", Sight::Decided { approved: true }),
        ("ann wants to be my friend", Sight::FriendRequest(&ann)),
        ("ann agrees (or not: `REQUEST_REJECTED`)", Sight::FriendDecided { by: &ann, approved: true }),
        ("ann is my friend no more", Sight::FriendRemoved(&ann)),
        ("ann, whom I know, comes online", Sight::News(&ann, &News::Online)),
        ("ann goes offline", Sight::News(&ann, &News::Offline)),
        ("ann calls herself otherwise", Sight::News(&ann, &renamed)),
        ("ann describes herself otherwise", Sight::News(&ann, &described)),
        ("ann deletes her account", Sight::News(&ann, &News::Deleted)),
        ("I log in once more, elsewhere", Sight::Superseded),
    ];
    let rows = happenings.iter().map(|(title, happening)| (*title, Sight::Room(happening))).chain(others);
    let mut text =
        "\n## The frames\n\nThe room is `red`, the receiver `me`. `…` is a number or a time that the server makes up. Of one\n\
         event everybody is told the same `epoch` and `offset`, in `scrp` also the same `message_id`, which is in the sender's answer, too.\n"
            .to_owned();
    for (title, sight) in rows {
        text += &format!("\n**{title}**\n\n");
        for words in DIALECTS {
            let told = words.sight(&sight, &At { room: "red", me: &me, history: &[] });
            let told = told.map_or_else(|_| "–".to_owned(), |frame| format!("`{}`", written(&frame)));
            text += &format!("* {}: {told}\n", words.name());
        }
    }
    text
}

/// With `…` for what a placeholder stands for.
fn without_placeholders(text: &str) -> String {
    // A time is a text; what else is left open is a number, or part of a text.
    let text = text.replace("$instant", "…\u{200B}");
    let (mut result, mut rest) = (String::new(), text.as_str());
    while let Some((before, after)) = rest.split_once('$') {
        result = result + before + "…";
        rest = after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == ':');
    }
    (result + rest).replace("\"…\"", "…").replace('\u{200B}', "")
}

/// The keys in the order in which they read best; the rest after them.
const KEYS: [&str; 14] = [
    "method",
    "action",
    "room_id",
    "author",
    "text",
    "body",
    "type",
    "emitter",
    "target",
    "identifier",
    "event",
    "message",
    "from",
    "id",
];

fn written(frame: &Value) -> String {
    let fields = frame.as_object().expect("a frame is an object");
    let known = KEYS.iter().filter_map(|key| fields.get_key_value(*key));
    let others = fields.iter().filter(|(key, _)| !KEYS.contains(&key.as_str()));
    let written: Vec<String> = known.chain(others).map(|(key, value)| format!("\"{key}\":{value}")).collect();
    format!("{{{}}}", without_placeholders(&written.join(",")))
}
