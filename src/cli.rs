//! The command line: subcommands, flags, what is printed at the start.

mod health;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{self, Config, Overrides};
use crate::node::Node;
use crate::telemetry::logs;

/// A horizontally scalable chat gateway: several chat protocols on one namespace, any number of replicas on one Redis.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Subcommands>,
    #[command(flatten)]
    serve: Settings,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Run a gateway node (the default).
    Serve(Settings),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Ask the gateway on this machine how it is, at the admin port of the same configuration: for probes that are commands.
    Health {
        #[arg(long, value_enum, default_value_t = health::Probe::Ready)]
        probe: health::Probe,
        #[command(flatten)]
        settings: Settings,
    },
    Load(loadgen::Load),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Say whether the configuration is good, without starting anything.
    Check(Settings),
    /// Print the whole default configuration as TOML.
    Default,
    /// Print the reference of every setting as Markdown.
    Doc,
}

#[derive(Args)]
struct Settings {
    /// Configuration file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Redis that the nodes share; without it the embedded store is used.
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// Directory of the embedded store, or `none` to keep everything in memory.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Any setting, for example `listen.http=127.0.0.1:8081`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

impl Settings {
    fn load(self) -> anyhow::Result<Config> {
        let named = [("storage.redis", self.redis), ("storage.data_dir", self.data_dir)];
        let mut sets: Vec<(String, String)> =
            named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        for set in self.sets {
            let (key, value) = set.split_once('=').ok_or_else(|| config::ConfigError::BadSet(set.clone()))?;
            sets.push((key.to_owned(), value.to_owned()));
        }
        Ok(config::load(&Overrides { file: self.config, sets }, std::env::vars())?)
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("crosstalk: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        None => serve(cli.serve.load()?)?,
        Some(Subcommands::Serve(settings)) => serve(settings.load()?)?,
        Some(Subcommands::Load(load)) => return loadgen::run(&load),
        Some(Subcommands::Health { probe, settings }) => println!("{}", health::ask(&settings.load()?, probe)?),
        Some(Subcommands::Config(ConfigCommand::Check(settings))) => {
            settings.load()?;
            println!("The configuration is good.");
        }
        Some(Subcommands::Config(ConfigCommand::Default)) => {
            print!("{}", config::default_file());
        }
        Some(Subcommands::Config(ConfigCommand::Doc)) => {
            print!("{}", config::reference_page());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn serve(config: Config) -> anyhow::Result<()> {
    logs::install(&config.log.level, config.log.format)?;
    let mut config = config;
    config.limits.connections = affordable_connections(config.limits.connections);
    // A few tasks may have written to dozens of connections: what came meanwhile is looked at sooner than the runtime would.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().event_interval(TASKS_BETWEEN_LOOKS).enable_all().build()?;
    runtime.block_on(async {
        // Before the start, so that a signal during it is not lost.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let embedded = config.storage.redis.is_empty();
        let node = tokio::select! {
            node = Node::start(config) => node?,
            // Whatever it was waiting for.
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        for (listener, address) in &node.addresses {
            tracing::info!(listener, address = %address, "listening");
        }
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            backend = if embedded { "embedded" } else { "redis" },
            "ready"
        );
        greet(&node.addresses);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("going away");
        tokio::select! {
            () = node.stop() => tracing::info!("gone"),
            _ = terminate.recv() => tracing::warn!("second signal, going at once"),
            _ = interrupt.recv() => tracing::warn!("second signal, going at once"),
        }
        Ok(())
    })
}

/// Tells a person what to try next.
fn greet(addresses: &[(&'static str, SocketAddr)]) {
    let reachable = |name: &str| {
        let (_, address) = addresses.iter().find(|(listener, _)| *listener == name)?;
        Some(reachable(*address).to_string())
    };
    println!("Crosstalk {} is ready.", env!("CARGO_PKG_VERSION"));
    if let Some(http) = reachable("http") {
        println!("  web page   http://{http}/");
        println!(
            "  try        websocat ws://{http}/chat/action   and type   {{\"action\":\"JOIN ROOM\",\"room_id\":\"red\"}}"
        );
    }
    if let Some(https) = reachable("https") {
        println!("  with TLS   https://{https}/");
    }
    for (name, label) in [("action", "action"), ("simple", "simple")] {
        if let Some(address) = reachable(name) {
            println!("  {label:<10} ws://{address}/chat");
        }
    }
    for (name, label) in [
        ("scrp", "scrp"),
        ("action_tcp", "action, TCP"),
        ("simple_tcp", "simple, TCP"),
        ("detect_tcp", "any, TCP"),
        ("pychat_tls", "pychat, TLS"),
        ("scrp_tls", "scrp, TLS"),
        ("detect_tls", "any, TLS"),
    ] {
        if let Some(address) = reachable(name) {
            println!("  {label:<10} {address}");
        }
    }
    if let Some(pychat) = reachable("pychat") {
        let (host, port) = pychat.rsplit_once(':').unwrap_or((&pychat, ""));
        println!("  pychat     {pychat}   try: nc -C {host} {port}   and type   LOGIN alice   and   JOIN red");
    }
    if let Some(admin) = reachable("admin") {
        println!("  admin      http://{admin}/metrics   /readyz   /livez");
    }
}

/// Where somebody on this machine finds who listens there.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Tasks that one thread runs before it looks at the sockets again.
const TASKS_BETWEEN_LOOKS: u32 = 8;

/// Descriptors kept for the store, the broker, the listeners and the admin port.
const OTHER_DESCRIPTORS: usize = 512;

/// Every connection is a descriptor, and the usual soft limit of 1,024 is far below what is configured: raises it as far as
/// allowed, and says how many of the wanted connections that pays for.
fn affordable_connections(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let needed = (wanted + OTHER_DESCRIPTORS) as u64;
    let current = limit.current.unwrap_or(u64::MAX);
    let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed)).max(current);
    let granted = match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum }) {
        Ok(()) => raised,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            current
        }
    };
    let affordable = wanted.min((granted as usize).saturating_sub(OTHER_DESCRIPTORS).max(1));
    if affordable < wanted {
        tracing::info!(wanted, affordable, "the limit of open files allows fewer connections than limits.connections");
    }
    affordable
}
