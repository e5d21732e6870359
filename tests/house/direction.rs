//! Who may use whom. The picture in `docs/ARCHITECTURE.md` is held true by reading the `use` lines.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Module → what it may use. What is missing here may use nothing of ours.
const MAY_USE: &[(&str, &[&str])] = &[
    ("chat", &[]),
    ("ambient", &[]),
    ("telemetry", &["ambient"]),
    ("planted", &[]),
    ("config", &["telemetry"]),
    ("auth", &["chat", "ambient"]),
    ("wire", &["chat"]),
    ("backend", &["chat", "ambient", "telemetry", "planted"]),
    ("hub", &["chat", "wire", "telemetry"]),
    ("service", &["chat", "auth", "hub", "backend", "ambient", "telemetry", "planted"]),
    ("session", &["chat", "wire", "hub", "service", "ambient", "telemetry"]),
    ("transport", &["chat", "session", "wire", "ambient", "telemetry"]),
    ("http", &["chat", "auth", "transport", "session", "service", "backend", "wire", "ambient", "telemetry"]),
    (
        "node",
        &[
            "chat",
            "auth",
            "wire",
            "hub",
            "service",
            "session",
            "transport",
            "http",
            "backend",
            "config",
            "ambient",
            "telemetry",
        ],
    ),
    ("cli", &["node", "config", "telemetry"]),
];

/// Crates that a pure layer must not know.
const FOREIGN: &[(&str, &[&str])] = &[
    ("chat", &["tokio", "redis", "serde_json", "axum", "bytes"]),
    ("auth", &["redis", "axum"]),
    ("wire", &["tokio", "redis", "axum"]),
    ("hub", &["redis", "axum", "serde_json"]),
    ("service", &["redis", "axum", "serde_json"]),
    ("session", &["redis", "axum", "serde_json"]),
];

#[test]
fn every_module_uses_only_what_the_picture_allows() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for file in sources(Path::new("src")) {
        let module = module_of(&file);
        let is_test = file.file_name().is_some_and(|name| name == "tests.rs");
        if is_test || matches!(module.as_str(), "main" | "lib") {
            continue;
        }
        seen.insert(module.clone());
        let allowed = MAY_USE.iter().find(|(name, _)| *name == module).map(|(_, may)| *may);
        let foreign = FOREIGN.iter().find(|(name, _)| *name == module).map_or(&[][..], |(_, banned)| banned);
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let place = || format!("{}:{}: {}", file.display(), number + 1, line.trim());
            for used in ours(line).filter(|used| *used != module) {
                if !allowed.is_some_and(|allowed| allowed.contains(&used)) {
                    wrong.push(place());
                }
            }
            if foreign.iter().any(|banned| uses_crate(line, banned)) {
                wrong.push(place());
            }
        }
    }
    assert!(wrong.is_empty(), "against the direction of dependencies:\n{}", wrong.join("\n"));
    let listed: BTreeSet<String> = MAY_USE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(seen, listed, "every module has its line in MAY_USE");
}

/// The check itself finds what it is for.
#[test]
fn a_use_line_is_understood() {
    assert_eq!(ours("use crate::chat::{A, B};").collect::<Vec<_>>(), ["chat"]);
    assert_eq!(ours("    x: crate::hub::Mailbox, y: crate::wire::W").collect::<Vec<_>>(), ["hub", "wire"]);
    assert_eq!(ours("// crate::hub is not used in a comment").count(), 0);
    assert!(uses_crate("use tokio::sync::Notify;", "tokio"));
    assert!(!uses_crate("use tokio_util::sync::CancellationToken;", "tokio"));
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path.strip_prefix(root).unwrap_or(&path).to_owned());
        }
    }
    found
}

fn module_of(file: &Path) -> String {
    let below = file.strip_prefix("src").unwrap();
    below.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn ours(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or("");
    code.split("crate::").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        Some(&rest[..end]).filter(|name| !name.is_empty())
    })
}

fn uses_crate(line: &str, name: &str) -> bool {
    let code = line.split("//").next().unwrap_or("");
    code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':').any(|word| {
        word.strip_prefix("::").unwrap_or(word).strip_prefix(name).is_some_and(|rest| rest.starts_with("::"))
    })
}
