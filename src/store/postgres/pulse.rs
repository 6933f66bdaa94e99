//! Whether the server answers. A server or network that stalls closes no connection, and a question to it waits for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A server that lives answers somebody of this process within this time: the listener asks it every second.
const SILENCE: Duration = Duration::from_secs(10);
/// A group of writes hears something within this time, unless its commit hangs.
const WRITE_SILENCE: Duration = Duration::from_secs(60);

/// When an answer came last.
#[derive(Clone)]
pub(in crate::store) struct Pulse {
    started: Instant,
    millis: Arc<AtomicU64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Pulse { started: Instant::now(), millis: Arc::default() }
    }
}

impl Pulse {
    pub fn beat(&self) {
        self.millis.fetch_max(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long nothing was heard that somebody waits for since a time.
    fn silence(&self, since: Instant) -> Duration {
        let last = self.started + Duration::from_millis(self.millis.load(Ordering::Relaxed));
        last.max(since).elapsed()
    }
}

/// What was heard from the server.
#[derive(Default)]
pub(in crate::store) struct Heartbeats {
    /// By anybody but the writer.
    pub any: Pulse,
    /// By the writer.
    pub writer: Pulse,
}

impl Heartbeats {
    /// Whether who waits since a time had better go.
    pub fn is_silent(&self, since: Instant, writes: bool) -> bool {
        let (any, writer) = (self.any.silence(since), self.writer.silence(since));
        any.min(writer) > SILENCE || (writes && writer > WRITE_SILENCE)
    }
}
