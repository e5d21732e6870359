use std::time::Duration;

use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

use super::*;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const OTHER_KEY: &[u8] = b"another key that is long enough!";
const HOUR_S: i64 = 3_600;

fn settings(key: &[u8], former: &[&[u8]]) -> TokenSettings {
    TokenSettings {
        key: key.to_vec(),
        former_keys: former.iter().map(|key| key.to_vec()).collect(),
        issuer: "crosstalk".into(),
        token_lasts: Duration::from_secs(2 * HOUR_S as u64),
        login_lasts: Duration::from_secs(5 * HOUR_S as u64),
    }
}

fn tokens(clock: &Clock, key: &[u8], former: &[&[u8]]) -> Tokens {
    Tokens::new(&settings(key, former), clock.clone(), Entropy::seeded(1))
}

/// A token as a backend developer makes it, without this module.
fn minted(key: &[u8], claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(key)).unwrap()
}

fn alice() -> Nickname {
    Nickname::parse("alice").unwrap()
}

#[test]
fn a_login_lasts_over_renewals_and_no_longer_than_its_end() {
    let clock = Clock::manual();
    let tokens = tokens(&clock, KEY, &[]);
    let login = tokens.begin(alice());
    let (token, lasts_s) = tokens.issue(&login).unwrap();
    assert_eq!((tokens.verify(&token), lasts_s), (Ok(login.clone()), 2 * HOUR_S));
    clock.advance(2 * HOUR_S as u64 * 1_000);
    assert_eq!(tokens.verify(&token), Err(TokenFault::Expired));
    clock.advance(2 * HOUR_S as u64 * 1_000);
    let (renewed, lasts_s) = tokens.issue(&login).unwrap();
    assert_eq!((tokens.verify(&renewed), lasts_s), (Ok(login.clone()), HOUR_S), "cut short by the login's end");
    clock.advance(HOUR_S as u64 * 1_000);
    assert_eq!(tokens.verify(&renewed), Err(TokenFault::Expired));
    assert_eq!(tokens.issue(&login), Err(TokenFault::Expired));
}

#[test]
fn a_former_key_verifies_and_signs_no_more() {
    let clock = Clock::manual();
    let before = tokens(&clock, KEY, &[]);
    let (token, _) = before.issue(&before.begin(alice())).unwrap();
    let after = tokens(&clock, OTHER_KEY, &[KEY]);
    assert!(after.verify(&token).is_ok());
    let (fresh, _) = after.issue(&after.begin(alice())).unwrap();
    assert_eq!(before.verify(&fresh), Err(TokenFault::Forged), "signed with the new key");
    assert_eq!(tokens(&clock, OTHER_KEY, &[]).verify(&token), Err(TokenFault::Forged), "retired");
}

#[test]
fn no_purpose_passes_for_another() {
    let tokens = tokens(&Clock::manual(), KEY, &[]);
    let claims = json!({"sub": "alice", "iat": 1});
    for sealed_for in [Purpose::Login, Purpose::Flow, Purpose::Registration] {
        let sealed = tokens.seal(sealed_for, &claims, 60).unwrap();
        for opened_for in [Purpose::Login, Purpose::Flow, Purpose::Registration] {
            let opened = tokens.open::<LoginClaims>(opened_for, &sealed).map(drop);
            let expected = if sealed_for == opened_for { Ok(()) } else { Err(TokenFault::Foreign) };
            assert_eq!(opened, expected, "{sealed_for:?} as {opened_for:?}");
        }
    }
}

#[test]
fn a_developers_token_needs_only_the_common_claims() {
    let clock = Clock::manual();
    let tokens = tokens(&clock, KEY, &[OTHER_KEY]);
    let now_s = clock.unix_us() / 1_000_000;
    let claims = json!({"iss": "crosstalk", "aud": ["x", "crosstalk"], "sub": "alice", "iat": now_s, "exp": now_s + 9});
    for key in [KEY, OTHER_KEY] {
        let login = tokens.verify(&minted(key, &claims)).unwrap();
        assert_eq!((login.account.as_str(), login.began_s, login.ends_s), ("alice", now_s, now_s + 9));
    }
    let token = minted(KEY, &claims);
    assert_eq!(tokens.verify(&token).unwrap().id, tokens.verify(&token).unwrap().id, "its id is its own hash");
    let named = |jti: &str| {
        let mut claims = claims.clone();
        claims["jti"] = json!(jti);
        tokens.verify(&minted(KEY, &claims)).unwrap().id
    };
    assert_eq!(named("0000000000000000000000000000002a"), LoginId(42));
    assert_ne!(named("a"), named("b"));
}

#[test]
fn whatever_is_wrong_is_refused_for_what_it_is() {
    let clock = Clock::manual();
    let tokens = tokens(&clock, KEY, &[]);
    let now_s = clock.unix_us() / 1_000_000;
    let good = json!({"iss": "crosstalk", "aud": "crosstalk", "sub": "alice", "iat": now_s, "exp": now_s + 9});
    let with = |key: &str, value: Value| {
        let mut claims = good.clone();
        claims[key] = value;
        tokens.verify(&minted(KEY, &claims)).map(drop)
    };
    let without = |key: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(key);
        tokens.verify(&minted(KEY, &claims)).map(drop)
    };
    assert!(tokens.verify(&minted(KEY, &good)).is_ok());
    assert_eq!(tokens.verify(&minted(OTHER_KEY, &good)), Err(TokenFault::Forged));
    assert_eq!(with("iss", json!("other")), Err(TokenFault::Foreign));
    assert_eq!(with("aud", json!("other")), Err(TokenFault::Foreign));
    assert_eq!(with("exp", json!(now_s)), Err(TokenFault::Expired));
    assert_eq!(with("exp", json!("soon")), Err(TokenFault::Malformed));
    assert_eq!(with("iat", json!(now_s + 3 * SKEW_S)), Err(TokenFault::NotYet));
    assert_eq!(with("iat", json!(i64::MAX)), Err(TokenFault::NotYet));
    assert_eq!(with("sub", json!("#alice")), Err(TokenFault::BadSubject));
    for missing in ["iss", "aud"] {
        assert_eq!(without(missing), Err(TokenFault::Foreign), "{missing}");
    }
    for missing in ["exp", "sub", "iat"] {
        assert_eq!(without(missing), Err(TokenFault::Malformed), "{missing}");
    }
    for rubbish in ["", ".", "..", "a.b.c", "\u{0}"] {
        assert_eq!(tokens.verify(rubbish), Err(TokenFault::Malformed), "{rubbish:?}");
    }
    assert_eq!(tokens.verify(&"x".repeat(TOKEN_MAX_BYTES + 1)), Err(TokenFault::TooLong));
}

#[test]
fn no_other_algorithm_is_taken() {
    let clock = Clock::manual();
    let tokens = tokens(&clock, KEY, &[]);
    let now_s = clock.unix_us() / 1_000_000;
    let good = json!({"iss": "crosstalk", "aud": "crosstalk", "sub": "alice", "iat": now_s, "exp": now_s + 9});
    let longer = encode(&Header::new(Algorithm::HS512), &good, &EncodingKey::from_secret(KEY)).unwrap();
    assert_eq!(tokens.verify(&longer), Err(TokenFault::Forged));
    let token = minted(KEY, &good);
    let (_, rest) = token.split_once('.').unwrap();
    // {"alg":"none","typ":"JWT"}
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{rest}");
    assert_eq!(tokens.verify(&none), Err(TokenFault::Malformed));
    let unsigned = none.rsplit_once('.').unwrap().0.to_owned() + ".";
    assert_eq!(tokens.verify(&unsigned), Err(TokenFault::Malformed));
    let critical = Header { crit: Some(vec!["x".into()]), ..Header::new(Algorithm::HS256) };
    let critical = encode(&critical, &good, &EncodingKey::from_secret(KEY)).unwrap();
    assert_eq!(tokens.verify(&critical), Err(TokenFault::Forged));
}
