//! The embedded backend: one thread owns all state, as Redis does, and works through what is asked in batches; one
//! commit of the store per batch keeps everything in it. The reference for the backend clauses.
//!
//! Each file has the implementation of a trait and what it does to the state, on that thread.

mod accounts;
mod attempts;
mod census;
mod directory;
mod friends;
mod inbox;
mod kept;
mod members;
mod post;
mod presence;
mod resumption;
mod room;
mod rooms;
mod search;
mod state;
mod store;
mod stream;
mod users;

use std::path::Path;

use tokio::sync::{mpsc, oneshot};

use super::{BackendError, InboundSender};
use crate::ambient::{Clock, Entropy};
use state::{State, Work};
use store::Store;

/// Requests that may wait for the thread; more wait in their sessions, one per session.
const QUEUE: usize = 4_096;
/// Requests answered with one commit.
const BATCH: usize = 256;

/// What the embedded backend keeps, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Newest events kept per room.
    pub count: u64,
    /// Age in microseconds at which an event is forgotten.
    pub age_us: i64,
    /// Rooms known; beyond it, the empty room that was quiet for longest is forgotten.
    pub rooms: u64,
    /// Rooms that may be created on purpose.
    pub kept_rooms: u64,
}

/// All of the backend in this process.
pub struct Embedded {
    requests: mpsc::Sender<Ask>,
}

/// One request: what it does to the state, and with what it answers once it is known whether its batch was kept.
type Job = Box<dyn FnOnce(&mut State, &mut Work) -> Settle + Send>;
type Settle = Box<dyn FnOnce(&Result<(), BackendError>)>;

enum Ask {
    Job(Job),
    /// Answered after the store is closed, so that another process can open it.
    Stop(oneshot::Sender<()>),
}

fn gone() -> BackendError {
    BackendError::Failed("the embedded store has stopped".into())
}

/// A job with the way back for its answer.
fn job<T: Send + 'static>(
    carry_out: impl FnOnce(&mut State, &mut Work) -> Result<T, BackendError> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T, BackendError>>) {
    let (answer, receiver) = oneshot::channel();
    let job: Job = Box::new(move |state, work| {
        let result = carry_out(state, work);
        Box::new(move |committed| {
            // A session that went away meanwhile does not want its answer.
            let _ = answer.send(result.and_then(|value| committed.clone().map(|()| value)));
        })
    });
    (job, receiver)
}

impl Embedded {
    /// Opens the store in `data_dir` (created if missing), or one in memory for `None`, and starts the thread.
    ///
    /// # Errors
    /// When the directory cannot be used, or another process uses it.
    pub fn open(
        data_dir: Option<&Path>,
        retention: Retention,
        inbound: InboundSender,
        clock: Clock,
        entropy: Entropy,
    ) -> Result<Self, BackendError> {
        let store = Store::open(data_dir)?;
        let state = State::load(store, retention, inbound, clock, entropy)?;
        let (requests, receiver) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("embedded-store".into())
            .spawn(move || work(state, receiver))
            .map_err(|error| BackendError::Failed(error.to_string()))?;
        Ok(Self { requests })
    }

    /// Has something done on the state's thread.
    async fn ask<T: Send + 'static>(
        &self,
        carry_out: impl FnOnce(&mut State, &mut Work) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let (job, receiver) = job(carry_out);
        self.requests.send(Ask::Job(job)).await.map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }

    /// Closes the store.
    async fn stop(&self) -> Result<(), BackendError> {
        let (stopped, receiver) = oneshot::channel();
        self.requests.send(Ask::Stop(stopped)).await.map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())
    }
}

fn work(mut state: State, mut requests: mpsc::Receiver<Ask>) {
    let mut asks = Vec::with_capacity(BATCH);
    while requests.blocking_recv_many(&mut asks, BATCH) > 0 {
        let mut jobs = Vec::with_capacity(asks.len());
        for ask in asks.drain(..) {
            match ask {
                Ask::Job(job) => jobs.push(job),
                Ask::Stop(stopped) => {
                    state.carry_out(jobs);
                    drop(state);
                    let _ = stopped.send(());
                    return;
                }
            }
        }
        state.carry_out(jobs);
    }
}
