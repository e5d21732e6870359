//! Our own tokens: signed statements that this server, or a backend that shares the key, made.
//!
//! One key signs statements of several purposes. Each purpose has an audience of its own, and the audience is always
//! checked, so that none ever passes for another.

use std::fmt;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::keys::{Keys, hash_128};
use super::settings::TokenSettings;
use crate::ambient::{Clock, Entropy};
use crate::chat::{Login, LoginId, Nickname};

/// Longer texts are refused before any work: our own tokens have a few hundred bytes.
const TOKEN_MAX_BYTES: usize = 8 * 1024;
/// How far another machine's clock may be ahead of ours.
const SKEW_S: i64 = 60;

/// What a statement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Is somebody, for as long as the login lasts.
    Login,
    /// Went to a provider and is to come back from there.
    Flow,
    /// Proved who they are and has still to choose a username.
    Registration,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    #[error("the token is too long")]
    TooLong,
    #[error("the token is malformed")]
    Malformed,
    #[error("the token was not signed with HS256 and a key of this server")]
    Forged,
    #[error("the token is for another server or another purpose")]
    Foreign,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token's subject is no valid username")]
    BadSubject,
    #[error("the token cannot be signed")]
    Unsignable,
}

/// Signs and verifies.
pub struct Tokens {
    keys: Keys,
    issuer: String,
    token_s: i64,
    login_s: i64,
    clock: Clock,
    entropy: Entropy,
}

/// The claims of a login's token; those that may be missing are missing where a backend developer signed it.
#[derive(Serialize, Deserialize)]
struct LoginClaims {
    sub: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    /// When even a renewed token of the login ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<i64>,
}

#[derive(Serialize)]
struct Sealed<'a, T> {
    iss: &'a str,
    aud: String,
    exp: i64,
    #[serde(flatten)]
    content: &'a T,
}

#[derive(Deserialize)]
struct Opened<T> {
    exp: i64,
    #[serde(flatten)]
    content: T,
}

impl Tokens {
    pub fn new(settings: &TokenSettings, clock: Clock, entropy: Entropy) -> Self {
        Self {
            keys: Keys::new(&settings.key, &settings.former_keys),
            issuer: settings.issuer.clone(),
            token_s: settings.token_lasts.as_secs() as i64,
            login_s: settings.login_lasts.as_secs() as i64,
            clock,
            entropy,
        }
    }

    /// A login that begins now.
    pub fn begin(&self, account: Nickname) -> Login {
        let began_s = self.now_s();
        Login { account, id: LoginId(self.entropy.bits()), began_s, ends_s: began_s + self.login_s }
    }

    /// A fresh token of a login, and the seconds for which it is good: never beyond the login's own end.
    pub fn issue(&self, login: &Login) -> Result<(String, i64), TokenFault> {
        let now_s = self.now_s();
        let lasts_s = self.token_s.min(login.ends_s - now_s);
        if lasts_s <= 0 {
            return Err(TokenFault::Expired);
        }
        let claims = LoginClaims {
            sub: login.account.to_string(),
            jti: Some(format!("{:032x}", login.id.0)),
            iat: now_s,
            auth_time: Some(login.began_s),
            max: Some(login.ends_s),
        };
        Ok((self.seal(Purpose::Login, &claims, lasts_s)?, lasts_s))
    }

    /// The login of a token that is genuine and good now. Whether the login still stands, the directory knows.
    pub fn verify(&self, token: &str) -> Result<Login, TokenFault> {
        let opened: Opened<LoginClaims> = self.opened(Purpose::Login, token)?;
        let claims = opened.content;
        let began_s = claims.auth_time.unwrap_or(claims.iat);
        if claims.iat.max(began_s) > self.now_s().saturating_add(SKEW_S) {
            return Err(TokenFault::NotYet);
        }
        let account = Nickname::parse(&claims.sub).map_err(|_| TokenFault::BadSubject)?;
        let id = LoginId(claims.jti.as_deref().map_or_else(|| hash_128(token), login_bits));
        Ok(Login { account, id, began_s, ends_s: claims.max.unwrap_or(opened.exp) })
    }

    /// Signs a statement for a purpose.
    pub fn seal(&self, purpose: Purpose, content: &impl Serialize, lasts_s: i64) -> Result<String, TokenFault> {
        let (key, key_id) = self.keys.signing();
        let header = Header { kid: Some(key_id.to_owned()), ..Header::new(Algorithm::HS256) };
        let claims = Sealed { iss: &self.issuer, aud: self.audience(purpose), exp: self.now_s() + lasts_s, content };
        encode(&header, &claims, key).map_err(|_| TokenFault::Unsignable)
    }

    /// What was sealed for this purpose.
    pub fn open<T: DeserializeOwned>(&self, purpose: Purpose, sealed: &str) -> Result<T, TokenFault> {
        self.opened(purpose, sealed).map(|opened| opened.content)
    }

    fn opened<T: DeserializeOwned>(&self, purpose: Purpose, token: &str) -> Result<Opened<T>, TokenFault> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(TokenFault::TooLong);
        }
        // Also refuses `alg` values it does not know, `none` among them.
        let header = decode_header(token).map_err(|_| TokenFault::Malformed)?;
        if header.alg != Algorithm::HS256 || header.crit.is_some() {
            return Err(TokenFault::Forged);
        }
        let validation = self.validation(purpose);
        let mut fault = TokenFault::Forged;
        for key in self.keys.candidates(header.kid.as_deref()) {
            match decode::<Opened<T>>(token, key, &validation) {
                Ok(data) => return self.in_time(data.claims),
                Err(error) => fault = fault_of(error.kind()),
            }
            if fault != TokenFault::Forged {
                break;
            }
        }
        Err(fault)
    }

    /// By our own clock; the library would read the system's.
    fn in_time<T>(&self, opened: Opened<T>) -> Result<Opened<T>, TokenFault> {
        if opened.exp <= self.now_s() { Err(TokenFault::Expired) } else { Ok(opened) }
    }

    fn validation(&self, purpose: Purpose) -> Validation {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[self.audience(purpose)]);
        validation.set_required_spec_claims(&["iss", "aud", "exp"]);
        validation.validate_exp = false;
        validation
    }

    fn audience(&self, purpose: Purpose) -> String {
        match purpose {
            Purpose::Login => self.issuer.clone(),
            Purpose::Flow => format!("{} flow", self.issuer),
            Purpose::Registration => format!("{} registration", self.issuer),
        }
    }

    fn now_s(&self) -> i64 {
        self.clock.unix_us() / 1_000_000
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Our own ids are 128 bits in hex; whatever a backend developer took is hashed to as many.
fn login_bits(jti: &str) -> u128 {
    let own = jti.len() == 32 && jti.bytes().all(|byte| byte.is_ascii_hexdigit());
    own.then(|| u128::from_str_radix(jti, 16).ok()).flatten().unwrap_or_else(|| hash_128(jti))
}

fn fault_of(error: &ErrorKind) -> TokenFault {
    match error {
        ErrorKind::InvalidSignature => TokenFault::Forged,
        ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience | ErrorKind::MissingRequiredClaim(_) => {
            TokenFault::Foreign
        }
        _ => TokenFault::Malformed,
    }
}

#[cfg(test)]
mod tests;
