//! Traces of ticks and runs, for a collector of OpenTelemetry.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::registry::LookupSpan;

use super::Failure;
use crate::web;

/// How long a collector may take to answer.
const COLLECTOR_TIME: Duration = Duration::from_secs(5);
/// Between two warnings about a collector.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// What hands traces to a collector.
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    pub fn start(endpoint: &reqwest::Url) -> Result<Self, Failure> {
        provider(endpoint).map(Traces)
    }

    /// Takes the spans of this program.
    pub fn layer<S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync>(&self) -> Box<dyn Layer<S> + Send + Sync> {
        let layer = tracing_opentelemetry::layer().with_tracer(self.0.tracer("mana-ai"));
        let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_target(false);
        // Libraries have spans of their own, and lines of the log are not for the collector.
        layer.with_filter(FilterFn::new(|about: &Metadata<'_>| about.is_span() && about.target().starts_with("mana_ai"))).boxed()
    }

    /// Hands over what the collector has not got yet.
    pub fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(COLLECTOR_TIME) {
            tracing::warn!(%error, "the last traces may not have reached their collector");
        }
    }
}

fn provider(endpoint: &reqwest::Url) -> Result<SdkTracerProvider, Failure> {
    let mut url = endpoint.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["v1", "traces"]);
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().with_endpoint(url.as_str()).with_timeout(COLLECTOR_TIME);
    let exporter = exporter.with_http_client(web::blocking_client(endpoint, COLLECTOR_TIME).map_err(Failure::failed)?);
    let exporter = exporter.with_protocol(opentelemetry_otlp::Protocol::HttpBinary).build();
    let exporter = exporter.map_err(|error| Failure::Usage(format!("OTEL_EXPORTER_OTLP_ENDPOINT cannot be used: {error}")))?;
    let resource = Resource::builder_empty().with_service_name("mana-ai");
    let resource = resource.with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(PatientExporter { exporter, warned: Mutex::default() })
        .with_resource(resource)
        .build())
}

/// Tells of a collector that is away now and then, and not at every batch that it misses.
#[derive(Debug)]
struct PatientExporter<E> {
    exporter: E,
    warned: Mutex<Option<Instant>>,
}

impl<E: SpanExporter> SpanExporter for PatientExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let outcome = self.exporter.export(batch).await;
        if let Err(error) = &outcome
            && let Ok(mut warned) = self.warned.lock()
            && warned.is_none_or(|at| at.elapsed() >= WARN_EVERY)
        {
            *warned = Some(Instant::now());
            tracing::warn!(%error, "traces do not reach their collector (OTEL_EXPORTER_OTLP_ENDPOINT); runs continue without them");
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
