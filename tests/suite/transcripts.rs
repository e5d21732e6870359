//! Runs every transcript over each transport, on each backend, on one node and on two.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::client::{Client, parsed, shortened};
use crate::support::dialect::{Dialect, Transport};
use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;
use crate::support::token::{token_of, with_key};
use crate::support::transcript::{Act, Known, Part, Step, Transcript, all_below, is_about_another};
use crate::support::{DEADLINE, POLL};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transcripts_over_tcp_in_memory() {
    run_all(vec![with_key(Plan::embedded()).start()], Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transcripts_over_websocket_in_memory() {
    run_all(vec![with_key(Plan::embedded()).start()], Transport::WebSocket).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transcripts_over_tcp_on_redis() {
    let redis = Redis::start();
    run_all(vec![with_key(Plan::on(&redis)).start()], Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transcripts_over_websocket_on_redis() {
    let redis = Redis::start();
    run_all(vec![with_key(Plan::on(&redis)).start()], Transport::WebSocket).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transcripts_over_tcp_on_two_nodes() {
    let redis = Redis::start();
    run_all(vec![with_key(Plan::on(&redis)).start(), with_key(Plan::on(&redis)).start()], Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transcripts_over_websocket_on_two_nodes() {
    let redis = Redis::start();
    run_all(vec![with_key(Plan::on(&redis)).start(), with_key(Plan::on(&redis)).start()], Transport::WebSocket).await;
}

/// Runs all at the same time, so that they also disturb one another if they can, and reports every failure.
async fn run_all(nodes: Vec<Node>, transport: Transport) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let nodes = Arc::new(nodes);
    let mut runs = JoinSet::new();
    for transcript in all_below(&folder).into_iter().filter(|one| one.only.is_none_or(|only| only == transport)) {
        runs.spawn(run(transcript, Arc::clone(&nodes), transport));
    }
    assert!(!runs.is_empty(), "there are no transcripts in {}", folder.display());
    let mut failures: Vec<String> = runs.join_all().await.into_iter().filter_map(Result::err).collect();
    failures.sort();
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

async fn run(transcript: Transcript, nodes: Arc<Vec<Node>>, transport: Transport) -> Result<(), String> {
    let tag = transcript.tag.clone();
    let known = Known::default();
    let (parts, clients, maybe) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut stage = Stage { nodes, transport, tag, known, parts, clients, maybe };
    let at = |line: usize| format!("tests/transcripts/{}:{line}", transcript.file.display());
    for step in &transcript.steps {
        stage.perform(step).await.map_err(|error| format!("{}: {}: {error}", at(step.line), step.client))?;
    }
    // Whatever nobody asked for is a failure too.
    let last = transcript.steps.last().ok_or_else(|| format!("{}: no steps", at(1)))?;
    for (name, client) in &mut stage.clients {
        let maybe = stage.maybe.remove(name).unwrap_or_default();
        let quiet = quiet(client, maybe, &mut stage.known).await;
        quiet.map_err(|error| format!("{}: {name} at the end: {error}", at(last.line)))?;
    }
    Ok(())
}

struct Stage {
    nodes: Arc<Vec<Node>>,
    transport: Transport,
    tag: String,
    known: Known,
    parts: BTreeMap<String, Part>,
    clients: BTreeMap<String, Client>,
    /// Frames that each client may get before its next one.
    maybe: BTreeMap<String, Vec<Value>>,
}

impl Stage {
    async fn perform(&mut self, step: &Step) -> Result<(), String> {
        match &step.act {
            Act::Appear(part) => {
                self.parts.insert(step.client.clone(), part.clone());
                self.connect(&step.client).await
            }
            Act::Connect => self.connect(&step.client).await,
            Act::Disconnect => {
                self.clients.remove(&step.client).ok_or("is not connected")?.disconnect().await;
                Ok(())
            }
            Act::Maybe(frame) => {
                self.maybe.entry(step.client.clone()).or_default().push(frame.clone());
                Ok(())
            }
            Act::Closed { code } => {
                let client = self.clients.remove(&step.client).ok_or("is not connected")?;
                closed(client, code.filter(|_| self.transport == Transport::WebSocket)).await
            }
            act => {
                let client = self.clients.get_mut(&step.client).ok_or("is not connected")?;
                let maybe = if act.awaits() { self.maybe.remove(&step.client) } else { None };
                speak(client, act, maybe.unwrap_or_default(), &mut self.known).await
            }
        }
    }

    async fn connect(&mut self, name: &str) -> Result<(), String> {
        let part = self.parts.get(name).ok_or("is not declared with `client`")?;
        // With fewer nodes than the transcript would like, the clients move together.
        let node = &self.nodes[part.node % self.nodes.len()];
        let mut client = appear(part, node, self.transport, &self.tag).await?;
        if part.dialect == Dialect::Simple {
            // Who was answered is there: from here on it hears of every channel.
            client.try_quiet().await?;
        }
        match self.clients.insert(name.to_owned(), client) {
            None => Ok(()),
            Some(_) => Err("is connected already".to_owned()),
        }
    }
}

/// Over WebSocket the address says what a client is; over TCP it says so itself, in its dialect's own way.
async fn appear(part: &Part, node: &Node, transport: Transport, tag: &str) -> Result<Client, String> {
    let Part { dialect, extended, account, .. } = part;
    let address = transport.address(node, *dialect);
    let token = account.as_deref().filter(|_| *dialect != Dialect::Scrp).map(token_of);
    let mut client = match transport {
        Transport::WebSocket => {
            let token = token.as_ref().map(|token| format!("token={token}"));
            let query: Vec<_> = extended.then(|| "ext=1".to_owned()).into_iter().chain(token).collect();
            Client::dial_with(address, *dialect, &query.join("&")).await?
        }
        Transport::Tcp => Client::dial(address, *dialect, transport).await?,
    };
    let tag = tag.to_owned();
    client.ignore(Box::new(move |frame| is_about_another(&tag, frame)));
    if let (Dialect::Scrp, Some(account)) = (dialect, account) {
        client.try_claim(account).await?;
        if let Some(hello) = dialect.hello(None).filter(|_| *extended && transport == Transport::Tcp) {
            client.try_ask(&hello).await?;
        }
    } else if transport == Transport::Tcp {
        let login = account.as_deref().zip(token.as_deref()).map(|(account, token)| dialect.login(account, token));
        let hello = dialect.hello(token.as_deref()).filter(|_| *extended);
        if let Some(request) = hello.or(login) {
            let reply = client.try_ask(&request).await?;
            if let Some(error) = dialect.error(&reply) {
                return Err(format!("cannot begin: {error}"));
            }
        }
    } else if *extended && *dialect == Dialect::Action {
        // The address asked for it, and the first frame is the welcome.
        let welcome = parsed(&client.try_frame().await?);
        if welcome["message"] != "OK" || !welcome["request"].is_null() || !welcome["session"].is_string() {
            return Err(format!("{welcome} is no welcome"));
        }
    }
    Ok(client)
}

async fn speak(client: &mut Client, act: &Act, maybe: Vec<Value>, known: &mut Known) -> Result<(), String> {
    match act {
        Act::Send(text) => client.try_send(&known.filled(text)?).await,
        Act::SendBytes(bytes) => client.try_send_bytes(bytes).await,
        Act::Quiet => quiet(client, maybe, known).await,
        Act::Insist { text, answer } => insist(client, &known.filled(text)?, answer, known).await,
        Act::Frame(expected) => {
            let frame = awaited(client, &expected.to_string(), maybe, known).await?;
            verdict(known.is_frame(expected, &parsed(&frame)), &expected.to_string(), &frame)
        }
        Act::Text(expected) => {
            let frame = awaited(client, expected, maybe, known).await?;
            verdict(known.is_text(expected, &frame), expected, &frame)
        }
        other => Err(format!("{other:?} is no matter of one connection")),
    }
}

/// The next frame that is none of those which may come before it.
async fn awaited(
    client: &mut Client,
    expected: &str,
    mut maybe: Vec<Value>,
    known: &mut Known,
) -> Result<String, String> {
    loop {
        let frame = client.try_frame().await;
        let frame = frame.map_err(|error| format!("{error}\n  expected {}", shortened(expected)))?;
        if !passes(&frame, &mut maybe, known) {
            return Ok(frame);
        }
    }
}

/// Whether a frame is one of those that may come; each may once.
fn passes(frame: &str, maybe: &mut Vec<Value>, known: &mut Known) -> bool {
    let frame = parsed(frame);
    let place = maybe.iter().position(|expected| known.is_frame(expected, &frame));
    place.map(|place| maybe.remove(place)).is_some()
}

/// Nothing waits for the client but what may.
async fn quiet(client: &mut Client, mut maybe: Vec<Value>, known: &mut Known) -> Result<(), String> {
    let (request, answers) = client.dialect().probe();
    client.try_send(request).await?;
    loop {
        let frame = client.try_frame().await?;
        if answers.contains(&parsed(&frame)) {
            return Ok(());
        }
        if !passes(&frame, &mut maybe, known) {
            return Err(format!("expected quiet, received {frame}"));
        }
    }
}

fn verdict(fits: bool, expected: &str, received: &str) -> Result<(), String> {
    if fits { Ok(()) } else { Err(format!("\n  expected {}\n  received {}", shortened(expected), shortened(received))) }
}

/// Repeats a request that something not visible to the client still stands against, such as another one's departure.
async fn insist(client: &mut Client, text: &str, answer: &serde_json::Value, known: &mut Known) -> Result<(), String> {
    let end = tokio::time::Instant::now() + DEADLINE;
    loop {
        let reply = client.try_ask(text).await?;
        if known.is_frame(answer, &reply) {
            return Ok(());
        }
        if tokio::time::Instant::now() >= end {
            return verdict(false, &answer.to_string(), &reply.to_string());
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn closed(mut client: Client, code: Option<u16>) -> Result<(), String> {
    let close = client.try_closed().await?;
    match code {
        Some(code) if close.as_ref().is_none_or(|(closed, _)| *closed != code) => {
            Err(format!("expected the close code {code}, the connection ended with {close:?}"))
        }
        _ => Ok(()),
    }
}
