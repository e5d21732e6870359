//! A token bucket: how often a session may ask.

/// Refills at a steady rate up to a burst; time is passed in, so that it is tested without waiting.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    /// Thousandths of a token, so that slow rates lose nothing to rounding.
    millitokens: u64,
    burst: u64,
    per_second: u64,
    refilled_at_ms: u64,
}

impl TokenBucket {
    /// A full bucket of `burst` tokens that regains `per_second` tokens each second.
    pub fn new(per_second: u32, burst: u32, now_ms: u64) -> Self {
        let burst = u64::from(burst.max(1));
        Self { millitokens: burst * 1000, burst, per_second: u64::from(per_second), refilled_at_ms: now_ms }
    }

    /// Takes one token; `false` when there is none.
    pub fn take(&mut self, now_ms: u64) -> bool {
        let elapsed_ms = now_ms.saturating_sub(self.refilled_at_ms);
        self.refilled_at_ms = self.refilled_at_ms.max(now_ms);
        let gained = elapsed_ms.saturating_mul(self.per_second);
        self.millitokens = self.millitokens.saturating_add(gained).min(self.burst * 1000);
        if self.millitokens < 1000 {
            return false;
        }
        self.millitokens -= 1000;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_steady_rate() {
        let mut bucket = TokenBucket::new(2, 3, 0);
        assert!((0..3).all(|_| bucket.take(0)));
        assert!(!bucket.take(0));
        assert!(!bucket.take(499));
        assert!(bucket.take(500));
        assert!(!bucket.take(501));
        assert!((0..3).all(|_| bucket.take(60_000)));
        assert!(!bucket.take(60_000), "a pause never gains more than the burst");
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing_away() {
        let mut bucket = TokenBucket::new(1, 1, 10_000);
        assert!(bucket.take(10_000));
        assert!(!bucket.take(5_000));
        assert!(!bucket.take(10_500));
        assert!(bucket.take(11_000));
    }
}
