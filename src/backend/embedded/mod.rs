//! The embedded backend: one thread owns all state, as Redis does, and works through what is asked in batches; one
//! commit of the store per batch keeps everything in it. The reference for the backend clauses.

mod accounts;
mod kept;
mod state;
mod store;
mod stubs;

use std::path::Path;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::{
    Asker, BackendError, Broker, CatchUp, Claimant, Claimed, Creation, Decided, Delivery, Denial, Directory, Entered,
    Entry, Holder, InboundSender, Lease, Post, Presence, Proclamation, Publication, Published, Publisher, Registered,
    RoomChange, RoomFault, Rooms, Swept,
};
use crate::ambient::{Clock, Entropy};
use crate::chat::{
    Actor, Envelope, Event, Identity, Login, Nickname, Notice, Position, Revocation, RoomId, RoomRecord, RoomSummary,
    RoomView, SessionId,
};
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
    /// Rooms known; beyond it, the empty room that was quiet for longest is forgotten.
    pub rooms: u64,
    /// Rooms that may be created on purpose.
    pub kept_rooms: u64,
}

/// All of the backend in this process.
pub struct Embedded {
    requests: mpsc::Sender<Ask>,
}

/// One request with the way back for its answer.
struct Ask {
    request: Request,
    answer: oneshot::Sender<Result<Answer, BackendError>>,
}

enum Request {
    /// The account that may publish beside the event's session, if only members may.
    Publish(RoomId, Event, Option<Option<Nickname>>, Option<String>),
    LeaseNumbers(u32),
    CatchUp(RoomId, Position),
    History(RoomId),
    Barrier(oneshot::Sender<()>),
    Claim(Nickname, Holder, Claimant),
    Release(Nickname, SessionId),
    Holder(Nickname),
    Enter(RoomId, Actor, Entry),
    Leave(RoomId, Actor),
    Members(RoomId),
    Create(RoomId, RoomRecord),
    Destroy(RoomId, Actor, Option<Nickname>),
    Change(RoomId, Actor, RoomChange),
    Decide(RoomId, Nickname, Asker, bool),
    Withdraw(RoomId, Nickname),
    Appoint(RoomId, Actor, Nickname, bool, bool),
    View(RoomId),
    List(Option<RoomId>, usize),
    Deliver(SessionId, Notice, oneshot::Sender<bool>),
    Proclaim(Proclamation),
    AccountOf(Identity),
    Register(Identity, Nickname),
    Stands(Login),
    Revoke(Nickname, Revocation),
    Tidy,
    Stop,
}

enum Answer {
    Done,
    Claimed(Claimed),
    Released(bool),
    Holder(Option<Holder>),
    Published(Option<Published>),
    Leased(u32),
    Entered(Result<Entered, Denial>),
    Left(Option<Position>),
    Members(u64),
    Created(Creation),
    Changed(Result<(), RoomFault>),
    Decided(Decided),
    View(Option<RoomView>),
    List(Vec<RoomSummary>),
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

/// Asks and takes the answer that belongs to the request.
macro_rules! answered {
    ($embedded:expr, $request:expr, $answer:path) => {
        match $embedded.ask($request).await? {
            $answer(value) => Ok(value),
            _ => Err(BackendError::Failed("an answer to another request".into())),
        }
    };
}

#[async_trait]
impl Broker for Embedded {
    async fn publish(&self, room: &RoomId, publication: Publication<'_>) -> Result<Option<Published>, BackendError> {
        let members = match publication.publisher {
            Publisher::Member { account } => Some(account.cloned()),
            Publisher::Anyone => None,
        };
        let (event, key) = (publication.event.clone(), publication.key.map(str::to_owned));
        answered!(self, Request::Publish(room.clone(), event, members, key), Answer::Published)
    }

    async fn lease_numbers(&self, count: u32) -> Result<u32, BackendError> {
        answered!(self, Request::LeaseNumbers(count), Answer::Leased)
    }

    /// Every member of every room is on this node, so all traffic comes here anyway; rooms without members cost nothing.
    fn subscribe(&self, _: &RoomId) -> oneshot::Receiver<bool> {
        let (ready, receiver) = oneshot::channel();
        let _ = ready.send(true);
        receiver
    }

    fn unsubscribe(&self, _: &RoomId) {}

    async fn catch_up(&self, room: &RoomId, last: Position) -> Result<CatchUp, BackendError> {
        answered!(self, Request::CatchUp(room.clone(), last), Answer::CatchUp)
    }

    async fn history(&self, room: &RoomId) -> Result<Vec<Envelope>, BackendError> {
        answered!(self, Request::History(room.clone()), Answer::History)
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
    async fn claim(&self, nickname: &Nickname, holder: Holder, claimant: Claimant) -> Result<Claimed, BackendError> {
        answered!(self, Request::Claim(nickname.clone(), holder, claimant), Answer::Claimed)
    }

    async fn release(&self, nickname: &Nickname, session: SessionId) -> Result<bool, BackendError> {
        answered!(self, Request::Release(nickname.clone(), session), Answer::Released)
    }

    async fn holder(&self, nickname: &Nickname) -> Result<Option<Holder>, BackendError> {
        answered!(self, Request::Holder(nickname.clone()), Answer::Holder)
    }

    async fn enter(&self, room: &RoomId, who: &Actor, entry: &Entry) -> Result<Result<Entered, Denial>, BackendError> {
        answered!(self, Request::Enter(room.clone(), who.clone(), entry.clone()), Answer::Entered)
    }

    async fn leave(&self, room: &RoomId, who: &Actor) -> Result<Option<Position>, BackendError> {
        answered!(self, Request::Leave(room.clone(), who.clone()), Answer::Left)
    }

    async fn members(&self, room: &RoomId) -> Result<u64, BackendError> {
        answered!(self, Request::Members(room.clone()), Answer::Members)
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
impl Rooms for Embedded {
    async fn create(&self, room: &RoomId, record: &RoomRecord) -> Result<Creation, BackendError> {
        answered!(self, Request::Create(room.clone(), record.clone()), Answer::Created)
    }

    async fn destroy(
        &self,
        room: &RoomId,
        by: &Actor,
        account: Option<&Nickname>,
    ) -> Result<Result<(), RoomFault>, BackendError> {
        answered!(self, Request::Destroy(room.clone(), by.clone(), account.cloned()), Answer::Changed)
    }

    async fn change(
        &self,
        room: &RoomId,
        by: &Actor,
        change: &RoomChange,
    ) -> Result<Result<(), RoomFault>, BackendError> {
        answered!(self, Request::Change(room.clone(), by.clone(), change.clone()), Answer::Changed)
    }

    async fn decide(&self, room: &RoomId, by: &Nickname, who: &Asker, approve: bool) -> Result<Decided, BackendError> {
        answered!(self, Request::Decide(room.clone(), by.clone(), who.clone(), approve), Answer::Decided)
    }

    async fn withdraw(&self, room: &RoomId, account: &Nickname) -> Result<(), BackendError> {
        answered!(self, Request::Withdraw(room.clone(), account.clone()), Answer::Changed).map(drop)
    }

    async fn appoint(
        &self,
        room: &RoomId,
        by: &Actor,
        account: &Nickname,
        admin: bool,
        of_members: bool,
    ) -> Result<Result<(), RoomFault>, BackendError> {
        let request = Request::Appoint(room.clone(), by.clone(), account.clone(), admin, of_members);
        answered!(self, request, Answer::Changed)
    }

    async fn view(&self, room: &RoomId) -> Result<Option<RoomView>, BackendError> {
        answered!(self, Request::View(room.clone()), Answer::View)
    }

    async fn list(&self, after: Option<&RoomId>, limit: usize) -> Result<Vec<RoomSummary>, BackendError> {
        answered!(self, Request::List(after.cloned(), limit), Answer::List)
    }
}

#[async_trait]
impl Directory for Embedded {
    async fn account_of(&self, identity: &Identity) -> Result<Option<Nickname>, BackendError> {
        answered!(self, Request::AccountOf(identity.clone()), Answer::Account)
    }

    async fn register(&self, identity: &Identity, name: &Nickname) -> Result<Registered, BackendError> {
        answered!(self, Request::Register(identity.clone(), name.clone()), Answer::Registered)
    }

    async fn stands(&self, login: &Login) -> Result<bool, BackendError> {
        answered!(self, Request::Stands(login.clone()), Answer::Stands)
    }

    async fn revoke(&self, account: &Nickname, which: Revocation) -> Result<(), BackendError> {
        self.ask(Request::Revoke(account.clone(), which)).await.map(drop)
    }
}

/// The one node writes to itself.
#[async_trait]
impl Post for Embedded {
    async fn deliver(&self, to: SessionId, notice: &Notice) -> Result<Delivery, BackendError> {
        let (delivered, receipt) = oneshot::channel();
        self.ask(Request::Deliver(to, notice.clone(), delivered)).await?;
        match receipt.await {
            Ok(true) => Ok(Delivery::Done),
            Ok(false) => Ok(Delivery::NoSession),
            Err(_) => Err(BackendError::Unavailable("the dispatcher is overrun".into())),
        }
    }

    async fn proclaim(&self, proclamation: &Proclamation) -> Result<(), BackendError> {
        self.ask(Request::Proclaim(proclamation.clone())).await.map(drop)
    }
}
