//! The nodes themselves: no panic, and memory that stays within bounds.

use super::{Violation, violations};
use crate::stage::Record;

/// Resident memory of one node, in bytes: many times what these few clients need, however the code was built.
const MEMORY_MAX: f64 = 512.0 * 1024.0 * 1024.0;
/// Bytes heard from the broker and not yet dispatched: what the setting `redis.bus_queue_bytes` bounds.
const QUEUE_MAX: f64 = 64.0 * 1024.0 * 1024.0;

pub fn judge(record: &Record) -> Vec<Violation> {
    let largest = |gauge: &str| record.watched.largest.get(gauge).copied().unwrap_or_default();
    let bounds = [("process_resident_memory_bytes", MEMORY_MAX), ("crosstalk_bus_queue_bytes", QUEUE_MAX)];
    let over = bounds.into_iter().filter(|(gauge, most)| largest(gauge) > *most);
    let over = over.map(|(gauge, most)| format!("{gauge} was {} and may be {most}", largest(gauge)));
    violations("health", record.panics.iter().map(|line| format!("a node panicked: {line}")).chain(over))
}

#[cfg(test)]
mod tests {
    use super::super::made::Made;
    use super::*;

    #[test]
    fn a_panic_and_too_much_memory_are_found() {
        assert_eq!(judge(&Made::new().record()), []);
        assert_eq!(judge(&Made::new().with(|record| record.panics.push("panicked".to_owned())).record()).len(), 1);
        let grown = |bytes: f64| {
            Made::new().with(|record| {
                record.watched.largest.insert("process_resident_memory_bytes".to_owned(), bytes);
            })
        };
        assert_eq!(judge(&grown(1e8).record()), []);
        assert_eq!(judge(&grown(1e9).record()).len(), 1);
    }
}
