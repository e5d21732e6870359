//! One cell, played by real clients.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

use super::accounts::{self, Repeats};
use super::action;
use super::cast::Role::{Keeper, Receiver, Sender};
use super::cast::{Cast, Expected, Role, Step};
use super::hearing::{FENCE, concerns, connect, introduced, listed, text_of, until_answered};
use super::model::Model;
use super::scenarios::Start;
use super::scrp::REQUEST;
use super::words::Act;
use crate::support::client::{Client, parsed};
use crate::support::dialect::Dialect;
use crate::support::node::Node;
use crate::support::token::token_of;
use crate::support::transcript::Known;
use crate::support::{DEADLINE, POLL};

pub struct Stage<'a> {
    model: Model,
    places: Places<'a>,
    clients: BTreeMap<Role, Client>,
    fences: usize,
    /// What placeholders stand for in this cell.
    known: Known,
    repeats: Repeats,
}

/// Where everybody connects.
pub struct Places<'a> {
    pub sender: &'a Node,
    pub receiver: &'a Node,
    pub keeper: &'a Node,
}

type AllReceived = BTreeMap<Role, Vec<Value>>;

impl<'a> Stage<'a> {
    /// Everybody arrives, with names that no other cell has. The UUIDs of those without one are learned.
    pub async fn open(cast: Cast, start: &Start, places: Places<'a>) -> Result<Self, String> {
        let mut repeats = Repeats::default();
        accounts::prepare(&cast, start, places.keeper, &mut repeats).await?;
        let model = Model::new(cast, start);
        let (clients, known) = (BTreeMap::new(), Known::default());
        let mut stage = Self { model, places, clients, fences: 0, known, repeats };
        for role in [Keeper, Receiver, Sender] {
            if !start.away.contains(&role) {
                stage.arrive(role).await.map_err(|error| format!("{role:?} cannot arrive: {error}"))?;
            }
        }
        // That the others came is no part of the scenario.
        let mut received = AllReceived::new();
        stage.gather(&mut received).await?;
        received.into_iter().for_each(|(role, frames)| drop(stage.news(role, frames)));
        Ok(stage)
    }

    pub fn cast(&self) -> &Cast {
        &self.model.cast
    }

    /// Takes a step, and compares what everybody gets with what they should.
    pub async fn play(&mut self, step: &Step) -> Result<(), String> {
        let before: Vec<Role> = self.model.connected().collect();
        let expected = self.model.perform(step)?;
        let mut received = self.carry_out(step, &expected).await?;
        if step.act.echoes() {
            for role in expected.shown.keys() {
                let missing = expected.frames(*role).len().saturating_sub(received.entry(*role).or_default().len());
                let frames = self.next_of(*role, missing).await?;
                received.entry(*role).or_default().extend(frames);
            }
        }
        for role in before {
            if let (Some(client), false) =
                (self.clients.get_mut(&role), self.model.connected().any(|other| other == role))
            {
                client.try_closed().await.map_err(|error| format!("{role:?} after its end: {error}"))?;
                self.clients.remove(&role);
            }
        }
        self.gather(&mut received).await?;
        for (role, frames) in received {
            let (wanted, frames) = (expected.frames(role), self.news(role, frames));
            let fits = wanted.len() == frames.len()
                && wanted.iter().zip(&frames).all(|(wanted, frame)| self.known.is_frame(wanted, frame));
            if !fits {
                return Err(format!("{role:?}\n  expected {}\n  received {}", listed(wanted), listed(&frames)));
            }
        }
        Ok(())
    }

    /// Sends the request and reads until it is done.
    async fn carry_out(&mut self, step: &Step, expected: &Expected) -> Result<AllReceived, String> {
        let mut received = AllReceived::new();
        match (&expected.request, &step.act) {
            (Some(request), _) => {
                let client = self.clients.get_mut(&step.role).ok_or("is not connected")?;
                // A number stands without quotes.
                let request = request.replace(&format!("\"{REQUEST}\""), REQUEST);
                let request = if request.contains(REQUEST) { self.known.filled(&request)? } else { request };
                received.insert(step.role, until_answered(client, &request).await?);
            }
            (None, Act::Arrive) => {
                received.insert(step.role, self.arrive(step.role).await?);
            }
            (None, _) => {
                self.clients.remove(&step.role).ok_or("is not connected")?.disconnect().await;
                self.until_name_is_free(step.role).await?;
            }
        }
        Ok(received)
    }

    /// Others see somebody leave the rooms before its name is free, and it may come back at once.
    async fn until_name_is_free(&mut self, role: Role) -> Result<(), String> {
        let actor = self.model.cast.actor(role);
        let Some(name) = actor.person.nickname.as_ref().filter(|_| !actor.account) else { return Ok(()) };
        let mut looker = connect(self.places.keeper, &action::Action, None).await?;
        let question = Dialect::Action.write(name, FENCE);
        let end = Instant::now() + DEADLINE;
        loop {
            let frames = until_answered(&mut looker, &question).await?;
            if frames.iter().any(|frame| Dialect::Action.error(frame) == Some("User not found")) {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(format!("{name} is still called so; last seen: {}", listed(&frames)));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Connects and says who it is; what came besides answers is returned.
    async fn arrive(&mut self, role: Role) -> Result<Vec<Value>, String> {
        let actor = self.model.cast.actor(role);
        let keeper = self.model.cast.keeper.person.identifier();
        let node = match role {
            Sender => self.places.sender,
            Receiver => self.places.receiver,
            Keeper => self.places.keeper,
        };
        let (words, nickname) = (actor.words, actor.person.nickname.clone());
        let token = nickname.as_deref().filter(|_| actor.account).map(token_of);
        if let Some(name) = &nickname {
            self.repeats.begin(name);
        }
        let mut client = connect(node, words, token.as_deref()).await?;
        let mut frames = Vec::new();
        for request in words.arrival(nickname.as_deref(), token.as_deref(), keeper) {
            frames.extend(until_answered(&mut client, &request).await?);
            if let Some(error) = frames.iter().find(|frame| words.dialect().error(frame).is_some()) {
                return Err(error.to_string());
            }
        }
        self.clients.insert(role, client);
        if let (None, false, Some(keeper)) = (nickname, words.login_first(), self.clients.get_mut(&Keeper)) {
            self.model.cast.actor_mut(role).person.id = Some(introduced(keeper).await?);
        }
        frames.retain(|frame| !words.dialect().is_reply(frame));
        Ok(self.news(role, frames))
    }

    /// Those of the frames that are about this cell, and no repeats from another connection.
    fn news(&mut self, role: Role, mut frames: Vec<Value>) -> Vec<Value> {
        let Cast { room, .. } = &self.model.cast;
        frames.retain(|frame| concerns(frame, room));
        match &self.model.cast.actor(role).person.nickname {
            Some(name) => self.repeats.left_out(name, frames),
            None => frames,
        }
    }

    async fn next_of(&mut self, role: Role, count: usize) -> Result<Vec<Value>, String> {
        let mut frames = Vec::new();
        while frames.len() < count {
            let client = self.clients.get_mut(&role).ok_or("is not connected")?;
            let frame = parsed(&client.try_frame().await.map_err(|error| format!("{role:?}: {error}"))?);
            frames.extend(Some(frame).filter(|frame| concerns(frame, &self.model.cast.room)));
        }
        Ok(frames)
    }

    /// Everything that anybody was sent up to now. Nothing can be late: a private message that was written after an event is
    /// delivered after it, on every node.
    async fn gather(&mut self, received: &mut AllReceived) -> Result<(), String> {
        self.fences += 1;
        let fence = format!("{FENCE} {}", self.fences);
        let cast = &self.model.cast;
        // The keeper's own comes last, so that it ends the confirmations of the others.
        let reached = self.model.connected().filter_map(|role| cast.actor(role).person.address());
        let keeper = self.clients.get_mut(&Keeper).ok_or("the keeper is gone")?;
        for address in reached {
            keeper.try_send(&keeper.dialect().write(address, &fence)).await?;
        }
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
        }
        Ok(())
    }
}

fn own_fence(frame: &Value, cast: &Cast) -> bool {
    frame["target"] == format!("@{}", cast.keeper.person.identifier())
}
