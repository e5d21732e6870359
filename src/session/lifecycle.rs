//! The stages in which sessions end when the node goes away.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// First nothing more is read (soft), then, when all that was accepted has been delivered, everything is closed (hard).
#[derive(Clone, Default)]
pub struct Lifecycle {
    soft: CancellationToken,
    hard: CancellationToken,
    /// Sessions that may still be carrying out a request.
    readers: TaskTracker,
    /// Connections with their tasks.
    sessions: TaskTracker,
}

impl Lifecycle {
    /// Runs a connection's task under this lifecycle.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.sessions.spawn(task);
    }

    /// Held by a session for as long as it takes requests.
    pub fn reading(&self) -> TaskTrackerToken {
        self.readers.token()
    }

    pub async fn no_more_reading(&self) {
        self.soft.cancelled().await;
    }

    pub async fn closing(&self) {
        self.hard.cancelled().await;
    }

    /// Ends reading everywhere and waits until no request is in flight.
    pub async fn quiesce(&self) {
        self.soft.cancel();
        self.readers.close();
        self.readers.wait().await;
    }

    /// Closes all sessions and waits for their ends.
    pub async fn close(&self) {
        self.soft.cancel();
        self.hard.cancel();
        self.sessions.close();
        self.sessions.wait().await;
    }
}
