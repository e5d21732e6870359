//! Numbers for messages and requests: taken from the backend in blocks, so that no message waits for a counter of the
//! whole cluster.

use std::ops::Range;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::unavailable;
use crate::backend::Broker;
use crate::chat::{MessageId, Refusal, RequestId};

/// Numbers in a block: what a node that dies loses of them.
const BLOCK: u32 = 1_000;

pub struct Numbers {
    broker: Arc<dyn Broker>,
    left: Mutex<Range<u64>>,
}

impl Numbers {
    pub fn new(broker: Arc<dyn Broker>) -> Self {
        Self { broker, left: Mutex::new(0..0) }
    }

    pub async fn message(&self) -> Result<MessageId, Refusal> {
        self.next().await.map(MessageId)
    }

    pub async fn request(&self) -> Result<RequestId, Refusal> {
        self.next().await.map(RequestId)
    }

    async fn next(&self) -> Result<u32, Refusal> {
        let mut left = self.left.lock().await;
        loop {
            // Wraps around; 0 means that there is no number.
            match left.next().map(|number| number as u32) {
                Some(0) => {}
                Some(number) => return Ok(number),
                None => {
                    let leased = self.broker.lease_numbers(BLOCK).await;
                    let first = u64::from(leased.map_err(|error| unavailable("numbers", &error))?);
                    *left = first..first + u64::from(BLOCK);
                }
            }
        }
    }
}
