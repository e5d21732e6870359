//! Asking Sentinels who the master is. They are asked on every connection anew: that is how a failover is followed.

use std::sync::atomic::{AtomicUsize, Ordering};

use redis::{Client, ConnectionInfo};

use super::link::within;
use super::servers::{at, connection_config};
use super::{BackendError, Settings};

pub struct Sentinels {
    sentinels: Vec<ConnectionInfo>,
    service: String,
    /// The master but for its address.
    master: ConnectionInfo,
    /// Which Sentinel is asked first; the next one when this one's master was none, since it may be cut off from the others.
    first: AtomicUsize,
}

impl Sentinels {
    pub fn new(sentinels: Vec<ConnectionInfo>, service: String, master: ConnectionInfo) -> Self {
        Self { sentinels, service, master, first: AtomicUsize::new(0) }
    }

    /// The master, by the first Sentinel that answers.
    ///
    /// # Errors
    /// When no Sentinel answers, or the one that does watches no such master.
    pub async fn master(&self, settings: &Settings) -> Result<ConnectionInfo, BackendError> {
        let first = self.first.load(Ordering::Relaxed);
        let mut last = BackendError::Unavailable("no Sentinel answers".to_owned());
        for number in 0..self.sentinels.len() {
            match self.ask(&self.sentinels[(first + number) % self.sentinels.len()], settings).await {
                Ok(Some((host, port))) => return Ok(at(&self.master, &host, port)),
                Ok(None) => {
                    let service = &self.service;
                    last =
                        BackendError::Failed(format!("storage.redis: the Sentinels watch no master named {service:?}"));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The master that was named last cannot be used: another Sentinel is to be asked.
    pub fn doubt(&self) {
        self.first.fetch_add(1, Ordering::Relaxed);
    }

    async fn ask(&self, sentinel: &ConnectionInfo, settings: &Settings) -> Result<Option<(String, u16)>, BackendError> {
        let client =
            Client::open(sentinel.clone()).map_err(|error| BackendError::Failed(format!("storage.redis: {error}")))?;
        let config = connection_config(settings);
        let attempt = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = within(settings.connect_timeout, attempt).await?;
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
        within(settings.command_timeout, ask.query_async(&mut connection)).await
    }
}
