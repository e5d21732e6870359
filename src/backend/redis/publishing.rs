//! Calls of the publishing script, of which many may be wanted at once: those beyond a few go to the server together.
//!
//! One call costs the client a task's wake-up each way. With many sessions that say something at once, what waits is sent as one
//! pipe and answered at once (`docs/decisions/0021-publish-in-pipes.md`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, ErrorKind, RedisError, RedisResult, Script, ServerErrorKind, Value};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::link::Link;

/// Calls under way up to which each goes by itself, which is the quicker way as long as there are few.
const SINGLE_MAX: usize = 4;
/// Calls in one pipe: beyond that a longer one gains nothing, and its first answer waits.
const PIPE_MAX: usize = 128;
/// Pipes under way at once, so that the server never waits for the next one.
const PIPES_AT_ONCE: usize = 3;

pub struct Publishing {
    calls: mpsc::UnboundedSender<Call>,
    under_way: AtomicUsize,
    script: Script,
}

/// A call that waits for a pipe.
struct Call {
    command: Cmd,
    /// The run of the server that the command speaks of.
    run: Arc<str>,
    answer: oneshot::Sender<RedisResult<Value>>,
}

/// A call under way, counted until it is dropped.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Publishing {
    /// Has pipes sent until `stop`.
    pub fn start(script: Script, link: Arc<Link>, stop: CancellationToken) -> Self {
        // Unbounded, but each session and each request of a backend waits for its own call.
        let (calls, waiting) = mpsc::unbounded_channel();
        let pipes = send_pipes(script.clone(), link, waiting);
        tokio::spawn(async move { stop.run_until_cancelled(pipes).await });
        Self { calls, under_way: AtomicUsize::new(0), script }
    }

    /// Calls the script; the command speaks of the run of the server that `connection` leads to.
    ///
    /// # Errors
    /// When the server does not take it. Without an answer it is not known whether it did.
    pub async fn call(&self, connection: Connection, command: Cmd) -> RedisResult<Value> {
        let before = self.under_way.fetch_add(1, Ordering::Relaxed);
        let _under_way = UnderWay(&self.under_way);
        let run = match connection {
            Connection::One(_, run) if before >= SINGLE_MAX => run,
            // In a cluster each finds its own way.
            mut connection => return call(&self.script, &mut connection, &command).await,
        };
        let (answer, answered) = oneshot::channel();
        // The task ends only with the node.
        let _ = self.calls.send(Call { command, run, answer });
        answered.await.unwrap_or_else(|_| Err(not_sent()))
    }
}

async fn send_pipes(script: Script, link: Arc<Link>, mut waiting: mpsc::UnboundedReceiver<Call>) {
    let places = Arc::new(Semaphore::new(PIPES_AT_ONCE));
    while let Ok(place) = places.clone().acquire_owned().await {
        let mut calls = Vec::new();
        if waiting.recv_many(&mut calls, PIPE_MAX).await == 0 {
            return;
        }
        let Ok(Connection::One(connection, run)) = link.connection() else { continue };
        // Only what is for the server that it goes to. And nobody waits any more for one that is late: it is not said after its sender
        // was told that it could not be.
        calls.retain(|call| call.run == run && !call.answer.is_closed());
        if calls.is_empty() {
            continue;
        }
        let script = script.clone();
        tokio::spawn(async move {
            send(&script, connection, calls).await;
            drop(place);
        });
    }
}

async fn send(script: &Script, mut connection: MultiplexedConnection, calls: Vec<Call>) {
    let mut pipe = redis::pipe();
    let mut waiting = Vec::with_capacity(calls.len());
    for Call { command, answer, .. } in calls {
        pipe.add_command(command);
        waiting.push(answer);
    }
    match connection.req_packed_commands(&pipe, 0, waiting.len()).await {
        Ok(answers) => {
            for ((answer, command), waiting) in answers.into_iter().zip(pipe.cmd_iter()).zip(waiting) {
                let answer = match answer.extract_error() {
                    Err(error) if is_unknown(&error) => call(script, &mut connection, command).await,
                    answer => answer,
                };
                // Who waited may have given up.
                let _ = waiting.send(answer);
            }
        }
        Err(error) => waiting.into_iter().for_each(|waiting| drop(waiting.send(Err(error.clone())))),
    }
}

/// Calls the script by itself, and loads it where the server does not know it.
async fn call(script: &Script, connection: &mut impl ConnectionLike, command: &Cmd) -> RedisResult<Value> {
    match connection.req_packed_command(command).await.and_then(Value::extract_error) {
        Err(error) if is_unknown(&error) => {
            script.load_async(connection).await?;
            connection.req_packed_command(command).await.and_then(Value::extract_error)
        }
        answer => answer,
    }
}

fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

fn not_sent() -> RedisError {
    RedisError::from((ErrorKind::Io, "redis does not answer"))
}
