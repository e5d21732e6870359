//! Logs, metrics and traces. A leaf: it knows names and numbers, not chat.

pub mod logs;
pub mod metrics;
pub mod traces;

pub use metrics::Metrics;
pub use traces::{Otlp, OtlpProtocol, Tracer};
