//! What is served over HTTP: the web page, the login and the WebSockets on the public ports, health and metrics on the
//! admin port.

mod admin;
mod cookies;
mod gate;
mod login;
mod web;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, any};

pub use admin::{Health, admin_router};
pub use gate::{Gate, LoginFault};
pub use login::LoginPages;

use crate::session::Shared;
use crate::transport::{Wanted, upgrade};
use crate::wire::DialectKind;

/// The main port: the web page, the login, `/chat` with detection, and each dialect at its own path.
pub fn main_router(shared: Arc<Shared>, login: Arc<LoginPages>) -> Router {
    let gate = login.gate.clone();
    let socket = |kind| socket(kind, gate.clone(), shared.clone());
    let router = web::router().merge(login::router(login)).route("/chat", socket(None));
    DialectKind::ALL
        .into_iter()
        .fold(router, |router, kind| router.route(&format!("/chat/{}", kind.label()), socket(Some(kind))))
        .fallback(nothing_here)
}

/// The original port of a dialect whose original is a WebSocket at `/chat`.
pub fn original_router(kind: DialectKind, gate: Arc<Gate>, shared: Arc<Shared>) -> Router {
    Router::new().route("/chat", socket(Some(kind), gate, shared)).fallback(nothing_here)
}

fn socket(kind: Option<DialectKind>, gate: Arc<Gate>, shared: Arc<Shared>) -> MethodRouter {
    any(move |request: Request| {
        let (gate, shared) = (gate.clone(), shared.clone());
        async move {
            let login = match gate.login_of(request.headers(), request.uri().query()).await {
                Ok(login) => login.map(Box::new),
                Err(fault) => return (fault.status(), format!("{fault}\n")).into_response(),
            };
            let wanted = Wanted { dialect: kind, extended: asks_for_extended(&request), login };
            upgrade(request, wanted, shared)
        }
    })
}

/// Whether `?ext=1` is among the query's parameters.
fn asks_for_extended(request: &Request) -> bool {
    request.uri().query().is_some_and(|query| query.split('&').any(|parameter| parameter == "ext=1"))
}

async fn nothing_here() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "Nothing is here. WebSockets are at /chat, the web page is at / of the main port.\n")
}
