//! What a connection is told to hear, and how the server is asked for it.

use std::collections::HashMap;
use std::sync::Arc;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{PushKind, ServerErrorKind, Value};
use tokio::sync::oneshot;

use super::super::Channel;
use super::super::heartbeat::Barrier;
use super::{CHANNELS_AT_ONCE, Cause, Ear, refused};
use crate::backend::BackendError;

pub enum Order {
    Subscribe(Channel, oneshot::Sender<bool>),
    Unsubscribe(Channel),
    /// Channels that were somebody else's: something may have been missed in them.
    Adopt(Vec<Channel>),
    Barrier(Arc<Barrier>),
}

/// A channel that the server says is not its own, and who waits for it.
pub struct Stray {
    pub channel: Channel,
    pub waiting: Option<oneshot::Sender<bool>>,
}

impl Ear {
    /// Brings the subscriptions to where the orders, in their order, end up; then answers those who wait.
    pub(super) async fn carry_out(
        &mut self,
        orders: Vec<Order>,
        connection: Option<&mut MultiplexedConnection>,
    ) -> Result<(), Cause> {
        // What the server has of the channels that are spoken of.
        let mut had: HashMap<Channel, bool> = HashMap::new();
        let mut waiting = Vec::new();
        let mut barriers = Vec::new();
        for order in orders {
            match order {
                Order::Subscribe(channel, ready) => {
                    had.entry(channel.clone()).or_insert_with(|| self.has(&channel));
                    self.wanted.insert(channel.clone());
                    waiting.push((channel, ready));
                }
                Order::Unsubscribe(channel) => {
                    had.entry(channel.clone()).or_insert_with(|| self.has(&channel));
                    self.wanted.remove(&channel);
                    self.pending.remove(&channel);
                }
                Order::Adopt(channels) => {
                    for channel in channels {
                        self.wanted.insert(channel.clone());
                        self.pending.insert(channel);
                    }
                }
                Order::Barrier(barrier) => barriers.push(barrier),
            }
        }
        let result = match connection {
            Some(connection) => self.apply(connection, &had).await,
            None => Err(BackendError::Unavailable("the bus is away".into())),
        };
        self.answer(waiting, result.as_ref().ok());
        for barrier in barriers {
            self.state.heartbeats.send(&self.shared, Some(barrier));
        }
        result.map(drop).map_err(refused)
    }

    fn has(&self, channel: &Channel) -> bool {
        self.wanted.contains(channel) && !self.pending.channels.contains(channel)
    }

    /// The channels that are not this server's.
    async fn apply(
        &mut self,
        connection: &mut MultiplexedConnection,
        had: &HashMap<Channel, bool>,
    ) -> Result<Vec<Channel>, BackendError> {
        let changed = |now: bool| -> Vec<Channel> {
            let differs = |(channel, had): &(&Channel, &bool)| **had != now && self.wanted.contains(*channel) == now;
            had.iter().filter(differs).map(|(channel, _)| channel.clone()).collect()
        };
        let (wanted, unwanted) = (changed(true), changed(false));
        let strays = self.take(connection, &wanted).await?;
        // A pending one is taken here as well: its rooms are looked at again when the pending ones' turn comes.
        let verb = if self.state.address.is_some() { "SUNSUBSCRIBE" } else { "UNSUBSCRIBE" };
        // The answer does not matter: what is still heard and not wanted is ignored.
        self.say(connection, verb, &unwanted).await?;
        Ok(strays)
    }

    /// Answers those who wait; `strays`: the channels that are not this server's, or nothing where none was taken.
    fn answer(&mut self, waiting: Vec<(Channel, oneshot::Sender<bool>)>, strays: Option<&Vec<Channel>>) {
        let mut moved: HashMap<Channel, Stray> = HashMap::new();
        for channel in strays.into_iter().flatten() {
            moved.insert(channel.clone(), Stray { channel: channel.clone(), waiting: None });
        }
        for (channel, ready) in waiting {
            match moved.get_mut(&channel) {
                Some(stray) if stray.waiting.is_none() => stray.waiting = Some(ready),
                // A session that went away meanwhile does not want its answer.
                stray => drop(ready.send(strays.is_some() && stray.is_none())),
            }
        }
        if !moved.is_empty() {
            self.stray(moved.into_values().collect());
        }
    }

    /// Subscribes; the channels that the server says are not its own.
    pub(super) async fn take(
        &self,
        connection: &mut MultiplexedConnection,
        channels: &[Channel],
    ) -> Result<Vec<Channel>, BackendError> {
        let verb = if self.state.address.is_some() { "SSUBSCRIBE" } else { "SUBSCRIBE" };
        let answers = self.say(connection, verb, channels).await?;
        let mut strays = Vec::new();
        for (channel, answer) in channels.iter().zip(answers) {
            match answer {
                // Told by name, because what the server says of itself in between could be taken for an answer.
                Value::Push { kind: PushKind::Subscribe | PushKind::SSubscribe, data } if matches!(data.first(), Some(Value::BulkString(name)) if **name == *channel.as_bytes()) =>
                    {}
                Value::ServerError(error) if error.kind() == Some(ServerErrorKind::Moved) => {
                    strays.push(channel.clone())
                }
                other => return Err(BackendError::Unavailable(format!("{verb} is answered with {other:?}"))),
            }
        }
        Ok(strays)
    }

    async fn say(
        &self,
        connection: &mut MultiplexedConnection,
        verb: &str,
        channels: &[Channel],
    ) -> Result<Vec<Value>, BackendError> {
        let mut answers = Vec::with_capacity(channels.len());
        for some in channels.chunks(CHANNELS_AT_ONCE) {
            let mut pipe = redis::pipe();
            for channel in some {
                pipe.cmd(verb).arg(&**channel);
            }
            answers.extend(self.shared.link.timed(connection.req_packed_commands(&pipe, 0, some.len())).await?);
        }
        Ok(answers)
    }
}
