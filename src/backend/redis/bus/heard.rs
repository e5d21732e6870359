//! What comes in on a connection that hears, and where it goes. Called from the connection's own task: nothing here blocks.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use redis::Value;
use tokio::sync::oneshot;

use super::Shared;
use crate::backend::Heard;
use crate::backend::letter::Letter;
use crate::chat::NodeId;

/// Who waits for an answer to a letter; each waits for a bounded time.
#[derive(Clone, Default)]
pub struct Receipts(Arc<Mutex<HashMap<u64, oneshot::Sender<bool>>>>);

impl Receipts {
    pub fn expect(&self, number: u64) -> Receipt {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().insert(number, sender);
        Receipt { number, receiver, receipts: self.clone() }
    }
}

/// An answer that is waited for; forgotten when dropped.
pub struct Receipt {
    number: u64,
    receiver: oneshot::Receiver<bool>,
    receipts: Receipts,
}

impl Receipt {
    /// Whether the letter was delivered.
    pub async fn arrived(mut self) -> bool {
        (&mut self.receiver).await.unwrap_or(false)
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.receipts.0.lock().remove(&self.number);
    }
}

/// Channel and payload of a message.
pub fn message(data: Vec<Value>) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut data = data.into_iter();
    match (data.next(), data.next()) {
        (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) => Some((channel, payload)),
        _ => None,
    }
}

impl Shared {
    /// Takes what came on a channel that is no heartbeat's.
    pub fn take(&self, channel: &[u8], payload: Vec<u8>) {
        if channel == self.node_channel.as_bytes() || channel == self.all_nodes_channel.as_bytes() {
            self.letter(&payload);
        } else if let Some(room) = self.keys.room_of_channel(channel) {
            self.inbound.send(Heard::Raw { room, bytes: Bytes::from(payload) });
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
                if let Some(waiting) = self.receipts.0.lock().remove(&number) {
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
            if let Err(error) = link.publish(&channel, receipt).await {
                tracing::debug!(%error, "a receipt did not go out");
            }
        });
    }
}
