//! Traces of single messages: publish → broker → each receiving node, over OTLP.
//!
//! Off by default and then free: no span is created unless the request was sampled first (a span that the SDK's sampler
//! drops still costs most of a microsecond). Spans are made with the OpenTelemetry API directly; the log subscriber never
//! sees them.

use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Span, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer as _, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use crate::ambient::Entropy;

/// How long the last spans may take to reach the collector when the process ends.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

/// Local members of a room up to which its messages are traced as often as is wished; beyond, so much less often: each of them is a span on every
/// node that has members, and a hot room says more than all others.
const FAN_OUT_WHOLE: usize = 100;

/// How spans are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OtlpProtocol {
    Http,
    Grpc,
}

/// Where spans are sent, and how many.
#[derive(Debug, Clone, Copy)]
pub struct Otlp<'a> {
    /// Over HTTP for example `http://collector:4318/v1/traces`, over gRPC `http://collector:4317`.
    pub endpoint: &'a str,
    pub protocol: OtlpProtocol,
    /// Share of the requests that are traced, 0 to 1.
    pub sample_ratio: f64,
}

impl Otlp<'_> {
    fn exporter(&self) -> Result<SpanExporter, ExporterBuildError> {
        let builder = SpanExporter::builder();
        match self.protocol {
            OtlpProtocol::Http => builder
                .with_http()
                .with_headers(std::collections::HashMap::new())
                .with_endpoint(self.endpoint)
                .with_timeout(FLUSH_LIMIT)
                .build(),
            OtlpProtocol::Grpc => builder.with_tonic().with_endpoint(self.endpoint).with_timeout(FLUSH_LIMIT).build(),
        }
    }
}

/// Decides which requests are traced, and sends their spans.
pub struct Tracer(Option<Exporting>);

struct Exporting {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    entropy: Entropy,
    /// A request is sampled when its 32 random bits are below this.
    threshold: u64,
}

/// The span of one sampled publish; it ends when dropped.
pub struct PublishSpan {
    span: opentelemetry_sdk::trace::Span,
}

impl Tracer {
    /// Traces nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Sends spans over OTLP. To be called inside the runtime, which carries what goes over gRPC.
    ///
    /// # Errors
    /// When the endpoint is no URL.
    pub fn otlp(otlp: Otlp<'_>, node: &str, entropy: Entropy) -> anyhow::Result<Self> {
        let exporter = otlp.exporter().map_err(|error| anyhow::anyhow!("telemetry.otlp_endpoint: {error}"))?;
        let resource = Resource::builder()
            .with_service_name("crosstalk")
            .with_attribute(KeyValue::new("service.instance.id", node.to_owned()))
            .build();
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        let tracer = provider.tracer("crosstalk");
        let sample_ratio = otlp.sample_ratio;
        let threshold = (sample_ratio.clamp(0.0, 1.0) * f64::from(u32::MAX)) as u64 + u64::from(sample_ratio >= 1.0);
        Ok(Self(Some(Exporting { provider, tracer, entropy, threshold })))
    }

    /// Starts the span of a publish, if this one is to be traced. `fan_out`: members of its room here.
    pub fn publish_span(&self, fan_out: impl FnOnce() -> usize) -> Option<PublishSpan> {
        let exporting = self.0.as_ref()?;
        let drawn = (exporting.entropy.bits() & u128::from(u32::MAX)) as u64;
        if drawn >= exporting.threshold {
            return None;
        }
        let hot = (fan_out() / FAN_OUT_WHOLE).max(1) as u64;
        if drawn >= exporting.threshold / hot {
            return None;
        }
        let span = exporting.tracer.span_builder("publish").with_kind(SpanKind::Producer).start(&exporting.tracer);
        Some(PublishSpan { span })
    }

    /// Records that an event with a trace context was handed to `receivers` local members. `accepted_us` is the broker's
    /// time of the event, where the span begins.
    pub fn record_delivery(&self, traceparent: &str, accepted_us: i64, receivers: usize) {
        let Some(exporting) = &self.0 else { return };
        let Some(parent) = parse_traceparent(traceparent) else { return };
        let parent = Context::new().with_remote_span_context(parent);
        let began = SystemTime::UNIX_EPOCH + Duration::from_micros(accepted_us.max(0) as u64);
        exporting
            .tracer
            .span_builder("deliver")
            .with_kind(SpanKind::Consumer)
            .with_start_time(began)
            .with_attributes([KeyValue::new("crosstalk.receivers", receivers as i64)])
            .start_with_context(&exporting.tracer, &parent)
            .end();
    }

    /// Sends what is left; waits at most [`FLUSH_LIMIT`]. Blocking: call it outside the runtime's threads.
    pub fn shut_down(&self) {
        if let Some(exporting) = &self.0
            && let Err(error) = exporting.provider.shutdown_with_timeout(FLUSH_LIMIT)
        {
            tracing::warn!(%error, "the last spans were not delivered");
        }
    }
}

impl PublishSpan {
    /// The W3C `traceparent` header value for what follows from this span.
    pub fn traceparent(&self) -> String {
        let context = self.span.span_context();
        format!("00-{}-{}-01", context.trace_id(), context.span_id())
    }
}

/// Reads a W3C trace context, level 1: `00-<trace id>-<span id>-<flags>`.
fn parse_traceparent(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-');
    if parts.next()? != "00" {
        return None;
    }
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let context = SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::default());
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_is_read_and_rubbish_is_not() {
        let context = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        assert!(parse_traceparent("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").is_none());
        assert!(parse_traceparent("00-00000000000000000000000000000000-b7ad6b7169203331-01").is_none());
        assert!(parse_traceparent("nonsense").is_none());
    }
}
