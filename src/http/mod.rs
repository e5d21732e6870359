//! What is served over HTTP: the web page and the WebSockets on the public ports, health and metrics on the admin port.

mod admin;
mod web;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::any;

pub use admin::{Health, admin_router};

use crate::session::Shared;
use crate::transport::{Wanted, upgrade};
use crate::wire::DialectKind;

/// The main port: the web page, `/chat` with detection, and each dialect at its own path.
pub fn main_router(shared: Arc<Shared>) -> Router {
    let router = web::router().route("/chat", socket(None, shared.clone()));
    DialectKind::ALL
        .into_iter()
        .fold(router, |router, kind| {
            router.route(&format!("/chat/{}", kind.label()), socket(Some(kind), shared.clone()))
        })
        .fallback(nothing_here)
}

/// The original port of a dialect whose original is a WebSocket at `/chat`.
pub fn original_router(kind: DialectKind, shared: Arc<Shared>) -> Router {
    Router::new().route("/chat", socket(Some(kind), shared)).fallback(nothing_here)
}

fn socket(kind: Option<DialectKind>, shared: Arc<Shared>) -> axum::routing::MethodRouter {
    any(move |request: Request| {
        let shared = shared.clone();
        async move {
            let wanted = Wanted { dialect: kind, extended: asks_for_extended(&request), login: None };
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
