//! A real Redis of the test's own, and a small client for looking into it.

pub mod cluster;
pub mod secure;
pub mod sentinels;
mod servers;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

pub use servers::{Kind, Recipe};

use super::{DEADLINE, POLL, ports, process};

pub struct Redis {
    port: u16,
    tls_port: u16,
    recipe: Recipe,
    folder: TempDir,
    child: Child,
}

impl Redis {
    /// A Redis that forgets everything when it ends.
    pub fn start() -> Self {
        Self::start_as(Kind::Redis7)
    }

    pub fn start_as(kind: Kind) -> Self {
        Self::start_with(Recipe::new(kind).line("save \"\"").line("appendonly no"))
    }

    /// A Redis that has every write on disk before it answers.
    pub fn start_durable() -> Self {
        Self::start_with(Recipe::new(Kind::Redis7).line("save \"\"").line("appendonly yes").line("appendfsync always"))
    }

    pub fn start_with(recipe: Recipe) -> Self {
        // Another process may take the port between the look and the bind.
        let mut said = String::new();
        for _ in 0..10 {
            let folder = TempDir::new().expect("a temporary folder can be made");
            let (port, tls_port) = (ports::lasting(), ports::lasting());
            let mut child = recipe.spawn(port, tls_port, &folder);
            if answers(port, &folder, &mut child) {
                return Self { port, tls_port, recipe, folder, child };
            }
            said = log(&folder);
        }
        panic!("{:?} does not start; its log:\n{said}", recipe.kind);
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port by which clients and other servers come.
    pub fn door(&self) -> u16 {
        if self.recipe.credentials.is_some() { self.tls_port } else { self.port }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Passes nothing on to replicas any more, and lets none come back: what it takes from now on goes with it.
    pub fn starve_replicas(&self) {
        assert_eq!(self.text(&["ACL", "SETUSER", "default", "-psync", "-sync"]), "OK");
        self.query(&["CLIENT", "KILL", "TYPE", "replica"]);
    }

    /// Ends it in order; a durable one has its data afterwards.
    pub fn stop(&mut self) {
        process::signal(&self.child, Signal::TERM);
        process::exit_of(&mut self.child, "redis-server");
    }

    pub fn kill9(&mut self) {
        process::kill(&mut self.child);
    }

    /// Starts it again on the same port after [`Self::stop`] or [`Self::kill9`].
    pub fn start_again(&mut self) {
        self.child = self.recipe.spawn(self.port, self.tls_port, &self.folder);
        assert!(
            answers(self.port, &self.folder, &mut self.child),
            "redis-server does not come back; its log:\n{}",
            log(&self.folder)
        );
    }

    /// Whether it answers.
    pub fn is_up(&self) -> bool {
        query(self.port, &["PING"]).is_ok()
    }

    /// Holds the process: connections stay open, nothing is answered.
    pub fn pause(&self) {
        process::pause(&self.child);
    }

    pub fn resume(&self) {
        process::signal(&self.child, Signal::CONT);
    }

    /// One command on a connection of its own.
    pub fn query(&self, command: &[&str]) -> Reply {
        query(self.port, command).unwrap_or_else(|error| panic!("redis does not answer {command:?}: {error}"))
    }

    /// The text that `command` answers, of one that may be gone, or about to throw its clients out.
    pub fn try_text(&self, command: &[&str]) -> io::Result<String> {
        query(self.port, command).map(Reply::into_text)
    }

    /// The text that `command` answers.
    pub fn text(&self, command: &[&str]) -> String {
        self.query(command).into_text()
    }

    /// The number that `command` answers.
    pub fn number(&self, command: &[&str]) -> i64 {
        match self.query(command) {
            Reply::Integer(number) => number,
            other => panic!("{command:?} answered {other:?}, no number"),
        }
    }

    /// The texts that `command` answers.
    pub fn list(&self, command: &[&str]) -> Vec<String> {
        match self.query(command) {
            Reply::List(items) => items.into_iter().map(Reply::into_text).collect(),
            other => panic!("{command:?} answered {other:?}, no list"),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        process::kill(&mut self.child);
    }
}

fn log(folder: &TempDir) -> String {
    std::fs::read_to_string(folder.path().join("log")).unwrap_or_default()
}

/// Whether this very server serves the port: false when it ended, which it does when another one has the port.
fn answers(port: u16, folder: &TempDir, child: &mut Child) -> bool {
    let own = format!("config_file:{}\r\n", servers::config_file(folder).display());
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end && child.try_wait().expect("a child can be asked for its exit").is_none() {
        // While it loads its data it answers an error.
        if matches!(query(port, &["INFO", "server"]), Ok(Reply::Text(info)) if info.contains(&own)) {
            return true;
        }
        std::thread::sleep(POLL);
    }
    process::kill(child);
    false
}

/// A reply in the Redis serialisation protocol, version 2.
#[derive(Debug, PartialEq)]
pub enum Reply {
    Text(String),
    Error(String),
    Integer(i64),
    Nothing,
    List(Vec<Reply>),
}

impl Reply {
    pub fn into_text(self) -> String {
        match self {
            Reply::Text(text) => text,
            Reply::Integer(number) => number.to_string(),
            other => panic!("{other:?} is no text"),
        }
    }
}

fn query(port: u16, command: &[&str]) -> io::Result<Reply> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(Duration::from_secs(1)))?;
    let mut request = format!("*{}\r\n", command.len());
    for word in command {
        request += &format!("${}\r\n{word}\r\n", word.len());
    }
    (&stream).write_all(request.as_bytes())?;
    read_reply(&mut BufReader::new(&stream))
}

fn read_reply(input: &mut impl BufRead) -> io::Result<Reply> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let line = line.trim_end();
    let strange = || io::Error::other(format!("not a reply: {line:?}"));
    let (kind, rest) = line.split_at_checked(1).ok_or_else(strange)?;
    let number = || rest.parse::<i64>().map_err(|_| strange());
    match kind {
        "+" => Ok(Reply::Text(rest.to_owned())),
        "-" => Ok(Reply::Error(rest.to_owned())),
        ":" => Ok(Reply::Integer(number()?)),
        "$" | "*" if number()? < 0 => Ok(Reply::Nothing),
        "$" => read_text(input, number()? as usize),
        "*" => (0..number()?).map(|_| read_reply(input)).collect::<io::Result<_>>().map(Reply::List),
        _ => Err(strange()),
    }
}

fn read_text(input: &mut impl Read, length: usize) -> io::Result<Reply> {
    let mut bytes = vec![0; length + 2];
    input.read_exact(&mut bytes)?;
    bytes.truncate(length);
    Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
}
