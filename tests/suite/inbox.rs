//! What is kept for an account reaches it, whatever is killed in between: at least once, in order, known by its numbers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::client::{Client, Received, parsed};
use crate::support::dialect::Dialect::Scrp;
use crate::support::dialect::{PASSWORD, Transport, request, sign_up};
use crate::support::node::{Node, Plan};
use crate::support::random::Random;
use crate::support::redis::Redis;
use crate::support::scrp::befriend;
use crate::support::{DEADLINE, POLL, until};

const ROUNDS: usize = 10;
/// Few enough for all of them to wait at once, in the inbox and in the room's stream.
const MESSAGES_A_ROUND: usize = 25;

#[derive(Clone, Copy)]
enum Way {
    /// Private messages, out of the inbox.
    Private,
    /// Room messages, by the cursor.
    Room,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_messages_survive_nodes_that_are_killed_in_a_loop() {
    let redis = Redis::start();
    let plan = Plan::on(&redis);
    let nodes = survives(Way::Private, vec![plan.clone(), plan.clone(), plan]).await;
    is_forgotten_once_told(&nodes[0], &redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_messages_survive_nodes_that_are_killed_in_a_loop() {
    let redis = Redis::start();
    let plan = Plan::on(&redis);
    survives(Way::Room, vec![plan.clone(), plan.clone(), plan]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_messages_survive_the_one_node_with_a_folder_that_is_killed_in_a_loop() {
    let folder = tempfile::TempDir::new().unwrap();
    survives(Way::Private, vec![Plan::durable(folder.path())]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_messages_survive_the_one_node_with_a_folder_that_is_killed_in_a_loop() {
    let folder = tempfile::TempDir::new().unwrap();
    survives(Way::Room, vec![Plan::durable(folder.path())]).await;
}

/// In each round rita comes to some node, reads some of what sam goes on sending, and goes: by logging off, by vanishing, or
/// because her node is killed. Sam's node is killed as well, now and then; he sends again, under the same key, what was not
/// answered.
async fn survives(way: Way, plans: Vec<Plan>) -> Vec<Node> {
    let seed = 0x1B0C_5EED;
    println!("seed {seed}");
    let mut random = Random::seeded(seed);
    let mut nodes: Vec<Node> = plans.iter().map(Plan::start).collect();
    acquaint(&nodes[0]).await;

    let home = Arc::new(Mutex::new(nodes[0].address("scrp")));
    let permits = Arc::new(Semaphore::new(0));
    let sending = tokio::spawn(send_all(way, home.clone(), permits.clone()));
    let mut rita = Reader::default();
    for round in 1..=ROUNDS {
        permits.add_permits(MESSAGES_A_ROUND);
        let place = random.below(nodes.len());
        let mut client = arrive(&nodes[place]).await;
        let unread = round * MESSAGES_A_ROUND - rita.order.len();
        rita.reads(&mut client, random.below(unread + 1)).await;
        match random.below(4) {
            0 => client.does("LOG_OFF", json!({})).await,
            1 => Value::Null,
            _ => {
                nodes[place].kill9();
                nodes[place] = plans[place].start();
                // Sam was on the one that died, or goes there now.
                *home.lock().unwrap() = nodes[place].address("scrp");
                Value::Null
            }
        };
    }
    let sent = sending.await.expect("sam has sent everything");
    let mut client = arrive(&nodes[0]).await;
    let unread = ROUNDS * MESSAGES_A_ROUND - rita.order.len();
    rita.reads(&mut client, unread).await;
    rita.has_read(&sent);
    nodes
}

async fn acquaint(node: &Node) {
    let mut sam = Client::named(node, Scrp, "sam").await;
    let mut rita = Client::named(node, Scrp, "rita").await;
    befriend(&mut sam, &mut rita, "rita").await;
    sam.does("CREATE_ROOM", json!({"room_id": "red", "room_nickname": "Red", "room_access": 0})).await;
    rita.does("ENTER_ROOM", json!({"room_id": "red"})).await;
}

async fn arrive(node: &Node) -> Client {
    let mut client = Client::scrp(node).await;
    assert_eq!(client.log_in("rita", PASSWORD).await, 900, "a killed node's names can be taken by their accounts");
    client
}

/// The numbers under which the messages were acknowledged, in order.
async fn send_all(way: Way, home: Arc<Mutex<SocketAddr>>, permits: Arc<Semaphore>) -> Vec<u64> {
    let mut connection = None;
    let mut sent = Vec::new();
    for number in 0..ROUNDS * MESSAGES_A_ROUND {
        permits.acquire().await.expect("it is not closed").forget();
        let (text, key) = (text_of(number), format!("key {number}"));
        let wish = match way {
            Way::Private => ("SEND_PRIVATE_MESSAGE", json!({"user_id": "rita", "content": text, "key": key})),
            Way::Room => ("SEND_ROOM_MESSAGE", json!({"room_id": "red", "content": text, "key": key})),
        };
        let acknowledging = acknowledged(&mut connection, &home, &wish);
        let acknowledged = tokio::time::timeout(DEADLINE, acknowledging).await;
        sent.push(acknowledged.unwrap_or_else(|_| panic!("{text} is not acknowledged")));
    }
    sent
}

/// Sends until there is an answer; the number of the message.
async fn acknowledged(connection: &mut Option<Client>, home: &Mutex<SocketAddr>, wish: &(&str, Value)) -> u64 {
    loop {
        let address = *home.lock().unwrap();
        match try_send(connection, address, wish).await {
            Ok(id) => return id,
            Err(_) => *connection = None,
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The number under which the message was accepted; `Err` when that is not known.
async fn try_send(
    connection: &mut Option<Client>,
    address: SocketAddr,
    (method, fields): &(&str, Value),
) -> Result<u64, String> {
    let client = match connection {
        Some(client) => client,
        None => {
            let mut client = Client::dial(address, Scrp, Transport::Tcp).await?;
            let answer = client.try_ask(&Scrp.claim("sam")).await?;
            if answer["err"] != 900 {
                return Err(answer.to_string());
            }
            connection.insert(client)
        }
    };
    let answer = client.try_ask(&request(method, fields.clone())).await?;
    match answer["err"].as_u64() {
        Some(900) => Ok(answer["message_id"].as_u64().expect("a message has a number")),
        Some(502) => Err(answer.to_string()),
        _ => panic!("{fields} was answered with {answer}"),
    }
}

fn text_of(number: usize) -> String {
    format!("message {number}")
}

/// What rita was pushed, over all her connections.
#[derive(Default)]
struct Reader {
    /// The texts in the order in which each came first.
    order: Vec<String>,
    /// Of each text the pairs of push and message numbers under which it came.
    seen: BTreeMap<String, Vec<(u64, u64)>>,
}

impl Reader {
    /// Reads on until so many more texts were seen that had not come before.
    async fn reads(&mut self, client: &mut Client, more: usize) {
        let (enough, mut last) = (self.order.len() + more, 0);
        while self.order.len() < enough {
            let frame = match client.try_receive().await {
                Ok(Received::Frame(frame)) => parsed(&frame),
                other => panic!("rita received {other:?} after {} messages of {enough}", self.order.len()),
            };
            let (Some(text), Some(push)) = (frame["content"].as_str(), frame["push_id"].as_u64()) else { continue };
            assert!(push > last, "the pushes of one connection grow: {frame} after {last}");
            last = push;
            let seen = self.seen.entry(text.to_owned()).or_default();
            if seen.is_empty() {
                self.order.push(text.to_owned());
            }
            seen.push((push, frame["message_id"].as_u64().expect("a message has a number")));
        }
    }

    /// Everything came, in the order in which it was sent, and what came again came under the numbers that it had.
    fn has_read(&self, sent: &[u64]) {
        let expected: Vec<String> = (0..sent.len()).map(text_of).collect();
        assert_eq!(self.order, expected, "everything, in the order in which it was sent");
        for (number, id) in sent.iter().enumerate() {
            let seen = &self.seen[&text_of(number)];
            assert_eq!(seen[0].1, *id, "message {number}: {seen:?}");
            assert!(seen.iter().all(|numbers| *numbers == seen[0]), "message {number}: {seen:?}");
        }
        let repeats: usize = self.seen.values().map(|seen| seen.len() - 1).sum();
        println!("{} messages, {repeats} repeats", sent.len());
    }
}

/// What a connection that lives on was sent for sure does not come again.
async fn is_forgotten_once_told(node: &Node, redis: &Redis) {
    let mut rita = arrive(node).await;
    rita.sees(json!({"method": "NEW_PRIVATE_MESSAGE", "content": text_of(ROUNDS * MESSAGES_A_ROUND - 1)})).await;
    until("the inbox is empty", async || redis.number(&["XLEN", "ct:user:{rita}:inbox"]) == 0).await;
    let mut again = arrive(node).await;
    again.expect_quiet().await;
    again.must(&sign_up("nobody")).await;
    again.expect_quiet().await;
}
