//! Every setting: one documented field with its default. From these lines come the parser, `config default`,
//! `docs/CONFIG.md` and the environment names; to add a setting, add its line.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

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

macro_rules! config {
    ($($(#[doc = $section_doc:literal])+ $section:ident: $name:ident {
        $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr;)+
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
            }

            impl Default for $name {
                fn default() -> Self {
                    Self { $($key: $default,)+ }
                }
            }
        )+

        /// Every setting, in the order of the file.
        pub const SETTINGS: &[Setting] = &[
            $($(Setting { section: stringify!($section), key: stringify!($key), doc: &[$($doc),+] },)+)+
        ];

        /// Every section with what it is about.
        pub const SECTIONS: &[(&str, &[&str])] = &[$((stringify!($section), &[$($section_doc),+]),)+];
    };
}

fn address(text: &str) -> Address {
    Address(text.parse().ok())
}

config! {
    /// Where the node listens. Every listener is an address or `off`.
    listen: Listen {
        /// Main HTTP port: the web page at `/`, WebSockets at `/chat`, `/chat/action`, `/chat/simple` and `/chat/pychat`.
        http: Address = address("0.0.0.0:8080");
        /// Original port of the `action` protocol: WebSocket at `/chat`.
        action: Address = address("0.0.0.0:8000");
        /// Original port of the `simple` protocol: WebSocket at `/chat`.
        simple: Address = address("0.0.0.0:8081");
        /// Original port of the `pychat` protocol: raw TCP, one line per message.
        pychat: Address = address("0.0.0.0:9090");
        /// `action` over raw TCP, one JSON object per line.
        action_tcp: Address = Address(None);
        /// `simple` over raw TCP, one JSON object per line.
        simple_tcp: Address = Address(None);
        /// Raw TCP that decides the dialect from each client's first line.
        detect_tcp: Address = Address(None);
        /// Health and metrics. Never put it behind the public load balancer; in a pod, bind it to `0.0.0.0:9600`.
        admin: Address = address("127.0.0.1:9600");
    }
    /// Where state lives: embedded in this process, or in a Redis shared by any number of nodes.
    storage: Storage {
        /// URL of the Redis that the nodes share (`redis://[user:password@]host:port[/db]`); empty for the embedded store.
        redis: String = String::new();
        /// File that holds the Redis URL, for a URL with a password; read at the start, wins over an empty `redis` only.
        redis_file: String = String::new();
        /// Directory of the embedded store, or `none` to keep everything in memory.
        data_dir: String = "crosstalk-data".to_owned();
        /// Newest events kept per room.
        history_count: u64 = 500;
        /// Seconds for which a room's events are kept.
        history_age_s: u64 = 86_400;
        /// Rooms that the embedded store keeps; beyond it, the empty room that was quiet for longest is forgotten.
        rooms_max: u64 = 100_000;
    }
    /// How this node talks to Redis.
    redis: RedisTuning {
        /// Begins every key and channel.
        key_prefix: String = "ct:".to_owned();
        /// Connections for claims, joins and housekeeping; messages have a connection of their own.
        pool_size: usize = 16;
        /// Milliseconds after which a connection attempt is given up.
        connect_timeout_ms: u64 = 2_000;
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
        /// Milliseconds a write may stand still before the peer counts as a slow reader.
        write_deadline_ms: u64 = 10_000;
        /// Milliseconds a client has to finish its HTTP request.
        handshake_ms: u64 = 10_000;
    }
    /// How the node goes away after SIGTERM.
    shutdown: Shutdown {
        /// Milliseconds between failing readiness and closing the listeners, for load balancers to notice.
        readiness_delay_ms: u64 = 0;
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
        /// Where spans go, OTLP over HTTP (`http://collector:4318/v1/traces`); empty for no traces.
        otlp_endpoint: String = String::new();
        /// Share of messages that are traced, 0 to 1.
        sample_ratio: f64 = 0.01;
    }
}
