//! Tests of the running program: real gateways, a real Redis, a real browser, clients of their own.
//!
//! Nothing here links the server's code, so that no codec is tested against itself. Every wait is for a condition and has
//! a deadline; every test owns its Redis, its ports and its folders, so that all of them run side by side.

// The server's rules against the ambient clock and against panics are not meant for tests, where a panic is the verdict.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accounts;
mod accounts_scrp;
mod balancers;
mod broker_away;
mod broker_states;
mod cluster;
mod compression;
mod evening;
mod fencing;
mod gaps;
mod history;
mod inbox;
mod limits;
mod listeners;
mod load;
mod login;
mod node_death;
mod outbox;
mod parity;
mod private;
mod process;
mod resume;
mod rooms;
mod rubbish;
mod scrp_broker_away;
mod scrp_framing;
mod scrp_page;
mod server_info;
mod shutdown;
mod slow_reader;
#[expect(dead_code, reason = "shared with the checker, which uses some of it alone")]
mod support;
mod tls;
mod topologies;
mod traces;
mod transcripts;
mod web_page;
