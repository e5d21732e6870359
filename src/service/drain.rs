//! A node that goes away sends its sessions to the others one after the other, so that they do not come there all at once.

use std::time::Duration;

use super::Chat;
use crate::ambient::timer_now;
use crate::chat::{CloseReason, Notice};

/// How often it is looked who is due.
const TICK: Duration = Duration::from_millis(50);

/// The moments at which sessions are sent away: the same time after each other, from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slots {
    every: Duration,
}

impl Slots {
    /// For so many sessions. Sooner one after the other than `per_second` says where it would take longer than `within`; all at once
    /// where that is 0.
    fn of(sessions: usize, per_second: u32, within: Duration) -> Self {
        let wanted = Duration::from_secs(1).checked_div(per_second).unwrap_or_default();
        let sessions = u32::try_from(sessions).unwrap_or(u32::MAX);
        Self { every: within.checked_div(sessions).map_or(wanted, |most| wanted.min(most)) }
    }

    fn of_nth(self, nth: usize) -> Duration {
        self.every.saturating_mul(u32::try_from(nth).unwrap_or(u32::MAX))
    }
}

impl Chat {
    /// Closes every session that is here in its own slot, `per_second` of them in each second, or all within `within` if that is more.
    /// Those whose dialect has a word for it are told their slots at the beginning; until then everybody is served as ever. No new
    /// sessions are to come meanwhile.
    pub async fn send_away(&self, per_second: u32, within: Duration) {
        let sessions = self.sessions.connected();
        let slots = Slots::of(sessions.len(), per_second, within);
        self.metrics.drain_waiting.set(sessions.len() as i64);
        let began = timer_now();
        let resume = !self.limits.resume.window.is_zero();
        for (nth, session) in sessions.iter().enumerate() {
            let after_ms = slots.of_nth(nth).as_millis() as u64;
            self.sessions.tell(*session, &Notice::Reconnect { after_ms, resume });
        }
        let mut waiting = sessions.into_iter().enumerate().peekable();
        while waiting.peek().is_some() {
            tokio::time::sleep(TICK).await;
            // What was acknowledged to anybody is handed over before its receiver is closed. Without a broker there is nothing to hand over.
            let _ = self.backend.broker.barrier().await;
            let passed = began.elapsed();
            while let Some((_, session)) = waiting.next_if(|(nth, _)| slots.of_nth(*nth) <= passed) {
                self.sessions.disconnect(session, CloseReason::Restart);
                self.metrics.drain_waiting.dec();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_follow_one_another_at_the_rate_and_end_in_time() {
        let slots = Slots::of(10, 100, Duration::from_secs(60));
        assert_eq!((slots.of_nth(0), slots.of_nth(9)), (Duration::ZERO, Duration::from_millis(90)));
        let hurried = Slots::of(10_000, 100, Duration::from_secs(10));
        assert_eq!(hurried.every, Duration::from_millis(1));
        assert!(hurried.of_nth(9_999) < Duration::from_secs(10));
        assert_eq!(Slots::of(10_000, 0, Duration::from_secs(10)).every, Duration::ZERO, "all at once");
        assert_eq!(Slots::of(0, 100, Duration::from_secs(10)).every, Duration::from_millis(10));
        assert_eq!(Slots::of(usize::MAX, 1, Duration::ZERO).of_nth(usize::MAX), Duration::ZERO);
    }
}
