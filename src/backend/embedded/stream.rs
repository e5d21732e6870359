//! The traffic of rooms: appended to the store, and heard here when it is kept.

use std::collections::{HashMap, VecDeque};

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::super::{
    BackendError, Broker, Heard, KEY_LIFE, Publication, Published, Publisher, decode_event, encode_event,
};
use super::Embedded;
use super::state::{State, Work};
use super::store::{Batch, KeyOf, LogRow, RoomRow};
use crate::chat::{CatchUp, Envelope, Epoch, Event, EventKind, MessageId, Nickname, Position, RoomId, Seam};

/// Keys remembered at once, the newest ones.
const KEYS_MAX: usize = 100_000;

/// What was published under keys. The store has it, too, but for guests, who are gone when the process is.
#[derive(Default)]
pub struct Keys {
    published: HashMap<KeyOf, Published>,
    /// With the times at which they are forgotten.
    order: VecDeque<(i64, KeyOf)>,
}

impl Keys {
    pub fn load(batch: &Batch) -> Result<Self, BackendError> {
        let mut rows = batch.keys()?;
        rows.sort_by_key(|(ends_us, ..)| *ends_us);
        let mut keys = Self::default();
        rows.into_iter().for_each(|(ends_us, of, published)| keys.insert(of, published, ends_us));
        Ok(keys)
    }

    /// Forgets what is to be forgotten by now, and the oldest ones where there are as many as may be; those.
    fn expire(&mut self, now_us: i64) -> Vec<KeyOf> {
        let mut gone = Vec::new();
        while self.order.len() >= KEYS_MAX || self.order.front().is_some_and(|(ends_us, _)| *ends_us <= now_us) {
            let Some((_, of)) = self.order.pop_front() else { break };
            self.published.remove(&of);
            gone.push(of);
        }
        gone
    }

    fn find(&self, of: &KeyOf) -> Option<Published> {
        self.published.get(of).map(|first| Published { repeated: true, ..*first })
    }

    fn insert(&mut self, of: KeyOf, published: Published, ends_us: i64) {
        self.published.insert(of.clone(), published);
        self.order.push_back((ends_us, of));
    }

    /// The newest one was not kept.
    fn take_back(&mut self) {
        if let Some((_, of)) = self.order.pop_back() {
            self.published.remove(&of);
        }
    }
}

/// A publication on its way to the state's thread.
struct Item {
    event: Event,
    /// The account that may publish beside the event's session, if only members may.
    members: Option<Option<Nickname>>,
    /// The author and its key.
    key: Option<(String, String)>,
}

impl State {
    fn publish(&mut self, id: &RoomId, item: Item, work: &mut Work) -> Result<Option<Published>, BackendError> {
        let Item { event, members, key } = item;
        let (session, now_us) = (event.actor.session, self.clock.unix_us());
        let account = members.clone().flatten();
        let is_guest = matches!(members, Some(None));
        let of = key.map(|(author, key)| KeyOf { room: id.clone(), author, key });
        if let Some(of) = &of {
            for gone in self.keys.expire(now_us) {
                self.batch(work)?.forget_key(&gone)?;
            }
            if let Some(first) = self.keys.find(of) {
                return Ok(Some(first));
            }
        }
        let room = self.rooms.get(id);
        let is_member = room.is_some_and(|room| {
            room.members.contains_key(&session) || account.is_some_and(|account| room.roll.contains(&account))
        });
        if members.is_some() && !is_member {
            return Ok(None);
        }
        let message = match &event.kind {
            EventKind::Message { id, .. } => *id,
            _ => MessageId::default(),
        };
        let position = self.append(id, event, work)?;
        let time_us = self.rooms.get(id).map_or(now_us, |room| room.row.newest_us);
        let published = Published { position, time_us, id: message, repeated: false };
        if let Some(of) = of {
            let ends_us = now_us + KEY_LIFE.as_micros() as i64;
            if !is_guest {
                self.batch(work)?.put_key(&of, ends_us, &published)?;
            }
            self.keys.insert(of, published, ends_us);
            work.or_else(|state| state.keys.take_back());
        }
        Ok(Some(published))
    }

    pub fn append(&mut self, id: &RoomId, event: Event, work: &mut Work) -> Result<Position, BackendError> {
        self.make_place(id, work)?;
        let time_us = self.clock.unix_us();
        self.remember(id, work);
        let row = match self.rooms.get(id).map(|room| room.row) {
            Some(row) => RoomRow { top: row.top + 1, newest_us: time_us, ..row },
            None => RoomRow { top: 1, ..self.fresh_row() },
        };
        let batch = self.batch(work)?;
        let log_row = LogRow { offset: row.top, time_us, event: encode_event(&event) };
        batch.append(id, &log_row, self.retention.count)?;
        batch.put_room(id, row)?;
        self.note(id, row);
        let position = Position { epoch: Epoch::new(row.epoch), offset: row.top };
        work.tell(Heard::Event { room: id.clone(), envelope: Envelope { position, time_us, event } });
        Ok(position)
    }

    fn catch_up(&mut self, id: &RoomId, last: Position, work: &mut Work) -> Result<CatchUp, BackendError> {
        let Some(row) = self.rooms.get(id).map(|room| room.row) else {
            return Ok(CatchUp { missed: Vec::new(), seam: Seam::NoStream });
        };
        let after = if row.epoch == last.epoch.value() { last.offset } else { 0 };
        let missed = self.read(id, row.epoch, after, work)?;
        let oldest = missed.first().map_or(row.top + 1, |envelope| envelope.position.offset);
        let epoch = Epoch::new(row.epoch);
        let seam = match epoch == last.epoch && oldest <= after + 1 {
            true => Seam::Whole(epoch),
            false => Seam::Torn(Position { epoch, offset: oldest - 1 }),
        };
        Ok(CatchUp { missed, seam })
    }

    fn history(&mut self, id: &RoomId, work: &mut Work) -> Result<Vec<Envelope>, BackendError> {
        let Some(row) = self.rooms.get(id).map(|room| room.row) else { return Ok(Vec::new()) };
        let oldest_us = self.clock.unix_us().saturating_sub(self.retention.age_us);
        let mut kept = self.read(id, row.epoch, 0, work)?;
        kept.retain(|envelope| envelope.time_us >= oldest_us);
        Ok(kept)
    }

    fn read(&self, id: &RoomId, epoch: u64, after: u64, work: &mut Work) -> Result<Vec<Envelope>, BackendError> {
        let rows = self.batch(work)?.events_after(id, after)?;
        let envelope = |row: LogRow| {
            let event = decode_event(&row.event).map_err(|error| BackendError::Failed(error.to_string()))?;
            let position = Position { epoch: Epoch::new(epoch), offset: row.offset };
            Ok(Envelope { position, time_us: row.time_us, event })
        };
        rows.into_iter().map(envelope).collect()
    }
}

#[async_trait]
impl Broker for Embedded {
    async fn publish(&self, room: &RoomId, publication: Publication<'_>) -> Result<Option<Published>, BackendError> {
        let members = match publication.publisher {
            Publisher::Member { account } => Some(account.cloned()),
            Publisher::Anyone => None,
        };
        let key = publication.key.map(|key| (publication.author(), key.text.to_owned()));
        let event = publication.event.clone();
        let (room, item) = (room.clone(), Item { event, members, key });
        self.ask(move |state, work| state.publish(&room, item, work)).await
    }

    async fn lease_numbers(&self, count: u32) -> Result<u32, BackendError> {
        self.ask(move |state, work| state.batch(work)?.lease_numbers(count)).await
    }

    /// Every member of every room is on this node, so all traffic comes here anyway; rooms without members cost nothing.
    fn subscribe(&self, _: &RoomId) -> oneshot::Receiver<bool> {
        let (ready, receiver) = oneshot::channel();
        let _ = ready.send(true);
        receiver
    }

    fn unsubscribe(&self, _: &RoomId) {}

    async fn catch_up(&self, room: &RoomId, last: Position) -> Result<CatchUp, BackendError> {
        let room = room.clone();
        self.ask(move |state, work| state.catch_up(&room, last, work)).await
    }

    async fn history(&self, room: &RoomId) -> Result<Vec<Envelope>, BackendError> {
        let room = room.clone();
        self.ask(move |state, work| state.history(&room, work)).await
    }

    async fn barrier(&self) -> Result<(), BackendError> {
        let (reached, waiting) = oneshot::channel();
        self.tell(Heard::Barrier(reached)).await?;
        waiting.await.map_err(|_| BackendError::Failed("the dispatcher has stopped".into()))
    }

    fn hears(&self) -> bool {
        !self.requests.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_remembered_until_its_life_ends_or_its_batch_is_lost() {
        let key = |text: &str| KeyOf {
            room: RoomId::parse("red").unwrap(),
            author: "u:bob".to_owned(),
            key: text.to_owned(),
        };
        let position = Position { epoch: Epoch::new(1), offset: 1 };
        let published = Published { position, time_us: 5, id: MessageId(9), repeated: false };
        let mut keys = Keys::default();
        keys.insert(key("a"), published, 10);
        keys.insert(key("b"), published, 11);
        assert_eq!(keys.find(&key("a")), Some(Published { repeated: true, ..published }));
        keys.take_back();
        assert_eq!(keys.find(&key("b")), None);
        assert_eq!((keys.expire(9), keys.find(&key("a")).is_some()), (vec![], true));
        assert_eq!((keys.expire(10), keys.find(&key("a"))), (vec![key("a")], None));
        assert!(keys.order.is_empty() && keys.published.is_empty());
        for number in 0..=KEYS_MAX + 10 {
            keys.expire(1);
            keys.insert(key(&number.to_string()), published, 20);
        }
        assert_eq!(keys.published.len(), KEYS_MAX);
    }
}
