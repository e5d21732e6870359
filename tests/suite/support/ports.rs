//! Ports that stay the test's own while nobody listens on them.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A free port for a server that is stopped and started again on it.
///
/// Not one from the kernel's ephemeral range: while the server is down, a client that dials it from that range may be
/// given this very port as its source, connect to itself, and keep the server from coming back.
pub fn lasting() -> u16 {
    // Processes running at the same time begin in different places.
    let start = (std::process::id() % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + ((u32::from(start) * 61 + u32::from(step)) % u32::from(COUNT)) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}
