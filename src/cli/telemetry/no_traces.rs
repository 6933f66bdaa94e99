//! What stands for traces in a program that was built without the feature `otel`.

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Identity;

use super::Failure;

pub(super) enum NoTraces {}

impl NoTraces {
    pub fn start(_: &reqwest::Url) -> Result<Self, Failure> {
        let why = "OTEL_EXPORTER_OTLP_ENDPOINT is set, but this mana-ai was built without OpenTelemetry; unset it, or build with the feature otel";
        Err(Failure::Usage(why.into()))
    }

    pub fn layer<S: Subscriber>(&self) -> Box<dyn Layer<S> + Send + Sync> {
        Identity::new().boxed()
    }

    pub fn end(self) {}
}
