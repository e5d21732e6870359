//! Our own tokens: those that are taken, those that are not, and their end.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

use super::*;

const OTHER_KEY: &str = "another key of as many bytes, 32.";

fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// What a backend developer puts into a token.
fn claims() -> Value {
    json!({"iss": "crosstalk", "aud": "crosstalk", "sub": "carol", "iat": now_s(), "exp": now_s() + 3_600})
}

fn with(key: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[key] = value;
    claims
}

fn signed(algorithm: Algorithm, key: &str, claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

#[tokio::test]
async fn a_backend_developers_own_token_is_taken_and_everything_else_is_not() {
    let site = Site::start();
    let good = signed(Algorithm::HS256, KEY, &claims());
    assert_eq!(site.status_of(&good).await, 200);
    let mut visitor = Visitor::new();
    visitor.set_cookie(&site.url, TOKEN, &good);
    assert_eq!(site.username(&mut visitor).await.as_deref(), Some("carol"));

    for (what, token) in [
        ("forged", signed(Algorithm::HS256, OTHER_KEY, &claims())),
        ("of another algorithm", signed(Algorithm::HS384, KEY, &claims())),
        // {"alg":"none","typ":"JWT"}
        ("unsigned", format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", good.split('.').nth(1).unwrap())),
        ("expired", signed(Algorithm::HS256, KEY, &with("exp", json!(now_s() - 1)))),
        ("of another issuer", signed(Algorithm::HS256, KEY, &with("iss", json!("evil")))),
        ("for another audience", signed(Algorithm::HS256, KEY, &with("aud", json!("evil")))),
        ("rubbish", "x".to_owned()),
        ("too long", "x".repeat(9_000)),
    ] {
        assert_eq!(site.status_of(&token).await, 401, "a token that is {what}");
        let mut visitor = Visitor::new();
        visitor.set_cookie(&site.url, TOKEN, &token);
        assert_eq!(site.username(&mut visitor).await, None, "a cookie that is {what} makes a guest");
    }
    assert_eq!(site.counted("token_refused").await, 8.0, "of cookies, none");
}

#[tokio::test]
async fn what_was_signed_for_another_purpose_is_no_token() {
    let site = Site::start();
    let mut visitor = Visitor::new();
    site.returned(&mut visitor, "alice").await;
    let registration = visitor.cookie(&site.url, "crosstalk_registration").unwrap();
    visitor.get(&site.at("/auth/test")).await;
    let flow = visitor.cookie(&site.url, FLOW).unwrap();
    let token = signed(Algorithm::HS256, KEY, &claims());
    assert_eq!((site.status_of(&registration).await, site.status_of(&flow).await), (401, 401));
    for (cookie, path) in [("crosstalk_registration", "/auth/username"), (FLOW, "/auth/test/callback?state=x&code=y")] {
        for value in [&token, &flow, &registration] {
            let mut visitor = Visitor::new();
            visitor.set_cookie(&site.url, cookie, value);
            let expected = if cookie != FLOW && value == &registration { 200 } else { 400 };
            assert_eq!(visitor.get(&site.at(path)).await.status, expected, "{value} as {cookie}");
        }
    }
}

#[tokio::test]
async fn a_login_is_renewed_until_it_is_ended() {
    let site = Site::start();
    let mut alice = site.registered("alice").await;
    let first = site.token(&mut alice);
    let renewed = alice.post(&site.at("/auth/renew"), "", &[]).await;
    assert_eq!(renewed.status, 200, "{}", renewed.body);
    let second = renewed.headers["x-auth-token"].to_str().unwrap().to_owned();
    assert_eq!(site.token(&mut alice), second);
    assert_eq!((site.status_of(&first).await, site.status_of(&second).await), (200, 200));

    let mut elsewhere = Visitor::new();
    assert_eq!(site.returned(&mut elsewhere, "alice").await.location, Some(site.at("/")));
    let other = site.token(&mut elsewhere);
    assert_eq!(alice.post(&site.at("/auth/logout"), "", &[("accept", "*/*")]).await.status, 204);
    assert_eq!((alice.cookie(&site.url, TOKEN), site.username(&mut alice).await), (None, None));
    assert_eq!((site.status_of(&first).await, site.status_of(&second).await), (401, 401), "of the ended login");
    assert_eq!(site.status_of(&other).await, 200, "of the other login");

    site.returned(&mut alice, "alice").await;
    let third = site.token(&mut alice);
    let out = alice.post(&site.at("/auth/logout?everywhere=1"), "", &[("accept", "text/html")]).await;
    assert_eq!((out.status, out.location), (303, Some(site.at("/"))));
    assert_eq!((site.status_of(&third).await, site.status_of(&other).await), (401, 401));
    // In the same second or not: who logs in now is logged in.
    site.returned(&mut alice, "alice").await;
    assert_eq!(site.username(&mut alice).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn the_key_changes_without_logging_anybody_out() {
    let mut site = Site::start();
    let mut alice = site.registered("alice").await;
    let old = site.token(&mut alice);
    let restarted = |site: Site, former: &str| {
        let plan = site.plan.set("auth.token_key", OTHER_KEY).set("auth.token_keys_former", former);
        drop(site.node);
        Site { node: plan.start(), plan, provider: site.provider, url: site.url }
    };
    site = restarted(site, KEY);
    assert_eq!(site.username(&mut alice).await.as_deref(), Some("alice"));
    assert_eq!(alice.post(&site.at("/auth/renew"), "", &[]).await.status, 200);
    let new = site.token(&mut alice);
    site = restarted(site, "");
    assert_eq!((site.status_of(&old).await, site.status_of(&new).await), (401, 200));
}
