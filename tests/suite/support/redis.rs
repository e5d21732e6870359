//! A real Redis of the test's own, and a small client for looking into it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{DEADLINE, POLL, ports, process};

pub struct Redis {
    port: u16,
    durable: bool,
    folder: TempDir,
    child: Child,
}

impl Redis {
    /// A Redis that forgets everything when it ends.
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// A Redis that has every write on disk before it answers.
    pub fn start_durable() -> Self {
        Self::start_with(true)
    }

    fn start_with(durable: bool) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        // Another process may take the port between the look and the bind.
        for _ in 0..10 {
            let port = ports::lasting();
            let mut child = spawn(port, durable, &folder);
            if answers(port, &mut child) {
                return Self { port, durable, folder, child };
            }
        }
        panic!("redis-server does not start; its log:\n{}", log(&folder));
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
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
        self.child = spawn(self.port, self.durable, &self.folder);
        assert!(
            answers(self.port, &mut self.child),
            "redis-server does not come back; its log:\n{}",
            log(&self.folder)
        );
    }

    /// Holds the process: connections stay open, nothing is answered.
    pub fn pause(&self) {
        process::signal(&self.child, Signal::STOP);
    }

    pub fn resume(&self) {
        process::signal(&self.child, Signal::CONT);
    }

    /// One command on a connection of its own.
    pub fn query(&self, command: &[&str]) -> Reply {
        query(self.port, command).unwrap_or_else(|error| panic!("redis does not answer {command:?}: {error}"))
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

fn spawn(port: u16, durable: bool, folder: &TempDir) -> Child {
    let log = File::options().create(true).append(true).open(folder.path().join("log")).expect("the log can be opened");
    let persistence = if durable { "yes" } else { "no" };
    let child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no", "--save", ""])
        .args(["--appendonly", persistence, "--appendfsync", "always"])
        .arg("--dir")
        .arg(folder.path())
        .stdin(Stdio::null())
        .stderr(log.try_clone().expect("the log can be shared"))
        .stdout(log)
        .spawn();
    process::started("redis-server", child)
}

fn log(folder: &TempDir) -> String {
    std::fs::read_to_string(folder.path().join("log")).unwrap_or_default()
}

/// Whether this very process serves the port: false when it ended, which it does when another one has the port.
fn answers(port: u16, child: &mut Child) -> bool {
    let own = format!("process_id:{}\r\n", child.id());
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
