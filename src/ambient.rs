//! Time and randomness, passed in wherever they are used.
//!
//! The only place that reads the ambient clock and random source (`clippy.toml` bans them elsewhere), so that
//! leases and limits can be tested without sleeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A monotonic clock in milliseconds and a wall clock in microseconds.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System { started: Instant },
    Manual { now_ms: Arc<AtomicU64> },
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn system() -> Self {
        Self(Source::System { started: Instant::now() })
    }

    /// A clock that moves only by [`Clock::advance`]; it starts one day after zero, so that tests can look back.
    pub fn manual() -> Self {
        Self(Source::Manual { now_ms: Arc::new(AtomicU64::new(86_400_000)) })
    }

    /// Moves a manual clock; the system clock cannot be moved.
    pub fn advance(&self, by_ms: u64) {
        if let Source::Manual { now_ms } = &self.0 {
            now_ms.fetch_add(by_ms, Ordering::Relaxed);
        }
    }

    /// Milliseconds on a clock that never steps back.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn now_ms(&self) -> u64 {
        match &self.0 {
            Source::System { started } => (Instant::now() - *started).as_millis() as u64,
            Source::Manual { now_ms } => now_ms.load(Ordering::Relaxed),
        }
    }

    /// Microseconds since the Unix epoch.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn unix_us(&self) -> i64 {
        match &self.0 {
            Source::System { .. } => {
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros() as i64)
            }
            Source::Manual { now_ms } => now_ms.load(Ordering::Relaxed) as i64 * 1000,
        }
    }
}

/// Now, for the runtime's own timers, which run on the runtime's own clock.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub fn timer_now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

/// A source of random bits.
#[derive(Clone)]
pub struct Entropy(Bits);

#[derive(Clone)]
enum Bits {
    System,
    Seeded { state: Arc<AtomicU64> },
}

impl Entropy {
    pub fn system() -> Self {
        Self(Bits::System)
    }

    /// The same sequence for the same seed (SplitMix64).
    pub fn seeded(seed: u64) -> Self {
        Self(Bits::Seeded { state: Arc::new(AtomicU64::new(seed)) })
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place that draws random bits")]
    pub fn bits(&self) -> u128 {
        match &self.0 {
            Bits::System => uuid::Uuid::new_v4().as_u128() ^ (uuid::Uuid::new_v4().as_u128() << 64),
            Bits::Seeded { state } => (u128::from(split_mix(state)) << 64) | u128::from(split_mix(state)),
        }
    }
}

fn split_mix(state: &AtomicU64) -> u64 {
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut z = state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
