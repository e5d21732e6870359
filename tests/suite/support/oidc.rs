//! An OpenID provider that nobody here wrote (`tests/oidc`), and a person who uses its pages without a browser.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::process;
use super::visitor::Visitor;

pub struct Provider {
    child: Child,
    issuer: String,
}

impl Provider {
    /// A provider that sends people back to `redirect_uris`.
    pub fn start(redirect_uris: &[String]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc");
        assert!(
            folder.join("node_modules").is_dir(),
            "the test provider is not installed (tests/run installs what is missing: npm ci in tests/oidc)"
        );
        let child = Command::new("node")
            .arg("provider.mjs")
            .args(redirect_uris)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = process::started("node", child);
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let issuer = lines.find_map(|line| line.strip_prefix("issuer ").map(str::to_owned));
        // It must not come to a halt because nobody reads on.
        std::thread::spawn(move || lines.for_each(drop));
        match issuer {
            Some(issuer) => Self { child, issuer },
            None => {
                process::kill(&mut child);
                panic!("the test provider does not start");
            }
        }
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Has it put these claims into further ID tokens, in place of the right ones.
    pub async fn falsify(&self, claims: Value) {
        self.tell("claims", &claims.to_string()).await;
    }

    /// Has it sign with a new key.
    pub async fn rotate(&self) {
        self.tell("rotate", "").await;
    }

    pub fn kill(&mut self) {
        process::kill(&mut self.child);
    }

    async fn tell(&self, what: &str, body: &str) {
        let answer = Visitor::new().post(&format!("{}/test/{what}", self.issuer), body, &[]).await;
        assert_eq!(answer.status, 204, "{}", answer.body);
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        process::kill(&mut self.child);
    }
}

impl Visitor {
    /// Goes through the provider's pages as `name`, agrees to all it asks, and returns the address to which the provider sends
    /// them back, without going there.
    pub async fn agree(&mut self, provider: &Provider, start: &str, name: &str) -> String {
        let mut at = start.to_owned();
        // Login and consent, each with a redirect before and after; a known person needs fewer.
        for _ in 0..12 {
            let answer = self.get(&at).await;
            at = match answer.location {
                Some(location) => location,
                None => {
                    let prompt = if answer.body.contains("name=\"login\"") { "login" } else { "consent" };
                    let form = format!("prompt={prompt}&login={name}&password=x");
                    let sent = self.post(&at, &form, &[]).await;
                    sent.location.unwrap_or_else(|| panic!("the provider does not go on: {}", sent.body))
                }
            };
            if !at.starts_with(provider.issuer()) {
                return at;
            }
        }
        panic!("the provider never sends them back");
    }

    /// Goes to the provider's login page and turns back there.
    pub async fn decline(&mut self, start: &str) -> String {
        let interaction = self.get(start).await.location.expect("the provider has a login page");
        let resumed = self.get(&format!("{interaction}/abort")).await.location.expect("the provider goes on");
        self.get(&resumed).await.location.expect("the provider sends them back")
    }
}
