//! One connection, from its first byte to its close.
//!
//! One task per connection runs two sides at once: the reader (requests, one after the other) and the writer (whatever
//! the mailbox holds, with one call per batch). They meet only in the [`Mailbox`]. Events of rooms are written out by whoever
//! delivers them, past the task, as far as the connection takes them at once; TLS connections are written to by their task alone.

mod gauge;
mod lifecycle;
mod pulse;
mod reader;
mod speaking;
mod stream;
mod writer;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt;

pub use lifecycle::Lifecycle;
pub use stream::Stream;
use stream::{ReadSide, WriteSide};

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
    /// Messages are compressed for WebSockets that offer it.
    pub compression: bool,
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
pub fn run(stream: Stream, early: Bytes, opening: Opening, shared: Arc<Shared>) -> impl Future<Output = ()> + Send {
    let id = SessionId::on(shared.node, shared.entropy.bits());
    let mailbox = Arc::new(Mailbox::new(shared.limits.mailbox_bytes, shared.metrics.clone()));
    let (mut read_side, mut write_side) = stream.split();
    if let WriteSide::Plain(socket) = &write_side {
        mailbox.attach(socket.clone());
    }
    tracing::debug!(session = %id, dialect = opening.dialect.map(DialectKind::label), transport = opening.transport, "opened");
    // An async function would hold its arguments twice.
    async move {
        let (reason, ()) = tokio::join!(
            reader::run(&mut read_side, early, id, opening, &mailbox, &shared),
            writer::run(&mut write_side, &mailbox, &shared),
        );
        mailbox.detach();
        shared.metrics.closes_total.with_label_values(&[reason.label()]).inc();
        tracing::debug!(session = %id, reason = reason.label(), "closed");
        Box::pin(linger(read_side, write_side)).await;
    }
}

/// Closing a socket with unread bytes resets it, and the reset can overtake what was just written. So: say that we are
/// done, and read on for a moment until the peer is done, too.
async fn linger(mut read_side: ReadSide, write_side: WriteSide) {
    let drain = async {
        write_side.end().await?;
        let mut scratch = [0; 4096];
        while read_side.read(&mut scratch).await? > 0 {}
        Ok::<_, std::io::Error>(())
    };
    // A peer that vanished, or never stops sending, is no reason to wait.
    let _ = tokio::time::timeout(LINGER, drain).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How large a function's future is, without calling it.
    fn future_bytes<A, B, C, D, F>(_: impl FnOnce(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_session_is_small() {
        let (session, mailbox) = (future_bytes(run), size_of::<Mailbox>());
        println!("session {session}, mailbox {mailbox}");
        assert!(session <= 1_600, "the future of a session takes {session} bytes");
        assert!(mailbox <= 256, "a mailbox takes {mailbox} bytes");
    }
}
