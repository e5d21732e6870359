//! Servers that speak TLS to those who have a certificate, and grant a user exactly what `docs/BROKER.md` says.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;

use super::{Kind, Recipe, Redis, Reply};

/// A certificate that vouches for itself, and its key, for servers and clients alike.
#[derive(Debug)]
pub struct Credentials {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// What the paths lie in.
    _folder: TempDir,
}

impl Credentials {
    pub fn make() -> Arc<Self> {
        let folder = TempDir::new().expect("a temporary folder can be made");
        // Servers that name one another do so by their addresses.
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a certificate can be made");
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        std::fs::write(&certificate, cert.pem()).expect("the certificate is written");
        std::fs::write(&key, signing_key.serialize_pem()).expect("the key is written");
        Arc::new(Self { certificate, key, _folder: folder })
    }

    /// The paths, as settings name them.
    pub fn files(&self) -> [String; 2] {
        [&self.certificate, &self.key].map(|path| path.display().to_string())
    }
}

/// One such server.
pub struct Secure {
    pub redis: Redis,
    pub credentials: Arc<Credentials>,
}

impl Secure {
    pub fn start(shared: bool) -> Self {
        let credentials = Credentials::make();
        let recipe = Recipe { shared, ..Recipe::new(Kind::Redis7) }.line("save \"\"").through_tls(&credentials);
        Self { redis: Redis::start_with(recipe), credentials }
    }

    /// The URL for a user that is made here, with the documented rights for that prefix.
    pub fn url_for(&self, user: &str, prefix: &str) -> String {
        format!("rediss://{}@localhost:{}/", admit([&self.redis], user, prefix), self.redis.door())
    }
}

/// Makes a user with the documented rights for that prefix; user and password as they stand in a URL.
pub fn admit<'a>(servers: impl IntoIterator<Item = &'a Redis>, user: &str, prefix: &str) -> String {
    let rights = documented_rights(prefix);
    let mut command = vec!["ACL", "SETUSER", user, "on", ">p@ss/word"];
    command.extend(rights.iter().map(String::as_str));
    for server in servers {
        assert_eq!(server.query(&command), Reply::Text("OK".to_owned()), "{command:?}");
    }
    format!("{user}:p%40ss%2Fword")
}

/// What servers refused to do for want of a right.
pub fn denied<'a>(servers: impl IntoIterator<Item = &'a Redis>) -> Vec<Reply> {
    let logs = servers.into_iter().map(|server| server.query(&["ACL", "LOG"]));
    logs.filter(|log| *log != Reply::List(Vec::new())).collect()
}

/// The words after the password in the line of `docs/BROKER.md` that begins with `ACL SETUSER`, for another prefix.
fn documented_rights(prefix: &str) -> Vec<String> {
    let page = include_str!("../../../../docs/BROKER.md");
    let begin = page.find("ACL SETUSER gateway on >password").expect("docs/BROKER.md has the rights");
    let text = &page[begin..begin + page[begin..].find("```").expect("the rights are in a block of their own")];
    let words = text.split_whitespace().filter(|word| *word != "\\").skip(5);
    words.map(|word| word.replace("ct:", prefix)).collect()
}
