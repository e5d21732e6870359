//! The reading side: bytes to requests, one request after the other, each answered before the next is looked at.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, sleep_until};

use super::{Opening, SessionLimits, Shared};
use crate::chat::{Caused, CloseReason, Command, Fault, Login, Notice, Refusal, Reply, SessionId, TokenBucket};
use crate::hub::{Call, Mailbox, PutOut, WireFormat};
use crate::service::{LOOK_EVERY, Participant, Return, Settling};
use crate::telemetry::Metrics;
use crate::wire::{
    Dialect, DialectKind, EventForm, Frame, FramingError, FramingKind, Inbound, Needs, Request, Tag, close_frame,
    detect, frame, ping_frame,
};

/// Read at once; on the stack, so that an idle connection holds no buffer.
const READ_BYTES: usize = 8 * 1024;
/// The metrics label of a connection whose dialect is not told yet.
const UNDETECTED: &str = "undetected";

/// Reads to the end, ends the session, and says why it ended.
pub(super) async fn run(
    socket: &mut (impl AsyncRead + Unpin),
    early: Bytes,
    id: SessionId,
    opening: Opening,
    mailbox: Arc<Mailbox>,
    shared: &Shared,
) -> CloseReason {
    let mut reader = Reader {
        inbound: Inbound::new(opening.framing, shared.limits.frame_bytes),
        gauge: ConnectionGauge::new(opening.transport, &shared.metrics),
        speaking: None,
        framing: opening.framing,
        extended: opening.extended,
        login: opening.login,
        peer: opening.peer,
        owes_proof: false,
        mailbox: mailbox.clone(),
        id,
        shared,
    };
    let reading = shared.lifecycle.reading();
    let begun = match opening.dialect {
        Some(kind) => reader.speak(kind).await,
        None => Ok(()),
    };
    let reason = match begun {
        Ok(()) => reader.read(socket, early).await,
        Err(reason) => reason,
    };
    drop(reading);
    let reason = reader.outlast(reason).await;
    mailbox.close(reason);
    mailbox.finish(reader.last_words(reason));
    if let Some(speaking) = reader.speaking {
        if reader.owes_proof {
            shared.chat.depart(speaking.who).await;
        } else {
            end(speaking.who, reason, shared).await;
        }
    }
    reason
}

/// Ends the session; one that waits to be gone on with does so without its connection.
async fn end(who: Participant, reason: CloseReason, shared: &Shared) {
    if !who.may_go_on_after(reason) {
        return shared.chat.depart(who).await;
    }
    let (chat, lifecycle) = (shared.chat.clone(), shared.lifecycle.clone());
    shared.lifecycle.spawn(async move { chat.end(who, reason, lifecycle.closing()).await });
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
    mailbox: Arc<Mailbox>,
    id: SessionId,
    shared: &'a Shared,
}

/// A session whose dialect is known.
struct Speaking {
    dialect: &'static dyn Dialect,
    kind: DialectKind,
    who: Participant,
    messages: TokenBucket,
    joins: TokenBucket,
    strikes: u32,
}

impl Reader<'_> {
    /// The dialect is known: the session begins.
    async fn speak(&mut self, kind: DialectKind) -> Result<(), CloseReason> {
        let dialect = kind.dialect(self.extended);
        if let Some(limit) = dialect.rules().message_bytes_max {
            self.inbound.limit(limit);
        }
        self.gauge.label(kind.label());
        let SessionLimits { messages_per_second, message_burst, joins_per_second, join_burst, .. } = self.shared.limits;
        let now_ms = self.shared.clock.now_ms();
        let speaking = self.speaking.insert(Speaking {
            dialect,
            kind,
            who: Participant::new(self.id, self.mailbox.clone(), dialect.rules().conduct, self.peer),
            messages: TokenBucket::new(messages_per_second, message_burst, now_ms),
            joins: TokenBucket::new(joins_per_second, join_burst, now_ms),
            strikes: 0,
        });
        let chat = &self.shared.chat;
        if dialect.greets() {
            // Whatever is heard comes after the welcome.
            self.mailbox.await_reply(Caused::Any);
        }
        chat.arrive(&speaking.who, WireFormat { form: dialect.form(), framing: self.framing }).await;
        let signed_in = match self.login.take() {
            Some(login) => Some(chat.sign_in(&mut speaking.who, *login).await),
            None => None,
        };
        let (result, afterwards) = signed_in.map_or((None, None), |outcome| (Some(outcome.result), outcome.afterwards));
        match result {
            None | Some(Ok(_)) => {}
            Some(Err(Refusal::TokenInvalid)) => return Err(CloseReason::LoggedOut),
            Some(Err(_)) => return Err(CloseReason::LoginUnavailable),
        }
        if dialect.greets() {
            let welcome = chat.greet(&mut speaking.who, None).await;
            self.answer(&Tag::Nothing, &welcome.result).await;
            self.mailbox.replied();
        }
        if let (Some(afterwards), Some(speaking)) = (afterwards, &mut self.speaking) {
            chat.settle(&mut speaking.who, afterwards).await;
        }
        Ok(())
    }

    /// The client asked for the extended mode.
    async fn extend(&mut self) {
        let Some(speaking) = &mut self.speaking else { return };
        speaking.dialect = speaking.kind.dialect(true);
        let format = WireFormat { form: speaking.dialect.form(), framing: self.framing };
        let conduct = speaking.dialect.rules().conduct;
        self.shared.chat.extend(&mut speaking.who, conduct, format).await;
    }

    /// Rooms that the session was put out of: it is told so, in its own words for that.
    async fn heed_put_out(&mut self, rooms: Vec<PutOut>) {
        let Some(speaking) = &mut self.speaking else { return };
        let format = WireFormat { form: speaking.dialect.form(), framing: self.framing };
        let out = self.shared.chat.heed_put_out(&mut speaking.who, rooms).await;
        for PutOut { room, .. } in out.into_iter().filter(|out| !out.shown) {
            let notice = Notice::PutOut { room, own_name: speaking.who.name().cloned() };
            if let Some(bytes) = format.tell(&notice) {
                self.mailbox.notice(bytes);
            }
        }
    }

    async fn read(&mut self, socket: &mut (impl AsyncRead + Unpin), early: Bytes) -> CloseReason {
        self.inbound.push(&early);
        drop(early);
        let lifecycle = &self.shared.lifecycle;
        let mut keepalive = Keepalive::new(self.framing, self.shared.limits.keepalive);
        let mut next_look = tokio_now() + LOOK_EVERY;
        loop {
            if let Err(reason) = self.take_messages().await {
                return reason;
            }
            tokio::select! {
                biased;
                () = lifecycle.no_more_reading() => return CloseReason::Restart,
                call = self.mailbox.until_called() => match call {
                    // The writer found out, perhaps while a close frame was still to be read.
                    Call::Close(reason @ (CloseReason::PeerGone | CloseReason::PeerLost)) => {
                        return self.read_the_rest(socket, reason);
                    }
                    Call::Close(reason) => return reason,
                    Call::PutOut(rooms) => self.heed_put_out(rooms).await,
                    Call::Mail => self.tell_mail().await,
                    Call::RoomsDoubted => self.look_at_rooms().await,
                },
                () = sleep_until(next_look), if self.must_look() => {
                    self.look().await;
                    next_look = tokio_now() + LOOK_EVERY;
                }
                read = read_some(socket, &mut self.inbound) => match read {
                    Ok(0) => return self.end_of_stream(),
                    Err(_) => return CloseReason::PeerLost,
                    Ok(count) => {
                        self.shared.metrics.bytes_in_total.inc_by(count as u64);
                        keepalive.heard();
                        self.owes_proof = false;
                    }
                },
                due = keepalive.due() => match due {
                    Due::Ping(ping) => self.mailbox.reply(ping),
                    Due::Silent => return CloseReason::Silent,
                },
            }
        }
    }

    /// Has the client show that it got the answer, where it does so by itself.
    fn ask_for_proof(&mut self) {
        if let Some(ping) = ping_frame(self.framing) {
            self.mailbox.reply(ping);
            self.owes_proof = true;
        }
    }

    /// Nothing more will come. Over WebSocket, an end that nobody announced is none.
    fn end_of_stream(&self) -> CloseReason {
        match self.framing {
            FramingKind::WebSocket => CloseReason::PeerLost,
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

    /// A listener that tells dialects apart tells this one from the framing alone: no other has it.
    async fn detect_framing(&mut self) -> Result<(), CloseReason> {
        if self.speaking.is_some() || !self.inbound.turns_to_lengths() {
            return Ok(());
        }
        self.framing = FramingKind::Lengths;
        self.speak(DialectKind::Scrp).await
    }

    async fn take_messages(&mut self) -> Result<(), CloseReason> {
        self.detect_framing().await?;
        loop {
            let next = self.inbound.next_frame();
            if let Some(output) = self.inbound.take_output() {
                self.mailbox.reply(output);
            }
            match next {
                Ok(None) => return Ok(()),
                Ok(Some(Frame::Message(message))) => self.message(&message).await?,
                Ok(Some(Frame::TooLong)) => self.too_long().await?,
                Ok(Some(Frame::Closed)) => return Err(CloseReason::PeerGone),
                Err(FramingError::Broken) => return Err(CloseReason::Unframeable),
                Err(FramingError::NotText) => return Err(CloseReason::NotText),
                Err(FramingError::TooLong) => {
                    self.answer(&Tag::Nothing, &Err(Refusal::FrameTooLong)).await;
                    return Err(CloseReason::FrameTooLong);
                }
            }
        }
    }

    async fn too_long(&mut self) -> Result<(), CloseReason> {
        self.answer(&Tag::Nothing, &Err(Refusal::FrameTooLong)).await;
        let closes = self.speaking.as_ref().is_none_or(|speaking| speaking.dialect.rules().long_message_closes);
        if closes {
            return Err(CloseReason::FrameTooLong);
        }
        self.strike(Some(&Refusal::FrameTooLong))
    }

    async fn message(&mut self, message: &[u8]) -> Result<(), CloseReason> {
        if self.speaking.is_none() {
            self.speak(detect(message)).await?;
        }
        let put_out = self.mailbox.take_put_out();
        if !put_out.is_empty() {
            self.heed_put_out(put_out).await;
        }
        let Some(speaking) = &mut self.speaking else { return Ok(()) };
        // The first message on a detecting listener came in under the general limit.
        if speaking.dialect.rules().message_bytes_max.is_some_and(|limit| message.len() > limit) {
            return self.too_long().await;
        }
        self.shared.metrics.requests_total.with_label_values(&[speaking.kind.label()]).inc();
        let Request { tag, command, form, needs } = speaking.dialect.decode(message);
        let caused = command.as_ref().map(|command| speaking.who.conduct().caused_by(command)).unwrap_or_default();
        if caused != Caused::Nothing {
            self.mailbox.await_reply(caused);
        }
        let extends = command.as_ref().is_ok_and(Command::extends);
        let format = WireFormat { form, framing: self.framing };
        let (result, afterwards) = speaking.carry_out(command, needs, format, tag.forms(), self.shared).await;
        if extends && result.is_ok() {
            self.extend().await;
        }
        self.answer(&tag, &result).await;
        self.mailbox.replied();
        if matches!(result, Ok(Reply::Resumed { .. })) {
            self.ask_for_proof();
        }
        if let (Some(afterwards), Some(speaking)) = (afterwards, &mut self.speaking) {
            self.shared.chat.settle(&mut speaking.who, afterwards).await;
        }
        self.strike(result.as_ref().err())
    }

    async fn answer(&self, tag: &Tag, result: &Result<Reply, Refusal>) {
        if let Err(refusal) = result {
            self.shared.metrics.refusals_total.with_label_values(&[refusal.label()]).inc();
            tracing::debug!(session = %self.id, number = refusal.number(), refusal = refusal.label(), "refused");
        }
        let dialect = self.dialect();
        let name = self.speaking.as_ref().and_then(|speaking| speaking.who.name());
        for message in dialect.answer(tag, result, name) {
            if !self.mailbox.until_roomy().await {
                return;
            }
            self.mailbox.reply(frame(self.framing, dialect.rules().line_end, &message));
        }
    }

    /// The dialect to answer in; one that is not told yet is answered as the plainest of all.
    fn dialect(&self) -> &'static dyn Dialect {
        self.speaking.as_ref().map_or_else(|| DialectKind::Pychat.dialect(false), |speaking| speaking.dialect)
    }

    /// Counts malformed messages in a row.
    fn strike(&mut self, refusal: Option<&Refusal>) -> Result<(), CloseReason> {
        let Some(speaking) = &mut self.speaking else { return Ok(()) };
        match refusal.map(Refusal::fault) {
            Some(Fault::Malformed) => speaking.strikes += 1,
            // Refused for its pace, so it says nothing about the peer's grammar.
            Some(Fault::Pace) => {}
            _ => speaking.strikes = 0,
        }
        if speaking.strikes >= self.shared.limits.strikes {
            return Err(CloseReason::TooManyStrikes);
        }
        Ok(())
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

impl Speaking {
    async fn carry_out(
        &mut self,
        command: Result<Command, Refusal>,
        needs: Needs,
        format: WireFormat,
        forms: &[EventForm],
        shared: &Shared,
    ) -> (Result<Reply, Refusal>, Option<Settling>) {
        let now_ms = shared.clock.now_ms();
        let bucket = if command.as_ref().is_ok_and(Command::is_heavy) { &mut self.joins } else { &mut self.messages };
        if !bucket.take(now_ms) {
            return (Err(Refusal::TooManyRequests), None);
        }
        match command {
            Ok(Command::Resume { token, rooms }) => {
                let back = |((room, since), form): (_, &EventForm)| Return {
                    room,
                    since,
                    format: WireFormat { form: *form, ..format },
                };
                let rooms = rooms.into_iter().zip(forms).map(back).collect();
                let outcome = shared.chat.resume(&mut self.who, &token, rooms).await;
                (outcome.result, outcome.afterwards)
            }
            Ok(command) => {
                let outcome = shared.chat.carry_out(&mut self.who, command, format).await;
                (outcome.result, outcome.afterwards)
            }
            Err(refusal) => (Err(self.weightier_than(refusal, needs)), None),
        }
    }

    /// What is wrong with the session's state matters more than what is wrong with the request, where a dialect says so.
    fn weightier_than(&self, refusal: Refusal, needs: Needs) -> Refusal {
        let single_room = self.dialect.rules().conduct.single_room;
        let of_room = matches!(refusal, Refusal::DateInvalid(_) | Refusal::ParameterMissing("text"));
        match (self.who.name(), needs) {
            (None, Needs::Login) => Refusal::LoginRequired,
            (Some(name), Needs::NoLogin) => Refusal::AlreadyLoggedIn(name.clone()),
            _ if single_room && of_room && !self.who.is_in_a_room() => Refusal::NoCurrentRoom,
            _ => refusal,
        }
    }
}

async fn read_some(socket: &mut (impl AsyncRead + Unpin), inbound: &mut Inbound) -> std::io::Result<usize> {
    poll_fn(|cx| {
        let mut scratch = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut scratch);
        std::task::ready!(Pin::new(&mut *socket).poll_read(cx, &mut buffer))?;
        inbound.push(buffer.filled());
        std::task::Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}

/// When to probe a silent peer, and when to give it up. Over plain TCP there is no probe; its own keep-alive serves it.
struct Keepalive {
    framing: FramingKind,
    every: Duration,
    heard: Instant,
    next: Instant,
}

enum Due {
    Ping(Bytes),
    Silent,
}

impl Keepalive {
    fn new(framing: FramingKind, every: Duration) -> Self {
        let now = tokio_now();
        Self { framing, every, heard: now, next: now + every }
    }

    fn heard(&mut self) {
        self.heard = tokio_now();
    }

    async fn due(&mut self) -> Due {
        let Some(ping) = ping_frame(self.framing) else { return std::future::pending().await };
        sleep_until(self.next).await;
        let now = tokio_now();
        self.next = now + self.every;
        if now.duration_since(self.heard) > self.every * 5 / 2 {
            return Due::Silent;
        }
        Due::Ping(ping)
    }
}

#[expect(clippy::disallowed_methods, reason = "the runtime's own timers run on the runtime's own clock")]
fn tokio_now() -> Instant {
    Instant::now()
}

/// Counts a connection where it belongs for as long as it lives.
struct ConnectionGauge<'a> {
    metrics: &'a Metrics,
    transport: &'static str,
    dialect: &'static str,
}

impl<'a> ConnectionGauge<'a> {
    fn new(transport: &'static str, metrics: &'a Metrics) -> Self {
        metrics.connections.with_label_values(&[UNDETECTED, transport]).inc();
        Self { metrics, transport, dialect: UNDETECTED }
    }

    fn label(&mut self, dialect: &'static str) {
        self.metrics.connections.with_label_values(&[self.dialect, self.transport]).dec();
        self.dialect = dialect;
        self.metrics.connections.with_label_values(&[dialect, self.transport]).inc();
        self.metrics.connections_total.with_label_values(&[dialect, self.transport]).inc();
    }
}

impl Drop for ConnectionGauge<'_> {
    fn drop(&mut self) {
        self.metrics.connections.with_label_values(&[self.dialect, self.transport]).dec();
    }
}
