//! The writing side, for as long as the connection's task has to do it: answers, what a connection did not take at once,
//! and all that goes through TLS.

use std::io::Error;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::Shared;
use super::stream::{Socket, WriteSide};
use crate::chat::CloseReason;
use crate::hub::{Flushed, Mailbox, Outgoing, Pass, ending};

/// What a session that is ended for reading slowly gets to take its last message.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(1);

/// Writes until the mailbox is finished or the peer does not take it.
pub(super) async fn run(side: &mut WriteSide, mailbox: &Mailbox, shared: &Shared) {
    match side {
        WriteSide::Plain(socket) => beside_others(socket, mailbox, shared).await,
        WriteSide::Tls(stream) => alone(stream, mailbox, shared).await,
    }
}

/// Writes what nobody else writes out, or could.
async fn beside_others(socket: &Socket, mailbox: &Mailbox, shared: &Shared) {
    while mailbox.until_due().await {
        if mailbox.flush_by_task(&mut Pass::new(&shared.metrics)) == Flushed::Stuck {
            // Boxed, because few connections are ever stuck.
            let taking = Box::pin(within_limit(until_batch_is_taken(socket, mailbox, shared), mailbox, shared));
            if let Err(reason) = taking.await {
                mailbox.give_up(reason);
            }
        }
    }
}

async fn until_batch_is_taken(socket: &Socket, mailbox: &Mailbox, shared: &Shared) -> Result<(), Error> {
    let batch = mailbox.after_next_batch();
    loop {
        socket.0.writable().await?;
        let flushed = mailbox.flush_by_task(&mut Pass::new(&shared.metrics));
        if flushed != Flushed::Stuck || mailbox.has_written(batch) {
            return Ok(());
        }
    }
}

async fn alone(stream: &mut (impl AsyncWrite + Unpin), mailbox: &Mailbox, shared: &Shared) {
    while let Outgoing::Batch(batch) = mailbox.outgoing().await {
        let bytes = coalesced(batch);
        shared.metrics.write_calls_total.inc();
        match Box::pin(within_limit(stream.write_all(&bytes), mailbox, shared)).await {
            Ok(()) => {
                mailbox.wrote(bytes.len());
                shared.metrics.bytes_out_total.inc_by(bytes.len() as u64);
            }
            // Nobody will read it; waiting for the end keeps the two sides in step.
            Err(reason) => return mailbox.give_up(reason),
        }
    }
}

fn coalesced(mut batch: Vec<Bytes>) -> Bytes {
    match batch.len() {
        1 => batch.swap_remove(0),
        _ => batch.concat().into(),
    }
}

async fn within_limit(
    writing: impl Future<Output = Result<(), Error>>,
    mailbox: &Mailbox,
    shared: &Shared,
) -> Result<(), CloseReason> {
    let limit = async {
        tokio::select! {
            () = tokio::time::sleep(shared.limits.write_deadline) => {}
            _ = mailbox.until_closed() => tokio::time::sleep(LAST_WORDS).await,
        }
    };
    tokio::select! {
        biased;
        written = writing => written.map_err(|error| ending(&error)),
        () = limit => Err(CloseReason::SlowReader),
    }
}
