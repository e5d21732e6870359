//! How many connections this node and each address may have.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::telemetry::Metrics;

/// Counts connections, in all and by address; the map holds only addresses with a connection.
pub struct Admission {
    open: Mutex<Open>,
    connections_max: usize,
    per_address_max: usize,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place; given back when dropped.
pub struct Admitted {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    pub fn new(connections_max: usize, per_address_max: usize, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { open: Mutex::default(), connections_max, per_address_max, metrics })
    }

    /// A place for a connection from this address, `None` when there is none left.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Admitted> {
        let address = address.to_canonical();
        let mut open = self.open.lock();
        let from_address = open.by_address.get(&address).copied().unwrap_or(0);
        if open.all >= self.connections_max || from_address >= self.per_address_max {
            self.metrics.connections_refused_total.inc();
            return None;
        }
        open.all += 1;
        open.by_address.insert(address, from_address + 1);
        Some(Admitted { admission: self.clone(), address })
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

    #[test]
    fn places_are_limited_and_come_back() {
        let metrics = Arc::new(Metrics::new());
        let admission = Admission::new(3, 2, metrics.clone());
        let (one, two): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let held = [admission.admit(one), admission.admit(one)];
        assert!(admission.admit(one).is_none(), "two from one address");
        let other = admission.admit(two);
        assert!(other.is_some() && admission.admit(two).is_none(), "three in all");
        drop(held);
        assert!(admission.admit("::ffff:127.0.0.1".parse().unwrap()).is_some());
        assert_eq!(metrics.connections_refused_total.get(), 2);
        drop(other);
        assert!(admission.open.lock().by_address.is_empty());
    }
}
