//! The metrics of the process, under the names that dashboards know (docs/design.md, section 10).

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use crate::domain::decision::Label;
use crate::domain::mission::MissionState;
use crate::grants::Skip;
use crate::store::{ReadAttempt, ReadStatus};

/// Agents that get a label value of their own; the rest count under `other`.
const AGENTS_NAMED: usize = 1_000;
/// The same for tables, whose names clients choose.
const TABLES_NAMED: usize = 100;

const REQUEST_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const TICK_SECONDS: &[f64] = &[0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0];
const PLANNER_SECONDS: &[f64] = &[0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];
const ROUNDS: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0];

/// How a run can end.
const OUTCOMES: [&str; 3] = ["planned", "failed", "dropped"];

macro_rules! metrics {
    ($($(#[doc = $doc:literal])* $name:ident: $kind:ty = $make:expr;)*) => {
        /// Every series of the process.
        pub struct Metrics {
            registry: Registry,
            agents: Mutex<HashSet<String>>,
            tables: Mutex<HashSet<String>>,
            $($(#[doc = $doc])* pub $name: $kind,)*
        }

        impl Metrics {
            /// Registers everything; labelled series with known values start at 0.
            ///
            /// # Errors
            /// When two metrics share a name, which a test would show.
            pub fn new() -> prometheus::Result<Self> {
                let labels = HashMap::from([("service".to_owned(), "mana-ai".to_owned())]);
                let registry = Registry::new_custom(Some("mana_ai".into()), Some(labels))?;
                $(
                    let $name = { let help = concat!($($doc),*).trim(); $make(stringify!($name), help)? };
                    registry.register(Box::new($name.clone()))?;
                )*
                registry.register(Box::new(ProcessCollector::for_self()))?;
                let metrics = Metrics { registry, agents: Mutex::default(), tables: Mutex::default(), $($name,)* };
                metrics.start_known_series();
                Ok(metrics)
            }
        }
    };
}

fn counter(name: &str, help: &str) -> prometheus::Result<IntCounter> {
    IntCounter::new(name, help)
}

fn counters(labels: &'static [&'static str]) -> impl Fn(&str, &str) -> prometheus::Result<IntCounterVec> {
    move |name, help| IntCounterVec::new(Opts::new(name, help), labels)
}

fn gauge(name: &str, help: &str) -> prometheus::Result<IntGauge> {
    IntGauge::new(name, help)
}

fn float_gauge(name: &str, help: &str) -> prometheus::Result<Gauge> {
    Gauge::new(name, help)
}

fn gauges(labels: &'static [&'static str]) -> impl Fn(&str, &str) -> prometheus::Result<GaugeVec> {
    move |name, help| GaugeVec::new(Opts::new(name, help), labels)
}

fn histogram(buckets: &'static [f64]) -> impl Fn(&str, &str) -> prometheus::Result<Histogram> {
    move |name, help| Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))
}

fn histograms(labels: &'static [&'static str], buckets: &'static [f64]) -> impl Fn(&str, &str) -> prometheus::Result<HistogramVec> {
    move |name, help| HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)
}

metrics! {
    /// HTTP requests by route pattern.
    http_requests_total: IntCounterVec = counters(&["method", "path", "status"]);
    /// Time to answer HTTP requests.
    http_request_duration_seconds: HistogramVec = histograms(&["method", "path", "status"], REQUEST_SECONDS);
    /// Ticks that were started.
    ticks_total: IntCounter = counter;
    /// Time from the start of a tick until its runs settled.
    tick_duration_seconds: Histogram = histogram(TICK_SECONDS);
    /// Plans that the model gave and that could be read.
    plans_produced_total: IntCounter = counter;
    /// Plans that were written back into their mission.
    plans_written_back_total: IntCounter = counter;
    /// Answers of the model that were no plan.
    parse_failures_total: IntCounter = counter;
    /// Attempts and write-backs that failed for any other reason.
    mission_errors_total: IntCounter = counter;
    /// Snapshots that a refresh made.
    snapshots_new_total: IntCounter = counter;
    /// Snapshots that a refresh changed.
    snapshots_updated_total: IntCounter = counter;
    /// Log rows that refreshes folded in.
    snapshot_rows_applied_total: IntCounter = counter;
    /// Fields of a wrong type that were passed over.
    field_problems_total: IntCounter = counter;
    /// Encrypted records that were read.
    decrypts_total: IntCounterVec = counters(&["table"]);
    /// Encrypted records outside of their grant, left unread.
    grant_scope_violations_total: IntCounterVec = counters(&["table"]);
    /// Encrypted records that their grant covers and that could not be read.
    decrypt_failures_total: IntCounterVec = counters(&["table"]);
    /// Missions whose grant was not used.
    grant_skips_total: IntCounterVec = counters(&["reason"]);
    /// What became of due missions that have an agent.
    agent_decisions_total: IntCounterVec = counters(&["decision"]);
    /// Tokens by agent.
    tokens_used_total: IntCounterVec = counters(&["agent_id"]);
    /// Proposed tool calls.
    tool_calls_total: IntCounterVec = counters(&["tool", "policy", "outcome"]);
    /// Failed requests to the model server.
    provider_errors_total: IntCounterVec = counters(&["provider", "kind"]);
    /// Time that the model took for a plan.
    planner_request_duration_seconds: Histogram = histogram(PLANNER_SECONDS);
    /// Texts in prompts that read like orders to the model.
    prompt_injection_suspected_total: IntCounter = counter;
    /// Requests that a plan took.
    planner_rounds: Histogram = histogram(ROUNDS);
    /// Runs by how they ended.
    runs_total: IntCounterVec = counters(&["outcome"]);
    /// Iterations that came back after a client's write had taken them out of a mission.
    iterations_restored_total: IntCounter = counter;
    /// Failed attempts that wait for another.
    retries_total: IntCounter = counter;
    /// Due times that passed unserved and were covered by a later run.
    coalesced_times_total: IntCounter = counter;
    /// Claims that were taken over from a process that ended.
    takeovers_total: IntCounter = counter;
    /// Circuit breaker of the model server: 0 closed, 1 probing, 2 open.
    breaker_state: IntGauge = gauge;
    /// Runs that are being planned or queued for it.
    runs_in_flight: IntGauge = gauge;
    /// Runs that wait for their next attempt.
    runs_waiting: IntGauge = gauge;
    /// Live missions by state.
    missions: GaugeVec = gauges(&["state"]);
    /// How long the mission that waits longest has been due; 0 where none is.
    oldest_due_age_seconds: Gauge = float_gauge;
    /// Unix time of the last tick that scanned without an error.
    last_tick_timestamp_seconds: Gauge = float_gauge;
    /// Writes that wait for the database.
    writer_queue: IntGauge = gauge;
    /// Rows in the change log.
    log_rows: IntGauge = gauge;
    /// Texts in which what no text can hold (U+0000, half of a surrogate pair) became U+FFFD on the way into the log.
    texts_replaced_total: IntCounter = counter;
    /// Stamps of fields more than a day ahead of this server's clock, on the way into the log; later edits of their fields lose
    /// to them.
    future_stamps_total: IntCounter = counter;
    /// Whether the database answered when it was last looked at; the other figures about it are older where it did not.
    database_up: IntGauge = gauge;
    /// Time that the last look at the database took.
    database_answer_seconds: Gauge = float_gauge;
    /// Rows that other programs wrote and that wait for their place in the log (Postgres).
    foreign_rows_waiting: IntGauge = gauge;
    /// Size of the database file, or of the database in Postgres.
    database_bytes: IntGauge = gauge;
    /// Size of the write-ahead log file; 0 in Postgres.
    wal_bytes: IntGauge = gauge;
}

impl Metrics {
    fn start_known_series(&self) {
        for decision in Label::ALL {
            self.agent_decisions_total.with_label_values(&[decision.as_str()]);
        }
        for skip in Skip::ALL {
            self.grant_skips_total.with_label_values(&[skip.as_str()]);
        }
        for outcome in OUTCOMES {
            self.runs_total.with_label_values(&[outcome]);
        }
        for state in MissionState::ALL {
            self.missions.with_label_values(&[state.as_str()]).set(0.0);
        }
    }

    /// Counts tokens of an agent, under a bounded number of names.
    pub fn count_tokens(&self, agent_id: &str, tokens: u64) {
        self.tokens_used_total.with_label_values(&[bounded(&self.agents, AGENTS_NAMED, agent_id)]).inc_by(tokens);
    }

    /// Counts attempts to read encrypted records, under a bounded number of table names.
    pub fn count_reads(&self, attempts: &[ReadAttempt]) {
        for attempt in attempts {
            let table = bounded(&self.tables, TABLES_NAMED, &attempt.table);
            match attempt.status {
                ReadStatus::Ok => self.decrypts_total.with_label_values(&[table]).inc(),
                ReadStatus::ScopeViolation => self.grant_scope_violations_total.with_label_values(&[table]).inc(),
                ReadStatus::Failed => self.decrypt_failures_total.with_label_values(&[table]).inc(),
            }
        }
    }

    /// The text form that Prometheus reads.
    ///
    /// # Errors
    /// When a metric cannot be encoded.
    pub fn render(&self) -> prometheus::Result<Vec<u8>> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// The name itself while there are few, `other` beyond `limit` names.
fn bounded<'a>(known: &Mutex<HashSet<String>>, limit: usize, name: &'a str) -> &'a str {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    let named = known.contains(name) || (known.len() < limit && known.insert(name.to_owned()));
    if named { name } else { "other" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(metrics: &Metrics) -> String {
        String::from_utf8(metrics.render().unwrap()).unwrap()
    }

    #[test]
    fn the_names_of_all_metrics() {
        let metrics = Metrics::new().unwrap();
        for labelled in
            [&metrics.decrypts_total, &metrics.decrypt_failures_total, &metrics.grant_scope_violations_total, &metrics.tokens_used_total]
        {
            labelled.with_label_values(&["x"]);
        }
        metrics.provider_errors_total.with_label_values(&["x", "y"]);
        metrics.tool_calls_total.with_label_values(&["x", "propose", "deferred"]);
        metrics.http_requests_total.with_label_values(&["GET", "/health", "200"]);
        metrics.http_request_duration_seconds.with_label_values(&["GET", "/health", "200"]);
        let types: Vec<String> = rendered(&metrics).lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(str::to_owned).collect();
        insta::assert_snapshot!(types.join("\n"));
    }

    #[test]
    fn unlabelled_and_known_series_start_at_zero_with_the_service() {
        let text = rendered(&Metrics::new().unwrap());
        for line in [
            "mana_ai_ticks_total{service=\"mana-ai\"} 0",
            "mana_ai_agent_decisions_total{decision=\"skipped-budget\",service=\"mana-ai\"} 0",
            "mana_ai_grant_skips_total{reason=\"wrap-rejected\",service=\"mana-ai\"} 0",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(text.lines().filter(|l| !l.starts_with('#')).all(|l| l.contains("service=\"mana-ai\"")));
    }

    #[test]
    fn agents_beyond_the_bound_share_a_name() {
        let metrics = Metrics::new().unwrap();
        for n in 0..AGENTS_NAMED + 5 {
            metrics.count_tokens(&format!("a{n}"), 1);
        }
        metrics.count_tokens("a0", 1);
        assert_eq!(metrics.tokens_used_total.with_label_values(&["a0"]).get(), 2);
        assert_eq!(metrics.tokens_used_total.with_label_values(&["other"]).get(), 5);
    }
}
