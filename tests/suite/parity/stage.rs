//! One cell, played by real clients.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::net::TcpStream;

use super::model::Role::{Keeper, Receiver, Sender};
use super::model::{Actor, Cast, Expected, Model, Role, Step};
use super::scenarios::Arrival;
use super::words::{Act, INTRODUCTION, Words};
use crate::support::client::{Client, parsed, shortened};
use crate::support::dialect::{Dialect, Transport};
use crate::support::node::Node;
use crate::support::token::token_of;
use crate::support::transcript::Known;

/// Texts that begin so are the test's own.
const FENCE: &str = "fence";

pub struct Stage {
    model: Model,
    clients: BTreeMap<Role, Client>,
    fences: usize,
}

/// Where everybody connects.
pub struct Places<'a> {
    pub sender: &'a Node,
    pub receiver: &'a Node,
    pub keeper: &'a Node,
}

impl Stage {
    /// Everybody arrives, with names that no other cell has. The UUIDs of those without one are learned.
    pub async fn open(mut cast: Cast, arrival: Arrival, places: Places<'_>) -> Result<Self, String> {
        let keeper_name = cast.keeper.person.identifier().to_owned();
        let mut clients: BTreeMap<Role, Client> = BTreeMap::new();
        for (role, node, actor, arrival) in [
            (Keeper, places.keeper, &mut cast.keeper, Arrival::Account),
            (Receiver, places.receiver, &mut cast.receiver, Arrival::Guest),
            (Sender, places.sender, &mut cast.sender, arrival),
        ] {
            let fault = |error: String| format!("{role:?} cannot arrive: {error}");
            clients.insert(role, arrive(node, actor, arrival, &keeper_name).await.map_err(fault)?);
            if let (None, false, Some(keeper)) =
                (&actor.person.nickname, actor.words.login_first(), clients.get_mut(&Keeper))
            {
                actor.person.id = Some(introduced(keeper).await.map_err(fault)?);
            }
        }
        Ok(Self { model: Model::new(cast), clients, fences: 0 })
    }

    pub fn cast(&self) -> &Cast {
        &self.model.cast
    }

    /// Takes a step, and compares what everybody gets with what they should.
    pub async fn play(&mut self, step: &Step) -> Result<(), String> {
        let expected = self.model.perform(step)?;
        let mut received = self.carry_out(step, &expected).await?;
        if step.act == Act::Destroy {
            // Whoever is put out finds that out by itself, and tells its client a little later than the event comes by.
            for role in self.model.connected().collect::<Vec<_>>() {
                let missing = expected.frames(role).len().saturating_sub(received.entry(role).or_default().len());
                let frames = self.next_of(role, missing).await?;
                received.entry(role).or_default().extend(frames);
            }
        }
        self.gather(&mut received).await?;
        for (role, frames) in received {
            let wanted = expected.frames(role);
            let same = |(wanted, frame): (&&Value, &Value)| Known::default().is_frame(wanted, frame);
            let fits = wanted.len() == frames.len() && wanted.iter().zip(&frames).all(same);
            if !fits {
                return Err(format!("{role:?}\n  expected {}\n  received {}", listed(wanted), listed(&frames)));
            }
        }
        Ok(())
    }

    /// Sends the request and reads until it is done.
    async fn carry_out(&mut self, step: &Step, expected: &Expected) -> Result<BTreeMap<Role, Vec<Value>>, String> {
        let mut received = BTreeMap::new();
        match &expected.request {
            Some(request) => {
                let client = self.clients.get_mut(&step.role).ok_or("is not connected")?;
                received.insert(step.role, until_answered(client, request).await?);
            }
            // Only the others can tell that the server has noticed it.
            None => {
                self.clients.remove(&step.role).ok_or("is not connected")?.disconnect().await;
                let wanted = expected.frames(Keeper).len();
                received.insert(Keeper, self.next_of(Keeper, wanted).await?);
            }
        }
        Ok(received)
    }

    async fn next_of(&mut self, role: Role, count: usize) -> Result<Vec<Value>, String> {
        let room = self.model.cast.room.clone();
        let client = self.clients.get_mut(&role).ok_or("is not connected")?;
        let mut frames = Vec::new();
        while frames.len() < count {
            let frame = parsed(&client.try_frame().await.map_err(|error| format!("{role:?}: {error}"))?);
            frames.extend(Some(frame).filter(|frame| concerns(frame, &room)));
        }
        Ok(frames)
    }

    /// Everything that anybody was sent up to now. Nothing can be late: a private message that was written after an event is
    /// delivered after it, on every node.
    async fn gather(&mut self, received: &mut BTreeMap<Role, Vec<Value>>) -> Result<(), String> {
        self.fences += 1;
        let fence = format!("{FENCE} {}", self.fences);
        let cast = &self.model.cast;
        // The keeper's own comes last, so that it ends the confirmations of the others.
        let reached = self.model.connected().filter_map(|role| cast.actor(role).person.address());
        let keeper = self.clients.get_mut(&Keeper).ok_or("the keeper is gone")?;
        for address in reached {
            keeper.try_send(&keeper.dialect().write(address, &fence)).await?;
        }
        let room = self.model.cast.room.clone();
        for role in self.model.connected() {
            let frames = received.entry(role).or_default();
            let client = self.clients.get_mut(&role).ok_or("is not connected")?;
            // Whoever cannot be written to has no name and is in no room, so that there is nothing to wait for.
            let mut waits = self.model.cast.actor(role).person.address().is_some();
            while waits {
                let next = client.try_frame().await;
                let frame = next.map_err(|error| format!("{role:?} waits for {fence:?}: {error}"))?;
                let frame = parsed(&frame);
                // What the keeper writes to the others is confirmed to it before it gets its own.
                waits = text_of(&frame) != fence || (role == Keeper && !own_fence(&frame, &self.model.cast));
                frames.push(frame);
            }
            frames.retain(|frame| concerns(frame, &room));
        }
        Ok(())
    }
}

fn own_fence(frame: &Value, cast: &Cast) -> bool {
    frame["target"] == format!("@{}", cast.keeper.person.identifier())
}

/// Sends a request and one whose answer is known, and reads up to that: what comes in between, besides answers also events.
async fn until_answered(client: &mut Client, request: &str) -> Result<Vec<Value>, String> {
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

async fn arrive(node: &Node, actor: &Actor, arrival: Arrival, keeper: &str) -> Result<Client, String> {
    let (words, nickname) = (actor.words, actor.person.nickname.as_deref());
    let token = nickname.filter(|_| arrival == Arrival::Account).map(token_of);
    let mut client = connect(node, words, token.as_deref()).await?;
    for request in words.arrival(nickname, token.as_deref(), keeper) {
        let frames = until_answered(&mut client, &request).await?;
        if let Some(error) = frames.iter().find(|frame| words.dialect().error(frame).is_some()) {
            return Err(error.to_string());
        }
    }
    Ok(client)
}

/// The UUID of somebody who has just written to the keeper.
async fn introduced(keeper: &mut Client) -> Result<String, String> {
    loop {
        let frame = parsed(&keeper.try_frame().await?);
        if text_of(&frame) == INTRODUCTION {
            return Ok(frame["identifier"].as_str().ok_or("no identifier")?.to_owned());
        }
    }
}

async fn connect(node: &Node, words: &dyn Words, token: Option<&str>) -> Result<Client, String> {
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
fn concerns(frame: &Value, room: &str) -> bool {
    let elsewhere = frame["emitter"] == "channel" && frame["identifier"] != format!("#{room}");
    !elsewhere && !text_of(frame).starts_with(FENCE)
}

/// The text of a message, whatever the dialect.
fn text_of(frame: &Value) -> &str {
    let texts = ["text", "message", "body"].into_iter().map(|key| frame[key].as_str());
    texts.flatten().next().unwrap_or_default()
}

fn listed<'a>(frames: impl IntoIterator<Item = &'a Value>) -> String {
    let frames: Vec<String> = frames.into_iter().map(|frame| shortened(&frame.to_string())).collect();
    if frames.is_empty() { "nothing".to_owned() } else { frames.join("\n           ") }
}
