//! Which kinds of server there are, and where they lie.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use super::super::process;
use super::secure::Credentials;

/// A server's make. The first is the distribution's, the others are fetched by `tests/run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Redis7,
    Redis8,
    Valkey8,
}

impl Kind {
    fn program(self) -> PathBuf {
        match self {
            Self::Redis7 => PathBuf::from("redis-server"),
            Self::Redis8 => process::fetched("redis-8/redis-server"),
            Self::Valkey8 => process::fetched("valkey-8/valkey-server"),
        }
    }
}

/// What is started, and how.
#[derive(Debug, Clone)]
pub struct Recipe {
    pub kind: Kind,
    /// Lines of the configuration file, beside port, address and folder.
    pub lines: Vec<String>,
    /// Flags on the command line.
    pub flags: Vec<String>,
    /// Ends with this process, for a server that no test owns alone; else it ends with the test.
    pub shared: bool,
    /// For a server that speaks TLS, with clients and with its like, beside the port by which tests look into it.
    pub credentials: Option<Arc<Credentials>>,
}

impl Recipe {
    pub fn new(kind: Kind) -> Self {
        Self { kind, lines: Vec::new(), flags: Vec::new(), shared: false, credentials: None }
    }

    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    pub fn through_tls(mut self, credentials: &Arc<Credentials>) -> Self {
        self.credentials = Some(credentials.clone());
        self
    }

    /// What the file says of TLS.
    fn tls_lines(&self, tls_port: u16) -> Vec<String> {
        let Some(Credentials { certificate, key, .. }) = self.credentials.as_deref() else { return Vec::new() };
        let is_cluster = self.lines.iter().any(|line| line == "cluster-enabled yes");
        let mut lines = vec![
            format!("tls-port {tls_port}"),
            format!("tls-cert-file {}", certificate.display()),
            format!("tls-key-file {}", key.display()),
            format!("tls-ca-cert-file {}", certificate.display()),
            "tls-auth-clients yes".to_owned(),
            "tls-replication yes".to_owned(),
        ];
        lines.extend(is_cluster.then(|| "tls-cluster yes".to_owned()));
        lines
    }

    pub fn spawn(&self, port: u16, tls_port: u16, folder: &TempDir) -> Child {
        let path = config_file(folder);
        // A server that was here before has noted in its file what it must know again.
        if !path.exists() {
            let mut file = File::create(&path).expect("the configuration can be written");
            let own = [format!("port {port}"), "bind 127.0.0.1".to_owned(), format!("dir {}", folder.path().display())];
            for line in own.iter().chain(&self.lines).chain(&self.tls_lines(tls_port)) {
                writeln!(file, "{line}").expect("the configuration can be written");
            }
        }
        let log =
            File::options().create(true).append(true).open(folder.path().join("log")).expect("the log can be opened");
        let mut command = match self.shared {
            false => Command::new(self.kind.program()),
            true => guarded(&self.kind.program(), folder),
        };
        let child = command
            .arg(&path)
            .args(&self.flags)
            .stdin(if self.shared { Stdio::piped() } else { Stdio::null() })
            .stderr(log.try_clone().expect("the log can be shared"))
            .stdout(log)
            .spawn();
        process::started(&self.kind.program().display().to_string(), child)
    }
}

/// By which a server can be told from one that has the port by chance.
pub fn config_file(folder: &TempDir) -> PathBuf {
    folder.path().join("redis.conf")
}

/// Statics are never dropped: a shell that waits for the end of its input ends the server when this process does.
fn guarded(program: &Path, folder: &TempDir) -> Command {
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            r#"dir=$1; shift; "$@" & server=$!; cat >/dev/null; kill -9 $server; wait $server; rm -rf "$dir""#,
        ])
        .arg("sh")
        .arg(folder.path())
        .arg(program);
    command
}
