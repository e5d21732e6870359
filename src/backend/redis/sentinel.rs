//! Asking Sentinels who the master is: on every connection anew, and once a second while there is one. An old master goes on
//! taking what it is told for seconds after another was made, and all of that is lost.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionInfo};

use super::link::within;
use super::servers::{at, connection_config};
use super::{BackendError, Settings};

pub struct Sentinels {
    sentinels: Vec<Sentinel>,
    service: String,
    /// The master but for its address.
    master: ConnectionInfo,
    /// Which Sentinel counts where most do not agree; the next one when this one's master was none, since it may be cut off from the
    /// others.
    first: AtomicUsize,
}

struct Sentinel {
    info: ConnectionInfo,
    /// The connection on which it was asked last, while that is good.
    connection: Mutex<Option<MultiplexedConnection>>,
}

/// Host and port of a master.
type Named = (String, u16);
/// What a Sentinel says; nothing where it watches no such master.
type Answer = Result<Option<Named>, BackendError>;

impl Sentinels {
    pub fn new(sentinels: Vec<ConnectionInfo>, service: String, master: ConnectionInfo) -> Self {
        let sentinels = sentinels.into_iter().map(|info| Sentinel { info, connection: Mutex::new(None) }).collect();
        Self { sentinels, service, master, first: AtomicUsize::new(0) }
    }

    /// The master by most of the Sentinels; where so many do not agree or do not answer, by the first that does.
    ///
    /// # Errors
    /// When no Sentinel answers, or those that do watch no such master.
    pub async fn master(&self, settings: &Settings) -> Result<ConnectionInfo, BackendError> {
        let (elected, mut answers) = self.ask_all(settings).await;
        if let Some((host, port)) = elected {
            return Ok(at(&self.master, &host, port));
        }
        let count = self.sentinels.len();
        let first = self.first.load(Ordering::Relaxed) % count;
        answers.sort_by_key(|(number, _)| (number + count - first) % count);
        let mut last = BackendError::Unavailable("no Sentinel answers".to_owned());
        for (_, answer) in answers {
            match answer {
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

    /// Whether most of the Sentinels name another master than this one. A single one that is cut off from the others does not count.
    pub async fn name_another(&self, than: &ConnectionInfo, settings: &Settings) -> bool {
        let (elected, _) = self.ask_all(settings).await;
        elected.is_some_and(|(host, port)| at(&self.master, &host, port).addr() != than.addr())
    }

    /// Asks all at once, until more than half of them have named the same, which is the first; and what was answered, by whom.
    async fn ask_all(&self, settings: &Settings) -> (Option<Named>, Vec<(usize, Answer)>) {
        let asked = self.sentinels.iter().enumerate();
        let mut asked: FuturesUnordered<_> =
            asked.map(async |(number, sentinel)| (number, self.ask(sentinel, settings).await)).collect();
        let mut answers: Vec<(usize, Answer)> = Vec::new();
        while let Some((number, answer)) = asked.next().await {
            answers.push((number, answer.clone()));
            let Ok(Some(named)) = answer else { continue };
            let votes = answers.iter().filter(|(_, other)| matches!(other, Ok(Some(other)) if *other == named)).count();
            if votes > self.sentinels.len() / 2 {
                return (Some(named), answers);
            }
        }
        (None, answers)
    }

    /// The master that was named last cannot be used: another Sentinel is to be asked.
    pub fn doubt(&self) {
        self.first.fetch_add(1, Ordering::Relaxed);
    }

    /// What is wrong with a master that Sentinels named.
    pub fn named(&self, master: &ConnectionInfo, error: BackendError) -> BackendError {
        let told = |error: String| {
            format!("{}, which Sentinels call the master of {:?}: {error}", master.addr(), self.service)
        };
        match error {
            BackendError::Unavailable(error) => BackendError::Unavailable(told(error)),
            BackendError::Failed(error) => BackendError::Failed(told(error)),
        }
    }

    async fn ask(&self, sentinel: &Sentinel, settings: &Settings) -> Answer {
        let known = sentinel.connection.lock().clone();
        let mut connection = match known {
            Some(connection) => connection,
            None => self.connect(sentinel, settings).await?,
        };
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
        let answer = within(settings.command_timeout, ask.query_async(&mut connection)).await;
        *sentinel.connection.lock() = answer.is_ok().then_some(connection);
        answer
    }

    async fn connect(&self, sentinel: &Sentinel, settings: &Settings) -> Result<MultiplexedConnection, BackendError> {
        let client = Client::open(sentinel.info.clone())
            .map_err(|error| BackendError::Failed(format!("storage.redis: {error}")))?;
        let config = connection_config(settings);
        within(settings.connect_timeout, client.get_multiplexed_async_connection_with_config(&config)).await
    }
}
