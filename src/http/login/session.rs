//! A login that is there: whose it is, its renewal, its end.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{LoginPages, Pages, TOKEN_COOKIE, query_value, see_other};
use crate::auth::Outcome;
use crate::backend::BackendError;
use crate::chat::{Login, Revocation};
use crate::http::gate::LoginFault;

const NO_STORE: [(header::HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// What a page has to know: which providers there are, and who is logged in.
pub async fn who(State(pages): Pages, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let login = pages.gate.login_of(&headers, query.as_deref()).await.ok().flatten();
    let providers = pages.relying_party.iter().flat_map(|party| party.providers());
    let providers: Vec<_> = providers.map(|(name, label)| json!({"name": name, "label": label})).collect();
    let answer = json!({
        "providers": providers,
        "login_required": pages.gate.requires_login(),
        "username": login.map(|login| login.account.to_string()),
    });
    (NO_STORE, Json(answer)).into_response()
}

/// A fresh token of the same login.
pub async fn renew(State(pages): Pages, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    match pages.renewed(&headers, query.as_deref()).await {
        Ok(response) => response,
        Err(fault) => refused(fault),
    }
}

/// Ends the login, or with `?everywhere=1` all of the account's.
pub async fn logout(State(pages): Pages, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    if !pages.gate.is_own_page(&headers) {
        pages.gate.count(Outcome::ForeignOrigin);
        return refused(LoginFault::ForeignOrigin);
    }
    match pages.gate.login_of(&headers, query.as_deref()).await {
        Ok(Some(login)) => {
            let everywhere = query_value(query.as_deref(), "everywhere").is_some_and(|value| value == "1");
            if let Err(error) = pages.end(&login, everywhere).await {
                tracing::info!(%error, "a login could not be ended");
                return refused(LoginFault::Unavailable);
            }
        }
        Err(LoginFault::Unavailable) => return refused(LoginFault::Unavailable),
        // Nothing to end but the cookie.
        Ok(None) | Err(_) => {}
    }
    let mut response =
        if is_plain_form(&headers) { see_other("/") } else { (StatusCode::NO_CONTENT, NO_STORE).into_response() };
    pages.cookie(TOKEN_COOKIE, "", "/", 0).set(response.headers_mut());
    response
}

impl LoginPages {
    async fn renewed(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Response, LoginFault> {
        if !self.gate.is_own_page(headers) {
            self.gate.count(Outcome::ForeignOrigin);
            return Err(LoginFault::ForeignOrigin);
        }
        let tokens = self.tokens.as_ref().ok_or(LoginFault::NotConfigured)?;
        let login = self.gate.login_of(headers, query).await?.ok_or(LoginFault::Revoked)?;
        let (token, lasts_s) = tokens.issue(&login)?;
        let answer = json!({"username": login.account.to_string(), "lasts_s": lasts_s});
        let mut response = (NO_STORE, Json(answer)).into_response();
        self.hand_out(&token, lasts_s, response.headers_mut());
        self.gate.count(Outcome::Renewed);
        Ok(response)
    }

    async fn end(&self, login: &Login, everywhere: bool) -> Result<(), BackendError> {
        let which = if everywhere {
            // Also those begun this very second.
            Revocation::BegunUntil(self.now_s().max(login.began_s))
        } else {
            Revocation::One { id: login.id, ends_s: login.ends_s }
        };
        self.accounts.revoke(&login.account, which).await?;
        self.gate.count(Outcome::LoggedOut);
        tracing::info!(account = %login.account, everywhere, "logged out");
        Ok(())
    }

    fn now_s(&self) -> i64 {
        self.clock.unix_us() / 1_000_000
    }
}

fn refused(fault: LoginFault) -> Response {
    (fault.status(), NO_STORE, format!("{fault}\n")).into_response()
}

/// Whether a form without a script was sent, whose browser waits for a page.
fn is_plain_form(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}
