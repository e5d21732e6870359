//! Every setting: one documented field with its default. From these lines come the parser, `config default`,
//! `docs/CONFIG.md` and the environment names; to add a setting, add its line.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::values::{Protocol, TextList, WebUrl};
use crate::telemetry::OtlpProtocol;
use crate::telemetry::logs::LogFormat;

/// Where a listener listens: a socket address, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(pub Option<SocketAddr>);

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        text.parse().map(|address| Self(Some(address))).map_err(|_| {
            format!("{text:?} is neither `off` nor an address with a port, such as `0.0.0.0:8080` or `[::]:8080`")
        })
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0.map_or_else(|| "off".to_owned(), |address| address.to_string())
    }
}

/// What the documents say of one setting.
pub struct Setting {
    pub section: &'static str,
    pub key: &'static str,
    pub doc: &'static [&'static str],
}

/// Sections `[section.map.NAME]` that are all alike. Their settings are all texts.
pub struct Group {
    pub section: &'static str,
    pub map: &'static str,
    pub doc: &'static str,
    pub settings: &'static [Setting],
    pub defaults: fn() -> serde_json::Value,
}

macro_rules! config {
    ($($(#[doc = $section_doc:literal])+ $section:ident: $name:ident {
        $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr;)+
        $(each $map:ident: $entry:ident $map_doc:literal {
            $($(#[doc = $entry_doc:literal])+ $entry_key:ident: $entry_type:ty = $entry_default:expr;)+
        })?
    })+) => {
        /// The whole configuration, one section per concern.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Config {
            $($(#[doc = $section_doc])+ pub $section: $name,)+
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($section: $name::default(),)+ }
            }
        }

        $(
            $(#[doc = $section_doc])+
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                $($(#[doc = $doc])+ pub $key: $type,)+
                $(#[doc = $map_doc] #[serde(default)] pub $map: BTreeMap<String, $entry>,)?
            }

            impl Default for $name {
                fn default() -> Self {
                    Self { $($key: $default,)+ $($map: BTreeMap::new(),)? }
                }
            }

            $(
                #[doc = $map_doc]
                #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
                #[serde(default, deny_unknown_fields)]
                pub struct $entry {
                    $($(#[doc = $entry_doc])+ pub $entry_key: $entry_type,)+
                }

                impl Default for $entry {
                    fn default() -> Self {
                        Self { $($entry_key: $entry_default,)+ }
                    }
                }
            )?
        )+

        /// Every setting, in the order of the file.
        pub const SETTINGS: &[Setting] = &[
            $($(Setting { section: stringify!($section), key: stringify!($key), doc: &[$($doc),+] },)+)+
        ];

        /// Every section with what it is about.
        pub const SECTIONS: &[(&str, &[&str])] = &[$((stringify!($section), &[$($section_doc),+]),)+];

        /// Every group of sections whose names the operator chooses.
        pub const GROUPS: &[Group] = &[$($(Group {
            section: stringify!($section),
            map: stringify!($map),
            doc: $map_doc,
            settings: &[$(Setting {
                section: concat!(stringify!($section), ".", stringify!($map)),
                key: stringify!($entry_key),
                doc: &[$($entry_doc),+],
            },)+],
            defaults: || serde_json::to_value($entry::default()).unwrap_or_default(),
        },)?)+];
    };
}

fn address(text: &str) -> Address {
    Address(text.parse().ok())
}

config! {
    /// Where the node listens. Every listener is an address or `off`.
    listen: Listen {
        /// Main HTTP port: the web page at `/`, WebSockets at `/chat`, `/chat/action`, `/chat/simple`, `/chat/pychat` and `/chat/scrp`.
        http: Address = address("0.0.0.0:8080");
        /// The main HTTP port over TLS (section `tls`).
        https: Address = Address(None);
        /// Original port of the `action` protocol: WebSocket at `/chat`.
        action: Address = address("0.0.0.0:8000");
        /// Original port of the `simple` protocol: WebSocket at `/chat`.
        simple: Address = address("0.0.0.0:8081");
        /// Original port of the `pychat` protocol: raw TCP, one line per message.
        pychat: Address = address("0.0.0.0:9090");
        /// Original port of the `scrp` protocol: raw TCP, each JSON object with its length before it.
        scrp: Address = address("0.0.0.0:42015");
        /// `action` over raw TCP, one JSON object per line.
        action_tcp: Address = Address(None);
        /// `simple` over raw TCP, one JSON object per line.
        simple_tcp: Address = Address(None);
        /// Raw TCP that decides the dialect from each client's first message.
        detect_tcp: Address = Address(None);
        /// `pychat` over TLS.
        pychat_tls: Address = Address(None);
        /// `scrp` over TLS.
        scrp_tls: Address = Address(None);
        /// Raw TCP over TLS that decides the dialect from each client's first message.
        detect_tls: Address = Address(None);
        /// Health and metrics. Never put it behind the public load balancer; in a pod, bind it to `0.0.0.0:9600`.
        admin: Address = address("127.0.0.1:9600");
    }
    /// What the server says of itself to clients that ask (`scrp`, GET_SERVER_INFO).
    server: Server {
        /// Its name for people, at most 32 characters.
        nickname: String = "Crosstalk".to_owned();
        /// What it is for, at most 256 characters.
        description: String = String::new();
    }
    /// The certificate of the listeners that speak TLS.
    tls: Tls {
        /// PEM file with the certificate, and the chain above it.
        certificate: String = String::new();
        /// PEM file with the private key.
        key: String = String::new();
        /// Milliseconds between two looks whether the files have changed; a renewed certificate serves new connections.
        follow_ms: u64 = 10_000;
    }
    /// Where state lives: embedded in this process, or in a Redis shared by any number of nodes.
    storage: Storage {
        /// URL of the Redis that the nodes share: `redis://[user:password@]host:port[/db]`,
        /// `redis+sentinel://[user:password@]host:port,host:port/service[/db]` or
        /// `redis+cluster://[user:password@]host:port,host:port`; with `rediss` through TLS. Empty for the embedded store.
        redis: String = String::new();
        /// File that holds the Redis URL, for a URL with a password; read at the start, wins over an empty `redis` only.
        redis_file: String = String::new();
        /// Directory of the embedded store, or `none` to keep everything in memory.
        data_dir: String = "crosstalk-data".to_owned();
        /// Newest events kept per room.
        history_count: u64 = 500;
        /// Seconds for which a room's events are kept.
        history_age_s: u64 = 86_400;
        /// Newest entries kept in Redis for backends that follow who is in which room; 0 for no such outbox.
        outbox_count: u64 = 100_000;
        /// Rooms that the embedded store keeps; beyond it, the empty room that was quiet for longest is forgotten.
        rooms_max: u64 = 100_000;
    }
    /// How this node talks to Redis.
    redis: RedisTuning {
        /// PEM file with the authorities to trust instead of the usual ones, for a URL with `rediss`.
        ca_file: String = String::new();
        /// PEM file with this client's certificate, for a Redis that asks for one.
        certificate: String = String::new();
        /// PEM file with the key of `certificate`.
        key: String = String::new();
        /// User for the Sentinels; the one in the URL is for the Redis that they watch.
        sentinel_user: String = String::new();
        /// Password for the Sentinels.
        sentinel_password: String = String::new();
        /// File that holds the password for the Sentinels; read at the start, wins over an empty `sentinel_password` only.
        sentinel_password_file: String = String::new();
        /// Begins every key and channel.
        key_prefix: String = "ct:".to_owned();
        /// Connections for accounts, housekeeping and what else is rare; messages, and those who come and go, share one of their own.
        pool_size: usize = 16;
        /// Milliseconds after which a connection attempt is given up.
        connect_timeout_ms: u64 = 2_000;
        /// Milliseconds for which a start waits for servers that do not answer, about: a master may be being replaced. Then it fails.
        start_timeout_ms: u64 = 30_000;
        /// Milliseconds after which a command is given up and the client told that the service is unavailable.
        command_timeout_ms: u64 = 2_000;
        /// Bytes heard from the broker that may wait for dispatch; beyond it events are dropped and backfilled.
        bus_queue_bytes: u64 = 67_108_864;
    }
    /// How the nodes keep track of one another.
    cluster: Cluster {
        /// Milliseconds after its last heartbeat at which a node counts as dead.
        lease_ms: u64 = 10_000;
        /// Milliseconds between two lease heartbeats.
        heartbeat_ms: u64 = 3_000;
        /// Milliseconds between two looks for dead nodes.
        sweep_ms: u64 = 1_000;
        /// Milliseconds without an own heartbeat on the subscription connection after which it is built again.
        deaf_ms: u64 = 3_000;
    }
    /// What one client, one address and one node may use. Every refusal is an error reply.
    limits: Limits {
        /// Longest text of a message, in bytes of UTF-8.
        text_bytes: usize = 4_096;
        /// Longest frame or line of any dialect, in bytes.
        frame_bytes: usize = 65_536;
        /// Rooms that may be created on purpose, in the whole cluster.
        kept_rooms: u64 = 100_000;
        /// Accounts that may sign up.
        users: u64 = 1_000_000;
        /// Rooms that one session may be in, those whose permission it waits for included.
        rooms_per_session: usize = 100;
        /// Messages and other requests a session may send per second, on average.
        messages_per_second: u32 = 50;
        /// Messages and other requests a session may send at once.
        message_burst: u32 = 100;
        /// Joins and creations of rooms a session may ask for per second, on average.
        joins_per_second: u32 = 20;
        /// Joins and creations of rooms a session may ask for at once.
        join_burst: u32 = 120;
        /// Malformed messages in a row that cost the connection.
        strikes: u32 = 20;
        /// Connections that this node holds.
        connections: usize = 50_000;
        /// Connections from one address. Generous, because behind a load balancer all clients may share one.
        connections_per_address: usize = 20_000;
        /// Connections that are let in within one second, after a burst; the others are told when to come again. 0: all.
        connections_per_second: u32 = 1_000;
        /// Connections that are let in at once.
        connection_burst: u32 = 5_000;
        /// Bytes that may wait for a client that reads slowly, before it is closed.
        mailbox_bytes: usize = 1_048_576;
    }
    /// How passwords are hashed (Argon2id, RFC 9106). A hash keeps the parameters it was made with.
    passwords: PasswordTuning {
        /// Memory of one hash, in KiB.
        memory_kib: u32 = 19_456;
        /// Passes over the memory.
        iterations: u32 = 2;
        /// Lanes of one hash.
        lanes: u32 = 1;
        /// Hashes made at once, each on a thread of its own.
        at_once: usize = 2;
        /// Hashes that may wait for their turn or be made; beyond it clients are told that the service is unavailable.
        queue: usize = 256;
    }
    /// One connection's life.
    session: SessionTuning {
        /// Seconds between WebSocket pings; a peer is closed at the first one that finds it silent for two and a half of them.
        keepalive_s: u64 = 30;
        /// Whether messages are compressed (permessage-deflate) for WebSockets that offer it. It saves bandwidth and costs CPU: once
        /// for a room's event, once for each answer.
        compression: bool = false;
        /// Milliseconds a write may stand still before the peer counts as a slow reader.
        write_deadline_ms: u64 = 10_000;
        /// Seconds for which nickname and rooms of a session are kept when its connection is lost, if it has a resume token.
        resume_s: u64 = 30;
        /// Sessions without a connection that this node keeps; beyond it the one lost first ends at once.
        held: usize = 10_000;
        /// Milliseconds a client has to finish its HTTP request.
        handshake_ms: u64 = 10_000;
    }
    /// How the node goes away after SIGTERM.
    shutdown: Shutdown {
        /// Milliseconds between failing readiness and closing the listeners, for load balancers to notice.
        readiness_delay_ms: u64 = 0;
        /// Sessions that are closed in one second, so that they come to the other nodes one after the other; 0: all at once. More, where this
        /// would take longer than three quarters of the deadline.
        reconnects_per_second: u32 = 500;
        /// Milliseconds after which what is left is closed.
        deadline_ms: u64 = 20_000;
    }
    /// Logs, on stderr.
    log: Log {
        /// Filter: `error`, `warn`, `info`, `debug`, `trace`, or per module (`info,crosstalk::session=debug`).
        level: String = "info".to_owned();
        /// `text`, `json`, or `auto`: text on a terminal, JSON otherwise.
        format: LogFormat = LogFormat::Auto;
    }
    /// Traces of single messages.
    telemetry: Telemetry {
        /// Where spans go, OTLP over HTTP (`http://collector:4318/v1/traces`) or gRPC (`http://collector:4317`); empty for no traces.
        otlp_endpoint: String = String::new();
        /// How: `http` or `grpc`.
        otlp_protocol: OtlpProtocol = OtlpProtocol::Http;
        /// Share of messages that are traced, 0 to 1; in rooms of more than a hundred sessions on a node in proportion less.
        sample_ratio: f64 = 0.01;
    }
    /// Who may log in, and how. Without a key everyone is a guest; `docs/LOGIN.md` has the steps.
    auth: Auth {
        /// Key that signs tokens (HS256), the same on all nodes: at least 32 bytes, for example from `openssl rand -hex 32`.
        token_key: String = String::new();
        /// File that holds the key, read at the start; wins over an empty `token_key` only.
        token_key_file: String = String::new();
        /// Former keys, comma-separated: tokens they signed are still taken, for as long as they last.
        token_keys_former: TextList = TextList::default();
        /// File that holds the former keys, one a line; wins over an empty `token_keys_former` only.
        token_keys_former_file: String = String::new();
        /// The claims `iss` and `aud` of every token.
        token_issuer: String = "crosstalk".to_owned();
        /// Seconds for which a token lasts; it can be renewed before.
        token_s: u64 = 7_200;
        /// Seconds after which a login ends, however often its token was renewed.
        login_s: u64 = 2_592_000;
        /// Where people reach this server with a browser (`https://chat.example.org`); needed where providers are configured.
        public_url: WebUrl = WebUrl::default();
        /// Origins of further pages that may use a login, comma-separated (`https://app.example.org`).
        allowed_origins: TextList = TextList::default();
        /// Whether guests are refused.
        require_login: bool = false;
        each providers: LoginProvider "One provider at which people log in. NAME is yours: `a-z`, `0-9` and `-`, up to 32; it is part of every account's identity, so never rename it." {
            /// `oidc` (OpenID Connect, by discovery) or `oauth2` (OAuth 2 without it: GitHub, Facebook).
            kind: Protocol = Protocol::Oidc;
            /// What people know it by: "Log in with …". Empty: NAME.
            label: String = String::new();
            /// What the provider calls this server.
            client_id: String = String::new();
            /// The secret that goes with it; empty for a public client.
            client_secret: String = String::new();
            /// File that holds the secret, read at the start; wins over an empty `client_secret` only.
            client_secret_file: String = String::new();
            /// What to ask for, separated by blanks; `openid` is always asked of an `oidc` provider.
            scope: String = String::new();
            /// `oidc`: the issuer, exactly as the provider writes it, with its final slash if it has one.
            issuer: WebUrl = WebUrl::default();
            /// `oauth2`: where people are sent.
            authorize_url: WebUrl = WebUrl::default();
            /// `oauth2`: where codes are exchanged for access tokens.
            token_url: WebUrl = WebUrl::default();
            /// `oauth2`: what says whose an access token is, as a JSON object.
            user_url: WebUrl = WebUrl::default();
            /// `oauth2`: the object's field with the person's stable id.
            subject_field: String = "id".to_owned();
            /// `oauth2`: the object's field with a name to suggest.
            name_field: String = "name".to_owned();
        }
    }
}
