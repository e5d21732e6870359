//! Finds out as whom a request comes: its token, wherever that is, and whether the login behind it still stands.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};

use super::cookies;
use crate::auth::{Origins, Outcome, TokenFault, Tokens};
use crate::chat::Login;
use crate::service::Accounts;
use crate::telemetry::Metrics;

/// Cookie with the token.
pub const TOKEN_COOKIE: &str = "crosstalk_token";
/// Header with the token, both ways.
pub const TOKEN_HEADER: &str = "x-auth-token";

/// Why a request is not served as the one it says it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginFault {
    #[error("pages of this origin may not use a login here")]
    ForeignOrigin,
    #[error("{0}")]
    BadToken(#[from] TokenFault),
    #[error("the login has ended")]
    Revoked,
    #[error("this server takes no tokens")]
    NotConfigured,
    #[error("logins cannot be checked at the moment, try again")]
    Unavailable,
}

impl LoginFault {
    pub fn status(self) -> StatusCode {
        match self {
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::BadToken(_) | Self::Revoked | Self::NotConfigured => StatusCode::UNAUTHORIZED,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn outcome(self) -> Outcome {
        match self {
            Self::ForeignOrigin => Outcome::ForeignOrigin,
            Self::BadToken(_) | Self::Revoked | Self::NotConfigured => Outcome::TokenRefused,
            Self::Unavailable => Outcome::Unavailable,
        }
    }
}

/// Decides as whom a request comes.
pub struct Gate {
    tokens: Option<Arc<Tokens>>,
    accounts: Arc<Accounts>,
    origins: Origins,
    require_login: bool,
    metrics: Arc<Metrics>,
}

/// A token as it was brought.
struct Brought {
    token: String,
    /// Sent by the browser on its own, perhaps long after it was of use.
    by_cookie: bool,
}

impl Gate {
    /// `tokens` is `None` where no key is configured: then nobody can be logged in.
    pub fn new(
        tokens: Option<Arc<Tokens>>,
        accounts: Arc<Accounts>,
        origins: Origins,
        require_login: bool,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { tokens, accounts, origins, require_login, metrics }
    }

    /// Whether guests are refused.
    pub fn requires_login(&self) -> bool {
        self.require_login
    }

    /// The login under which a request comes, `None` for a guest. Looked for in `?token=`, `x-auth-token`,
    /// `Authorization: Bearer` and the cookie, in this order.
    ///
    /// # Errors
    /// A token that is not taken, or a page that may not use it. A cookie that is no longer good makes a guest instead,
    /// unless guests are refused: a browser cannot choose not to send it.
    pub async fn login_of(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Option<Login>, LoginFault> {
        let Some(brought) = brought(headers, query) else { return Ok(None) };
        let found = self.checked(&brought, headers).await;
        match found {
            Ok(login) => Ok(Some(login)),
            Err(LoginFault::BadToken(_) | LoginFault::Revoked | LoginFault::NotConfigured)
                if brought.by_cookie && !self.require_login =>
            {
                Ok(None)
            }
            Err(fault) => {
                tracing::debug!(%fault, "a login is refused");
                self.count(fault.outcome());
                Err(fault)
            }
        }
    }

    /// Whether the page that made a request may change what belongs to a login.
    pub fn is_own_page(&self, headers: &HeaderMap) -> bool {
        self.origins.allows(text(headers, header::ORIGIN.as_str()), text(headers, header::HOST.as_str()))
    }

    async fn checked(&self, brought: &Brought, headers: &HeaderMap) -> Result<Login, LoginFault> {
        if !self.is_own_page(headers) {
            return Err(LoginFault::ForeignOrigin);
        }
        let tokens = self.tokens.as_ref().ok_or(LoginFault::NotConfigured)?;
        let login = tokens.verify(&brought.token)?;
        match self.accounts.stands(&login).await {
            Ok(true) => Ok(login),
            Ok(false) => Err(LoginFault::Revoked),
            Err(error) => {
                tracing::debug!(%error, "the directory does not answer");
                Err(LoginFault::Unavailable)
            }
        }
    }

    pub(super) fn count(&self, outcome: Outcome) {
        self.metrics.auth_total.with_label_values(&[outcome.label()]).inc();
    }
}

fn brought(headers: &HeaderMap, query: Option<&str>) -> Option<Brought> {
    let explicit = query_value(query, "token")
        .or_else(|| text(headers, TOKEN_HEADER).map(str::to_owned))
        .or_else(|| bearer(text(headers, header::AUTHORIZATION.as_str())?).map(str::to_owned));
    match explicit {
        Some(token) => Some(Brought { token, by_cookie: false }),
        None => cookies::read(headers, TOKEN_COOKIE).map(|token| Brought { token: token.to_owned(), by_cookie: true }),
    }
}

/// The first value of a parameter in a URL's query.
pub(super) fn query_value(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query?.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    // What is no text is no origin of ours either.
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}
