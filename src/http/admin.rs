//! The admin port: health for probes, metrics for Prometheus.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::backend::Broker;
use crate::telemetry::Metrics;

/// What the probes tell.
pub struct Health {
    broker: Arc<dyn Broker>,
    started: AtomicBool,
    leaving: AtomicBool,
}

impl Health {
    pub fn new(broker: Arc<dyn Broker>) -> Self {
        Self { broker, started: AtomicBool::new(false), leaving: AtomicBool::new(false) }
    }

    /// Everything listens.
    pub fn set_started(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// The node goes away: no new connections, please.
    pub fn set_leaving(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Why this node should get no new connections, if so. A broker that is away is no reason: that would take all nodes out
    /// at once, and their clients with them.
    fn not_ready_because(&self) -> Option<&'static str> {
        if !self.started.load(Ordering::Acquire) {
            Some("starting")
        } else if self.leaving.load(Ordering::Acquire) {
            Some("leaving")
        } else if !self.broker.hears() {
            Some("deaf")
        } else {
            None
        }
    }
}

pub fn admin_router(health: Arc<Health>, metrics: Arc<Metrics>) -> Router {
    let (ready, started) = (health.clone(), health);
    Router::new()
        // The process answers: that is all a restart could mend.
        .route("/livez", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/readyz", get(move || async move { verdict(ready.not_ready_because()) }))
        .route(
            "/startupz",
            get(move || async move { verdict((!started.started.load(Ordering::Acquire)).then_some("starting")) }),
        )
        .route(
            "/metrics",
            get(move || async move {
                ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
            }),
        )
}

fn verdict(reason: Option<&'static str>) -> impl IntoResponse {
    match reason {
        None => (StatusCode::OK, Json(json!({"status": "ok"}))),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "unavailable", "reason": reason}))),
    }
}
