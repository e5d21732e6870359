//! A gateway process: started with every listener on a free port, read through its own log.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use rustix::process::Signal;
use serde_json::Value;

use super::redis::Redis;
use super::{DEADLINE, eventually, http, process};

pub const LISTENERS: [&str; 9] =
    ["http", "action", "simple", "pychat", "scrp", "action_tcp", "simple_tcp", "detect_tcp", "admin"];

const LOG_LINES: usize = 200;

/// The binary under test, without any setting from the tester's own environment.
pub fn gateway() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosstalk"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CROSSTALK_")) {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// How a gateway is to be started; it can be started more than once.
#[derive(Clone)]
pub struct Plan {
    arguments: Vec<String>,
    settings: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    /// A file to which everything is added that the process says.
    log: Option<PathBuf>,
}

impl Plan {
    /// One node on its own, with its state in memory.
    pub fn embedded() -> Self {
        Self::new("--data-dir", "none")
    }

    /// One node on its own that keeps its history in `folder`.
    pub fn durable(folder: &Path) -> Self {
        Self::new("--data-dir", &folder.to_string_lossy())
    }

    pub fn on(redis: &Redis) -> Self {
        Self::at(&redis.url())
    }

    /// On the servers that `storage.redis` names so.
    pub fn at(url: &str) -> Self {
        Self::new("--redis", url)
    }

    fn new(flag: &str, value: &str) -> Self {
        let arguments = ["serve", flag, value].map(str::to_owned).to_vec();
        let mut plan = Self { arguments, settings: BTreeMap::new(), environment: BTreeMap::new(), log: None };
        for listener in LISTENERS {
            plan = plan.set(&format!("listen.{listener}"), "127.0.0.1:0");
        }
        // All clients of a test share one address, and most tests are not about how fast they may talk.
        for limit in ["messages_per_second", "message_burst", "joins_per_second", "join_burst"] {
            plan = plan.set(&format!("limits.{limit}"), "100000");
        }
        // Passwords are hashed by code that was not built to be fast.
        let plan = plan.set("passwords.memory_kib", "64").set("passwords.iterations", "1");
        plan.set("limits.connections_per_address", "10000")
    }

    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Keeps all that the process says, of every start.
    pub fn log_to(mut self, file: &Path) -> Self {
        self.log = Some(file.to_owned());
        self
    }

    /// What [`Self::start`] runs.
    pub fn command(&self) -> Command {
        let mut command = gateway();
        command.args(&self.arguments).envs(&self.environment);
        for (key, value) in &self.settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        command
    }

    pub fn start(&self) -> Node {
        let child = self.command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = process::started("the gateway", child);
        let log = Log::follow(child.stderr.take().expect("stderr is piped"), self.log.as_deref());
        let addresses = log.wait_ready();
        // From here on dropping the node ends the process and shows its log if the test fails.
        let node = Node { child, log, addresses: addresses.clone().unwrap_or_default() };
        assert!(addresses.is_some(), "the gateway is not ready, started by {:?}", self.command());
        node
    }
}

pub struct Node {
    child: Child,
    log: Log,
    addresses: BTreeMap<String, SocketAddr>,
}

impl Node {
    pub fn address(&self, listener: &str) -> SocketAddr {
        *self.addresses.get(listener).unwrap_or_else(|| panic!("no listener {listener} among {:?}", self.addresses))
    }

    pub fn listens(&self, listener: &str) -> bool {
        self.addresses.contains_key(listener)
    }

    /// An answer of the admin port.
    pub async fn admin(&self, path: &str) -> http::Answer {
        http::get(self.address("admin"), path).await.unwrap_or_else(|error| panic!("{error}"))
    }

    pub async fn ready(&self) {
        eventually("/readyz answers 200", async || match self.admin("/readyz").await {
            answer if answer.status == 200 => Ok(()),
            answer => Err(format!("{} {}", answer.status, answer.body)),
        })
        .await;
    }

    /// The sum of the samples of `name` that carry all of `labels`; nothing where there is no such sample.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let page = self.admin("/metrics").await;
        assert_eq!(page.status, 200, "/metrics: {}", page.body);
        let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let samples = page.body.lines().filter_map(|line| sample(line, name, &labels));
        samples.reduce(|sum, value| sum + value)
    }

    pub fn sigterm(&self) {
        process::signal(&self.child, Signal::TERM);
    }

    pub fn kill9(&mut self) {
        process::kill(&mut self.child);
    }

    /// Holds the process: its connections stay open, nothing happens on them.
    pub fn pause(&self) {
        process::pause(&self.child);
    }

    pub fn resume(&self) {
        process::signal(&self.child, Signal::CONT);
    }

    pub fn wait_exit(&mut self) -> ExitStatus {
        process::exit_of(&mut self.child, "the gateway")
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked for its exit").is_none()
    }

    /// Log lines that tell of a panic.
    pub fn panics(&self) -> Vec<String> {
        self.log.state.0.lock().unwrap().panics.clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        process::kill(&mut self.child);
        if std::thread::panicking() {
            eprintln!("--- the end of the log of gateway process {}:\n{}", self.child.id(), self.log.tail());
        }
    }
}

fn sample(line: &str, name: &str, labels: &[String]) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let (shown, value) = match rest.strip_prefix('{') {
        Some(rest) => rest.split_once('}')?,
        None => ("", rest.strip_prefix(' ')?),
    };
    labels.iter().all(|label| shown.split(',').any(|part| part == label)).then(|| value.trim().parse().ok())?
}

/// What the process has said so far.
#[derive(Clone)]
struct Log {
    state: Arc<(Mutex<Said>, Condvar)>,
}

#[derive(Default)]
struct Said {
    tail: VecDeque<String>,
    panics: Vec<String>,
    addresses: BTreeMap<String, SocketAddr>,
    ready: bool,
    ended: bool,
}

impl Log {
    fn follow(stderr: ChildStderr, file: Option<&Path>) -> Self {
        let log = Self { state: Arc::default() };
        let writer = log.clone();
        let open = |file| File::options().create(true).append(true).open(file).expect("the log can be kept");
        let mut kept = file.map(open);
        std::thread::spawn(move || {
            let lines = BufReader::new(stderr).split(b'\n').map_while(Result::ok);
            lines.for_each(|line| {
                if let Some(kept) = &mut kept {
                    kept.write_all(&[&line, &b"\n"[..]].concat()).expect("the log can be written");
                }
                writer.add(&String::from_utf8_lossy(&line));
            });
            writer.change(|said| said.ended = true);
        });
        log
    }

    fn change(&self, change: impl FnOnce(&mut Said)) {
        change(&mut self.state.0.lock().unwrap());
        self.state.1.notify_all();
    }

    fn add(&self, line: &str) {
        let entry: Value = serde_json::from_str(line).unwrap_or_default();
        let fields = &entry["fields"];
        let listener = fields["listener"].as_str().zip(fields["address"].as_str());
        self.change(|said| {
            match (fields["message"].as_str(), listener) {
                (Some("listening"), Some((listener, address))) => {
                    let address = address.parse().expect("a listener's address is an IP address and a port");
                    said.addresses.insert(listener.to_owned(), address);
                }
                (Some("ready"), _) => said.ready = true,
                _ => {}
            }
            if line.contains("panicked") {
                said.panics.push(line.to_owned());
            }
            said.tail.push_back(line.to_owned());
            if said.tail.len() > LOG_LINES {
                said.tail.pop_front();
            }
        });
    }

    /// The listeners' addresses once all is up; nothing when the process ended or took too long.
    fn wait_ready(&self) -> Option<BTreeMap<String, SocketAddr>> {
        let (said, changed) = &*self.state;
        let waiting = |said: &mut Said| !said.ready && !said.ended;
        let (said, _) = changed.wait_timeout_while(said.lock().unwrap(), DEADLINE, waiting).unwrap();
        said.ready.then(|| said.addresses.clone())
    }

    fn tail(&self) -> String {
        let said = self.state.0.lock().unwrap();
        said.tail.iter().fold(String::new(), |text, line| text + line + "\n")
    }
}
