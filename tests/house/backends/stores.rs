//! The servers on which the clauses run beside the one of the distribution: one of each for all of them, each clause under a
//! prefix of its own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crosstalk::backend::redis::Access;

use super::{Node, redis_at};
use crate::support::redis::cluster::Cluster;
use crate::support::redis::secure::{Secure, admit};
use crate::support::redis::sentinels::{SERVICE, Sentinels};
use crate::support::redis::{Kind, Recipe, Redis};

/// Where a clause keeps what it keeps.
pub struct Store {
    url: String,
    access: Access,
    prefix: String,
}

impl Store {
    fn at(url: String) -> Self {
        Self { url, access: Access::default(), prefix: prefix() }
    }

    /// As a user with exactly the documented rights, under the clause's own prefix.
    fn admitted(servers: &[Redis], url: impl FnOnce(String) -> String) -> Self {
        let prefix = prefix();
        let login = admit(servers, &user_of(&prefix), &prefix);
        Self { url: url(login), access: Access::default(), prefix }
    }

    pub async fn node(&self) -> Node {
        redis_at(|settings| {
            settings.url.clone_from(&self.url);
            settings.access = self.access.clone();
            settings.key_prefix.clone_from(&self.prefix);
        })
        .await
    }
}

fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{}:", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn user_of(prefix: &str) -> String {
    format!("user-{}", prefix.trim_end_matches(':'))
}

fn shared(kind: Kind) -> Recipe {
    Recipe { shared: true, ..Recipe::new(kind) }
}

fn plain(kind: Kind) -> Redis {
    Redis::start_with(shared(kind).line("save \"\""))
}

pub fn redis_8() -> Store {
    static SERVER: OnceLock<Redis> = OnceLock::new();
    Store::at(SERVER.get_or_init(|| plain(Kind::Redis8)).url())
}

pub fn valkey_8() -> Store {
    static SERVER: OnceLock<Redis> = OnceLock::new();
    Store::at(SERVER.get_or_init(|| plain(Kind::Valkey8)).url())
}

pub fn cluster() -> Store {
    static SERVERS: OnceLock<Cluster> = OnceLock::new();
    let cluster = SERVERS.get_or_init(|| Cluster::of(&shared(Kind::Redis7), false));
    Store::admitted(&cluster.nodes, |login| format!("redis+cluster://{login}@{}", cluster.hosts()))
}

pub fn sentinels() -> Store {
    static SERVERS: OnceLock<Sentinels> = OnceLock::new();
    let watched = SERVERS.get_or_init(|| Sentinels::of(&shared(Kind::Redis7), false));
    Store::admitted(&watched.servers, |login| format!("redis+sentinel://{login}@{}/{SERVICE}", watched.hosts()))
}

/// Through TLS with certificates on both sides, as a user with exactly the documented rights.
pub fn secure() -> Store {
    static SERVER: OnceLock<Secure> = OnceLock::new();
    let server = SERVER.get_or_init(|| Secure::start(true));
    let prefix = prefix();
    let [certificate, key] = server.credentials.files();
    let access = Access { ca_file: certificate.clone(), certificate, key, ..Access::default() };
    let url = server.url_for(&user_of(&prefix), &prefix);
    Store { url, access, prefix }
}
