//! How many connections there are, by dialect and transport.

use crate::telemetry::Metrics;

/// The metrics label of a connection whose dialect is not told yet.
const UNDETECTED: &str = "undetected";

/// Counts a connection where it belongs for as long as it lives.
pub(super) struct ConnectionGauge<'a> {
    metrics: &'a Metrics,
    transport: &'static str,
    dialect: &'static str,
}

impl<'a> ConnectionGauge<'a> {
    pub fn new(transport: &'static str, metrics: &'a Metrics) -> Self {
        metrics.connections.with_label_values(&[UNDETECTED, transport]).inc();
        Self { metrics, transport, dialect: UNDETECTED }
    }

    pub fn label(&mut self, dialect: &'static str) {
        self.metrics.connections.with_label_values(&[self.dialect, self.transport]).dec();
        self.dialect = dialect;
        self.metrics.connections.with_label_values(&[dialect, self.transport]).inc();
        self.metrics.connections_total.with_label_values(&[dialect, self.transport]).inc();
    }
}

impl Drop for ConnectionGauge<'_> {
    fn drop(&mut self) {
        self.metrics.connections.with_label_values(&[self.dialect, self.transport]).dec();
    }
}
