//! Sockets: listeners with their limits, TLS, raw TCP, and the WebSocket upgrade.

mod admission;
mod listener;
mod tls;
mod websocket;

pub use admission::{Admission, Admitted, Places};
pub use listener::{Door, Listener, serve_http, serve_raw};
pub use tls::{Certificate, CertificateError};
pub use websocket::{Wanted, upgrade};
