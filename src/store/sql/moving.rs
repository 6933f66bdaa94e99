//! All rows of a database on their way into another one, of either engine (docs/design.md, section 18).

use aws_lc_rs::digest::{Context, SHA256};

use super::changes::{COLUMNS, insert_values, log_row, place};
use super::{Store, StoreError, StoreResult};
use crate::domain::canonical::canonical;
use crate::store::db::{self, Db, Row, Value, params};

/// Rows, and bytes of them, that move together.
const ROWS: usize = 2_000;
const BYTES: usize = 4 << 20;
/// The fact of a database that another one is moving in: which one.
const MOVING_IN: &str = "another database moves in";

/// A table that moves.
struct MovedTable {
    name: &'static str,
    /// Those of its key first.
    columns: &'static str,
    key: usize,
    way: Way,
}

/// How a table moves.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// After the last row that is there; it is append-only.
    Appended,
    /// After the last row that is there, and anew where that made something else.
    Continued,
    /// Anew: it is small, or rows of it are there from the start.
    Anew,
}

const fn moved(name: &'static str, columns: &'static str, key: usize, way: Way) -> MovedTable {
    MovedTable { name, columns, key, way }
}

const LOG: MovedTable = moved("sync_changes", COLUMNS, 0, Way::Appended);

/// Everything but `user_log`, which follows from the log. People who are being removed come last, since nothing of theirs comes in.
#[rustfmt::skip]
const TABLES: [MovedTable; 26] = [
    LOG,
    moved("decrypt_audit", "id, user_id, mission_id, iteration_id, table_name, record_id, status, reason, ts", 1, Way::Appended),
    moved("agent_snapshots", "user_id, agent_id, last_seq, last_applied_at, updated_at, liveness, state, name, role, avatar, name_key, max_tokens, \
        field_meta, record", 2, Way::Continued),
    moved("mission_snapshots", "user_id, mission_id, last_seq, last_applied_at, updated_at, liveness, state, agent_id, next_run_at, \
        awaiting_review, client_active_at, unscheduled, bad_schedule, waiting_since, title_key, next_key, title, objective, field_meta, record", 2, Way::Continued),
    moved("mission_counts", "state, missions", 1, Way::Anew),
    moved("projection_cursors", "table_name, seq", 1, Way::Anew),
    moved("runs", "id, user_id, mission_id, agent_id, iteration_id, scheduled_for, missed_times, owner, claimed_at, attempts, interruptions, \
        next_attempt_at, finished_at, outcome, reason, note, iteration, superseded_at, restored, asked_at, said", 1, Way::Continued),
    moved("run_attempts", "run_id, attempt, user_id, agent_id, started_at, finished_at, latency_ms, model, prompt_version, prompt_tokens, \
        completion_tokens, total_tokens, error, prompt_chars, calls, error_name, rounds, inputs, log_seq", 2, Way::Continued),
    moved("decided_steps", "user_id, mission_id, iteration_id, step_id, at, verdict, agent_id, tool, summary, reason", 4, Way::Continued),
    moved("agent_days", "user_id, day, agent_id, tokens", 3, Way::Continued),
    moved("user_quarters", "user_id, quarter, tokens", 2, Way::Continued),
    moved("mission_days", "user_id, mission_id, day, tokens", 3, Way::Continued),
    moved("record_lists", "user_id, app_id, table_name, shape, read_to", 3, Way::Continued),
    moved("record_cards", "user_id, app_id, table_name, record_id, changed_at, deleted, owned_id, title_key, day_key, facets, shown, search",
        4, Way::Continued),
    moved("lost_iterations", "user_id, mission_id, iteration_id, iteration", 3, Way::Continued),
    moved("outbox", "user_id, mission_id, iteration_id, step_id, tool, body, tries, tried, next_at, owner", 4, Way::Continued),
    moved("grant_ends", "user_id, wrapped_key, ends_at", 2, Way::Continued),
    moved("sign_in_links", "code_hash, user_id, expires_at, used, signing_key", 1, Way::Continued),
    moved("sessions", "key_hash, user_id, expires_at, signing_key, created_at, browser, system", 1, Way::Continued),
    moved("people", "user_id, role, added_at, joined_at", 1, Way::Continued),
    moved("preferences", "user_id, language, time_zone", 1, Way::Continued),
    moved("automatic_steps", "user_id, agent_id, tool, at", 0, Way::Anew),
    moved("trials", "user_id, agent_id, finished_at, total_tokens, calls", 0, Way::Anew),
    moved("facts", "name, value", 1, Way::Anew),
    moved("log_end", "seq, sync_at", 0, Way::Anew),
    moved("removals", "user_id, asked_at, done_at", 1, Way::Anew),
];

/// A row on its way.
type MovingRow = Vec<Value>;

/// Where the next rows are: after a key, and after so many rows where a table has none.
#[derive(Clone, Default)]
struct MovePlace {
    key: Vec<Value>,
    rows: usize,
}

/// What moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MovedRows {
    pub rows: u64,
    /// Rows that the log there has in the end.
    pub log: u64,
    /// Rows of the log that break a limit of today or are damaged: they stay where they are.
    pub set_aside: u64,
}

/// What a table has.
struct TableDigest {
    digest: Vec<u8>,
    rows: u64,
    /// Rows of the log that are not among them.
    set_aside: u64,
}

impl Store {
    /// Copies everything into another database, which has to be new or to have been left off here before, and compares both.
    /// `moved` is told after each part, and may stop it: the next call goes on there.
    ///
    /// # Errors
    /// A database there that has rows of its own, either that cannot be read or written, one that changes meanwhile, and
    /// [`StoreError::Stopped`].
    pub async fn move_into(&self, target: &Store, moved: impl Fn(MovedRows) -> bool) -> StoreResult<MovedRows> {
        for used in [self, target] {
            if used.has_other_instances().await? {
                return Err(StoreError::InUse { path: used.path().to_owned() });
            }
        }
        // A row of another program moves when it has its place.
        self.take_in_arrivals().await?;
        let source = hex(&self.event_key().await?[..]);
        target.begin_to_move_in(source).await?;
        let mut all = MovedRows::default();
        for table in &TABLES {
            let mut here = match table.way {
                Way::Anew => {
                    target.empty(table).await?;
                    MovePlace::default()
                }
                Way::Appended | Way::Continued => target.last_of(table).await?,
            };
            let mut compared = false;
            loop {
                while let Some((rows, next)) = self.rows_from(table, here.clone()).await? {
                    all.rows += rows.len() as u64;
                    here = next;
                    target.take(table, rows).await?;
                    if !moved(all) {
                        return Err(StoreError::Stopped);
                    }
                }
                let (there, source) = (target.digest(table).await?, self.digest(table).await?);
                if there.digest == source.digest {
                    if table.name == LOG.name {
                        (all.log, all.set_aside) = (there.rows, source.set_aside);
                    }
                    break;
                }
                if compared || table.way == Way::Appended {
                    return Err(StoreError::MovedOtherwise { path: target.path().to_owned(), table: table.name });
                }
                compared = true;
                target.empty(table).await?;
                here = MovePlace::default();
            }
        }
        target.end_to_move_in().await?;
        Ok(all)
    }

    /// Whether another database was moving in here and did not come to its end.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn is_half_moved(&self) -> StoreResult<bool> {
        Ok(self.fact(MOVING_IN).await?.is_some())
    }

    /// Whether other instances are connected to the server; who uses a file, its lock tells.
    async fn has_other_instances(&self) -> StoreResult<bool> {
        self.read(|c| match c.sqlite() {
            Some(_) => Ok(false),
            None => c.query_row(
                "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'mana-ai %' \
                 AND application_name <> current_setting('application_name'))",
                params![],
                |row| row.get(0),
            ),
        })
        .await
    }

    async fn begin_to_move_in(&self, source: String) -> StoreResult<()> {
        let path = self.path().to_owned();
        match self.fact(MOVING_IN).await? {
            Some(other) if other == source => return Ok(()),
            Some(_) => return Err(StoreError::NotEmpty { path, what: "is being filled from another one" }),
            None => {}
        }
        let has_rows = |c: &Db<'_>| {
            let arrivals = if c.sqlite().is_some() { "" } else { " OR EXISTS (SELECT 1 FROM arrivals)" };
            let any = format!(
                "SELECT EXISTS (SELECT 1 FROM sync_changes) OR EXISTS (SELECT 1 FROM people) OR EXISTS (SELECT 1 FROM runs){arrivals}"
            );
            c.query_row(&any, params![], |row| row.get(0))
        };
        if self.read(move |c| has_rows(c)).await? {
            return Err(StoreError::NotEmpty { path, what: "has rows of its own" });
        }
        self.set_fact(MOVING_IN, source).await
    }

    async fn end_to_move_in(&self) -> StoreResult<()> {
        self.write(move |tx| {
            tx.sql(|c| {
                if c.sqlite().is_none() {
                    let next = "SELECT setval(pg_get_serial_sequence('decrypt_audit', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM decrypt_audit), false)";
                    c.query_row(next, params![], |_| Ok(()))?;
                }
                c.execute("DELETE FROM facts WHERE name = ?1", [MOVING_IN])?;
                // What is asked next is planned by what is there now.
                if c.sqlite().is_none() { c.execute_batch("ANALYZE") } else { Ok(()) }
            })
        })
        .await
    }

    async fn empty(&self, table: &'static MovedTable) -> StoreResult<()> {
        let sql = format!("DELETE FROM {}{}", table.name, only(table));
        self.write(move |tx| tx.sql(|c| c.execute(&sql, params![]).map(drop))).await
    }

    /// The place after the last row.
    async fn last_of(&self, table: &'static MovedTable) -> StoreResult<MovePlace> {
        let (sql, columns) = if table.name == LOG.name {
            ("SELECT seq FROM sync_changes ORDER BY seq DESC LIMIT 1".to_owned(), 1)
        } else {
            let order: Vec<String> = keys(table).map(|key| format!("{key} DESC")).collect();
            (format!("SELECT {} FROM {} ORDER BY {} LIMIT 1", table.columns, table.name, order.join(", ")), table.key)
        };
        self.read(move |c| {
            let mut statement = c.prepare_cached(&sql)?;
            let last = statement.query_map(params![], |row| (0..columns).map(|column| row.get(column)).collect())?.next().transpose()?;
            Ok(MovePlace { key: last.unwrap_or_default(), rows: 0 })
        })
        .await
    }

    /// The next rows and the place after them; `None`: there are no more.
    async fn rows_from(&self, table: &'static MovedTable, place: MovePlace) -> StoreResult<Option<(Vec<MovingRow>, MovePlace)>> {
        let (rows, next, _) = self.read(move |c| page(c, table, place)).await?;
        // A page may be all rows that are set aside.
        Ok(next.map(|next| (rows, next)))
    }

    async fn take(&self, table: &'static MovedTable, rows: Vec<MovingRow>) -> StoreResult<()> {
        self.write(move |tx| {
            tx.sql(|c| {
                if table.name == LOG.name {
                    return insert_values(c, &rows);
                }
                let places: Vec<String> = (1..=table.columns.split(", ").count()).map(|n| format!("?{n}")).collect();
                let mut insert =
                    c.prepare_cached(&format!("INSERT INTO {} ({}) VALUES ({})", table.name, table.columns, places.join(", ")))?;
                rows.into_iter().try_for_each(|row| insert.execute(row).map(drop))
            })
        })
        .await
    }

    async fn digest(&self, table: &'static MovedTable) -> StoreResult<TableDigest> {
        let (mut digest, mut place) = (Context::new(&SHA256), MovePlace::default());
        let (mut count, mut set_aside) = (0, 0);
        loop {
            let (mut of, from) = (digest, place);
            let (more, next, [rows, aside]) = self
                .read(move |c| {
                    let (rows, next, aside) = page(c, table, from)?;
                    rows.iter().for_each(|row| add(&mut of, table, row));
                    Ok((of, next, [rows.len() as u64, aside]))
                })
                .await?;
            (digest, count, set_aside) = (more, count + rows, set_aside + aside);
            match next {
                Some(next) => place = next,
                None => return Ok(TableDigest { digest: digest.finish().as_ref().to_vec(), rows: count, set_aside }),
            }
        }
    }
}

/// The columns of the key, all where there is none.
fn keys(table: &MovedTable) -> impl Iterator<Item = &'static str> {
    let columns = if table.key == 0 { usize::MAX } else { table.key };
    table.columns.split(", ").map(str::trim).take(columns)
}

/// Rows that do not move.
fn only(table: &MovedTable) -> String {
    if table.name == "facts" { format!(" WHERE name <> '{MOVING_IN}'") } else { String::new() }
}

/// The query for a page, and its values.
fn next_rows(table: &MovedTable, place: &MovePlace) -> (String, Vec<Value>) {
    let (name, columns) = (table.name, table.columns);
    if name == LOG.name {
        let after = place.key.first().cloned().unwrap_or(Value::Integer(i64::MIN));
        return (format!("SELECT {columns} FROM {name} WHERE seq > ?1 ORDER BY seq LIMIT {ROWS}"), vec![after]);
    }
    let order = keys(table).collect::<Vec<_>>().join(", ");
    let only = only(table);
    if table.key == 0 || place.key.is_empty() {
        return (format!("SELECT {columns} FROM {name}{only} ORDER BY {order} LIMIT {ROWS} OFFSET {}", place.rows), Vec::new());
    }
    let places: Vec<String> = (1..=table.key).map(|n| format!("?{n}")).collect();
    let and = if only.is_empty() { " WHERE" } else { " AND" };
    (
        format!("SELECT {columns} FROM {name}{only}{and} ({order}) > ({}) ORDER BY {order} LIMIT {ROWS}", places.join(", ")),
        place.key.clone(),
    )
}

/// Rows of a table after a place, the place after them where there were any, and how many were set aside.
fn page(c: &Db<'_>, table: &MovedTable, place: MovePlace) -> db::Result<(Vec<MovingRow>, Option<MovePlace>, u64)> {
    let (sql, given) = next_rows(table, &place);
    let mut statement = c.prepare_cached(&sql)?;
    let mut found = statement.query(given)?;
    let (mut rows, mut bytes, mut next, mut aside) = (Vec::new(), 0, None, 0);
    let columns = table.columns.split(", ").count();
    let is_log = table.name == LOG.name;
    while bytes < BYTES
        && let Some(row) = &found.next()?
    {
        let values: MovingRow = (0..columns).map(|column| row.get(column)).collect::<db::Result<_>>()?;
        bytes += values.iter().map(size).sum::<usize>();
        let key = if is_log { vec![values[place::SEQ].clone()] } else { values[..table.key].to_vec() };
        next = Some(MovePlace { key, rows: place.rows + rows.len() + 1 });
        if is_log && is_set_aside(row)? {
            aside += 1;
        } else {
            rows.push(values);
        }
    }
    Ok((rows, next, aside))
}

fn is_set_aside(row: &Row<'_>) -> db::Result<bool> {
    log_row(row).map(|row| row.is_err())
}

fn size(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
        _ => 8,
    }
}

/// Adds a row to a digest. The JSON of the log has one spelling there, since Postgres spells it its own way.
fn add(digest: &mut Context, table: &MovedTable, row: &MovingRow) {
    let is_json = |column| table.name == LOG.name && [place::DATA, place::FIELD_META, place::ACTOR].contains(&column);
    for (column, value) in row.iter().enumerate() {
        let mut part = |kind: u8, bytes: &[u8]| {
            digest.update(&[kind]);
            digest.update(&bytes.len().to_le_bytes());
            digest.update(bytes);
        };
        match value {
            Value::Null => part(0, &[]),
            Value::Integer(number) => part(1, &number.to_le_bytes()),
            Value::Real(number) => part(2, &number.to_le_bytes()),
            Value::Text(text) if is_json(column) => part(3, canonical(text).unwrap_or_else(|_| text.clone()).as_bytes()),
            Value::Text(text) => part(3, text.as_bytes()),
            Value::Blob(bytes) => part(4, bytes),
        }
    }
}

fn hex(key: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(aws_lc_rs::digest::digest(&SHA256, key).as_ref())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::sqlite::migrate::{SCHEMA_VERSION, fresh};

    #[test]
    fn every_column_of_every_table_moves() {
        let c = fresh(SCHEMA_VERSION).unwrap();
        let mut names = c.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").unwrap();
        let names: BTreeSet<String> = names.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        // The log is a view of these.
        let of_log = ["log_rows", "log_tables", "log_clients"];
        let moved = TABLES.iter().map(|table| table.name).filter(|name| *name != LOG.name).chain(of_log).chain(["user_log"]);
        assert_eq!(names, moved.map(str::to_owned).collect());
        for table in &TABLES {
            let mut columns = c.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
            let columns: BTreeSet<String> = columns.query_map([table.name], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
            let moved: BTreeSet<String> = table.columns.split(", ").map(str::to_owned).collect();
            assert_eq!(columns, moved, "{}", table.name);
            let mut key = c.prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk").unwrap();
            let key: Vec<String> = key.query_map([table.name], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
            if table.name != LOG.name {
                assert_eq!(key, table.columns.split(", ").take(table.key).collect::<Vec<_>>(), "{}", table.name);
            }
        }
    }
}
