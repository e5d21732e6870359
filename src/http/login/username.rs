//! The username that somebody chooses with their first login.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::{Failure, Newcomer, Pages, REGISTRATION_COOKIE, cookies, pages};
use crate::auth::{Outcome, Purpose};
use crate::backend::Registered;
use crate::chat::{Identity, Nickname};
use crate::http::gate::query_value;
use crate::http::login::LoginPages;

/// A username of 32 characters, percent-encoded, and some more.
const FORM_MAX_BYTES: usize = 4 * 1024;
/// For a form to arrive.
const FORM_LIMIT: Duration = Duration::from_secs(10);
/// What a suggestion is cut to.
const SUGGESTION_MAX_CHARS: usize = 32;

pub async fn form(State(pages): Pages, headers: HeaderMap) -> Response {
    match pages.newcomer(&headers) {
        Ok(newcomer) => pages::username_form(StatusCode::OK, &newcomer.suggested, ""),
        Err(failure) => pages.failed(&failure),
    }
}

pub async fn choose(State(pages): Pages, headers: HeaderMap, body: Body) -> Response {
    pages.chosen(&headers, body).await.unwrap_or_else(|failure| pages.failed(&failure))
}

/// What a provider calls somebody, made fit for the form.
pub fn suggestion(name: Option<String>) -> String {
    let name = name.unwrap_or_default();
    let readable: String = name.chars().filter(|c| !c.is_control()).take(SUGGESTION_MAX_CHARS).collect();
    let trimmed = readable.trim().trim_start_matches(['#', '@']).trim();
    Nickname::parse(trimmed).map(|name| name.to_string()).unwrap_or_default()
}

impl LoginPages {
    fn newcomer(&self, headers: &HeaderMap) -> Result<Newcomer, Failure> {
        let (_, tokens) = self.configured()?;
        let sealed = cookies::read(headers, REGISTRATION_COOKIE).ok_or(Failure::NoFlow)?;
        tokens.open(Purpose::Registration, sealed).map_err(|_| Failure::NoFlow)
    }

    async fn chosen(&self, headers: &HeaderMap, body: Body) -> Result<Response, Failure> {
        if !self.gate.is_own_page(headers) {
            return Err(Failure::ForeignOrigin);
        }
        let newcomer = self.newcomer(headers)?;
        let wish = username_in(body).await?;
        let name = match Nickname::parse(wish.trim()) {
            Ok(name) => name,
            Err(fault) => {
                let error = format!("This username {fault}.");
                return Ok(pages::username_form(StatusCode::UNPROCESSABLE_ENTITY, &suggestion(Some(wish)), &error));
            }
        };
        let identity = Identity { provider: newcomer.provider, subject: newcomer.subject };
        let account = match self.accounts.register(&identity, &name).await? {
            Registered::Done => name,
            Registered::Already(account) => account,
            Registered::Taken => {
                return Ok(pages::username_form(StatusCode::CONFLICT, name.as_str(), "This username is taken."));
            }
        };
        let mut response = self.log_in(account, Outcome::Registered).await?;
        self.cookie(REGISTRATION_COOKIE, "", "/auth", 0).set(response.headers_mut());
        Ok(response)
    }
}

async fn username_in(body: Body) -> Result<String, Failure> {
    let read = tokio::time::timeout(FORM_LIMIT, to_bytes(body, FORM_MAX_BYTES)).await;
    let bytes = read.map_err(|_| Failure::BadForm)?.map_err(|_| Failure::BadForm)?;
    let form = std::str::from_utf8(&bytes).map_err(|_| Failure::BadForm)?;
    query_value(Some(form), "username").ok_or(Failure::BadForm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_is_a_valid_username_or_empty() {
        let of = |name: &str| suggestion(Some(name.to_owned()));
        assert_eq!(of("Zoë"), "Zoë");
        assert_eq!(of(" @zoe\u{7}\n"), "zoe");
        assert_eq!(of(&"x".repeat(100)).len(), 32);
        assert_eq!((of("##"), of(" "), suggestion(None)), (String::new(), String::new(), String::new()));
    }
}
