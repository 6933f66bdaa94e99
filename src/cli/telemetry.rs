//! What the program tells of its work while it works: lines of log on stderr, and traces for a collector.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing::Metadata;
use tracing_subscriber::filter::{EnvFilter, FilterFn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use super::Failure;
use super::output::paints;
use crate::config::{Config, LogFormat};
use crate::text::{Mode, Printable};
use crate::web;

/// How long a collector may take to answer.
const COLLECTOR_TIME: Duration = Duration::from_secs(5);
/// Between two warnings about a collector.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Log and traces of a process.
pub(super) struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts both; `default` is the level of the log where none is configured.
    pub fn start(config: &Config, default: &str) -> Result<Self, Failure> {
        // The configuration has looked at it already.
        let filter = EnvFilter::new(config.log.as_deref().unwrap_or(default));
        let terminal = std::io::stderr().is_terminal();
        let mode = match config.log_format {
            LogFormat::Json => Mode::Json,
            LogFormat::Auto if !terminal => Mode::Json,
            LogFormat::Auto | LogFormat::Text => Mode::Line,
        };
        // An event is one call of the writer, and so one line, whatever its texts hold.
        let lines = fmt::layer().with_writer(move || Printable::new(std::io::stderr(), mode)).with_ansi(paints(&std::io::stderr()));
        let lines = if mode == Mode::Json { json(lines) } else { lines.boxed() };
        let traces = config.otlp_endpoint.as_ref().map(provider).transpose()?;
        let layer = traces.as_ref().map(|traces| {
            let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer("mana-ai"));
            let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_target(false);
            // Libraries have spans of their own, and lines of the log are not for the collector.
            layer.with_filter(FilterFn::new(|about: &Metadata<'_>| about.is_span() && about.target().starts_with("mana_ai")))
        });
        // A second start in one process keeps the first.
        let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).with(layer).try_init();
        Ok(Telemetry { traces })
    }

    /// Hands over what the collector has not got yet.
    pub fn end(self) {
        if let Some(Err(error)) = self.traces.map(|traces| traces.shutdown_with_timeout(COLLECTOR_TIME)) {
            tracing::warn!(%error, "the last traces may not have reached their collector");
        }
    }
}

/// One object a line, its fields beside the message.
fn json<S, W>(lines: fmt::Layer<S, fmt::format::DefaultFields, fmt::format::Format, W>) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
    W: for<'writer> fmt::MakeWriter<'writer> + Send + Sync + 'static,
{
    lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
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
