//! Logging in with a browser: to a provider, back, choosing a username, out again.
//!
//! What must be remembered while somebody is away is in cookies of their own browser, signed; the server keeps nothing, so
//! any node can finish what another began.

mod pages;
mod session;
mod username;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::cookies::{self, Cookie};
use super::gate::{Gate, TOKEN_COOKIE, TOKEN_HEADER, query_value};
use crate::ambient::Clock;
use crate::auth::{Arrival, Flow, Outcome, ProviderFault, Purpose, RelyingParty, TokenFault, Tokens};
use crate::backend::BackendError;
use crate::chat::{Identity, Nickname};
use crate::service::Accounts;

const FLOW_COOKIE: &str = "crosstalk_flow";
const REGISTRATION_COOKIE: &str = "crosstalk_registration";
/// How long somebody may be at a provider, or think about a username.
const DETOUR_S: i64 = 600;
/// How far a login's begin may be put after the clock's second, to be later than what was ended in that second.
const SECONDS_AHEAD_MAX: usize = 5;

/// What logging in with a browser needs.
pub struct LoginPages {
    pub gate: Arc<Gate>,
    pub accounts: Arc<Accounts>,
    /// `None` where no key is configured.
    pub tokens: Option<Arc<Tokens>>,
    /// `None` where no provider is configured.
    pub relying_party: Option<RelyingParty>,
    /// Whether browsers reach this server over TLS.
    pub secure: bool,
    pub clock: Clock,
}

type Pages = State<Arc<LoginPages>>;

/// Somebody who proved who they are and has no account yet.
#[derive(Serialize, Deserialize)]
struct Newcomer {
    provider: String,
    subject: String,
    suggested: String,
}

/// Why a step of the login fails; each has a page that says so.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("there is no such provider")]
    NoProvider,
    #[error("the provider says: {0}")]
    Denied(String),
    #[error("the login was not begun in this browser, or too long ago")]
    NoFlow,
    #[error("{0}")]
    Provider(#[from] ProviderFault),
    #[error("{0}")]
    Backend(#[from] BackendError),
    #[error("{0}")]
    Token(#[from] TokenFault),
    #[error("a page of another origin")]
    ForeignOrigin,
    #[error("the form is not readable")]
    BadForm,
}

pub fn router(pages: Arc<LoginPages>) -> Router {
    Router::new()
        .route("/auth", get(session::who))
        .route("/auth/renew", post(session::renew))
        .route("/auth/logout", post(session::logout))
        .route("/auth/username", get(username::form).post(username::choose))
        .route("/auth/{provider}", get(begin))
        .route("/auth/{provider}/callback", get(callback))
        .with_state(pages)
}

/// Sends somebody to a provider.
async fn begin(State(pages): Pages, Path(provider): Path<String>) -> Response {
    let sent = async {
        let (party, tokens) = pages.configured()?;
        let departure = party.begin(&provider).await.ok_or(Failure::NoProvider)??;
        let flow = tokens.seal(Purpose::Flow, &departure.flow, DETOUR_S)?;
        let mut response = see_other(departure.url.as_str());
        pages.cookie(FLOW_COOKIE, &flow, "/auth", DETOUR_S).set(response.headers_mut());
        Ok(response)
    };
    match sent.await {
        Ok(response) => {
            pages.gate.count(Outcome::Begun);
            response
        }
        Err(failure) => pages.failed(&failure),
    }
}

/// Takes somebody back from a provider.
async fn callback(
    State(pages): Pages,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let mut response = match pages.arrived(&provider, query.as_deref(), &headers).await {
        Ok((identity, name)) => pages.admit(identity, name).await.unwrap_or_else(|failure| pages.failed(&failure)),
        Err(failure) => pages.failed(&failure),
    };
    // Good for one return, however that ended.
    pages.cookie(FLOW_COOKIE, "", "/auth", 0).set(response.headers_mut());
    response
}

impl LoginPages {
    fn configured(&self) -> Result<(&RelyingParty, &Tokens), Failure> {
        self.relying_party.as_ref().zip(self.tokens.as_deref()).ok_or(Failure::NoProvider)
    }

    /// Who came back, once everything about their return was checked.
    async fn arrived(
        &self,
        provider: &str,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<(Identity, Option<String>), Failure> {
        let (party, tokens) = self.configured()?;
        let sealed = cookies::read(headers, FLOW_COOKIE).ok_or(Failure::NoFlow)?;
        let flow: Flow = tokens.open(Purpose::Flow, sealed).map_err(|_| Failure::NoFlow)?;
        let value = |name: &str| query_value(query, name);
        if !flow.fits(provider, &value("state").unwrap_or_default()) {
            return Err(Failure::NoFlow);
        }
        if let Some(error) = value("error") {
            return Err(Failure::Denied(error));
        }
        let arrival = Arrival { code: value("code").ok_or(Failure::NoFlow)?, issuer: value("iss") };
        Ok(party.finish(&flow, arrival).await?)
    }

    /// Logs an identity in, or lets it choose a username first.
    async fn admit(&self, identity: Identity, name: Option<String>) -> Result<Response, Failure> {
        if let Some(account) = self.accounts.account_of(&identity).await? {
            return self.log_in(account, Outcome::LoggedIn).await;
        }
        let (_, tokens) = self.configured()?;
        let suggested = username::suggestion(name);
        let newcomer = Newcomer { provider: identity.provider, subject: identity.subject, suggested };
        let sealed = tokens.seal(Purpose::Registration, &newcomer, DETOUR_S)?;
        let mut response = see_other("/auth/username");
        self.cookie(REGISTRATION_COOKIE, &sealed, "/auth", DETOUR_S).set(response.headers_mut());
        Ok(response)
    }

    /// Begins a login of an account, and leads to the chat.
    async fn log_in(&self, account: Nickname, outcome: Outcome) -> Result<Response, Failure> {
        let (_, tokens) = self.configured()?;
        let mut login = tokens.begin(account);
        for _ in 0..SECONDS_AHEAD_MAX {
            if self.accounts.stands(&login).await? {
                break;
            }
            // All logins begun up to this very second were ended; this one is later than they.
            login.began_s += 1;
        }
        let (token, lasts_s) = tokens.issue(&login)?;
        let mut response = see_other("/");
        self.hand_out(&token, lasts_s, response.headers_mut());
        self.gate.count(outcome);
        tracing::info!(account = %login.account, outcome = outcome.label(), "logged in");
        Ok(response)
    }

    /// Puts a token where browsers and other clients find it.
    fn hand_out(&self, token: &str, lasts_s: i64, headers: &mut HeaderMap) {
        self.cookie(TOKEN_COOKIE, token, "/", lasts_s).set(headers);
        if let Ok(mut value) = header::HeaderValue::try_from(token) {
            value.set_sensitive(true);
            headers.insert(TOKEN_HEADER, value);
        }
    }

    fn cookie<'a>(&self, name: &'a str, value: &'a str, path: &'a str, lasts_s: i64) -> Cookie<'a> {
        Cookie { name, value, path, lasts_s, secure: self.secure }
    }

    fn failed(&self, failure: &Failure) -> Response {
        tracing::info!(reason = %failure, "a login failed");
        self.gate.count(failure.outcome());
        pages::problem(failure)
    }
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoProvider => StatusCode::NOT_FOUND,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::Provider(ProviderFault::Busy) | Self::Backend(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Provider(ProviderFault::Unreachable(_) | ProviderFault::Untrusted(_)) => StatusCode::BAD_GATEWAY,
            Self::Token(TokenFault::Unsignable) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Denied(_) | Self::NoFlow | Self::Provider(_) | Self::Token(_) | Self::BadForm => {
                StatusCode::BAD_REQUEST
            }
        }
    }

    fn outcome(&self) -> Outcome {
        match self {
            Self::Denied(_) => Outcome::Denied,
            Self::ForeignOrigin => Outcome::ForeignOrigin,
            Self::Provider(ProviderFault::Busy) => Outcome::Busy,
            Self::Provider(ProviderFault::Unreachable(_)) | Self::Backend(_) => Outcome::Unavailable,
            Self::NoProvider | Self::NoFlow | Self::Provider(_) | Self::Token(_) | Self::BadForm => Outcome::Refused,
        }
    }

    /// What the person is told. Nothing here repeats what the provider or the request said.
    fn advice(&self) -> &'static str {
        match self {
            Self::NoProvider => "This server has no such login.",
            Self::Denied(_) => "The login was cancelled, or the provider refused it.",
            Self::NoFlow => {
                "This login was not begun in this browser, was begun more than ten minutes ago, or was finished \
                 already. Please begin again. Cookies must be allowed."
            }
            Self::Provider(ProviderFault::Busy) => "Too many people log in at the moment. Please try again.",
            Self::Provider(ProviderFault::Unreachable(_)) => "The provider does not answer. Please try again later.",
            Self::Provider(ProviderFault::Refused(_)) => {
                "The provider refused to finish the login. Please begin again."
            }
            Self::Provider(ProviderFault::Untrusted(_)) => {
                "The provider's answer could not be verified. If this stays so, tell whoever runs this server."
            }
            Self::Backend(_) => "The service is unavailable. Please try again.",
            Self::Token(_) => "The login could not be finished. Please begin again.",
            Self::ForeignOrigin => "This form was sent from another page. Please begin again.",
            Self::BadForm => "The form could not be read.",
        }
    }
}

/// A redirect after which the next page is got, whatever the method was.
fn see_other(location: &str) -> Response {
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::SEE_OTHER, headers).into_response()
}
