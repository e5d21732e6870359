//! A Redis that speaks TLS to those who have a certificate, and grants a user exactly what `docs/BROKER.md` says.

use std::path::PathBuf;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;

use super::super::ports;
use super::{Kind, Recipe, Redis, Reply};

pub struct Secure {
    pub redis: Redis,
    tls_port: u16,
    folder: TempDir,
}

impl Secure {
    pub fn start(shared: bool) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        std::fs::write(&certificate, cert.pem()).expect("the certificate is written");
        std::fs::write(&key, signing_key.serialize_pem()).expect("the key is written");
        let tls_port = ports::lasting();
        let recipe = Recipe { shared, ..Recipe::new(Kind::Redis7) }
            .line("save \"\"")
            .line(format!("tls-port {tls_port}"))
            .line(format!("tls-cert-file {}", certificate.display()))
            .line(format!("tls-key-file {}", key.display()))
            .line(format!("tls-ca-cert-file {}", certificate.display()))
            .line("tls-auth-clients yes");
        Self { redis: Redis::start_with(recipe), tls_port, folder }
    }

    /// The certificate, which vouches for itself, and its key.
    pub fn files(&self) -> [PathBuf; 2] {
        ["cert.pem", "key.pem"].map(|name| self.folder.path().join(name))
    }

    /// The URL for a user that is made here, with the documented rights for that prefix.
    pub fn url_for(&self, user: &str, prefix: &str) -> String {
        let rights = documented_rights(prefix);
        let mut command = vec!["ACL", "SETUSER", user, "on", ">p@ss/word"];
        command.extend(rights.iter().map(String::as_str));
        assert_eq!(self.redis.query(&command), Reply::Text("OK".to_owned()), "{command:?}");
        format!("rediss://{user}:p%40ss%2Fword@localhost:{}/", self.tls_port)
    }
}

/// The words after the password in the line of `docs/BROKER.md` that begins with `ACL SETUSER`, for another prefix.
fn documented_rights(prefix: &str) -> Vec<String> {
    let page = include_str!("../../../../docs/BROKER.md");
    let begin = page.find("ACL SETUSER gateway on >password").expect("docs/BROKER.md has the rights");
    let text = &page[begin..begin + page[begin..].find("```").expect("the rights are in a block of their own")];
    let words = text.split_whitespace().filter(|word| *word != "\\").skip(5);
    words.map(|word| word.replace("ct:", prefix)).collect()
}
