//! As whom a request comes: the gate's rules, without a socket. The server's upgrade asks it the same way.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use crosstalk::ambient::{Clock, Entropy};
use crosstalk::auth::{Origins, Purpose, TokenFault, TokenSettings, Tokens};
use crosstalk::backend::embedded::{Embedded, Retention};
use crosstalk::backend::inbound;
use crosstalk::chat::{Login, Nickname, Revocation};
use crosstalk::http::{Gate, LoginFault};
use crosstalk::service::Accounts;
use crosstalk::telemetry::Metrics;
use serde_json::json;

struct House {
    gate: Gate,
    tokens: Arc<Tokens>,
    accounts: Arc<Accounts>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

fn house(require_login: bool) -> House {
    let (clock, entropy, metrics) = (Clock::manual(), Entropy::seeded(1), Arc::new(Metrics::new()));
    let (sender, _) = inbound(1 << 20, metrics.clone());
    let retention = Retention { count: 1, age_us: 1, rooms: 1, kept_rooms: 1 };
    let backend = Arc::new(Embedded::open(None, retention, sender, clock.clone(), entropy.clone()).unwrap());
    let accounts = Arc::new(Accounts::new(backend.clone(), backend));
    let settings = TokenSettings {
        key: b"0123456789abcdef0123456789abcdef".to_vec(),
        former_keys: Vec::new(),
        issuer: "crosstalk".into(),
        token_lasts: Duration::from_secs(7_200),
        login_lasts: Duration::from_secs(86_400),
    };
    let tokens = Arc::new(Tokens::new(&settings, clock.clone(), entropy));
    let origins = Origins::new(None, ["https://app.example.org".to_owned()]);
    let gate = Gate::new(Some(tokens.clone()), accounts.clone(), origins, require_login, metrics.clone());
    House { gate, tokens, accounts, clock, metrics }
}

impl House {
    fn login(&self, account: &str) -> (Login, String) {
        let login = self.tokens.begin(Nickname::parse(account).unwrap());
        let (token, _) = self.tokens.issue(&login).unwrap();
        (login, token)
    }

    async fn ask(&self, pairs: &[(&str, &str)], query: Option<&str>) -> Result<Option<String>, LoginFault> {
        let login = self.gate.login_of(&headers(pairs), query).await?;
        Ok(login.map(|login| login.account.to_string()))
    }
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair =
        |(name, value): &(&str, &str)| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
    pairs.iter().map(pair).collect()
}

#[tokio::test]
async fn a_token_is_found_wherever_it_may_be_and_in_this_order() {
    let house = house(false);
    let tokens: Vec<String> = ["query", "header", "bearer", "cookie"].iter().map(|name| house.login(name).1).collect();
    let query = format!("ext=1&token={}", tokens[0]);
    let (bearer, cookie) = (format!("bearer {}", tokens[2]), format!("a=b; crosstalk_token={}", tokens[3]));
    let all = [("x-auth-token", tokens[1].as_str()), ("authorization", &bearer), ("cookie", &cookie)];
    assert_eq!(house.ask(&all, Some(&query)).await, Ok(Some("query".into())));
    assert_eq!(house.ask(&all, Some("ext=1")).await, Ok(Some("header".into())));
    assert_eq!(house.ask(&all[1..], None).await, Ok(Some("bearer".into())));
    assert_eq!(house.ask(&all[2..], None).await, Ok(Some("cookie".into())));
    let strangers = [("authorization", "Basic dXNlcjpwYXNz"), ("cookie", "a=b; crosstalk_token=")];
    assert_eq!(house.ask(&strangers, Some("tokens=x")).await, Ok(None));
}

#[tokio::test]
async fn a_bad_token_is_refused_and_a_bad_cookie_makes_a_guest() {
    let guests = house(false);
    let members = house(true);
    let forged = Err(LoginFault::BadToken(TokenFault::Malformed));
    assert_eq!(guests.ask(&[], Some("token=x")).await, forged);
    assert_eq!(guests.ask(&[("x-auth-token", "x")], None).await, forged);
    assert_eq!(guests.ask(&[("authorization", "Bearer x")], None).await, forged);
    assert_eq!(guests.ask(&[("cookie", "crosstalk_token=x")], None).await, Ok(None));
    assert_eq!(members.ask(&[("cookie", "crosstalk_token=x")], None).await, forged);
    assert_eq!(members.ask(&[], None).await, Ok(None), "whoever asks refuses guests");
    assert_eq!(guests.metrics.auth_total.with_label_values(&["token_refused"]).get(), 3);

    let (_, token) = guests.login("alice");
    let flow = guests.tokens.seal(Purpose::Flow, &json!({"sub": "alice", "iat": 1}), 60).unwrap();
    assert_eq!(guests.ask(&[("x-auth-token", &flow)], None).await, Err(LoginFault::BadToken(TokenFault::Foreign)));
    guests.clock.advance(7_200_000);
    assert_eq!(guests.ask(&[("x-auth-token", &token)], None).await, Err(LoginFault::BadToken(TokenFault::Expired)));
    assert_eq!(guests.ask(&[("cookie", &format!("crosstalk_token={token}"))], None).await, Ok(None));
    assert_eq!(LoginFault::BadToken(TokenFault::Expired).status(), 401);
}

#[tokio::test]
async fn a_revoked_login_is_refused() {
    let house = house(false);
    let (login, token) = house.login("alice");
    let (_, other) = house.login("alice");
    house.accounts.revoke(&login.account, Revocation::One { id: login.id, ends_s: login.ends_s }).await.unwrap();
    assert_eq!(house.ask(&[("x-auth-token", &token)], None).await, Err(LoginFault::Revoked));
    assert_eq!(house.ask(&[("cookie", &format!("crosstalk_token={token}"))], None).await, Ok(None));
    assert_eq!(house.ask(&[("x-auth-token", &other)], None).await, Ok(Some("alice".into())));
    house.accounts.revoke(&login.account, Revocation::BegunUntil(login.began_s)).await.unwrap();
    assert_eq!(house.ask(&[("x-auth-token", &other)], None).await, Err(LoginFault::Revoked));
}

#[tokio::test]
async fn another_sites_page_cannot_use_a_login() {
    let house = house(false);
    let (_, token) = house.login("alice");
    let cookie = format!("crosstalk_token={token}");
    let from =
        |origin: &'static str| [("cookie", cookie.clone()), ("host", "chat:8080".into()), ("origin", origin.into())];
    for (origin, expected) in [
        ("http://chat:8080", Ok(Some("alice".to_owned()))),
        ("https://app.example.org", Ok(Some("alice".to_owned()))),
        ("https://evil.example", Err(LoginFault::ForeignOrigin)),
        ("null", Err(LoginFault::ForeignOrigin)),
    ] {
        let pairs = from(origin);
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(house.ask(&pairs, None).await, expected, "{origin}");
    }
    let guest = [("host", "chat:8080"), ("origin", "https://evil.example")];
    assert_eq!(house.ask(&guest, None).await, Ok(None), "without a login there is nothing to protect");
    assert_eq!(LoginFault::ForeignOrigin.status(), 403);
}

#[tokio::test]
async fn where_no_key_is_configured_no_token_is_taken() {
    let House { accounts, metrics, .. } = house(false);
    let gate = Gate::new(None, accounts, Origins::default(), false, metrics);
    assert_eq!(gate.login_of(&headers(&[]), Some("token=x")).await, Err(LoginFault::NotConfigured));
    assert_eq!(gate.login_of(&headers(&[("cookie", "crosstalk_token=x")]), None).await, Ok(None));
}
