//! The one clock: the system's monotonic one, which all processes of a machine share.

use rustix::time::{ClockId, clock_gettime};

pub const SECOND: u64 = 1_000_000_000;
pub const MILLISECOND: u64 = 1_000_000;

/// Nanoseconds since the machine was started.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.unsigned_abs() * SECOND + time.tv_nsec.unsigned_abs()
}

pub fn seconds(duration_ns: u64) -> f64 {
    duration_ns as f64 / SECOND as f64
}
