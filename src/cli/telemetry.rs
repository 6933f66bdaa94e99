//! What the program tells of its work while it works: lines of log on stderr, and traces for a collector.

#[cfg(not(feature = "otel"))]
mod no_traces;
#[cfg(feature = "otel")]
mod traces;

use std::io::IsTerminal;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use super::Failure;
use super::output::paints;
use crate::config::{Config, LogFormat};
use crate::text::{Mode, Printable};
#[cfg(not(feature = "otel"))]
use no_traces::NoTraces as Traces;
#[cfg(feature = "otel")]
use traces::Traces;

/// Log and traces of a process.
pub(super) struct Telemetry {
    traces: Option<Traces>,
}

impl Telemetry {
    /// Starts both. Where no level is configured, a server tells what it does, and other commands what went wrong and that a
    /// projection takes a while.
    pub fn start(config: &Config, serves: bool) -> Result<Self, Failure> {
        let usual = || Targets::new().with_default(if serves { LevelFilter::INFO } else { LevelFilter::WARN });
        let filter = config.log.clone().unwrap_or_else(|| usual().with_target("mana_ai::projection", LevelFilter::INFO));
        let terminal = std::io::stderr().is_terminal();
        let mode = match config.log_format {
            LogFormat::Json => Mode::Json,
            LogFormat::Auto if !terminal => Mode::Json,
            LogFormat::Auto | LogFormat::Text => Mode::Line,
        };
        // An event is one call of the writer, and so one line, whatever its texts hold.
        let lines = fmt::layer().with_writer(move || Printable::new(std::io::stderr(), mode)).with_ansi(paints(&std::io::stderr()));
        let lines = if mode == Mode::Json { json(lines) } else { lines.boxed() };
        let traces = config.otlp_endpoint.as_ref().map(Traces::start).transpose()?;
        let layer = traces.as_ref().map(Traces::layer);
        // A second start in one process keeps the first.
        let _ = tracing_subscriber::registry().with(lines.with_filter(filter)).with(layer).try_init();
        Ok(Telemetry { traces })
    }

    /// Hands over what the collector has not got yet.
    pub fn end(self) {
        if let Some(traces) = self.traces {
            traces.end();
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
