//! The embedded backend: one thread owns all state, as Redis does, and works through what is asked in batches; one
//! commit of the store per batch keeps everything in it. The reference for the backend clauses.

mod accounts;
mod state;
mod store;

use std::path::Path;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::{
    BackendError, Broker, CatchUp, Directory, Entered, Entry, InboundSender, Lease, Presence, Registered, Swept,
};
use crate::ambient::{Clock, Entropy};
use crate::chat::{Actor, Envelope, Event, Identity, Login, Nickname, Position, Revocation, RoomId, SessionId};
use state::State;
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
    /// Rooms kept; beyond it, the empty room that was quiet for longest is forgotten.
    pub rooms: u64,
}

/// A broker, presence store and directory in this process.
pub struct Embedded {
    requests: mpsc::Sender<Ask>,
}

/// One request with the way back for its answer.
struct Ask {
    request: Request,
    answer: oneshot::Sender<Result<Answer, BackendError>>,
}

enum Request {
    Publish(RoomId, Event),
    CatchUp(RoomId, Position),
    History(RoomId),
    Barrier(oneshot::Sender<()>),
    Claim(Nickname, SessionId),
    Release(Nickname, SessionId),
    Enter(RoomId, Actor, Entry),
    Leave(RoomId, Actor),
    Members(RoomId),
    AccountOf(Identity),
    Register(Identity, Nickname),
    Stands(Login),
    Revoke(Nickname, Revocation),
    Tidy,
    Stop,
}

enum Answer {
    Done,
    Claimed(bool),
    Published(Position),
    Entered(Entered),
    Left(Option<Position>),
    Members(u64),
    Account(Option<Nickname>),
    Registered(Registered),
    Stands(bool),
    CatchUp(CatchUp),
    History(Vec<Envelope>),
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

    async fn ask(&self, request: Request) -> Result<Answer, BackendError> {
        let (answer, receiver) = oneshot::channel();
        let gone = || BackendError::Failed("the embedded store has stopped".into());
        self.requests.send(Ask { request, answer }).await.map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }
}

fn work(mut state: State, mut requests: mpsc::Receiver<Ask>) {
    let mut batch = Vec::with_capacity(BATCH);
    while requests.blocking_recv_many(&mut batch, BATCH) > 0 {
        let stop = batch.iter().position(|ask| matches!(ask.request, Request::Stop));
        if let Some(stop) = stop {
            let rest = batch.split_off(stop);
            state.carry_out(batch);
            drop(state);
            // Answered after the store is closed, so that another process can open it.
            for ask in rest.into_iter().take(1) {
                let _ = ask.answer.send(Ok(Answer::Done));
            }
            return;
        }
        state.carry_out(std::mem::take(&mut batch));
    }
}

fn unexpected<T>() -> Result<T, BackendError> {
    Err(BackendError::Failed("an answer to another request".into()))
}

#[async_trait]
impl Broker for Embedded {
    async fn publish(&self, room: &RoomId, event: &Event) -> Result<Position, BackendError> {
        match self.ask(Request::Publish(room.clone(), event.clone())).await? {
            Answer::Published(position) => Ok(position),
            _ => unexpected(),
        }
    }

    /// Every member of every room is on this node, so all traffic comes here anyway; rooms without members cost nothing.
    fn subscribe(&self, _: &RoomId) -> oneshot::Receiver<bool> {
        let (ready, receiver) = oneshot::channel();
        let _ = ready.send(true);
        receiver
    }

    fn unsubscribe(&self, _: &RoomId) {}

    async fn catch_up(&self, room: &RoomId, last: Position) -> Result<CatchUp, BackendError> {
        match self.ask(Request::CatchUp(room.clone(), last)).await? {
            Answer::CatchUp(catch_up) => Ok(catch_up),
            _ => unexpected(),
        }
    }

    async fn history(&self, room: &RoomId) -> Result<Vec<Envelope>, BackendError> {
        match self.ask(Request::History(room.clone())).await? {
            Answer::History(envelopes) => Ok(envelopes),
            _ => unexpected(),
        }
    }

    async fn barrier(&self) -> Result<(), BackendError> {
        let (reached, waiting) = oneshot::channel();
        self.ask(Request::Barrier(reached)).await?;
        waiting.await.map_err(|_| BackendError::Failed("the dispatcher has stopped".into()))
    }

    fn hears(&self) -> bool {
        !self.requests.is_closed()
    }
}

#[async_trait]
impl Presence for Embedded {
    async fn claim(&self, nickname: &Nickname, session: SessionId) -> Result<bool, BackendError> {
        match self.ask(Request::Claim(nickname.clone(), session)).await? {
            Answer::Claimed(claimed) => Ok(claimed),
            _ => unexpected(),
        }
    }

    async fn release(&self, nickname: &Nickname, session: SessionId) -> Result<(), BackendError> {
        self.ask(Request::Release(nickname.clone(), session)).await.map(drop)
    }

    async fn enter(&self, room: &RoomId, who: &Actor, entry: Entry) -> Result<Entered, BackendError> {
        match self.ask(Request::Enter(room.clone(), who.clone(), entry)).await? {
            Answer::Entered(entered) => Ok(entered),
            _ => unexpected(),
        }
    }

    async fn leave(&self, room: &RoomId, who: &Actor) -> Result<Option<Position>, BackendError> {
        match self.ask(Request::Leave(room.clone(), who.clone())).await? {
            Answer::Left(position) => Ok(position),
            _ => unexpected(),
        }
    }

    async fn members(&self, room: &RoomId) -> Result<u64, BackendError> {
        match self.ask(Request::Members(room.clone())).await? {
            Answer::Members(members) => Ok(members),
            _ => unexpected(),
        }
    }

    /// The only node is alive as long as it asks.
    async fn renew(&self) -> Result<Lease, BackendError> {
        Ok(Lease::Held)
    }

    /// No other node can die; what outlived its retention is forgotten instead.
    async fn sweep(&self) -> Result<Swept, BackendError> {
        self.ask(Request::Tidy).await.map(|_| Swept::default())
    }

    /// Closes the store.
    async fn retire(&self) -> Result<(), BackendError> {
        self.ask(Request::Stop).await.map(drop)
    }
}

#[async_trait]
impl Directory for Embedded {
    async fn account_of(&self, identity: &Identity) -> Result<Option<Nickname>, BackendError> {
        match self.ask(Request::AccountOf(identity.clone())).await? {
            Answer::Account(account) => Ok(account),
            _ => unexpected(),
        }
    }

    async fn register(&self, identity: &Identity, name: &Nickname) -> Result<Registered, BackendError> {
        match self.ask(Request::Register(identity.clone(), name.clone())).await? {
            Answer::Registered(registered) => Ok(registered),
            _ => unexpected(),
        }
    }

    async fn stands(&self, login: &Login) -> Result<bool, BackendError> {
        match self.ask(Request::Stands(login.clone())).await? {
            Answer::Stands(stands) => Ok(stands),
            _ => unexpected(),
        }
    }

    async fn revoke(&self, account: &Nickname, which: Revocation) -> Result<(), BackendError> {
        self.ask(Request::Revoke(account.clone(), which)).await.map(drop)
    }
}
