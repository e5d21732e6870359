//! The connection that hears: subscriptions, their order, and proof that they still work.
//!
//! One task owns the connection. What is wanted is kept here, so that a new connection subscribes to all of it again; no
//! client library is trusted with that. Every second a numbered heartbeat goes out through the link and must come back on
//! this connection: one that is half open or lost its subscriptions is noticed and built again, and every room is then
//! caught up from its stream.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionInfo, ProtocolVersion, PushInfo, PushKind, Value};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::super::letter::Letter;
use super::keys::Keys;
use super::link::{Link, publish};
use super::{BackendError, Settings, connection_config};
use crate::ambient::Clock;
use crate::backend::{Heard, InboundSender};
use crate::chat::{NodeId, RoomId};
use crate::planted::{self, Bug};
use crate::telemetry::Metrics;

const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// A heartbeat that Redis took and that is not heard for so long, on a connection that is silent anyway, proves deafness.
const ANSWER_WITHIN_MS: u64 = 1_000;
const RECONNECT_EVERY: Duration = Duration::from_millis(250);
/// Channels per SUBSCRIBE when all are subscribed again: large enough to be quick, small enough to let others in between.
const CHANNELS_AT_ONCE: usize = 500;
/// Wishes worked through with one round trip.
const WISHES_AT_ONCE: usize = 1_024;

pub struct Bus {
    wishes: mpsc::UnboundedSender<Wish>,
    ears: Arc<Ears>,
}

enum Wish {
    Subscribe(RoomId, oneshot::Sender<bool>),
    Unsubscribe(RoomId),
    Barrier(oneshot::Sender<()>),
}

/// What the connection's push callback touches; it must not block.
struct Ears {
    keys: Keys,
    /// The node's own channels: its heartbeats, what is for its sessions, what is for all nodes.
    heartbeat_channel: String,
    node_channel: String,
    all_nodes_channel: String,
    link: Arc<Link>,
    inbound: InboundSender,
    hears: AtomicBool,
    heard_at_ms: AtomicU64,
    /// The oldest heartbeat that Redis took and that was not heard yet: its number and when it went out.
    unanswered: Mutex<Option<(u64, u64)>>,
    barriers: Mutex<HashMap<u64, oneshot::Sender<()>>>,
    /// Who waits for an answer to a letter; each waits for a bounded time.
    receipts: Mutex<HashMap<u64, oneshot::Sender<bool>>>,
    /// Which connection is the present one; what an older one still says counts no more.
    generation: AtomicU64,
    disconnected: Notify,
    clock: Clock,
    metrics: Arc<Metrics>,
}

struct Task {
    client: Client,
    settings: Settings,
    link: Arc<Link>,
    ears: Arc<Ears>,
    wishes: mpsc::UnboundedReceiver<Wish>,
    wanted: HashSet<RoomId>,
    heartbeats: u64,
}

impl Bus {
    #[expect(clippy::too_many_arguments, reason = "called once, by the composition of the backend")]
    pub async fn connect(
        info: &ConnectionInfo,
        settings: &Settings,
        keys: Keys,
        link: Arc<Link>,
        inbound: InboundSender,
        clock: Clock,
        metrics: Arc<Metrics>,
        stop: CancellationToken,
    ) -> Result<Self, BackendError> {
        // Only RESP3 brings messages and confirmations apart on one connection.
        let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.clone().set_redis_settings(redis))
            .map_err(|error| BackendError::Failed(format!("storage.redis: {error}")))?;
        let ears = Arc::new(Ears {
            heartbeat_channel: keys.heartbeat_channel(settings.id),
            node_channel: keys.node_channel(settings.id),
            all_nodes_channel: keys.all_nodes_channel(),
            link: link.clone(),
            keys,
            inbound,
            hears: AtomicBool::new(false),
            heard_at_ms: AtomicU64::new(clock.now_ms()),
            unanswered: Mutex::new(None),
            barriers: Mutex::default(),
            receipts: Mutex::default(),
            generation: AtomicU64::new(0),
            disconnected: Notify::new(),
            clock,
            metrics,
        });
        // Unbounded, but each session waits for its own subscription, and rooms are given up once: the number of wishes is
        // bounded by the number of sessions and rooms.
        let (wishes, receiver) = mpsc::unbounded_channel();
        let mut task = Task {
            client,
            settings: settings.clone(),
            link,
            ears: ears.clone(),
            wishes: receiver,
            wanted: HashSet::new(),
            heartbeats: 0,
        };
        let first = task.connect().await?;
        tokio::spawn(async move { stop.run_until_cancelled(task.run(first)).await });
        Ok(Self { wishes, ears })
    }

    pub fn subscribe(&self, room: &RoomId) -> oneshot::Receiver<bool> {
        let (ready, receiver) = oneshot::channel();
        // A stopped task drops the sender, and the receiver sees that.
        let _ = self.wishes.send(Wish::Subscribe(room.clone(), ready));
        receiver
    }

    pub fn unsubscribe(&self, room: &RoomId) {
        let _ = self.wishes.send(Wish::Unsubscribe(room.clone()));
    }

    pub fn barrier(&self) -> oneshot::Receiver<()> {
        let (reached, receiver) = oneshot::channel();
        let _ = self.wishes.send(Wish::Barrier(reached));
        receiver
    }

    /// Expects the answer to a letter that is about to be sent.
    pub fn await_receipt(&self, number: u64) -> Receipt {
        let (sender, receiver) = oneshot::channel();
        self.ears.receipts.lock().insert(number, sender);
        Receipt { number, receiver, ears: self.ears.clone() }
    }

    pub fn hears(&self) -> bool {
        self.ears.hears.load(Ordering::Acquire)
    }
}

/// An answer that is waited for; forgotten when dropped.
pub struct Receipt {
    number: u64,
    receiver: oneshot::Receiver<bool>,
    ears: Arc<Ears>,
}

impl Receipt {
    /// Whether the letter was delivered.
    pub async fn arrived(mut self) -> bool {
        (&mut self.receiver).await.unwrap_or(false)
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.ears.receipts.lock().remove(&self.number);
    }
}

impl Ears {
    fn hear(&self, generation: u64, push: PushInfo) {
        if generation != self.generation.load(Ordering::Acquire) {
            return;
        }
        match push.kind {
            PushKind::Message => self.message(push.data),
            PushKind::Disconnection => {
                self.deaf();
                self.disconnected.notify_one();
            }
            _ => {}
        }
    }

    fn message(&self, data: Vec<Value>) {
        let mut data = data.into_iter();
        let (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) = (data.next(), data.next()) else {
            return;
        };
        if channel == self.heartbeat_channel.as_bytes() {
            self.heartbeat(&payload);
        } else if channel == self.node_channel.as_bytes() || channel == self.all_nodes_channel.as_bytes() {
            self.letter(&payload);
        } else if let Some(room) = self.keys.room_of_channel(&channel) {
            self.inbound.send(Heard::Raw { room, bytes: Bytes::from(payload) });
        }
    }

    fn heartbeat(&self, payload: &[u8]) {
        let Some(number) = std::str::from_utf8(payload).ok().and_then(|text| text.parse::<u64>().ok()) else { return };
        let now_ms = self.clock.now_ms();
        self.heard_at_ms.store(now_ms, Ordering::Release);
        if let Some((_, sent_ms)) = self.unanswered.lock().take_if(|(sent, _)| *sent <= number) {
            self.metrics.bus_heartbeat_seconds.observe(now_ms.saturating_sub(sent_ms) as f64 / 1000.0);
        }
        if let Some(reached) = self.barriers.lock().remove(&number) {
            self.inbound.send(Heard::Barrier(reached));
        }
    }

    fn letter(&self, payload: &[u8]) {
        match Letter::decode(payload) {
            Ok(Letter::Notice { number, reply_to, session, notice }) => {
                let (delivered, outcome) = oneshot::channel();
                self.inbound.send(Heard::Notice { session, notice, delivered });
                self.answer(number, reply_to, outcome);
            }
            Ok(Letter::Receipt { number, delivered }) => {
                if let Some(waiting) = self.receipts.lock().remove(&number) {
                    // Who waited may have given up.
                    let _ = waiting.send(delivered);
                }
            }
            Ok(Letter::Proclamation(proclamation)) => self.inbound.send(Heard::Proclamation(proclamation)),
            Err(error) => {
                self.metrics.undecodable_total.inc();
                tracing::debug!(%error, "a letter cannot be read");
            }
        }
    }

    /// Answers on the side once the letter was dispatched; one that was dropped on the way there is never answered for. Each
    /// task ends with the dispatch of its letter, so they are bounded as the inbound queue is.
    fn answer(&self, number: u64, reply_to: NodeId, outcome: oneshot::Receiver<bool>) {
        let (link, channel) = (self.link.clone(), self.keys.node_channel(reply_to));
        tokio::spawn(async move {
            let Ok(delivered) = outcome.await else { return };
            let receipt = Letter::Receipt { number, delivered }.encode().unwrap_or_default();
            if let Err(error) = publish(&link, &channel, receipt).await {
                tracing::debug!(%error, "a receipt did not go out");
            }
        });
    }

    fn deaf(&self) {
        self.hears.store(false, Ordering::Release);
        self.metrics.bus_up.set(0);
    }
}

impl Task {
    async fn run(mut self, first: MultiplexedConnection) {
        let mut connection = Some(first);
        // Nobody can wish any more once the backend is dropped.
        while !self.wishes.is_closed() {
            match connection.take() {
                Some(connection) => self.serve(connection).await,
                None => match self.connect().await {
                    Ok(renewed) => {
                        tracing::info!(rooms = self.wanted.len(), "the bus is heard again");
                        self.ears.metrics.bus_reconnects_total.inc();
                        self.ears.inbound.send(Heard::Interrupted);
                        connection = Some(renewed);
                    }
                    Err(error) => {
                        tracing::debug!(%error, "the bus cannot be built yet");
                        self.wait_while_away().await;
                    }
                },
            }
        }
    }

    /// A connection that is subscribed to everything wanted.
    async fn connect(&mut self) -> Result<MultiplexedConnection, BackendError> {
        let ears = self.ears.clone();
        let generation = ears.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let config = connection_config(&self.settings).set_push_sender(move |push| {
            ears.hear(generation, push);
            Ok::<(), std::convert::Infallible>(())
        });
        let attempt = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = self.link.timed(attempt).await?;
        let own = [&self.ears.heartbeat_channel, &self.ears.node_channel, &self.ears.all_nodes_channel];
        self.link.timed(connection.subscribe(own.map(Clone::clone).to_vec())).await?;
        let remembered = self.wanted.iter().filter(|_| !planted::has(Bug::ForgetResubscribe));
        let rooms: Vec<RoomId> = remembered.cloned().collect();
        for rooms in rooms.chunks(CHANNELS_AT_ONCE) {
            self.link.timed(connection.subscribe(self.channels(rooms))).await?;
        }
        self.ears.heard_at_ms.store(self.ears.clock.now_ms(), Ordering::Release);
        *self.ears.unanswered.lock() = None;
        self.ears.hears.store(true, Ordering::Release);
        self.ears.metrics.bus_up.set(1);
        Ok(connection)
    }

    fn channels(&self, rooms: &[RoomId]) -> Vec<String> {
        rooms.iter().map(|room| self.ears.keys.room_channel(room)).collect()
    }

    /// Serves wishes and heartbeats until the connection is lost or deaf.
    async fn serve(&mut self, mut connection: MultiplexedConnection) {
        let mut ticks = tokio::time::interval(HEARTBEAT_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        let ears = self.ears.clone();
        loop {
            tokio::select! {
                () = ears.disconnected.notified() => break,
                _ = ticks.tick() => {
                    if !self.still_hears() {
                        break;
                    }
                }
                count = self.wishes.recv_many(&mut batch, WISHES_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    if let Err(error) = self.grant(std::mem::take(&mut batch), Some(&mut connection)).await {
                        tracing::warn!(%error, "the bus does not take subscriptions");
                        break;
                    }
                }
            }
        }
        ears.deaf();
        tracing::warn!("the bus is lost");
    }

    /// Whether the connection is not proven deaf; and sends the next heartbeat.
    fn still_hears(&mut self) -> bool {
        let now_ms = self.ears.clock.now_ms();
        let silent_ms = now_ms.saturating_sub(self.ears.heard_at_ms.load(Ordering::Acquire));
        // While the link is down no heartbeat goes out, and silence alone proves nothing.
        let unanswered_ms = self.ears.unanswered.lock().map_or(0, |(_, sent_ms)| now_ms.saturating_sub(sent_ms));
        if silent_ms > self.settings.deaf.as_millis() as u64 && unanswered_ms >= ANSWER_WITHIN_MS {
            tracing::warn!(silent_ms, "the bus is deaf");
            return false;
        }
        self.send_heartbeat(None);
        true
    }

    /// Sends on the side, because a link that hangs must not keep the bus from its work. A slow one cannot pile them up: the
    /// command timeout ends each, and one goes out a second.
    fn send_heartbeat(&mut self, barrier: Option<oneshot::Sender<()>>) {
        self.heartbeats += 1;
        let number = self.heartbeats;
        let (ears, link) = (self.ears.clone(), self.link.clone());
        if let Some(reached) = barrier {
            ears.barriers.lock().insert(number, reached);
        }
        let sent_ms = ears.clock.now_ms();
        tokio::spawn(async move {
            // Before it is sent, because it may be heard before its sending is acknowledged.
            let counted =
                link.check_up().is_ok() && ears.unanswered.lock().get_or_insert((number, sent_ms)).0 == number;
            if let Err(error) = publish(&link, &ears.heartbeat_channel, number).await {
                tracing::debug!(%error, "a heartbeat did not go out");
                ears.barriers.lock().remove(&number);
                if counted {
                    ears.unanswered.lock().take_if(|(sent, _)| *sent == number);
                }
            }
        });
    }

    /// Brings the subscriptions to where the wishes, in their order, end up; then answers those who wait.
    async fn grant(
        &mut self,
        wishes: Vec<Wish>,
        connection: Option<&mut MultiplexedConnection>,
    ) -> Result<(), BackendError> {
        let before = |wanted: &HashSet<RoomId>, room: &RoomId| wanted.contains(room);
        let mut touched: HashMap<RoomId, bool> = HashMap::new();
        let mut waiting = Vec::new();
        let mut barriers = Vec::new();
        for wish in wishes {
            match wish {
                Wish::Subscribe(room, ready) => {
                    touched.entry(room.clone()).or_insert_with(|| before(&self.wanted, &room));
                    self.wanted.insert(room);
                    waiting.push(ready);
                }
                Wish::Unsubscribe(room) => {
                    touched.entry(room.clone()).or_insert_with(|| before(&self.wanted, &room));
                    self.wanted.remove(&room);
                }
                Wish::Barrier(reached) => barriers.push(reached),
            }
        }
        let result = match connection {
            Some(connection) => self.apply(connection, &touched).await,
            None => Err(BackendError::Unavailable("the bus is away".into())),
        };
        for ready in waiting {
            // A session that went away meanwhile does not want its answer.
            let _ = ready.send(result.is_ok());
        }
        for barrier in barriers {
            self.send_heartbeat(Some(barrier));
        }
        result
    }

    async fn apply(
        &self,
        connection: &mut MultiplexedConnection,
        touched: &HashMap<RoomId, bool>,
    ) -> Result<(), BackendError> {
        let changed = |now: bool| -> Vec<RoomId> {
            let differs = |(room, was): &(&RoomId, &bool)| **was != now && self.wanted.contains(*room) == now;
            touched.iter().filter(differs).map(|(room, _)| room.clone()).collect()
        };
        let (wanted, unwanted) = (self.channels(&changed(true)), self.channels(&changed(false)));
        if !wanted.is_empty() {
            self.link.timed(connection.subscribe(wanted)).await?;
        }
        if !unwanted.is_empty() {
            self.link.timed(connection.unsubscribe(unwanted)).await?;
        }
        Ok(())
    }

    /// Between two attempts: wishes are remembered and refused, so that nobody waits for a broker that is away.
    async fn wait_while_away(&mut self) {
        let pause = tokio::time::sleep(RECONNECT_EVERY);
        tokio::pin!(pause);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                () = &mut pause => return,
                count = self.wishes.recv_many(&mut batch, WISHES_AT_ONCE) => {
                    if count == 0 {
                        return;
                    }
                    // The answer is a refusal, which is what this is for.
                    let _ = self.grant(std::mem::take(&mut batch), None).await;
                }
            }
        }
    }
}
