//! `crosstalk load`: every dialect passes over every way, and what a line in between does to one message is found.

use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::dialect::Dialect;
use crate::support::node::{Node, Plan, gateway};
use crate::support::redis::Redis;

/// A short run: what is measured does not matter here.
const SHORT: [&str; 6] = ["--seconds", "0.3", "--warm-up", "0.1", "--drain", "3"];

/// Runs the load generator and gives what it says, and its report, if it wrote one.
async fn load(scenario: &str, arguments: &[&str]) -> (Output, Value) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("report.json");
    let mut command = gateway();
    let short = SHORT.chunks(2).filter(|pair| !arguments.contains(&pair[0])).flatten();
    command.args(["load", scenario]).args(short).arg("--json").arg(&file).args(arguments);
    let output =
        tokio::task::spawn_blocking(move || command.output().expect("the load generator starts")).await.unwrap();
    let report = std::fs::read(&file).ok().and_then(|json| serde_json::from_slice(&json).ok());
    (output, report.unwrap_or_default())
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The server's side of the first round of a run in which every promise was kept.
async fn passes(scenario: &str, arguments: &[&str]) -> Value {
    let (output, report) = load(scenario, arguments).await;
    assert!(output.status.success(), "{scenario} {arguments:?}: {}", said(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("every promise was kept"), "{}", said(&output));
    let server = report["rounds"][0]["server"].clone();
    assert_eq!(server["refused"], serde_json::json!({}), "{scenario} {arguments:?}: {}", said(&output));
    server
}

fn count(measured: &Value, field: &str) -> u64 {
    measured[field].as_u64().unwrap_or_else(|| panic!("no {field} in {measured}"))
}

/// One room of six, in which every message comes to all six, or in `scrp` to the other five.
async fn talks(label: &str, url: &str) {
    let measured = passes("hot", &["--members", "6", "--in-flight", "4", "--dialect", label, "--url", url]).await;
    let hearers = if label == "scrp" { 5 } else { 6 };
    assert!(count(&measured, "sent") > 0, "{label} over {url}: {measured}");
    assert_eq!(count(&measured, "acknowledged"), count(&measured, "sent"));
    assert_eq!(count(&measured, "delivered"), hearers * count(&measured, "sent"), "{label} over {url}: {measured}");
}

const LABELS: [&str; 5] = ["action", "action-ext", "simple", "pychat", "scrp"];

fn http(node: &Node) -> String {
    format!("ws://{}", node.address("http"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_dialect_passes_over_websocket_and_tcp() {
    let node = Plan::embedded().start();
    for label in LABELS {
        talks(label, &http(&node)).await;
        let dialect = Dialect::from_label(label.trim_end_matches("-ext")).unwrap();
        talks(label, &format!("tcp://{}", node.address(dialect.tcp_listener()))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_dialect_passes_over_two_nodes_and_redis() {
    let redis = Redis::start();
    let nodes = [Plan::on(&redis).start(), Plan::on(&redis).start()];
    let [one, two] = nodes.each_ref().map(http);
    let broker = format!("redis=:{}", redis.port());
    for label in LABELS {
        let arguments = ["--members", "6", "--dialect", label, "--url", &one, "--url", &two, "--watch", &broker];
        let measured = passes("hot", &arguments).await;
        assert!(measured["us_per_delivery"]["server"].is_f64(), "{measured}");
        assert!(measured["us_per_delivery"]["redis"].is_f64(), "{measured}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_passes() {
    let node = Plan::embedded().start();
    let url = http(&node);
    let measured = passes("rooms", &["--rooms", "5", "--members", "4", "--rate", "200", "--url", &url]).await;
    assert_eq!(count(&measured, "delivered"), 4 * count(&measured, "sent"));
    for goes in ["connected", "named", "joined"] {
        let measured = passes("idle", &["--connections", "23", "--goes", goes, "--url", &url]).await;
        assert_eq!((count(&measured, "connections"), count(&measured, "sent")), (23, 0));
    }
    let measured = passes("storm", &["--connections", "50", "--dialect", "pychat", "--url", &url]).await;
    assert_eq!(count(&measured, "connections"), 50);
    let churn = ["--rooms", "2", "--members", "10", "--comings", "40", "--rate", "100", "--url", &url];
    assert!(count(&passes("churn", &churn).await, "came_again") > 0);
    let evening = ["--rooms", "3", "--members", "10", "--rate", "100", "--url", &url];
    assert!(count(&passes("evening", &evening).await, "delivered") > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_sit_in_rooms_of_their_own_besides() {
    let node = Plan::embedded().start();
    let url = http(&node);
    let rooms = ["--rooms", "5", "--members", "4", "--own-rooms", "3", "--url", &url];
    let measured = passes("rooms", &rooms).await;
    assert_eq!(count(&measured, "delivered"), 4 * count(&measured, "sent"));
    assert_eq!(node.metric("crosstalk_joins_total", &[]).await, Some(20.0 * 4.0));
    let (output, _) = load("rooms", &[&rooms[..], &["--dialect", "pychat"]].concat()).await;
    assert!(!output.status.success() && said(&output).contains("--own-rooms is for"), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_read_is_closed_and_nobody_else_notices() {
    let node = Plan::embedded().set("limits.mailbox_bytes", "65536").start();
    let url = http(&node);
    // More than the kernel ever holds for two connections, however long that takes.
    let flood = ["--messages", "3000", "--seconds", "300", "--text-bytes", "4000", "--in-flight", "16"];
    let arguments = [&flood[..], &["--members", "4", "--one-of", "2", "--url", &url]].concat();
    let measured = passes("slow", &arguments).await;
    assert_eq!(count(&measured, "stalled_closed"), 2, "{measured}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_share_a_room_and_rooms() {
    let node = Plan::embedded().start();
    let url = http(&node);
    for (scenario, arguments) in [("hot", vec!["--members", "9"]), ("rooms", vec!["--rooms", "7", "--members", "3"])] {
        let arguments = [&arguments[..], &["--in-flight", "4", "--processes", "3", "--url", &url]].concat();
        let measured = passes(scenario, &arguments).await;
        let hearers = if scenario == "hot" { 9 } else { 3 };
        assert!(count(&measured, "sent") > 0);
        assert_eq!(count(&measured, "delivered"), hearers * count(&measured, "sent"), "{measured}");
    }
}

/// Names of the first round are held for a while: their sessions might be resumed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_does_not_need_the_names_of_the_one_before() {
    let node = Plan::embedded().start();
    let arguments = ["--members", "5", "--rounds", "2", "--dialect", "action-ext", "--url", &http(&node)];
    passes("hot", &arguments).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_floor_is_measured_in_the_same_run() {
    let node = Plan::embedded().start();
    let arguments = ["--members", "50", "--in-flight", "4", "--floor", "--rounds", "2", "--url", &http(&node)];
    let (output, report) = load("hot", &arguments).await;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(report["rounds"].as_array().map(Vec::len), Some(2));
    for round in report["rounds"].as_array().unwrap() {
        let floor = &round["floor"];
        assert_eq!(count(floor, "delivered"), 50 * count(floor, "sent"), "{floor}");
        assert_eq!(floor["broken"], serde_json::json!([]));
    }
    assert!(said(&output).contains("multiples of the floor"), "{}", said(&output));
}

/// What the line does to the fifth message for whoever connected first.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Meddling {
    Drops,
    Repeats,
    Swaps,
}

/// A line of `pychat` to `behind` that meddles with one message.
async fn meddling_line(behind: String, meddling: Meddling) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for number in 0.. {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(&behind).await.unwrap();
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::spawn(async move {
                let (mut from_client, mut to_server) = (from_client, to_server);
                tokio::io::copy(&mut from_client, &mut to_server).await
            });
            tokio::spawn(pass_on(from_server, to_client, (number == 0).then_some(meddling)));
        }
    });
    url
}

async fn pass_on(
    from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    meddling: Option<Meddling>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(from).split(b'\n');
    let mut messages = 0;
    let mut held = Vec::new();
    while let Some(mut line) = lines.next_segment().await? {
        line.push(b'\n');
        let is_message = line.windows(16).any(|part| part == br#""type":"message""#);
        messages += u64::from(is_message);
        match meddling.filter(|_| is_message) {
            Some(Meddling::Drops) if messages == 5 => line.clear(),
            Some(Meddling::Repeats) if messages == 5 => line = line.repeat(2),
            Some(Meddling::Swaps) if messages == 5 => held = std::mem::take(&mut line),
            Some(Meddling::Swaps) if messages == 6 => line.append(&mut held),
            _ => {}
        }
        to.write_all(&line).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_message_lost_repeated_or_out_of_order_is_found_and_fails_the_run() {
    let node = Plan::embedded().start();
    for (meddling, field) in
        [(Meddling::Drops, "lost"), (Meddling::Repeats, "duplicated"), (Meddling::Swaps, "reordered")]
    {
        let url = meddling_line(node.address("pychat").to_string(), meddling).await;
        let arguments = ["--members", "5", "--in-flight", "4", "--dialect", "pychat", "--url", &url];
        let (output, report) = load("hot", &arguments).await;
        assert!(!output.status.success(), "{meddling:?}: {}", said(&output));
        let measured = &report["rounds"][0]["server"];
        let found = count(measured, field);
        assert!(said(&output).contains(&format!("BROKEN: {found} {field}")), "{}", said(&output));
        // Of two orders the one that was heard first counts as the right one: then it is the four others who have another. Who does
        // not get a message may be the first to get the next one.
        let may_be = |field: &str| match (meddling, field) {
            (Meddling::Drops, "lost") | (Meddling::Repeats, "duplicated") => [1, 1],
            (Meddling::Drops, "reordered") => [0, 4],
            (Meddling::Swaps, "reordered") => [1, 4],
            _ => [0, 0],
        };
        for field in ["lost", "duplicated", "reordered"] {
            assert!(may_be(field).contains(&count(measured, field)), "{meddling:?}, {field}: {}", said(&output));
        }
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = format!("ws://{unused}");
    for (arguments, expected) in [
        (vec!["--dialect", "morse"], "there is no dialect \"morse\""),
        (vec!["--url", "http://127.0.0.1:80"], "the scheme is neither ws nor tcp"),
        (vec!["--url", "pychat=tcp://127.0.0.1:80"], "no --url is for the dialect action"),
        (vec!["--text-bytes", "3"], "a text has at least 10 bytes"),
        (vec!["--members", "0"], "people are none"),
        (vec!["--processes", "0"], "--processes is from 1"),
        (vec!["--watch", "redis"], "neither name=pid nor name=:port"),
        (vec!["--members", "3", "--url", &nobody], "3 connections not opened"),
    ] {
        let (output, _) = load("hot", &arguments).await;
        assert!(!output.status.success(), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(expected), "{arguments:?}: {}", said(&output));
    }
}
