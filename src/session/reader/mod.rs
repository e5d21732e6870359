//! The reading side: bytes to requests, one request after the other, each answered before the next is looked at.

mod opening;
mod requests;

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::io::{AsyncRead, ReadBuf};

use super::gauge::ConnectionGauge;
use super::pulse::{Alarm, Due, Pulse};
use super::speaking::Speaking;
use super::{Opening, Shared};
use crate::chat::{CloseReason, Login, Notice, SessionId};
use crate::hub::{Call, Mailbox, WireFormat};
use crate::service::LOOK_EVERY;
use crate::wire::{Frame, FramingKind, Inbound, close_frame};

/// Read at once; on the stack, so that an idle connection holds no buffer.
const READ_BYTES: usize = 8 * 1024;

/// Reads to the end, ends the session, and says why it ended.
///
/// What a session does beside waiting is boxed for its time: a future is as large as the largest thing that it may ever do,
/// and most sessions do nothing most of the time.
pub(super) fn run<'a>(
    socket: &'a mut (impl AsyncRead + Unpin),
    early: Bytes,
    id: SessionId,
    opening: Opening,
    mailbox: &'a Arc<Mailbox>,
    shared: &'a Shared,
) -> impl Future<Output = CloseReason> + 'a {
    let mut reader = Reader {
        inbound: Inbound::new(opening.framing, shared.limits.frame_bytes),
        gauge: ConnectionGauge::new(opening.transport, &shared.metrics),
        speaking: None,
        framing: opening.framing,
        extended: opening.extended,
        login: opening.login,
        peer: opening.peer,
        owes_proof: false,
        mailbox,
        id,
        shared,
    };
    reader.inbound.push(&early);
    drop(early);
    let reading = shared.lifecycle.reading();
    // An async function would hold its arguments twice.
    async move {
        let begun = match opening.dialect {
            Some(kind) => Box::pin(reader.speak(kind)).await,
            None => Ok(()),
        };
        let reason = match begun {
            Ok(()) => reader.read(socket).await,
            Err(reason) => reason,
        };
        drop(reading);
        let reason = reader.outlast(reason).await;
        mailbox.close(reason);
        mailbox.finish(reader.last_words(reason));
        if let Some(ending) = reader.end(reason) {
            ending.await;
        }
        reason
    }
}

struct Reader<'a> {
    inbound: Inbound,
    gauge: ConnectionGauge<'a>,
    /// `None` until the dialect is known.
    speaking: Option<Speaking>,
    framing: FramingKind,
    /// The extended mode is wanted.
    extended: bool,
    /// Brought along and not used yet.
    login: Option<Box<Login>>,
    peer: IpAddr,
    /// It goes on in another's place, and its client was not heard of since it was told so: if it is lost before, the client may
    /// not know the token by which to come back, and had better find its name free.
    owes_proof: bool,
    mailbox: &'a Arc<Mailbox>,
    id: SessionId,
    shared: &'a Shared,
}

impl<'a> Reader<'a> {
    async fn read(&mut self, socket: &mut (impl AsyncRead + Unpin)) -> CloseReason {
        let mut stopping = pin!(self.shared.lifecycle.no_more_reading());
        let mut pulse = Pulse::new(self.framing, self.shared.limits.keepalive);
        let mut next_look = Alarm::default();
        loop {
            if let Err(reason) = Box::pin(self.take_messages()).await {
                return reason;
            }
            if self.must_look() && !next_look.is_set() {
                next_look.set(LOOK_EVERY);
            }
            tokio::select! {
                biased;
                () = &mut stopping => return CloseReason::Restart,
                call = self.mailbox.until_called() => match call {
                    // The writer found out, perhaps while a close frame was still to be read.
                    Call::Close(reason @ (CloseReason::PeerGone | CloseReason::PeerLost)) => {
                        return self.read_the_rest(socket, reason);
                    }
                    Call::Close(reason) => return reason,
                    Call::PutOut(rooms) => Box::pin(self.heed_put_out(rooms)).await,
                    Call::Mail => Box::pin(self.tell_mail()).await,
                    Call::RoomsDoubted => Box::pin(self.look_at_rooms()).await,
                },
                () = next_look.rings(), if self.must_look() => {
                    Box::pin(self.look()).await;
                    next_look.set(LOOK_EVERY);
                }
                read = read_some(socket, &mut self.inbound) => match read {
                    Ok(0) => return self.end_of_stream(),
                    Err(_) => return CloseReason::PeerLost,
                    Ok(count) => {
                        self.shared.metrics.bytes_in_total.inc_by(count as u64);
                        pulse.heard();
                        self.owes_proof = false;
                    }
                },
                due = pulse.due() => match due {
                    Due::Ping(ping) => self.mailbox.reply(ping),
                    Due::Silent => return CloseReason::Silent,
                },
            }
        }
    }

    /// Nothing more will come. Over WebSocket, an end that nobody announced is none.
    fn end_of_stream(&self) -> CloseReason {
        match self.framing {
            FramingKind::WebSocket | FramingKind::Deflated => CloseReason::PeerLost,
            FramingKind::Lines | FramingKind::Lengths => CloseReason::PeerGone,
        }
    }

    /// The connection cannot be written to any more; whether the peer had said that it goes. A system tells only once that a
    /// connection was reset, and did so to the writer, so that the end of the bytes says nothing here.
    fn read_the_rest(&mut self, socket: &mut (impl AsyncRead + Unpin), written: CloseReason) -> CloseReason {
        loop {
            while let Ok(Some(frame)) = self.inbound.next_frame() {
                if frame == Frame::Closed {
                    return CloseReason::PeerGone;
                }
            }
            match read_some(socket, &mut self.inbound).now_or_never() {
                Some(Ok(1..)) => {}
                Some(Ok(0)) if written == CloseReason::PeerGone => return self.end_of_stream(),
                Some(Ok(0) | Err(_)) | None => return CloseReason::PeerLost,
            }
        }
    }

    async fn tell_mail(&mut self) {
        if let Some(speaking) = &mut self.speaking {
            self.shared.chat.attend_the_rest(&mut speaking.who).await;
            self.shared.chat.tell_mail(&mut speaking.who).await;
        }
    }

    async fn look_at_rooms(&mut self) {
        if let Some(speaking) = &mut self.speaking {
            self.shared.chat.look_at_rooms(&mut speaking.who).await;
        }
    }

    fn must_look(&self) -> bool {
        self.speaking.as_ref().is_some_and(|speaking| self.shared.chat.must_look(&speaking.who))
    }

    /// Every now and then, for sessions of accounts: what was told for sure is forgotten, what could not be attended is.
    async fn look(&mut self) {
        if let Some(speaking) = &mut self.speaking {
            self.shared.chat.attend_the_rest(&mut speaking.who).await;
            self.shared.chat.look_at_told(&mut speaking.who).await;
        }
    }

    /// When the node goes away, sessions end together, after all that was accepted has been delivered.
    async fn outlast(&self, reason: CloseReason) -> CloseReason {
        if reason != CloseReason::Restart {
            return reason;
        }
        tokio::select! {
            () = self.shared.lifecycle.closing() => CloseReason::Restart,
            reason = self.mailbox.until_closed() => match reason {
                CloseReason::PeerGone => self.end_of_stream(),
                reason => reason,
            },
        }
    }

    /// Ends the session; one that waits to be gone on with does so without its connection.
    fn end(&mut self, reason: CloseReason) -> Option<Pin<Box<dyn Future<Output = ()> + Send + 'a>>> {
        let Speaking { who, .. } = self.speaking.take()?;
        let (shared, lifecycle) = (self.shared, &self.shared.lifecycle);
        if self.owes_proof || !who.may_go_on_after(reason) {
            return Some(Box::pin(shared.chat.depart(who)));
        }
        let (chat, closing) = (shared.chat.clone(), lifecycle.clone());
        lifecycle.spawn(async move { chat.end(who, closing.closing()).await });
        None
    }

    fn last_words(&self, reason: CloseReason) -> Vec<Bytes> {
        if matches!(reason, CloseReason::PeerGone | CloseReason::PeerLost) {
            return Vec::new();
        }
        let format = WireFormat { form: self.dialect().form(), framing: self.framing };
        let notice = format.tell(&Notice::Farewell { reason, time_us: self.shared.clock.unix_us() });
        notice.into_iter().chain(close_frame(self.framing, reason)).collect()
    }
}

/// Reads what there is; the count, 0 at the end.
pub(super) async fn read_some(socket: &mut (impl AsyncRead + Unpin), inbound: &mut Inbound) -> std::io::Result<usize> {
    poll_fn(|cx| {
        let mut scratch = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut scratch);
        std::task::ready!(Pin::new(&mut *socket).poll_read(cx, &mut buffer))?;
        inbound.push(buffer.filled());
        std::task::Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}
