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
use axum::routing::any;

pub use admin::{Health, admin_router};
pub use gate::{Gate, LoginFault};
pub use login::LoginPages;

use crate::session::Shared;
use crate::transport::upgrade;
use crate::wire::DialectKind;

/// The main port: the web page, the login, `/chat` with detection, and each dialect at its own path.
pub fn main_router(shared: Arc<Shared>, login: Arc<LoginPages>) -> Router {
    let router = web::router().merge(login::router(login)).route("/chat", socket(None, shared.clone()));
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
        async move { upgrade(request, kind, shared) }
    })
}

async fn nothing_here() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "Nothing is here. WebSockets are at /chat, the web page is at / of the main port.\n")
}
