//! What must hold when everything has calmed down.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use mana_ai::domain::time::from_micros;
use postgres::Client;
use serde_json::Value;

use super::clients::{APP, Foreign, Seen};
use super::missions::Due;
use super::{CALM, Faults};

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// A mission may be due for so long before it runs, when nothing hinders it.
const LATE: SignedDuration = SignedDuration::from_secs(20);

/// Waits until the rows of others have their place.
pub fn wait_until_calm(client: &mut Client, faults: &Faults) {
    let started = Instant::now();
    let waiting = "SELECT count(*) FROM mana_ai_rs.arrivals";
    loop {
        let waiting: i64 = client.query_one(waiting, &[]).expect("a number").get(0);
        if waiting == 0 {
            return;
        }
        if started.elapsed() > CALM {
            return faults.add(format!("{waiting} rows of other programs have no place in the log after {CALM:?}"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

struct Row {
    seq: i64,
    sync_at: i64,
    user: String,
    app: String,
    table: String,
    client: String,
    mark: Option<String>,
}

/// The log in its order.
pub struct Log {
    rows: Vec<Row>,
    /// Rows of the table, with a place or not.
    stored: i64,
}

impl Log {
    pub fn read(client: &mut Client) -> Self {
        let query = "SELECT o.seq, o.sync_at, c.user_id, c.app_id, c.table_name, c.client_id, c.data->>'mark' \
                     FROM mana_ai_rs.log_order o JOIN public.sync_changes c ON c.id = o.row_id ORDER BY o.seq";
        let stored = client.query_one("SELECT count(*) FROM public.sync_changes", &[]).expect("a number").get(0);
        let rows = client.query(query, &[]).expect("the log");
        let row = |row: postgres::Row| Row {
            seq: row.get(0),
            sync_at: row.get(1),
            user: row.get(2),
            app: row.get(3),
            table: row.get(4),
            client: row.get(5),
            mark: row.get(6),
        };
        Log { rows: rows.into_iter().map(row).collect(), stored }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn check(&self, seen: &[Seen], foreign: &[Foreign], faults: &Faults) {
        self.check_order(faults);
        self.check_rows(seen, foreign, faults);
        seen.iter().for_each(|seen| self.check_told(seen, faults));
    }

    fn check_order(&self, faults: &Faults) {
        if self.stored != i64::try_from(self.rows.len()).unwrap_or(i64::MAX) {
            faults.add(format!("{} rows are stored, and {} have a place", self.stored, self.rows.len()));
        }
        if let Some((row, seq)) = self.rows.iter().zip(1..).find(|(row, seq)| row.seq != *seq) {
            faults.add(format!("the log has a gap: {} stands where {seq} belongs", row.seq));
        }
        if let Some(pair) = self.rows.windows(2).find(|pair| pair[0].sync_at >= pair[1].sync_at) {
            faults.add(format!("`sync_at` does not rise from {} to {}", pair[0].seq, pair[1].seq));
        }
    }

    /// Every row that was acknowledged or committed is there once, and no other.
    fn check_rows(&self, seen: &[Seen], foreign: &[Foreign], faults: &Faults) {
        let mut there = BTreeMap::<&str, usize>::new();
        self.rows.iter().filter(|row| row.app == APP).for_each(|row| *there.entry(row.mark.as_deref().unwrap_or("none")).or_default() += 1);
        for (mark, count) in there.iter().filter(|(_, count)| **count != 1) {
            faults.add(format!("{mark} is in the log {count} times"));
        }
        let wanted = seen.iter().flat_map(|seen| &seen.pushed).chain(foreign.iter().flat_map(|rows| &rows.committed));
        for mark in wanted {
            if there.remove(mark.as_str()).is_none() {
                faults.add(format!("{mark} was acknowledged, and is not in the log"));
            }
        }
        for mark in foreign.iter().flat_map(|rows| &rows.unknown) {
            there.remove(mark.as_str());
        }
        there.keys().for_each(|mark| faults.add(format!("{mark} is in the log, and nobody was told so")));
    }

    /// A client was told every row of the others once, in the order of the log.
    fn check_told(&self, seen: &Seen, faults: &Faults) {
        let is_told =
            |row: &&Row| row.app == APP && row.user == seen.user && row.client != seen.client && seen.tables.contains(&row.table.as_str());
        let wanted: Vec<&str> = self.rows.iter().filter(is_told).map(|row| row.mark.as_deref().unwrap_or("none")).collect();
        let told: Vec<&str> = seen.told.iter().map(String::as_str).collect();
        if wanted == told {
            return;
        }
        let (all, heard) = (wanted.iter().collect::<BTreeSet<_>>(), told.iter().collect::<BTreeSet<_>>());
        let missed: Vec<_> = all.difference(&heard).take(3).collect();
        let strange: Vec<_> = heard.difference(&all).take(3).collect();
        let at = wanted.iter().zip(&told).position(|(wanted, told)| wanted != told).unwrap_or(wanted.len().min(told.len()));
        faults.add(format!(
            "{} was told {} rows of {}: it missed {missed:?}, heard of {strange:?}, and the order parts at {at}: {:?} came for {:?}",
            seen.client,
            told.len(),
            wanted.len(),
            told.get(at),
            wanted.get(at)
        ));
    }
}

#[derive(Default)]
pub struct Runs {
    pub planned: usize,
    pub interruptions: i64,
}

struct Run {
    id: String,
    iteration: String,
    at: Timestamp,
    missed: i64,
    outcome: Option<String>,
}

/// Every time of every mission has one run, and every run wrote one iteration.
pub fn runs(client: &mut Client, due: &[Due], faults: &Faults) -> Runs {
    let (mut all, mut runs) = (Runs::default(), BTreeMap::<(String, String), Vec<Run>>::new());
    let query = "SELECT user_id, mission_id, id, iteration_id, scheduled_for, missed_times, outcome, interruptions \
                 FROM mana_ai_rs.runs ORDER BY claimed_at, scheduled_for";
    for row in client.query(query, &[]).expect("the runs") {
        let outcome: Option<String> = row.get(6);
        all.planned += usize::from(outcome.as_deref() == Some("planned"));
        all.interruptions += row.get::<_, i64>(7);
        let run = Run { id: row.get(2), iteration: row.get(3), at: from_micros(row.get(4)), missed: row.get(5), outcome };
        runs.entry((row.get(0), row.get(1))).or_default().push(run);
    }
    let mut written = written(client);
    for due in due {
        for (mission, times) in &due.by_hand {
            let key = (due.user.clone(), mission.clone());
            let runs = runs.remove(&key).unwrap_or_default();
            let ran: Vec<Timestamp> = runs.iter().map(|run| run.at).collect();
            if ran != *times {
                faults.add(format!("{mission} was due {} times and ran {} times, not once for each", times.len(), ran.len()));
            }
            check_written(mission, &runs, written.remove(&key).unwrap_or_default(), faults);
        }
        let (mission, Some(first)) = &due.every_minute else { continue };
        let key = (due.user.clone(), mission.clone());
        let mut runs = runs.remove(&key).unwrap_or_default();
        let mut next = *first;
        for run in &runs {
            if run.at != next {
                faults.add(format!("{mission} ran for {}, where {next} was its time", run.at));
            }
            next = run.at + MINUTE * (i32::try_from(run.missed).unwrap_or(i32::MAX) + 1);
        }
        // The last one may have begun when everything ended.
        runs.retain(|run| run.outcome.is_some());
        let now = Timestamp::now();
        if runs.is_empty() || next + LATE < now {
            faults.add(format!("{mission} waits since {next}"));
        }
        check_written(mission, &runs, written.remove(&key).unwrap_or_default(), faults);
    }
    runs.keys().for_each(|(_, mission)| faults.add(format!("{mission} ran, and nobody knows it")));
    all
}

/// A row that brought iterations: its event id, and the iterations that it was the first to have.
type Written = (String, Vec<String>);

/// Such rows of each mission.
fn written(client: &mut Client) -> BTreeMap<(String, String), Vec<Written>> {
    let query = "SELECT o.user_id, o.record_id, o.id, jsonb_path_query_array(c.data, '$.iterations[*].id')::text \
                 FROM mana_ai_rs.log_order o JOIN public.sync_changes c ON c.id = o.row_id \
                 WHERE o.table_name = 'aiMissions' AND c.op = 'update' AND c.data ? 'iterations' ORDER BY o.seq";
    let (mut known, mut written) = (BTreeSet::new(), BTreeMap::<_, Vec<_>>::new());
    for row in client.query(query, &[]).expect("the rows of the runner") {
        let ids: Vec<String> = serde_json::from_str::<Vec<Value>>(row.get(3)).unwrap_or_default().iter().map(Value::to_string).collect();
        let new = ids.into_iter().filter(|id| known.insert(id.clone())).map(|id| id.trim_matches('"').to_owned()).collect();
        written.entry((row.get(0), row.get(1))).or_default().push((row.get(2), new));
    }
    written
}

fn check_written(mission: &str, runs: &[Run], mut rows: Vec<Written>, faults: &Faults) {
    for run in runs.iter().filter(|run| run.outcome.as_deref() != Some("planned")) {
        faults.add(format!("{mission}: the run for {} ended as {:?}", run.at, run.outcome));
    }
    let mut wanted: Vec<_> = runs.iter().map(|run| (run.id.clone(), vec![run.iteration.clone()])).collect();
    wanted.sort();
    rows.sort();
    if wanted != rows {
        faults.add(format!("{mission}: {} runs ended, and {} rows have their iterations, not one for each", wanted.len(), rows.len()));
    }
}
