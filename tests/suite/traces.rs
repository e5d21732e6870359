//! One message is one trace, on whatever node its receivers are: seen by a real collector, over both of OTLP's ways.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::support::client::Client;
use crate::support::dialect::Dialect::{Action, Pychat};
use crate::support::node::Plan;
use crate::support::redis::Redis;
use crate::support::{eventually, ports, process};

/// Takes spans and writes each of them into its log.
struct Collector {
    child: Child,
    http: u16,
    grpc: u16,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

/// What the collector says of a span.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    instance: String,
    trace: String,
    parent: String,
    id: String,
    name: String,
}

impl Collector {
    async fn start() -> Self {
        let program = process::fetched("rotel/rotel-agent");
        let folder = tempfile::tempdir().unwrap();
        let (http, grpc, log) = (ports::lasting(), ports::lasting(), folder.path().join("log"));
        let said = std::fs::File::create(&log).unwrap();
        let child = Command::new(&program)
            .args(["start", "--exporter", "blackhole", "--debug-log", "traces", "--debug-log-verbosity", "detailed"])
            .arg("--pid-file")
            .arg(folder.path().join("pid"))
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
            .stdin(Stdio::null())
            .stderr(said.try_clone().unwrap())
            .stdout(said)
            .spawn();
        let child = process::started(&program.display().to_string(), child);
        let collector = Self { child, http, grpc, log, _folder: folder };
        for port in [http, grpc] {
            eventually("the collector listens", async || {
                tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map(drop).map_err(|error| error.to_string())
            })
            .await;
        }
        collector
    }

    fn spans(&self) -> BTreeSet<Span> {
        let log = std::fs::read_to_string(&self.log).unwrap();
        let (mut spans, mut instance) = (Vec::<Span>::new(), String::new());
        for line in log.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("-> service.instance.id: Str(") {
                instance = name.trim_end_matches(')').to_owned();
            }
            let Some((field, value)) = line.split_once(':').map(|(field, value)| (field.trim(), value.trim())) else {
                if line.starts_with("Span #") {
                    spans.push(Span { instance: instance.clone(), ..Span::default() });
                }
                continue;
            };
            let Some(span) = spans.last_mut() else { continue };
            match field {
                "Trace ID" => value.clone_into(&mut span.trace),
                "Parent ID" => value.clone_into(&mut span.parent),
                "ID" => value.clone_into(&mut span.id),
                "Name" => value.clone_into(&mut span.name),
                _ => {}
            }
        }
        spans.into_iter().collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        process::kill(&mut self.child);
    }
}

async fn one_message_is_one_trace(protocol: &str, endpoint: impl Fn(&Collector) -> String) {
    let (redis, collector) = (Redis::start(), Collector::start().await);
    let plan = Plan::on(&redis)
        .set("telemetry.otlp_endpoint", &endpoint(&collector))
        .set("telemetry.otlp_protocol", protocol)
        .set("telemetry.sample_ratio", "1.0");
    let mut nodes = [plan.start(), plan.start()];
    let mut alice = Client::member(&nodes[0], Action, "alice", "red").await;
    let mut bob = Client::member(&nodes[1], Pychat, "bob", "red").await;
    alice.say("red", "hello").await;
    bob.expect_message("alice", "hello").await;
    // What is not sent yet is sent at the end.
    for node in &mut nodes {
        node.sigterm();
        assert_eq!(node.wait_exit().code(), Some(0));
    }
    eventually("the collector has the whole trace", async || {
        let spans = collector.spans();
        let mut named = BTreeMap::<&str, Vec<&Span>>::new();
        spans.iter().for_each(|span| named.entry(&span.name).or_default().push(span));
        let [publish] = named.get("publish").map_or(&[][..], Vec::as_slice) else { return Err(format!("{spans:#?}")) };
        let delivered: Vec<&&Span> = named.get("deliver").into_iter().flatten().collect();
        let follow = |span: &&&Span| span.trace == publish.trace && span.parent == publish.id;
        let instances: BTreeSet<&String> =
            delivered.iter().filter(|span| follow(span)).map(|span| &span.instance).collect();
        let whole = delivered.len() == 2 && instances.len() == 2 && instances.contains(&publish.instance);
        if whole && publish.parent.is_empty() { Ok(()) } else { Err(format!("{spans:#?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_is_one_trace_over_http() {
    one_message_is_one_trace("http", |collector| format!("http://127.0.0.1:{}/v1/traces", collector.http)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_is_one_trace_over_grpc() {
    one_message_is_one_trace("grpc", |collector| format!("http://127.0.0.1:{}", collector.grpc)).await;
}
