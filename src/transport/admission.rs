//! How many connections this node and each address may have, and how many may come at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::ambient::Clock;
use crate::chat::TokenBucket;
use crate::telemetry::Metrics;

/// The longest that somebody is told to wait before coming again, in seconds.
const AGAIN_MAX_S: u64 = 30;

/// What may be open, and how fast it may come.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    pub connections: usize,
    pub per_address: usize,
    /// 0: as fast as they come.
    pub per_second: u32,
    pub burst: u32,
}

/// Why a connection was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    /// There are as many as there may be.
    Full,
    /// Too many came at once; this one is to come again after so many seconds.
    TooFast { again_s: u64 },
}

/// Counts connections, in all and by address; the map holds only addresses with a connection.
pub struct Admission {
    open: Mutex<Open>,
    pace: Option<Mutex<Pace>>,
    places: Places,
    clock: Clock,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// How fast connections come. Whoever is turned away is dealt a time of its own to come again, one behind the other at the same pace.
struct Pace {
    bucket: TokenBucket,
    per_second: u64,
    /// Up to here times are dealt, in milliseconds multiplied by `per_second`.
    dealt: u64,
}

impl Pace {
    fn new(places: Places, now_ms: u64) -> Self {
        let bucket = TokenBucket::new(places.per_second, places.burst, now_ms);
        Self { bucket, per_second: u64::from(places.per_second), dealt: 0 }
    }

    fn pass(&mut self, now_ms: u64) -> Result<(), TurnedAway> {
        if self.bucket.take(now_ms) {
            return Ok(());
        }
        let now = now_ms.saturating_mul(self.per_second);
        let latest = now.saturating_add(AGAIN_MAX_S * 1_000 * self.per_second);
        self.dealt = self.dealt.max(now).saturating_add(1_000).min(latest);
        let again_s = (self.dealt - now).div_ceil(1_000 * self.per_second);
        Err(TurnedAway::TooFast { again_s })
    }
}

/// A connection's place; given back when dropped.
pub struct Admitted {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    pub fn new(places: Places, clock: Clock, metrics: Arc<Metrics>) -> Arc<Self> {
        let pace = (places.per_second > 0).then(|| Mutex::new(Pace::new(places, clock.now_ms())));
        Arc::new(Self { open: Mutex::default(), pace, places, clock, metrics })
    }

    /// A place for a connection from this address, or why there is none.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admitted, TurnedAway> {
        let address = address.to_canonical();
        let mut open = self.open.lock();
        let from_address = open.by_address.get(&address).copied().unwrap_or(0);
        if open.all >= self.places.connections || from_address >= self.places.per_address {
            self.metrics.connections_refused_total.inc();
            return Err(TurnedAway::Full);
        }
        if let Some(pace) = &self.pace {
            pace.lock().pass(self.clock.now_ms()).inspect_err(|_| self.metrics.connections_paced_total.inc())?;
        }
        open.all += 1;
        open.by_address.insert(address, from_address + 1);
        Ok(Admitted { admission: self.clone(), address })
    }
}

impl Admitted {
    /// Where the connection comes from.
    pub fn address(&self) -> IpAddr {
        self.address
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock();
        open.all -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(connections: usize, per_address: usize) -> Places {
        Places { connections, per_address, per_second: 0, burst: 0 }
    }

    #[test]
    fn places_are_limited_and_come_back() {
        let metrics = Arc::new(Metrics::new());
        let admission = Admission::new(places(3, 2), Clock::manual(), metrics.clone());
        let (one, two): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let held = [admission.admit(one), admission.admit(one)];
        assert_eq!(admission.admit(one).err(), Some(TurnedAway::Full), "two from one address");
        let other = admission.admit(two);
        assert!(other.is_ok() && admission.admit(two).is_err(), "three in all");
        drop(held);
        assert!(admission.admit("::ffff:127.0.0.1".parse().unwrap()).is_ok());
        assert_eq!(metrics.connections_refused_total.get(), 2);
        drop(other);
        assert!(admission.open.lock().by_address.is_empty());
    }

    #[test]
    fn whoever_comes_too_fast_is_dealt_a_time_to_come_again() {
        let (clock, metrics) = (Clock::manual(), Arc::new(Metrics::new()));
        let places = Places { per_second: 2, burst: 3, ..places(1_000, 1_000) };
        let admission = Admission::new(places, clock.clone(), metrics.clone());
        let address: IpAddr = [127, 0, 0, 1].into();
        let come = || admission.admit(address).err();
        assert!((0..3).all(|_| come().is_none()), "the burst");
        let again = |again_s| Some(TurnedAway::TooFast { again_s });
        assert_eq!([come(), come(), come()], [again(1), again(1), again(2)]);
        clock.advance(1_000);
        assert_eq!([come(), come()], [None, None], "at the pace");
        assert_eq!(
            come(),
            again(1),
            "half a second of those that were dealt is still to come, and half a second of its own"
        );
        assert!((0..1_000).all(|_| come().is_some()));
        assert_eq!(come(), again(AGAIN_MAX_S), "never longer than that");
        assert_eq!((metrics.connections_paced_total.get(), admission.open.lock().all), (1_005, 0));
    }
}
