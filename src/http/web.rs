//! The embedded web client: the files of `web/`, compiled in.

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

struct Asset {
    path: &'static str,
    content_type: &'static str,
    body: &'static [u8],
}

macro_rules! assets {
    ($($path:literal $content_type:literal $file:literal;)+) => {
        &[$(Asset { path: $path, content_type: $content_type, body: include_bytes!(concat!("../../web/", $file)) },)+]
    };
}

const ASSETS: &[Asset] = assets! {
    "/" "text/html; charset=utf-8" "index.html";
    "/style.css" "text/css; charset=utf-8" "style.css";
    "/app.js" "text/javascript; charset=utf-8" "app.js";
    "/connection.js" "text/javascript; charset=utf-8" "connection.js";
    "/login.js" "text/javascript; charset=utf-8" "login.js";
    "/page.js" "text/javascript; charset=utf-8" "page.js";
    "/places.js" "text/javascript; charset=utf-8" "places.js";
    "/rooms.js" "text/javascript; charset=utf-8" "rooms.js";
    "/signing.js" "text/javascript; charset=utf-8" "signing.js";
    "/stream.js" "text/javascript; charset=utf-8" "stream.js";
    "/talk.js" "text/javascript; charset=utf-8" "talk.js";
    "/view.js" "text/javascript; charset=utf-8" "view.js";
    "/favicon.svg" "image/svg+xml" "favicon.svg";
};

/// Nothing but our own files and sockets: a message that smuggles markup in finds nothing to load or run.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'";
/// The files change only with the binary.
const ETAG: &str = concat!("\"", env!("CARGO_PKG_VERSION"), "-", env!("WEB_PAGE_HASH"), "\"");

pub fn router() -> Router {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        router.route(asset.path, get(move |headers: HeaderMap| async move { serve(asset, &headers) }))
    })
}

fn serve(asset: &Asset, request: &HeaderMap) -> Response {
    let headers = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::ETAG, ETAG),
        // Asked again each time, answered without a body while nothing changed: old and new modules never mix.
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    if request.get(header::IF_NONE_MATCH).is_some_and(|known| known == ETAG) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, asset.body).into_response()
}
