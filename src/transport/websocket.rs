//! The WebSocket handshake (RFC 6455, section 4.2): checks the request, answers it, and hands the raw socket to a session.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tungstenite::handshake::derive_accept_key;

use super::Admitted;
use crate::chat::Login;
use crate::session::{self, Opening, Shared, Stream};
use crate::wire::{DEFLATE_ANSWER, DialectKind, FramingKind, is_deflate_offered};

/// What a request for a WebSocket asks for beside the socket.
#[derive(Debug, Default)]
pub struct Wanted {
    /// `None`: told by the first message.
    pub dialect: Option<DialectKind>,
    /// The dialect's extended mode.
    pub extended: bool,
    pub login: Option<Box<Login>>,
}

/// Answers a request for a WebSocket and serves the session.
pub fn upgrade(mut request: Request, wanted: Wanted, shared: Arc<Shared>) -> Response {
    let accept = match check(&request) {
        Ok(accept) => accept,
        Err((status, reason)) => return refused(status, reason),
    };
    let Some(upgraded) = request.extensions_mut().remove::<OnUpgrade>() else {
        return refused(StatusCode::UPGRADE_REQUIRED, "This connection cannot become a WebSocket");
    };
    let admitted = request.extensions_mut().remove::<Arc<Admitted>>();
    // Without a place there is no connection; the listener sees to that.
    let peer = admitted.as_ref().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |admitted| admitted.address());
    let Wanted { dialect, extended, login } = wanted;
    let compresses = shared.limits.compression && offers_deflate(request.headers());
    let framing = if compresses { FramingKind::Deflated } else { FramingKind::WebSocket };
    let opening = Opening { dialect, extended, login, framing, peer, transport: "websocket" };
    let lifecycle = shared.lifecycle.clone();
    lifecycle.spawn(async move {
        match upgraded.await.map(hyper::upgrade::Upgraded::downcast::<TokioIo<Stream>>) {
            Ok(Ok(parts)) => session::run(parts.io.into_inner(), parts.read_buf, opening, shared).await,
            Ok(Err(_)) => tracing::error!("an upgraded connection is no stream of ours"),
            Err(error) => tracing::debug!(%error, "a WebSocket handshake was not finished"),
        }
        drop(admitted);
    });
    let headers = [
        (header::CONNECTION, "Upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    let extensions = compresses.then_some([(header::SEC_WEBSOCKET_EXTENSIONS, DEFLATE_ANSWER)]);
    (StatusCode::SWITCHING_PROTOCOLS, headers, extensions, Body::empty()).into_response()
}

fn offers_deflate(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS).into_iter();
    offers.filter_map(|offers| offers.to_str().ok()).any(is_deflate_offered)
}

fn refused(status: StatusCode, reason: &'static str) -> Response {
    let headers = [(header::UPGRADE, "websocket"), (header::SEC_WEBSOCKET_VERSION, "13")];
    (status, headers, format!("{reason}\n")).into_response()
}

/// The value of `Sec-WebSocket-Accept`, or what is wrong with the request.
fn check(request: &Request) -> Result<String, (StatusCode, &'static str)> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "A WebSocket is asked for with GET"));
    }
    if !has_token(headers, header::CONNECTION, "upgrade") || !has_token(headers, header::UPGRADE, "websocket") {
        return Err((StatusCode::UPGRADE_REQUIRED, "This address speaks WebSocket"));
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err((StatusCode::UPGRADE_REQUIRED, "Only version 13 of WebSocket is spoken here"));
    }
    let key =
        headers.get(header::SEC_WEBSOCKET_KEY).ok_or((StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is missing"))?;
    Ok(derive_accept_key(key.as_bytes()))
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}
