//! The writing side: all that waits, in one call, within a deadline.

use std::io::{Error, ErrorKind};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::Shared;
use crate::chat::CloseReason;
use crate::hub::{Mailbox, Outgoing};

/// What a session that is ended for reading slowly gets to take its last message.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Writes until the mailbox is finished or the peer does not take it.
pub(super) async fn run(socket: &mut (impl AsyncWrite + Unpin), mailbox: &Mailbox, shared: &Shared) {
    while let Outgoing::Batch(batch) = mailbox.outgoing().await {
        let bytes = coalesced(batch);
        shared.metrics.write_calls_total.inc();
        let written = write(socket, &bytes, mailbox, shared).await;
        if written.is_ok() {
            mailbox.wrote(bytes.len());
            shared.metrics.bytes_out_total.inc_by(bytes.len() as u64);
        }
        if let Err(reason) = written {
            mailbox.close(reason);
            // Nobody will read it; waiting for the end keeps the two sides in step.
            mailbox.finish([]);
            return;
        }
    }
}

fn coalesced(mut batch: Vec<Bytes>) -> Bytes {
    match batch.len() {
        1 => batch.swap_remove(0),
        _ => batch.concat().into(),
    }
}

async fn write(
    socket: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    mailbox: &Mailbox,
    shared: &Shared,
) -> Result<(), CloseReason> {
    let writing = socket.write_all(bytes);
    tokio::pin!(writing);
    let limit = async {
        tokio::select! {
            () = tokio::time::sleep(shared.limits.write_deadline) => {}
            _ = mailbox.until_closed() => tokio::time::sleep(LAST_WORDS).await,
        }
    };
    tokio::select! {
        biased;
        written = &mut writing => written.map_err(|error| ending(&error)),
        () = limit => Err(CloseReason::SlowReader),
    }
}

/// What it says of the peer that it cannot be written to: the pipe is broken after an end in order, and where there was none
/// the connection was reset, or timed out.
fn ending(error: &Error) -> CloseReason {
    match error.kind() {
        ErrorKind::BrokenPipe => CloseReason::PeerGone,
        _ => CloseReason::PeerLost,
    }
}
