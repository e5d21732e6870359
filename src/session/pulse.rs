//! When a session has something to do though nothing comes: timers that are there only where they are needed, and are not
//! touched by what is read.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep};

use crate::ambient::timer_now;
use crate::wire::{FramingKind, ping_frame};

/// Rings once after it was set. Boxed, because most connections have one at most.
#[derive(Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    pub fn set(&mut self, after: Duration) {
        match &mut self.0 {
            Some(timer) => timer.as_mut().reset(timer_now() + after),
            None => self.0 = Some(Box::pin(sleep(after))),
        }
    }

    pub fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Never, where it was not set.
    pub async fn rings(&mut self) {
        match &mut self.0 {
            Some(timer) => timer.as_mut().await,
            None => std::future::pending().await,
        }
    }
}

/// When to probe a silent peer, and when to give it up. Over plain TCP there is no probe; its own keep-alive serves it.
pub(super) struct Pulse {
    framing: FramingKind,
    every: Duration,
    heard: Instant,
    alarm: Alarm,
}

pub(super) enum Due {
    Ping(Bytes),
    Silent,
}

impl Pulse {
    pub fn new(framing: FramingKind, every: Duration) -> Self {
        let mut alarm = Alarm::default();
        if ping_frame(framing).is_some() {
            alarm.set(every);
        }
        Self { framing, every, heard: timer_now(), alarm }
    }

    pub fn heard(&mut self) {
        self.heard = timer_now();
    }

    pub async fn due(&mut self) -> Due {
        loop {
            self.alarm.rings().await;
            self.alarm.set(self.every);
            if timer_now().duration_since(self.heard) > self.every * 5 / 2 {
                return Due::Silent;
            }
            if let Some(ping) = ping_frame(self.framing) {
                return Due::Ping(ping);
            }
        }
    }
}
