//! Sockets: listeners with their limits, raw TCP, and the WebSocket upgrade.

mod admission;
mod listener;
mod websocket;

pub use admission::{Admission, Admitted};
pub use listener::{Listener, serve_http, serve_lines};
pub use websocket::{Wanted, upgrade};
