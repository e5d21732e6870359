//! Room traffic on Redis: publish, catch up, history.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use redis::streams::StreamRangeReply;
use redis::{Cmd, Value};
use tokio::sync::oneshot;

use super::super::{BackendError, Broker, KEY_LIFE, Publication, Published, Publisher, decode_event, encode_event};
use super::Redis;
use super::applicants::{account_key, member_key};
use crate::chat::{CatchUp, Envelope, Epoch, EventKind, MessageId, Position, RoomId, Seam};

/// What a call of the publishing script has, and about how long it is.
const CALL_ARGS: usize = 16;
const CALL_BYTES: usize = 768;

#[async_trait]
impl Broker for Redis {
    async fn publish(&self, room: &RoomId, publication: Publication<'_>) -> Result<Option<Published>, BackendError> {
        let Publication { event, publisher, key } = publication;
        self.check_lease()?;
        let connection = self.link.connection()?;
        let mut call = Cmd::with_capacity(CALL_ARGS, CALL_BYTES);
        call.arg("EVALSHA")
            .arg(self.scripts.publish.get_hash())
            .arg(3 + usize::from(key.is_some()))
            .arg(self.keys.room(room))
            .arg(self.keys.room_log(room))
            .arg(self.keys.room_members(room));
        if let Some(key) = key {
            call.arg(self.keys.room_key(room, &publication.author(), key.text));
        }
        call.arg(self.keys.room_channel(room))
            .arg(encode_event(event))
            .arg(self.settings.history_count)
            .arg(connection.run());
        match publisher {
            Publisher::Member { account } => {
                call.arg(member_key(event.actor.session)).arg(account.map(account_key).unwrap_or_default())
            }
            Publisher::Anyone => call.arg("").arg(""),
        };
        let id = match &event.kind {
            EventKind::Message { id, .. } => *id,
            _ => MessageId::default(),
        };
        call.arg(id.0).arg(KEY_LIFE.as_millis() as u64);
        if *room == RoomId::lobby() {
            call.arg("");
        } else {
            call.arg(self.settings.history_age.as_millis() as u64);
        }
        let answer = self.timed(async { Ok(redis::from_redis_value(self.publishing.call(connection, call).await?)?) });
        read_published(answer.await?)
    }

    async fn lease_numbers(&self, count: u32) -> Result<u32, BackendError> {
        let mut connection = self.link.connection()?;
        let mut take = redis::cmd("INCRBY");
        take.arg(self.keys.numbers()).arg(count);
        let last: i64 = self.timed(take.query_async(&mut connection)).await?;
        // Counts on beyond 32 bits; only what is handed out wraps around.
        Ok((last - i64::from(count) + 1) as u32)
    }

    fn subscribe(&self, room: &RoomId) -> oneshot::Receiver<bool> {
        if self.link.check_up().is_err() {
            // The bus would find that out after a wait of its own, and whoever wants to join waits with it.
            return oneshot::channel().1;
        }
        self.bus.subscribe(room)
    }

    fn unsubscribe(&self, room: &RoomId) {
        self.bus.unsubscribe(room);
    }

    async fn catch_up(&self, room: &RoomId, last: Position) -> Result<CatchUp, BackendError> {
        let mut connection = self.pooled().await?;
        let mut call = self.scripts.catch_up.prepare_invoke();
        call.key(self.keys.room(room))
            .key(self.keys.room_log(room))
            .arg(last.epoch.value())
            .arg(last.offset)
            .arg(connection.run());
        let (epoch, top, is_known, entries): (String, u64, bool, StreamRangeReply) =
            self.timed(call.invoke_async(&mut *connection)).await?;
        let Ok(epoch) = epoch.parse().map(Epoch::new) else {
            // No stream: whatever comes next begins a new epoch and is noticed by that.
            return Ok(CatchUp { missed: Vec::new(), seam: Seam::NoStream });
        };
        let mut missed = read_entries(epoch, &entries);
        // What cannot be read, or was trimmed in the middle, ends the run that holds no hole; the newest run counts.
        let hole = missed.windows(2).rposition(|pair| pair[1].position.offset != pair[0].position.offset + 1);
        if let Some(hole) = hole {
            missed.drain(..=hole);
        }
        let oldest = missed.first().map_or(top + 1, |envelope| envelope.position.offset);
        let seam = match is_known && oldest <= last.offset + 1 {
            true => Seam::Whole(epoch),
            false => Seam::Torn(Position { epoch, offset: oldest - 1 }),
        };
        Ok(CatchUp { missed, seam })
    }

    async fn history(&self, room: &RoomId) -> Result<Vec<Envelope>, BackendError> {
        let mut connection = self.pooled().await?;
        let mut call = redis::pipe();
        call.atomic()
            .hget(self.keys.room(room), "epoch")
            .cmd("XREVRANGE")
            .arg(self.keys.room_log(room))
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(self.settings.history_count);
        let (epoch, entries): (Option<u64>, StreamRangeReply) = self.timed(call.query_async(&mut *connection)).await?;
        let Some(epoch) = epoch else { return Ok(Vec::new()) };
        let oldest_us = self.clock.unix_us().saturating_sub(self.settings.history_age.as_micros() as i64);
        let mut envelopes = read_entries(Epoch::new(epoch), &entries);
        envelopes.reverse();
        envelopes.retain(|envelope| envelope.time_us >= oldest_us);
        Ok(envelopes)
    }

    async fn barrier(&self) -> Result<(), BackendError> {
        let reached = self.bus.barrier();
        tokio::time::timeout(self.settings.command_timeout, reached)
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| BackendError::Unavailable("the bus is not heard".into()))
    }

    fn hears(&self) -> bool {
        // While Redis itself is away, no node is to blame.
        self.link.check_up().is_err() || self.bus.hears()
    }
}

impl Redis {
    /// Until when this node may act on what it holds: a lease seen alive at `began_ms` is sure for its whole time.
    pub(super) fn lease_is_sure_from(&self, began_ms: u64) {
        let until = began_ms + self.settings.lease.as_millis() as u64;
        self.lease_sure_until_ms.store(until, Ordering::Release);
    }
}

/// The position from what an appending script returns; `None` for an empty list.
pub(super) fn read_position(place: &[u64]) -> Option<Position> {
    let [epoch, offset, ..] = place else { return None };
    Some(Position { epoch: Epoch::new(*epoch), offset: *offset })
}

/// What the publishing script returns; `None` for nothing.
fn read_published(answer: Option<String>) -> Result<Option<Published>, BackendError> {
    let Some(answer) = answer else { return Ok(None) };
    let numbers: Vec<u64> = answer.split(' ').filter_map(|number| number.parse().ok()).collect();
    let (Some(position), [.., time_us, id, repeated]) = (read_position(&numbers), &numbers[..]) else {
        return Err(BackendError::Failed(format!("a publication is answered with {answer:?}")));
    };
    let (time_us, id) = (*time_us as i64, MessageId(*id as u32));
    Ok(Some(Published { position, time_us, id, repeated: *repeated == 1 }))
}

fn read_entries(epoch: Epoch, entries: &StreamRangeReply) -> Vec<Envelope> {
    entries.ids.iter().filter_map(|entry| read_entry(epoch, &entry.id, &entry.map)).collect()
}

fn read_entry(epoch: Epoch, id: &str, fields: &std::collections::HashMap<String, Value>) -> Option<Envelope> {
    let offset = id.split_once('-')?.0.parse().ok()?;
    let time_us = redis::from_redis_value_ref(fields.get("t")?).ok()?;
    let Value::BulkString(event) = fields.get("e")? else { return None };
    match decode_event(event) {
        Ok(event) => Some(Envelope { position: Position { epoch, offset }, time_us, event }),
        Err(error) => {
            tracing::warn!(%error, "a kept event cannot be read");
            None
        }
    }
}
