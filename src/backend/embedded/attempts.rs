//! Wrong attempts, in memory: who restarts the process does not guess.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use async_trait::async_trait;

use super::super::{ATTEMPTS_MAX, Attempts, BackendError, FIRST_WAIT, LONGEST_WAIT};
use super::Embedded;

/// Keys that are counted at once; beyond it, the one that was tried longest ago is forgotten.
const KEYS_MAX: usize = 10_000;

/// Attempts by what is guessed and from where.
#[derive(Default)]
pub struct Tries {
    by_key: HashMap<String, Try>,
    /// Those tried longest ago first.
    order: BTreeSet<(i64, String)>,
}

struct Try {
    number: u32,
    tried_us: i64,
    wait_until_us: i64,
}

fn micros(time: Duration) -> i64 {
    time.as_micros() as i64
}

/// How long one has to wait after so many attempts.
fn wait(number: u32) -> Duration {
    let doublings = number.saturating_sub(ATTEMPTS_MAX).min(16);
    FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
}

impl Tries {
    /// Counts an attempt; whether it may be made.
    fn attempt(&mut self, key: &str, now_us: i64) -> bool {
        self.forget_old(now_us);
        let before = self.take(key);
        let number = before.as_ref().map_or(0, |before| before.number);
        let waits_until_us = before.map_or(i64::MIN, |before| before.wait_until_us);
        if now_us < waits_until_us {
            self.put(key, Try { number, tried_us: now_us, wait_until_us: waits_until_us });
            return false;
        }
        let number = number.saturating_add(1);
        let wait_until_us = if number < ATTEMPTS_MAX { i64::MIN } else { now_us + micros(wait(number)) };
        self.put(key, Try { number, tried_us: now_us, wait_until_us });
        true
    }

    fn forget_old(&mut self, now_us: i64) {
        let oldest_us = now_us - 2 * micros(LONGEST_WAIT);
        while let Some((tried_us, _)) = self.order.first() {
            if *tried_us > oldest_us && self.order.len() < KEYS_MAX {
                return;
            }
            if let Some((_, key)) = self.order.pop_first() {
                self.by_key.remove(&key);
            }
        }
    }

    fn take(&mut self, key: &str) -> Option<Try> {
        let (key, known) = self.by_key.remove_entry(key)?;
        self.order.remove(&(known.tried_us, key));
        Some(known)
    }

    fn put(&mut self, key: &str, known: Try) {
        self.order.insert((known.tried_us, key.to_owned()));
        self.by_key.insert(key.to_owned(), known);
    }
}

#[async_trait]
impl Attempts for Embedded {
    async fn attempt(&self, key: &str) -> Result<bool, BackendError> {
        let key = key.to_owned();
        self.ask(move |state, _| Ok(state.tries.attempt(&key, state.clock.unix_us()))).await
    }

    async fn succeeded(&self, key: &str) -> Result<(), BackendError> {
        let key = key.to_owned();
        self.ask(move |state, _| Ok(state.tries.take(&key))).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn five_in_a_row_then_waits_that_double() {
        let mut tries = Tries::default();
        assert!((0..5).all(|_| tries.attempt("a", 0)));
        assert!(!tries.attempt("a", 29 * SECOND));
        assert!(tries.attempt("a", 30 * SECOND));
        assert!(!tries.attempt("a", 89 * SECOND));
        assert!(tries.attempt("a", 90 * SECOND));
        assert!(tries.attempt("b", 90 * SECOND), "another key");
        assert!(tries.take("a").is_some());
        assert!(tries.attempt("a", 91 * SECOND));
        assert_eq!((wait(11), wait(12), wait(u32::MAX)), (Duration::from_secs(1_920), LONGEST_WAIT, LONGEST_WAIT));
    }

    #[test]
    fn what_nobody_tries_is_forgotten_and_no_more_is_known_than_allowed() {
        let mut tries = Tries::default();
        assert!((0..5).all(|_| tries.attempt("a", 0)));
        assert!(tries.attempt("a", 7_200 * SECOND));
        assert_eq!(tries.by_key["a"].number, 1);
        for key in 0..2 * KEYS_MAX as i64 {
            tries.attempt(&key.to_string(), 7_200 * SECOND + key);
        }
        assert_eq!((tries.by_key.len(), tries.order.len()), (KEYS_MAX, KEYS_MAX));
        assert!(!tries.by_key.contains_key("a"));
    }
}
