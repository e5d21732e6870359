//! What is particular to `scrp`: answers with error numbers, and pushes that come when they come.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::client::Client;
use super::dialect::Dialect::Scrp;
use super::dialect::{PASSWORD, Transport, request};
use super::node::Node;

/// The answer to what was done.
pub const SUCCESS: u64 = 900;

impl Client {
    /// A connection over which nobody is logged in.
    pub async fn scrp(node: &Node) -> Self {
        Self::connect(node, Scrp, Transport::Tcp).await
    }

    /// Asks; the error number of the answer.
    pub async fn err(&mut self, method: &str, fields: Value) -> u64 {
        let answer = self.ask(&request(method, fields)).await;
        answer["err"].as_u64().unwrap_or_else(|| panic!("{method} was answered with {answer}"))
    }

    /// Asks for something that has to succeed; the answer.
    pub async fn does(&mut self, method: &str, fields: Value) -> Value {
        let request = request(method, fields);
        let answer = self.ask(&request).await;
        assert_eq!(answer["err"], SUCCESS, "{request} was refused");
        answer
    }

    /// Tries to log in; the error number of the answer.
    pub async fn log_in(&mut self, account: &str, password: &str) -> u64 {
        self.err("LOG_IN", json!({"user_id": account, "user_password": password})).await
    }

    /// The next frame that has all of these fields. Others keep their place: inbox, room and news go different ways, so that
    /// there is no order among them.
    pub async fn sees(&mut self, expected: Value) -> Value {
        let fields = expected.as_object().expect("the fields are an object");
        let has_all = |frame: &Value| fields.iter().all(|(name, value)| frame[name] == *value);
        let found = self.try_find(&expected.to_string(), has_all).await;
        found.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Makes two accounts friends; both are logged in.
pub async fn befriend(one: &mut Client, other: &mut Client, other_name: &str) {
    one.does("ADD_FRIEND", json!({"subject_user_id": other_name, "verification_message": "it is me"})).await;
    let asked = other.sees(json!({"method": "NEW_FRIEND_REQUEST"})).await;
    other.does("APPROVE_REQUEST", json!({"target_request_id": asked["request_id"]})).await;
    one.sees(json!({"method": "REQUEST_APPROVED", "user_id": other_name})).await;
}

/// What one user was pushed, over all sessions: a push that comes again has the number it had.
#[derive(Clone, Default)]
pub struct Pushed(Arc<Mutex<HashSet<u64>>>);

impl Pushed {
    /// Has a client pass over what its user was pushed before.
    pub fn drop_repeats(&self, client: &mut Client) {
        let seen = self.0.clone();
        let is_repeat = move |frame: &Value| {
            frame["push_id"].as_u64().is_some_and(|number| !seen.lock().expect("nobody panics here").insert(number))
        };
        client.ignore(Box::new(is_repeat));
    }
}

/// Logs in with the password of all accounts.
pub fn credentials(account: &str) -> Value {
    json!({"user_id": account, "user_password": PASSWORD})
}
