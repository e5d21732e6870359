//! Redis is there, and not as it should be: slow, empty, read-only, out of memory, full of something else. What clients of each
//! dialect are told is looked at to the letter, and afterwards all goes on without a restart.

mod emptied;
mod foreign;
mod memory;
mod read_only;
mod set_back;
mod slow;

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::dialect::Dialect::{self, Action, Pychat, Scrp, Simple};
use crate::support::eventually;
use crate::support::node::{Node, Plan};
use crate::support::redis::Redis;

const UNAVAILABLE: &str = "Service is unavailable, try again";

/// One client of each dialect in the room `red`, spread over two nodes; each is called as its dialect.
struct Company {
    nodes: [Node; 2],
    members: Vec<Client>,
}

impl Company {
    async fn gather(plan: &Plan, dialects: &[Dialect]) -> Self {
        let nodes = [plan.start(), plan.start()];
        let mut members = Vec::new();
        for (number, dialect) in dialects.iter().enumerate() {
            members.push(Client::member(&nodes[number % 2], *dialect, dialect.label(), "red").await);
        }
        Self { nodes, members }
    }

    fn speaking(&mut self, dialect: Dialect) -> &mut Client {
        self.members.iter_mut().find(|member| member.dialect() == dialect).expect("it was gathered")
    }

    /// A message and a join of every member are refused, in its own words.
    async fn are_refused(&mut self) {
        for member in &mut self.members {
            let dialect = member.dialect();
            for request in [dialect.say("red", "in vain"), dialect.join("blue")] {
                assert_eq!(member.ask(&request).await, refusal(dialect, &request), "{request}");
            }
        }
    }

    /// What each says reaches all others.
    async fn talk(&mut self) {
        for speaker in 0..self.members.len() {
            let text = accepted(&mut self.members[speaker]).await;
            for (number, member) in self.members.iter_mut().enumerate() {
                if number != speaker {
                    while member.message().await.text != text {}
                }
            }
        }
    }

    async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> [f64; 2] {
        let [one, two] = &self.nodes;
        let (one, two) = tokio::join!(one.metric(name, labels), two.metric(name, labels));
        [one.unwrap_or_default(), two.unwrap_or_default()]
    }

    fn assert_no_panic(&self) {
        for node in &self.nodes {
            assert_eq!(node.panics(), Vec::<String>::new());
        }
    }
}

/// How a dialect says that the service is unavailable, all of it.
fn refusal(dialect: Dialect, request: &str) -> Value {
    let asked: Value = serde_json::from_str(request).unwrap_or_default();
    match dialect {
        Action => json!({"action": "ERROR", "request": asked, "message": UNAVAILABLE}),
        Simple => {
            json!({"type": "error", "code": "unavailable", "message": "the broker cannot be reached", "request": asked})
        }
        Pychat => json!({"type": "error", "error": UNAVAILABLE}),
        Scrp => json!({"resp_id": asked["req_id"], "err": 502}),
    }
}

/// Says something until it is accepted, a new text each time; the accepted one.
async fn accepted(client: &mut Client) -> String {
    let mut attempt = 0;
    eventually("a message is accepted again", async || {
        attempt += 1;
        let text = format!("{} {attempt}", client.dialect().label());
        let reply = client.try_ask(&client.dialect().say("red", &text)).await?;
        client.dialect().error(&reply).map_or(Ok(text), |error| Err(error.to_owned()))
    })
    .await
}

/// Whom pychat's history has leaving the room `red`.
async fn who_left(client: &mut Client) -> Vec<String> {
    let mut records = client.history("").await;
    records.retain(|record| record["type"] == "userLeft");
    records.iter().map(|record| record["from"].as_str().unwrap_or_default().to_owned()).collect()
}

fn holder(redis: &Redis, nickname: &str) -> bool {
    redis.number(&["EXISTS", &format!("ct:nick:{{{nickname}}}")]) == 1
}
