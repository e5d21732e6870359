//! How a test connects, and tells what it hears apart.

use serde_json::Value;
use tokio::net::TcpStream;

use super::words::{INTRODUCTION, Words};
use crate::support::client::{Client, parsed, shortened};
use crate::support::dialect::{Dialect, Transport};
use crate::support::node::Node;

/// Texts that begin so are the test's own.
pub const FENCE: &str = "fence";

/// Sends a request and one whose answer is known, and reads up to that: what comes in between, besides answers also events.
pub async fn until_answered(client: &mut Client, request: &str) -> Result<Vec<Value>, String> {
    let (probe, answers) = client.dialect().probe();
    client.try_send(request).await?;
    client.try_send(probe).await?;
    let mut frames = Vec::new();
    loop {
        let frame = client.try_frame().await;
        let frame = parsed(&frame.map_err(|error| format!("no end of the answer to {}: {error}", shortened(request)))?);
        if answers.contains(&frame) {
            return Ok(frames);
        }
        frames.push(frame);
    }
}

/// The UUID of somebody who has just written to the keeper.
pub async fn introduced(keeper: &mut Client) -> Result<String, String> {
    loop {
        let frame = parsed(&keeper.try_frame().await?);
        if text_of(&frame) == INTRODUCTION {
            return Ok(frame["identifier"].as_str().ok_or("no identifier")?.to_owned());
        }
    }
}

pub async fn connect(node: &Node, words: &dyn Words, token: Option<&str>) -> Result<Client, String> {
    let dialect: Dialect = words.dialect();
    match token.and_then(|token| words.login_path(token)) {
        Some(path) => {
            let stream = TcpStream::connect(Transport::WebSocket.address(node, dialect)).await;
            Client::over_websocket(stream.map_err(|error| error.to_string())?, &path, dialect).await
        }
        None => Client::dial(Transport::Tcp.address(node, dialect), dialect, Transport::Tcp).await,
    }
}

/// Whether a frame is about this cell: neither one of the test's own, nor news of somebody else's room.
pub fn concerns(frame: &Value, room: &str) -> bool {
    let elsewhere = frame["emitter"] == "channel" && frame["identifier"] != format!("#{room}");
    !elsewhere && !text_of(frame).starts_with(FENCE)
}

/// The text of a message, whatever the dialect.
pub fn text_of(frame: &Value) -> &str {
    let texts = ["text", "message", "body", "content"].into_iter().map(|key| frame[key].as_str());
    texts.flatten().next().unwrap_or_default()
}

pub fn listed<'a>(frames: impl IntoIterator<Item = &'a Value>) -> String {
    let frames: Vec<String> = frames.into_iter().map(|frame| shortened(&frame.to_string())).collect();
    if frames.is_empty() { "nothing".to_owned() } else { frames.join("\n           ") }
}
