//! The embedded backend without its thread: a test says which requests make a batch, and whether the disk keeps it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use tokio::sync::mpsc;

use super::super::super::{Ask, Embedded, Retention};
use super::super::*;
use crate::backend::{BackendError, Inbound, inbound};
use crate::chat::{Actor, SessionId};
use crate::telemetry::Metrics;

/// A disk that can be made to keep nothing any more.
#[derive(Debug, Clone)]
struct Disk {
    memory: Arc<InMemoryBackend>,
    full: Arc<AtomicBool>,
}

impl Disk {
    fn has_room(&self) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) { Err(io::Error::other("the disk is full")) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.has_room()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.has_room()?;
        self.memory.write(offset, data)
    }
}

pub struct Bench {
    pub state: State,
    node: Arc<Embedded>,
    asked: mpsc::Receiver<Ask>,
    disk: Disk,
    inbound: Inbound,
}

type Answer = Pin<Box<dyn Future<Output = Result<(), BackendError>>>>;

/// One request of a batch.
pub type Step = Box<dyn FnOnce(Arc<Embedded>) -> Answer>;

pub fn step<T, F>(ask: impl FnOnce(Arc<Embedded>) -> F + 'static) -> Step
where
    F: Future<Output = Result<T, BackendError>> + 'static,
{
    Box::new(move |node| Box::pin(ask(node).map(|answer| answer.map(drop))))
}

/// A state that knows two rooms, beside those that are kept or occupied.
pub fn bench() -> Bench {
    on(Disk { memory: Arc::new(InMemoryBackend::new()), full: Arc::default() })
}

fn on(disk: Disk) -> Bench {
    let store = Store::on(disk.clone()).unwrap();
    let (sender, inbound) = inbound(1 << 20, Arc::new(Metrics::new()));
    let retention = Retention { count: 10, age_us: 1 << 60, rooms: 2, kept_rooms: 10 };
    let state = State::load(store, retention, sender, Clock::manual(), Entropy::seeded(1)).unwrap();
    let (requests, asked) = mpsc::channel(100);
    Bench { state, node: Arc::new(Embedded { requests }), asked, disk, inbound }
}

impl Bench {
    /// Carries requests out in one batch.
    fn batch(&mut self, steps: Vec<Step>) -> Vec<Result<(), BackendError>> {
        let mut context = Context::from_waker(Waker::noop());
        let mut answers: Vec<_> = steps.into_iter().map(|step| step(self.node.clone())).collect();
        assert!(answers.iter_mut().all(|answer| answer.as_mut().poll(&mut context).is_pending()));
        let mut jobs = Vec::new();
        while let Ok(Ask::Job(job)) = self.asked.try_recv() {
            jobs.push(job);
        }
        self.state.carry_out(jobs);
        let settled = answers.iter_mut().map(|answer| match answer.as_mut().poll(&mut context) {
            Poll::Ready(answer) => answer,
            Poll::Pending => panic!("asked and not answered"),
        });
        settled.collect()
    }

    pub fn done(&mut self, steps: Vec<Step>) {
        assert_eq!(self.batch(steps).into_iter().find(Result::is_err), None);
    }

    /// Carries one request out; its answer.
    pub fn answer<T: 'static, F>(&mut self, ask: impl FnOnce(Arc<Embedded>) -> F + 'static) -> T
    where
        F: Future<Output = Result<T, BackendError>> + 'static,
    {
        let (tell, told) = std::sync::mpsc::channel();
        self.done(vec![step(move |node| ask(node).map(move |answer| answer.map(|value| tell.send(value))))]);
        told.recv().unwrap()
    }

    /// Carries requests out in a batch whose commit fails.
    pub fn lost(&mut self, steps: Vec<Step>) {
        self.disk.full.store(true, Ordering::Relaxed);
        let answers = self.batch(steps);
        assert!(answers.iter().all(Result::is_err), "what is not kept is not acknowledged");
    }

    /// Another process on what the disk has.
    pub fn restart(self) -> Self {
        let Self { state, disk, .. } = self;
        drop(state);
        disk.full.store(false, Ordering::Relaxed);
        on(disk)
    }

    pub fn heard(&mut self) -> usize {
        std::iter::from_fn(|| self.inbound.next().now_or_never()).count()
    }
}

pub fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

pub fn name(name: &str) -> Nickname {
    Nickname::parse(name).unwrap()
}

pub fn guest(session: u128) -> Actor {
    Actor { session: SessionId::from_u128(session), nickname: None }
}

pub fn account(text: &str) -> Actor {
    Actor::account(name(text))
}
