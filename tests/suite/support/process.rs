//! Signals and exits of the child processes.

use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::{DEADLINE, POLL};

pub fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_child(child);
    kill_process(pid, signal)
        .unwrap_or_else(|error| panic!("cannot send {signal:?} to process {}: {error}", child.id()));
}

/// Holds the child, and returns when nothing of it runs any more: each thread stops at the next moment that suits it.
pub fn pause(child: &Child) {
    signal(child, Signal::STOP);
    let is_held = |task: io::Result<DirEntry>| {
        // What is gone meanwhile does not run either. The state follows the name, which is in parentheses.
        let stat = task.and_then(|task| std::fs::read_to_string(task.path().join("stat"))).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
    };
    let tasks = format!("/proc/{}/task", child.id());
    let end = Instant::now() + DEADLINE;
    while !std::fs::read_dir(&tasks).expect("a child's threads can be listed").all(is_held) {
        assert!(Instant::now() < end, "process {} is still running after {DEADLINE:?}", child.id());
        std::thread::sleep(POLL);
    }
}

/// Ends the child at once and takes its exit, so that its ports are free again afterwards.
pub fn kill(child: &mut Child) {
    // Both fail only for a child that is gone already.
    let _ = child.kill();
    let _ = child.wait();
}

/// Waits for the child's own end; one that goes on is a failure and does not outlive it.
pub fn exit_of(child: &mut Child, what: &str) -> ExitStatus {
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().expect("a child can be asked for its exit") {
            return status;
        }
        std::thread::sleep(POLL);
    }
    kill(child);
    panic!("{what} is still running after {DEADLINE:?}");
}

/// Where `tests/run` puts a program that the distribution has not.
pub fn fetched(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers").join(path)
}

/// Says what to install when a program is missing, because a missing tool is a failure and never a skipped test.
pub fn started(program: &str, child: io::Result<Child>) -> Child {
    child.unwrap_or_else(|error| panic!("cannot start {program}: {error} (tests/run installs what is missing)"))
}
