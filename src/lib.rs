//! Crosstalk: a horizontally scalable chat gateway.
//!
//! | module | owns |
//! |---|---|
//! | [`chat`] | the domain: names, commands, events, refusals; pure |
//! | [`wire`] | bytes to domain and back: dialects and framings, without I/O |
//! | [`hub`] | this node's rooms and mailboxes |
//! | [`backend`] | between nodes and restarts: broker and presence store, embedded or Redis |
//! | [`auth`] | who somebody is: signed tokens, login providers, origins |
//! | [`service`] | the use cases, across hub and backend |
//! | [`session`] | one connection, from first byte to close |
//! | [`transport`] | sockets, limits, the WebSocket upgrade |
//! | [`http`] | web page, login, health, metrics |
//! | [`node`] | start and stop; puts everything together |
//! | [`planted`] | bugs for the checker to find; none without the feature |
//! | [`config`], [`telemetry`], [`ambient`] | settings; logs, metrics, traces; time and randomness |
//!
//! `docs/ARCHITECTURE.md` has the map and the walkthroughs; a test holds the direction of the `use` lines.

pub mod ambient;
pub mod auth;
pub mod backend;
pub mod chat;
pub mod cli;
pub mod config;
pub mod http;
pub mod hub;
pub mod node;
pub mod planted;
pub mod service;
pub mod session;
pub mod telemetry;
pub mod transport;
pub mod wire;
