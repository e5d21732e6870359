//! Listening sockets and their accept loops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::admission::TurnedAway;
use super::tls::{Certificate, Inside};
use super::{Admission, Admitted};
use crate::chat::{CloseReason, Notice};
use crate::session::{self, Opening, Shared, Stream};
use crate::wire::{DialectKind, FramingKind, WireFormat};

const BACKLOG: u32 = 4_096;
/// After a failed accept (out of descriptors, say) the loop waits instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// TCP's own probes of a silent peer, for framings without probes of their own.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// A bound listening socket with the name of its setting.
pub struct Listener {
    pub name: &'static str,
    socket: TcpListener,
}

impl Listener {
    /// Binds an address.
    ///
    /// # Errors
    /// When the address cannot be used; the text names the setting.
    pub fn bind(name: &'static str, address: SocketAddr) -> anyhow::Result<Self> {
        let bind = || -> std::io::Result<TcpListener> {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        let socket = bind().map_err(|error| anyhow::anyhow!("listen.{name}: {address}: {error}"))?;
        Ok(Self { name, socket })
    }

    /// The address it listens on, with the real port where 0 was asked for.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until `stop`; each connection with its peer's address.
    async fn accept_each(self, stop: CancellationToken, mut each: impl FnMut(TcpStream, SocketAddr)) {
        while let Some(accepted) = stop.run_until_cancelled(self.socket.accept()).await {
            match accepted {
                Ok((stream, peer)) => {
                    prepare(&stream);
                    each(stream, peer);
                }
                Err(error) => {
                    tracing::warn!(listener = self.name, %error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn prepare(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    // Without these a connection works, only less well.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(TCP_KEEPALIVE).with_interval(TCP_KEEPALIVE / 4));
}

/// What every accepted connection passes before it is served.
#[derive(Clone)]
pub struct Door {
    /// `None`: connections are in the clear.
    pub certificate: Option<Arc<Certificate>>,
    /// For the TLS handshake; over HTTP also for each request.
    pub handshake: Duration,
}

impl Door {
    async fn pass(&self, stream: TcpStream, inside: Inside) -> Option<Stream> {
        match &self.certificate {
            Some(certificate) => certificate.handshake(stream, inside, self.handshake).await,
            None => Some(Stream::Plain(stream)),
        }
    }
}

/// Serves a raw TCP listener; without a dialect, each client's first message tells it.
pub async fn serve_raw(
    listener: Listener,
    door: Door,
    dialect: Option<DialectKind>,
    framing: FramingKind,
    admission: Arc<Admission>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    listener
        .accept_each(stop, |stream, peer| {
            let lifecycle = shared.lifecycle.clone();
            let opening = Opening { dialect, extended: false, login: None, framing, peer: peer.ip(), transport: "tcp" };
            match admission.admit(peer.ip()) {
                Ok(admitted) => {
                    let (shared, door) = (shared.clone(), door.clone());
                    lifecycle.spawn(async move {
                        if let Some(stream) = door.pass(stream, Inside::Raw).await {
                            session::run(stream, Bytes::new(), opening, shared).await;
                        }
                        drop(admitted);
                    });
                }
                Err(why) if door.certificate.is_none() => {
                    lifecycle.spawn(turn_away(stream, opening, why, shared.clock.unix_us()));
                }
                // A handshake for the sake of a refusal would cost more than the connection.
                Err(_) => {}
            }
        })
        .await;
}

/// Says why, once, without waiting for anybody.
async fn turn_away(mut stream: TcpStream, opening: Opening, why: TurnedAway, time_us: i64) {
    let reason = match why {
        TurnedAway::Full => CloseReason::TooManyConnections,
        TurnedAway::TooFast { .. } => CloseReason::TooFast,
    };
    let form = opening.dialect.unwrap_or(DialectKind::Pychat).dialect(false).form();
    let format = WireFormat { form, framing: opening.framing };
    if let Some(bytes) = format.tell(&Notice::Farewell { reason, time_us }) {
        // A fresh socket's send buffer always has room for one line.
        let _ = stream.write_all(&bytes).await;
    }
}

/// Serves an HTTP listener. A request that is not finished in time ends the connection. The place of an upgraded connection
/// goes on with its session, by way of the request's extensions.
pub async fn serve_http(
    listener: Listener,
    door: Door,
    router: Router,
    admission: Arc<Admission>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let ending = stop.clone();
    listener
        .accept_each(stop, |stream, peer| {
            let admitted = admission.admit(peer.ip()).map(Arc::new);
            let (door, router, ending) = (door.clone(), router.clone(), ending.clone());
            shared.lifecycle.spawn(async move {
                if let Some(stream) = door.pass(stream, Inside::Http).await {
                    connection(stream, router, admitted, door.handshake, ending).await;
                }
            });
        })
        .await;
}

async fn connection(
    stream: Stream,
    router: Router,
    admitted: Result<Arc<Admitted>, TurnedAway>,
    handshake: Duration,
    stop: CancellationToken,
) {
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        if let Ok(admitted) = &admitted {
            request.extensions_mut().insert(admitted.clone());
        }
        let turned_away = admitted.as_ref().err().copied();
        async move {
            if let Some(why) = turned_away {
                return Ok(come_again(why));
            }
            router.oneshot(request.map(Body::new) as Request).await
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(handshake).max_buf_size(64 * 1024);
    let serving = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::pin!(serving);
    tokio::select! {
        // A peer that breaks the protocol or vanishes is its own affair.
        _ = &mut serving => {}
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(handshake, serving).await;
        }
    }
}

fn come_again(why: TurnedAway) -> axum::response::Response {
    use axum::response::IntoResponse;
    let (again_s, text) = match why {
        TurnedAway::Full => (5, "Too many connections\n"),
        TurnedAway::TooFast { again_s } => (again_s, "Too many connect at once, connect again later\n"),
    };
    let (retry, close) = ((header::RETRY_AFTER, again_s.to_string()), (header::CONNECTION, "close".to_owned()));
    (StatusCode::SERVICE_UNAVAILABLE, [retry, close], text).into_response()
}
