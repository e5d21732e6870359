//! The suite's own Redis and what it stands on, of which these tests use a part.
#![expect(dead_code, reason = "shared with the suite, which uses all of it")]

use std::time::Duration;

#[path = "../suite/support/ports.rs"]
pub mod ports;
#[path = "../suite/support/process.rs"]
pub mod process;
#[path = "../suite/support/redis.rs"]
pub mod redis;

pub const DEADLINE: Duration = Duration::from_secs(20);
pub const POLL: Duration = Duration::from_millis(20);

/// Where every session of a test comes from.
pub const PEER: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// How sessions are kept that have lost their connections.
pub const RESUME: crosstalk::service::ResumeLimits =
    crosstalk::service::ResumeLimits { window: Duration::from_secs(30), held: 10 };
