//! Every query of the store as it is sent to a file, recorded while the story of the store is told: none reads a table from end to
//! end (docs/design.md, section 2). Postgres is held to the same in `postgres::plans`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::common::Mana;
use crate::store_story::story;
use rusqlite::Connection;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// Tables that grow with what users do.
pub const LARGE: [&str; 19] = [
    "sync_changes",
    "log_rows",
    "log_tables",
    "log_clients",
    "mission_snapshots",
    "agent_snapshots",
    "runs",
    "run_attempts",
    "decrypt_audit",
    "decided_steps",
    "agent_days",
    "user_quarters",
    "mission_days",
    "record_cards",
    "record_lists",
    "outbox",
    "trials",
    "automatic_steps",
    "user_log",
];

/// Checks of everything read all on purpose, and the last row of the log is found at once.
const WHOLE: [&str; 10] = [
    "FROM log_clients c WHERE c.no NOT BETWEEN",
    "EXCEPT",
    "FROM log_rows r LEFT JOIN log_tables t",
    "SELECT user_id FROM log_tables GROUP BY user_id HAVING",
    "SELECT DISTINCT user_id, record_id FROM sync_changes WHERE app_id",
    "FROM run_attempts WHERE run_id NOT IN",
    "FROM mission_counts WHERE state",
    "NOT EXISTS (SELECT 1 FROM sync_changes WHERE user_id =",
    "origin FROM sync_changes ORDER BY seq",
    "SELECT sync_at FROM log_rows ORDER BY seq DESC LIMIT 1",
];

/// Names the file into which the process that tells the story writes what was sent.
const RECORD: &str = "MANA_TEST_RECORD_QUERIES";

#[test]
fn no_query_reads_a_large_table_from_end_to_end() {
    if let Some(path) = std::env::var_os(RECORD) {
        return std::fs::write(path, serde_json::to_string(&record()).unwrap()).unwrap();
    }
    let mana = Mana::new();
    // Another process, whose log is that of the story alone.
    let path = mana.dir.path().join("sent");
    let this = "queries::no_query_reads_a_large_table_from_end_to_end";
    let told = Command::new(std::env::current_exe().unwrap()).args(["--exact", this]).env(RECORD, &path).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stdout));
    let sent: BTreeSet<String> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(sent.len() > 150, "only {} queries were recorded", sent.len());

    let unused = WHOLE.iter().find(|known| !sent.iter().any(|query| query.contains(*known)));
    assert_eq!(unused, None, "nothing like it is sent any more");
    let connection = Connection::open(mana.store().path()).unwrap();
    let mut whole = Vec::new();
    for query in &sent {
        let plan = plan(&connection, query);
        if reads_whole(query, &plan) && !WHOLE.iter().any(|known| query.contains(known)) {
            whole.push(format!("{query}\n{}", plan.join("\n")));
        }
    }
    assert!(whole.is_empty(), "{} queries read a table from end to end:\n\n{}", whole.len(), whole.join("\n\n"));
}

#[test]
fn a_query_that_reads_a_table_from_end_to_end_is_seen() {
    let mana = Mana::new();
    let connection = Connection::open(mana.store().path()).unwrap();
    let is_seen = |query: &str| reads_whole(query, &plan(&connection, query));
    for query in [
        "SELECT id FROM runs r WHERE note = ?1",
        "SELECT count(*) FROM outbox AS o JOIN runs ON runs.id = o.step_id",
        "SELECT title FROM mission_snapshots ORDER BY objective LIMIT 3",
        "UPDATE log_rows SET op = 'x' WHERE record_id = ?1",
        "SELECT seq FROM sync_changes WHERE (?1 IS NULL OR user_id = ?1)",
    ] {
        assert!(is_seen(query), "{query}: {:?}", plan(&connection, query));
    }
    for query in ["SELECT id FROM runs r WHERE id = ?1", "SELECT user_id FROM mission_snapshots ORDER BY user_id LIMIT 1"] {
        assert!(!is_seen(query), "{query}: {:?}", plan(&connection, query));
    }
}

fn plan(connection: &Connection, query: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap_or_else(|error| panic!("{query}: {error}"));
    statement.raw_query().mapped(|row| row.get("detail")).collect::<Result<_, _>>().unwrap()
}

/// Whether a part of a plan reads one of the large tables, or one of its indexes, from end to end, and no limit ends it.
fn reads_whole(query: &str, plan: &[String]) -> bool {
    let called = called(query);
    let is_limited = query.contains("LIMIT") && !plan.iter().any(|step| step.contains("TEMP B-TREE"));
    plan.iter().any(|step| {
        let Some(scanned) = step.strip_prefix("SCAN ") else { return false };
        let name = scanned.split(' ').next().unwrap_or_default();
        let table = called.get(name).map_or(name, String::as_str);
        // A view is read by what it is made of; what is named so are rows that were found already.
        LARGE.contains(&table)
            && table != "sync_changes"
            && !scanned.contains("VIRTUAL TABLE")
            && !(is_limited && scanned.contains(" USING "))
    })
}

/// The large tables of a query, by the names that it gives them.
fn called(query: &str) -> BTreeMap<String, String> {
    let words: Vec<&str> = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
    let of = |at: usize| match words.get(at + 1) {
        Some(&"AS") => words.get(at + 2),
        next => next,
    };
    let is_name = |word: &&&str| word.chars().any(|c| c.is_ascii_lowercase());
    // What the views of the log call its tables.
    let of_views = [("r", "log_rows"), ("t", "log_tables"), ("c", "log_clients")].map(|(name, table)| (name.to_owned(), table.to_owned()));
    let reads_views = words.iter().any(|word| ["sync_changes", "log_entries"].contains(word));
    let named = words
        .iter()
        .enumerate()
        .filter(|(_, word)| LARGE.contains(word))
        .filter_map(|(at, table)| Some(((*of(at).filter(is_name)?).to_owned(), (*table).to_owned())));
    of_views.into_iter().filter(|_| reads_views).chain(named).collect()
}

/// Tells the story, and answers what was sent meanwhile.
fn record() -> BTreeSet<String> {
    let sent = Arc::new(Mutex::new(BTreeSet::new()));
    let subscriber = tracing_subscriber::registry().with(Recorder(Arc::clone(&sent)));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let mana = Mana::new();
    tokio::runtime::Runtime::new().unwrap().block_on(story(&mana.store()));
    sent.lock().unwrap().clone()
}

struct Recorder(Arc<Mutex<BTreeSet<String>>>);

impl<S: Subscriber> Layer<S> for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == "mana_ai::sql"
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut Sent(&self.0));
    }
}

struct Sent<'r>(&'r Mutex<BTreeSet<String>>);

impl Visit for Sent<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "sql" {
            self.0.lock().unwrap().insert(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
