//! What processes have used, as the operating system counts it: `/proc/<pid>`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Serialize;

/// A process that is watched, under the name that reports give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    pub name: String,
    pub pid: u32,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Usage {
    /// User and system time of all threads, those that ended included.
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
}

impl Watched {
    /// `name=pid`, or `name=:port` for whoever listens there.
    pub fn parse(text: &str) -> Result<Self> {
        let Some((name, what)) = text.split_once('=') else { bail!("{text:?} is neither name=pid nor name=:port") };
        let pid = match what.strip_prefix(':') {
            Some(port) => {
                let port = port.parse().with_context(|| format!("{port:?} is no port"))?;
                listening_on(port)?.with_context(|| {
                    format!("no process of this machine that may be looked at listens on port {port}")
                })?
            }
            None => what.parse().with_context(|| format!("{what:?} is no process id"))?,
        };
        let watched = Self { name: name.to_owned(), pid };
        watched.usage()?;
        Ok(watched)
    }

    pub fn usage(&self) -> Result<Usage> {
        let gone = || format!("process {} ({}) is gone", self.pid, self.name);
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).with_context(gone)?;
        let cpu_seconds = cpu_ticks(&stat).with_context(gone)? as f64 / rustix::param::clock_ticks_per_second() as f64;
        Ok(Usage { cpu_seconds, resident_bytes: resident_bytes(self.pid).with_context(gone)? })
    }
}

/// The fields utime and stime, which follow the name in parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// Exact where the kernel tells it exactly; `status` may be off by some pages per thread.
fn resident_bytes(pid: u32) -> Option<u64> {
    let kib = |page: String, key: &str| {
        let line = page.lines().find_map(|line| line.strip_prefix(key).map(str::to_owned))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let exact = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok().and_then(|page| kib(page, "Rss:"));
    let kib = exact.or_else(|| kib(fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:"))?;
    Some(kib * 1024)
}

/// The process that listens on a TCP port of this machine.
pub fn listening_on(port: u16) -> Result<Option<u32>> {
    let mut inodes = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let page = fs::read_to_string(table).unwrap_or_default();
        inodes.extend(page.lines().filter_map(|line| listening_inode(line, port)));
    }
    let processes = fs::read_dir("/proc").context("/proc cannot be read")?;
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    Ok(pids.into_iter().find(|&pid| holds(pid, &inodes)))
}

fn listening_inode(line: &str, port: u16) -> Option<String> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    let is_it = *fields.get(3)? == LISTEN && u16::from_str_radix(local_port, 16).ok()? == port;
    is_it.then(|| format!("socket:[{}]", fields.get(9).copied().unwrap_or_default()))
}

fn holds(pid: u32, sockets: &BTreeSet<String>) -> bool {
    let Ok(descriptors) = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        fs::read_link(descriptor.path()).is_ok_and(|link| link.to_str().is_some_and(|link| sockets.contains(link)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_by_its_port_and_has_used_something() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let watched = Watched::parse(&format!("me=:{port}")).unwrap();
        assert_eq!(watched, Watched { name: "me".to_owned(), pid: std::process::id() });
        assert!(watched.usage().unwrap().resident_bytes > 0);
        drop(listener);
        assert!(Watched::parse(&format!("me=:{port}")).is_err());
        assert!(Watched::parse("me").is_err());
    }

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_confuse_the_fields() {
        assert_eq!(cpu_ticks("1 (a ) b) S 1 1 1 0 -1 4194304 10 0 0 0 7 5 0 0 20 0 1 0 100"), Some(12));
    }
}
