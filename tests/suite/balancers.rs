//! The shipped configurations of load balancers, under the real programs: every dialect comes through, over WebSocket and TCP, and when
//! a gateway is rolled its clients come back elsewhere while nobody else notices.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use crate::support::client::Client;
use crate::support::dialect::Dialect::{self, Action, Pychat, Scrp, Simple};
use crate::support::http;
use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;
use crate::support::{eventually, ports, process, until};

/// The ports in the configurations, and the listeners of the gateways behind them.
const DOORS: [(u16, &str); 5] = [(8080, "http"), (8000, "action"), (8081, "simple"), (9090, "pychat"), (42015, "scrp")];
const ADMIN: u16 = 9600;
const ROOM: &str = "red";

#[derive(Clone, Copy)]
enum Kind {
    Haproxy,
    Nginx,
    Envoy,
}

use Kind::{Envoy, Haproxy, Nginx};

/// A balancer before three gateways, all on ports of their own.
struct Balancer {
    child: Child,
    doors: BTreeMap<u16, u16>,
    _folder: tempfile::TempDir,
}

impl Kind {
    fn file(self) -> &'static str {
        match self {
            Haproxy => "haproxy.cfg",
            Nginx => "nginx.conf",
            Envoy => "envoy.yaml",
        }
    }

    /// What its configuration calls listening on a port.
    fn listens(self, port: u16) -> String {
        match self {
            Haproxy => format!("bind :{port}\n"),
            Nginx => format!("listen {port}"),
            Envoy => format!("address: 0.0.0.0, port_value: {port}}}"),
        }
    }

    fn listens_here(self, port: u16) -> String {
        match self {
            Haproxy => format!("bind 127.0.0.1:{port}\n"),
            Nginx => format!("listen 127.0.0.1:{port}"),
            Envoy => format!("address: 127.0.0.1, port_value: {port}}}"),
        }
    }

    /// The shipped file with other addresses, and fewer connections than this machine may forbid.
    fn configuration(self, doors: &BTreeMap<u16, u16>, gateways: &[Gateway]) -> String {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/balancer").join(self.file());
        let mut text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut replace = |from: &str, to: &str| {
            assert!(text.contains(from), "{}: no {from:?}", file.display());
            text = text.replace(from, to);
        };
        match self {
            Haproxy => {
                replace("maxconn 60000", "maxconn 1000");
                replace("bind :8404\n", &self.listens_here(ports::lasting()));
                replace(" resolvers docker init-addr last,libc,none", "");
            }
            Nginx => replace("worker_connections 60000", "worker_connections 1000"),
            Envoy => replace("port_value: 9901", &format!("port_value: {}", ports::lasting())),
        }
        for (port, here) in doors {
            replace(&self.listens(*port), &self.listens_here(*here));
        }
        for (number, gateway) in (1..).zip(gateways) {
            let admin = gateway.ports["admin"];
            for (port, listener) in DOORS {
                let here = gateway.ports[listener];
                match self {
                    Haproxy => replace(
                        &format!("gateway-{number} gateway-{number}:{port}\n"),
                        &format!("gateway-{number} 127.0.0.1:{here} port {admin}\n"),
                    ),
                    Nginx => replace(&format!("gateway-{number}:{port} "), &format!("127.0.0.1:{here} ")),
                    Envoy => {
                        let health = format!("\n{}health_check_config: {{port_value: ", " ".repeat(18));
                        replace(
                            &format!("gateway-{number}, port_value: {port}}}}}{health}{ADMIN}"),
                            &format!("127.0.0.1, port_value: {here}}}}}{health}{admin}"),
                        );
                    }
                }
            }
        }
        match self {
            // There is no name server of Docker's here.
            Haproxy => without_section(&text, "resolvers docker"),
            Nginx | Envoy => text,
        }
    }

    fn command(self, configuration: &Path, folder: &Path) -> Command {
        let mut command;
        match self {
            Haproxy => {
                command = Command::new("haproxy");
                command.arg("-f").arg(configuration);
            }
            Nginx => {
                command = Command::new("nginx");
                let pid = folder.join("pid");
                let further = format!("daemon off; master_process off; pid {}; error_log stderr;", pid.display());
                command.arg("-c").arg(configuration).args(["-g", &further]);
            }
            Envoy => {
                command = Command::new(process::fetched("envoy/envoy"));
                command.args(["--disable-hot-restart", "--concurrency", "1", "-l", "warning", "-c"]).arg(configuration);
            }
        }
        command
    }
}

fn without_section(text: &str, heading: &str) -> String {
    let (before, rest) = text.split_once(heading).expect("there is such a section");
    let (_, after) = rest.split_once("\n\n").expect("it ends");
    format!("{before}{after}")
}

impl Balancer {
    async fn start(kind: Kind, gateways: &[Gateway]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let doors: BTreeMap<u16, u16> = DOORS.iter().map(|(port, _)| (*port, ports::lasting())).collect();
        let configuration: PathBuf = folder.path().join(kind.file());
        std::fs::write(&configuration, kind.configuration(&doors, gateways)).unwrap();
        let mut command = kind.command(&configuration, folder.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = process::started(&format!("{command:?}"), child);
        let balancer = Self { child, doors, _folder: folder };
        eventually("the balancer lets the page through", async || match http::get(balancer.door(8080), "/").await {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) => Err(format!("{} {}", answer.status, answer.body)),
            Err(error) => Err(error),
        })
        .await;
        balancer
    }

    fn door(&self, port: u16) -> SocketAddr {
        ([127, 0, 0, 1], self.doors[&port]).into()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        process::signal(&self.child, Signal::TERM);
        process::kill(&mut self.child);
    }
}

/// A gateway on ports that are known before it starts.
struct Gateway {
    ports: BTreeMap<&'static str, u16>,
    node: Node,
}

impl Gateway {
    fn start(plan: &Plan) -> Self {
        let listeners = DOORS.iter().map(|(_, listener)| *listener).chain(["admin"]);
        let ports: BTreeMap<&str, u16> = listeners.map(|listener| (listener, ports::lasting())).collect();
        let at = |plan: Plan, (listener, port): (&&str, &u16)| {
            plan.set(&format!("listen.{listener}"), &format!("127.0.0.1:{port}"))
        };
        let node = ports.iter().fold(plan.clone(), at).start();
        Self { ports, node }
    }

    async fn sessions(&self) -> f64 {
        self.node.metric("crosstalk_sessions", &[]).await.unwrap_or_default()
    }
}

/// Somebody who comes through the balancer, in one of the ways that there are.
struct Person {
    name: String,
    dialect: Dialect,
    port: u16,
    client: Client,
}

/// Port and dialect of every way in.
const WAYS: [(u16, Dialect); 8] = [
    (8080, Action),
    (8080, Simple),
    (8080, Pychat),
    (8080, Scrp),
    (8000, Action),
    (8081, Simple),
    (9090, Pychat),
    (42015, Scrp),
];

async fn dial(balancer: &Balancer, port: u16, dialect: Dialect) -> Result<Client, String> {
    let stream = tokio::net::TcpStream::connect(balancer.door(port)).await.map_err(|error| error.to_string())?;
    match port {
        8080 => Client::over_websocket(stream, dialect.websocket_path(), dialect).await,
        8000 | 8081 => Client::over_websocket(stream, "/chat", dialect).await,
        _ => Ok(Client::over_tcp(stream, dialect)),
    }
}

impl Person {
    async fn try_come(balancer: &Balancer, name: &str, port: u16, dialect: Dialect) -> Result<Client, String> {
        let mut client = dial(balancer, port, dialect).await?;
        client.try_claim(name).await?;
        Ok(client)
    }

    async fn come(balancer: &Balancer, name: String, port: u16, dialect: Dialect) -> Self {
        let client = Self::try_come(balancer, &name, port, dialect).await;
        let mut client = client.unwrap_or_else(|error| panic!("{name} on port {port}: {error}"));
        client.join(ROOM).await;
        Self { name, dialect, port, client }
    }

    /// Whether it was sent away, and came back by the same door.
    async fn is_back(&mut self, balancer: &Balancer) -> bool {
        let said = self.client.try_ask(&self.dialect.say(ROOM, &format!("{} is here", self.name))).await;
        if said.is_ok_and(|reply| self.dialect.error(&reply).is_none()) {
            return false;
        }
        let (name, port, dialect) = (&self.name, self.port, self.dialect);
        // Without checks of its own a balancer may meet the gateway that goes in its last moment.
        self.client =
            eventually("it is let in again", async || Self::try_come(balancer, name, port, dialect).await).await;
        // An account is a member for good.
        if dialect != Scrp {
            self.client.join(ROOM).await;
        }
        true
    }
}

async fn everybody_hears(people: &mut [Person], text: &str) {
    for speaker in [0, people.len() - 1] {
        let text = format!("{text} {speaker}");
        let author = people[speaker].name.clone();
        people[speaker].client.say(ROOM, &text).await;
        for (number, person) in people.iter_mut().enumerate().filter(|(number, _)| *number != speaker) {
            loop {
                let message = person.client.message().await;
                if message.text == text {
                    assert_eq!(message.author, author, "to {number}");
                    break;
                }
            }
        }
    }
}

async fn gateways_are_rolled_behind(kind: Kind, readiness_delay_ms: &str) {
    let redis = Redis::start();
    let plan = Plan::on(&redis).set("shutdown.readiness_delay_ms", readiness_delay_ms);
    let mut gateways: Vec<Gateway> = (0..3).map(|_| Gateway::start(&plan)).collect();
    let balancer = Balancer::start(kind, &gateways).await;
    let mut people = Vec::new();
    for round in 0..2 {
        for (number, (port, dialect)) in WAYS.into_iter().enumerate() {
            people.push(Person::come(&balancer, format!("person{round}{number}"), port, dialect).await);
        }
    }
    everybody_hears(&mut people, "before").await;
    let mut sessions = Vec::new();
    for gateway in &gateways {
        sessions.push(gateway.sessions().await);
    }
    // Envoy draws lots among those of which it knows that they are ready.
    assert!(sessions.iter().filter(|sessions| **sessions > 0.0).count() > 1, "one has all: {sessions:?}");

    let (number, most) = (0..).zip(sessions).max_by(|(_, one), (_, other)| one.total_cmp(other)).unwrap();
    let mut leaving = gateways.swap_remove(number).node;
    leaving.sigterm();
    assert_eq!(leaving.wait_exit().code(), Some(0));
    let mut back = 0.0;
    for person in &mut people {
        back += f64::from(u8::from(person.is_back(&balancer).await));
    }
    assert_eq!(back, most, "nobody else had to come again");
    everybody_hears(&mut people, "after").await;
    until("the others have them all", async || {
        gateways[0].sessions().await + gateways[1].sessions().await == people.len() as f64
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_brings_every_dialect_to_gateways_that_are_rolled() {
    gateways_are_rolled_behind(Haproxy, "4000").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_brings_every_dialect_to_gateways_that_are_rolled() {
    gateways_are_rolled_behind(Nginx, "0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_brings_every_dialect_to_gateways_that_are_rolled() {
    gateways_are_rolled_behind(Envoy, "4000").await;
}
