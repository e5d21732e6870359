//! One connection, from its first byte to its close.
//!
//! One task per connection runs two sides at once: the reader (requests, one after the other) and the writer (whatever
//! the mailbox holds, with one call per batch). They meet only in the [`Mailbox`].

mod lifecycle;
mod reader;
mod writer;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub use lifecycle::Lifecycle;

use crate::ambient::{Clock, Entropy};
use crate::chat::{Login, NodeId, SessionId};
use crate::hub::Mailbox;
use crate::service::Chat;
use crate::telemetry::Metrics;
use crate::wire::{DialectKind, FramingKind};

/// How long the peer gets to read the last bytes after we are done, before the socket is dropped.
const LINGER: Duration = Duration::from_secs(1);

/// What all sessions of a node share.
pub struct Shared {
    pub chat: Arc<Chat>,
    pub limits: SessionLimits,
    pub lifecycle: Lifecycle,
    /// Where the sessions are, part of their ids.
    pub node: NodeId,
    pub clock: Clock,
    pub entropy: Entropy,
    pub metrics: Arc<Metrics>,
}

/// What one session may use.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    pub frame_bytes: usize,
    pub messages_per_second: u32,
    pub message_burst: u32,
    pub joins_per_second: u32,
    pub join_burst: u32,
    pub strikes: u32,
    pub mailbox_bytes: usize,
    pub keepalive: Duration,
    pub write_deadline: Duration,
}

/// How a connection begins.
#[derive(Debug, Clone)]
pub struct Opening {
    /// `None`: told by the first message.
    pub dialect: Option<DialectKind>,
    /// The client asked for the dialect's extended mode.
    pub extended: bool,
    /// The login that the client brought. Boxed, because most are guests.
    pub login: Option<Box<Login>>,
    pub framing: FramingKind,
    /// Where the connection comes from.
    pub peer: IpAddr,
    /// `tcp` or `websocket`, for metrics.
    pub transport: &'static str,
}

/// Serves a connection to its end. `early` are bytes that were read from it already.
pub async fn run(stream: impl AsyncRead + AsyncWrite + Unpin, early: Bytes, opening: Opening, shared: Arc<Shared>) {
    let id = SessionId::on(shared.node, shared.entropy.bits());
    let mailbox = Arc::new(Mailbox::new(shared.limits.mailbox_bytes, shared.metrics.clone()));
    let (mut read_half, mut write_half) = tokio::io::split(stream);
    tracing::debug!(session = %id, dialect = opening.dialect.map(DialectKind::label), transport = opening.transport, "opened");
    let reading = reader::run(&mut read_half, early, id, opening, mailbox.clone(), &shared);
    let writing = writer::run(&mut write_half, &mailbox, &shared);
    let (reason, ()) = tokio::join!(reading, writing);
    shared.metrics.closes_total.with_label_values(&[reason.label()]).inc();
    tracing::debug!(session = %id, reason = reason.label(), "closed");
    linger(&mut read_half, &mut write_half).await;
}

/// Closing a socket with unread bytes resets it, and the reset can overtake what was just written. So: say that we are
/// done, and read on for a moment until the peer is done, too.
async fn linger(read_half: &mut (impl AsyncRead + Unpin), write_half: &mut (impl AsyncWrite + Unpin)) {
    let drain = async {
        write_half.shutdown().await?;
        let mut scratch = [0; 4096];
        while read_half.read(&mut scratch).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // A peer that vanished, or never stops sending, is no reason to wait.
    let _ = tokio::time::timeout(LINGER, drain).await;
}
