//! Accounts as a cell needs them, and what they were told already.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::cast::Cast;
use super::scenarios::Start;
use crate::support::client::Client;
use crate::support::dialect::Dialect::Scrp;
use crate::support::dialect::{Transport, request, sign_up};
use crate::support::node::Node;

/// Pushes that a client passes over because it got them before, on another connection: what is kept for an account is told at
/// least once, and forgotten only some seconds later.
#[derive(Default)]
pub struct Repeats(BTreeMap<String, Told>);

/// The numbers of the pushes that an account was told.
#[derive(Default)]
struct Told {
    before: BTreeSet<u64>,
    on_this_connection: BTreeSet<u64>,
}

impl Repeats {
    /// The account gets another connection.
    pub fn begin(&mut self, account: &str) {
        let told = self.0.entry(account.to_owned()).or_default();
        told.before.append(&mut told.on_this_connection);
    }

    /// Leaves out what is a repeat, and takes note of the rest.
    pub fn left_out(&mut self, account: &str, mut frames: Vec<Value>) -> Vec<Value> {
        let told = self.0.entry(account.to_owned()).or_default();
        frames.retain(|frame| {
            let number = frame["push_id"].as_u64();
            told.on_this_connection.extend(number);
            number.is_none_or(|number| !told.before.contains(&number))
        });
        frames
    }
}

/// Makes the accounts of a cell, in `scrp`, whatever they speak later; friends, where the scenario wants that.
pub async fn prepare(cast: &Cast, start: &Start, node: &Node, repeats: &mut Repeats) -> Result<(), String> {
    let mut names = Vec::new();
    for actor in [&cast.sender, &cast.receiver] {
        if let (true, Some(name)) = (actor.account, &actor.person.nickname)
            && !names.contains(name)
        {
            let mut client = Client::dial(Transport::Tcp.address(node, Scrp), Scrp, Transport::Tcp).await?;
            must(&mut client, &sign_up(name)).await?;
            names.push(name.clone());
        }
    }
    match &names[..] {
        [one, other] if start.friends => befriend(node, one, other, repeats).await,
        _ if start.friends => Err("friends are two accounts".to_owned()),
        _ => Ok(()),
    }
}

async fn befriend(node: &Node, one: &str, other: &str, repeats: &mut Repeats) -> Result<(), String> {
    let (mut suitor, mut chosen) = (logged_in(node, one).await?, logged_in(node, other).await?);
    must(
        &mut suitor,
        &request("ADD_FRIEND", serde_json::json!({"subject_user_id": other, "verification_message": ""})),
    )
    .await?;
    let asked = told(&mut chosen, other, repeats).await?;
    let approval = serde_json::json!({"target_request_id": asked["request_id"]});
    must(&mut chosen, &request("APPROVE_REQUEST", approval)).await?;
    told(&mut suitor, one, repeats).await?;
    for client in [&mut suitor, &mut chosen] {
        must(client, &request("LOG_OFF", serde_json::json!({}))).await?;
    }
    Ok(())
}

async fn logged_in(node: &Node, account: &str) -> Result<Client, String> {
    let mut client = Client::dial(Transport::Tcp.address(node, Scrp), Scrp, Transport::Tcp).await?;
    must(&mut client, &Scrp.claim(account)).await?;
    Ok(client)
}

async fn must(client: &mut Client, request: &str) -> Result<(), String> {
    let reply = client.try_ask(request).await?;
    Scrp.error(&reply).map_or(Ok(()), |error| Err(format!("{request}: {error}")))
}

/// The next push to an account.
async fn told(client: &mut Client, account: &str, repeats: &mut Repeats) -> Result<Value, String> {
    let frame = crate::support::client::parsed(&client.try_frame().await?);
    repeats.left_out(account, vec![frame.clone()]);
    Ok(frame)
}
