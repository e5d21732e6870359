//! Tokens as a backend developer who shares the key would sign them.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::node::Plan;

pub const KEY: &str = "a key for tests that has 32 bytes";

/// A plan whose gateways take the tokens made here.
pub fn with_key(plan: Plan) -> Plan {
    plan.set("auth.token_key", KEY)
}

pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970").as_secs()
}

/// A token that is good for an hour.
pub fn token_of(account: &str) -> String {
    signed(&json!({"iss": "crosstalk", "aud": "crosstalk", "sub": account, "iat": now_s(), "exp": now_s() + 3_600}))
}

pub fn signed(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(KEY.as_bytes())).expect("it can be signed")
}
