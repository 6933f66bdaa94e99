//! The operations of a transaction in SQL.

use std::collections::HashSet;
use std::path::Path;

use jiff::Timestamp;
use serde_json::json;

use super::changes::{self, log_usage};
use super::error::store_error;
use super::log_rows::projection_no;
use super::refresh::{self, NEW_ROWS, NEW_ROWS_OF_FILE, NEW_ROWS_OF_RECORD, fold_row};
use super::runs::{OPEN_COLUMNS, open_run};
use super::user_log::Logged;
use super::writer::SqlTx;
use super::{automatic, insights, outbox};
use crate::domain::ceilings::LogUsage;
use crate::domain::change::Change;
use crate::domain::decided::JudgedStep;
use crate::domain::ids::{AgentId, IterationId, MissionId, RunId, StepId, UserId};
use crate::domain::time;
use crate::steps::{OutboxCall, StepKey, UserLog};
use crate::store::db::{self, Db, OptionalExtension, Row, ToSql, params};
use crate::store::script::{Folded, Save};
use crate::store::tx::{FoldRow, NewRow, Reads, RunEnd, Tx};
use crate::store::{Attempt, Candidate, Claimed, Due, OpenRun, StoreError, StoreResult, Table};

/// One state of the database, seen by one connection.
#[derive(Clone, Copy)]
pub(super) struct SqlReads<'a> {
    pub connection: Db<'a>,
    pub path: &'a Path,
}

impl SqlReads<'_> {
    fn sql<T>(&self, run: impl FnOnce(&Db<'_>) -> db::Result<T>) -> StoreResult<T> {
        run(&self.connection).map_err(|error| store_error(self.path, error))
    }
}

impl Reads for SqlReads<'_> {
    fn cursor(&self, table: Table) -> StoreResult<i64> {
        Ok(self.sql(|c| refresh::cursor(c, table))?.unwrap_or(0))
    }

    fn times_rows_went(&self) -> StoreResult<i64> {
        self.sql(changes::times_rows_went)
    }

    fn stored(&self, table: Table, records: &[(&UserId, &str)]) -> StoreResult<Vec<Folded>> {
        self.sql(|c| refresh::load(c, table, records))
    }

    fn new_rows(&self, table: Table, after: i64, limit: u32, visit: &mut dyn FnMut(FoldRow<'_>) -> StoreResult<bool>) -> StoreResult<()> {
        let mut seen = Ok(true);
        self.sql(|c| {
            let (query, of): (_, &dyn ToSql) = match c.sqlite() {
                Some(_) => (NEW_ROWS_OF_FILE, &projection_no(table)),
                None => (NEW_ROWS, &table.log_name()),
            };
            let mut statement = c.prepare_cached(query)?;
            let mut rows = statement.query(params![of, after, limit])?;
            while matches!(seen, Ok(true))
                && let Some(row) = &rows.next()?
            {
                seen = visit(fold_row(row)?);
            }
            Ok(())
        })?;
        seen.map(drop)
    }

    fn rows_of(&self, table: Table, user: &UserId, id: &str, after: i64, visit: &mut dyn FnMut(FoldRow<'_>)) -> StoreResult<()> {
        self.sql(|c| {
            let mut statement = c.prepare_cached(NEW_ROWS_OF_RECORD)?;
            let mut rows = statement.query(params![table.log_name(), after, user, id])?;
            while let Some(row) = &rows.next()? {
                visit(fold_row(row)?);
            }
            Ok(())
        })
    }
}

impl SqlTx<'_> {
    fn reads(&self) -> SqlReads<'_> {
        SqlReads { connection: self.connection, path: self.path }
    }

    fn text<P: db::BoundValues>(&self, query: &str, given: P) -> StoreResult<Option<String>> {
        self.sql(|c| c.prepare_cached(query)?.query_row(given, |row| row.get(0)).optional())
    }

    fn run<P: db::BoundValues>(&self, statement: &str, given: P) -> StoreResult<()> {
        self.sql(|c| c.prepare_cached(statement)?.execute(given).map(drop))
    }
}

impl Reads for SqlTx<'_> {
    fn cursor(&self, table: Table) -> StoreResult<i64> {
        self.reads().cursor(table)
    }

    fn times_rows_went(&self) -> StoreResult<i64> {
        self.reads().times_rows_went()
    }

    fn stored(&self, table: Table, records: &[(&UserId, &str)]) -> StoreResult<Vec<Folded>> {
        self.reads().stored(table, records)
    }

    fn new_rows(&self, table: Table, after: i64, limit: u32, visit: &mut dyn FnMut(FoldRow<'_>) -> StoreResult<bool>) -> StoreResult<()> {
        self.reads().new_rows(table, after, limit, visit)
    }

    fn rows_of(&self, table: Table, user: &UserId, id: &str, after: i64, visit: &mut dyn FnMut(FoldRow<'_>)) -> StoreResult<()> {
        self.reads().rows_of(table, user, id, after, visit)
    }
}

impl Tx for SqlTx<'_> {
    fn now(&self) -> Timestamp {
        SqlTx::now(self)
    }

    fn unreadable(&self, what: String, reason: String) -> StoreError {
        StoreError::Unreadable { path: self.path.to_owned(), what, reason }
    }

    fn next_sync_at(&self) -> StoreResult<i64> {
        self.sql(|_| SqlTx::next_sync_at(self))
    }

    fn insert(&self, rows: &[NewRow<'_>]) -> StoreResult<Vec<Option<i64>>> {
        let known = self.sql(|c| changes::look_up(c, rows))?;
        if let Some((new, _)) = rows.iter().zip(&known).find(|(_, known)| known.user_is_removed) {
            return Err(StoreError::Removed { user: new.row.user_id.to_owned() });
        }
        let mut events = HashSet::new();
        let are_new = rows.iter().zip(known).map(|(new, known)| !known.event && events.insert((new.row.user_id, new.row.event_id)));
        let are_new: Vec<bool> = are_new.collect();
        self.sql(|_| self.place(rows, &are_new))
    }

    fn have_records(&self, changes: &[&Change]) -> StoreResult<Vec<bool>> {
        self.sql(|c| changes::have_records(c, changes))
    }

    fn space_of(&self, table: Table, user: &UserId, id: &str) -> StoreResult<Option<String>> {
        let query = "SELECT space_id FROM sync_changes WHERE table_name = ?1 AND record_id = ?2 AND user_id = ?3 AND app_id = 'ai' \
                     ORDER BY seq DESC LIMIT 1";
        let space = |row: &Row<'_>| row.get::<_, Option<String>>(0);
        Ok(self.sql(|c| c.prepare_cached(query)?.query_row([table.log_name(), id, user], space).optional())?.flatten())
    }

    fn log_usage(&self, users: &[&UserId]) -> StoreResult<Vec<LogUsage>> {
        self.sql(|c| log_usage(c, users))
    }

    fn look(&self, user: &UserId, look: &mut dyn FnMut(&dyn UserLog)) -> StoreResult<()> {
        let log = Logged::new(self.connection, user, SqlTx::now(self));
        look(&log);
        self.sql(|_| log.end())
    }

    fn count_oddities(&self, replaced_texts: u64, future_stamps: u64) {
        SqlTx::count_oddities(self, replaced_texts, future_stamps);
    }

    fn put(&self, table: Table, saves: &[Save]) -> StoreResult<Vec<bool>> {
        self.sql(|c| refresh::put(c, table, saves, time::to_micros(SqlTx::now(self))))
    }

    fn move_cursor(&self, table: Table, seq: i64) -> StoreResult<()> {
        self.run("UPDATE projection_cursors SET seq = max(seq, ?2) WHERE table_name = ?1", params![table.log_name(), seq])
    }

    fn note_grant_end(&self, user: &UserId, wrapped_key: &[u8], at: Timestamp) -> StoreResult<()> {
        let upsert = "INSERT INTO grant_ends (user_id, wrapped_key, ends_at) VALUES (?1, ?2, ?3) \
                      ON CONFLICT (user_id, wrapped_key) DO UPDATE SET ends_at = min(grant_ends.ends_at, excluded.ends_at)";
        self.run(upsert, params![user, wrapped_key, time::to_micros(at)])
    }

    fn note_decision(
        &self,
        user: &UserId,
        mission: &MissionId,
        step: (&IterationId, &StepId),
        decided: Option<&JudgedStep>,
    ) -> StoreResult<()> {
        self.sql(|c| insights::note_decision(c, user, mission, step, decided))
    }

    fn is_due(&self, due: &Due) -> StoreResult<bool> {
        let query = "SELECT 1 FROM mission_snapshots WHERE user_id = ?1 AND mission_id = ?2 AND next_run_at = ?3 \
                     AND state = 'active' AND liveness = 'live'";
        self.sql(|c| c.prepare_cached(query)?.exists(params![due.user_id, due.mission_id, time::to_micros(due.scheduled_for)]))
    }

    fn in_flight(&self, user: &UserId, agent: Option<&AgentId>) -> StoreResult<u64> {
        let query =
            "SELECT count(*) FROM runs WHERE outcome IS NULL AND owner IS NOT NULL AND user_id = ?1 AND agent_id IS NOT DISTINCT FROM ?2";
        self.sql(|c| c.prepare_cached(query)?.query_row(params![user, agent], |row| row.get(0)))
    }

    fn open_run(&self, user: &UserId, mission: &MissionId) -> StoreResult<Option<(OpenRun, IterationId)>> {
        let query = format!("SELECT {OPEN_COLUMNS}, iteration_id FROM runs WHERE user_id = ?1 AND mission_id = ?2 AND outcome IS NULL");
        let found = |row: &Row<'_>| Ok((open_run(row)?, row.get("iteration_id")?));
        self.sql(|c| c.prepare_cached(&query)?.query_row(params![user, mission], found).optional())
    }

    fn add_run(&self, run: &Candidate, owner: &str, now: Timestamp) -> StoreResult<()> {
        let Candidate { due, run_id, iteration_id, .. } = run;
        let insert = "INSERT INTO runs (id, user_id, mission_id, agent_id, iteration_id, scheduled_for, owner, claimed_at) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let (scheduled_for, claimed_at) = (time::to_micros(due.scheduled_for), time::to_micros(now));
        self.run(insert, params![run_id, due.user_id, due.mission_id, due.agent_id, iteration_id, scheduled_for, owner, claimed_at])
    }

    fn resume_run(&self, run: &RunId, agent: Option<&AgentId>, owner: &str, now: Timestamp) -> StoreResult<()> {
        let update = "UPDATE runs SET owner = ?2, claimed_at = ?3, next_attempt_at = NULL, asked_at = NULL, agent_id = ?4 WHERE id = ?1";
        self.run(update, params![run, owner, time::to_micros(now), agent])
    }

    fn holds(&self, run: &RunId, owner: &str) -> StoreResult<bool> {
        self.sql(|c| c.prepare_cached("SELECT 1 FROM runs WHERE id = ?1 AND owner = ?2 AND outcome IS NULL")?.exists(params![run, owner]))
    }

    fn add_attempt(&self, run: &Claimed, attempt: &Attempt) -> StoreResult<()> {
        let insert = "INSERT INTO run_attempts (run_id, attempt, user_id, agent_id, started_at, finished_at, latency_ms, model, prompt_version, \
                      prompt_tokens, completion_tokens, total_tokens, error, prompt_chars, calls, error_name, rounds, inputs, log_seq) \
                      VALUES (?1, (SELECT 1 + count(*) FROM run_attempts WHERE run_id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, \
                      ?13, ?14, ?15, ?16, ?17, ?18)";
        let given = params![
            run.run_id,
            run.due.user_id,
            run.due.agent_id,
            time::to_micros(attempt.started_at),
            time::to_micros(attempt.finished_at),
            integer(attempt.latency_ms),
            attempt.model,
            attempt.prompt_version,
            integer(attempt.usage.prompt),
            integer(attempt.usage.completion),
            integer(attempt.usage.total),
            attempt.error.as_ref().map(|error| &error.text),
            integer(attempt.prompt_chars),
            attempt.calls,
            attempt.error.as_ref().and_then(|error| error.name.as_deref()),
            json!(attempt.rounds).to_string(),
            attempt.inputs,
            attempt.log_seq,
        ];
        self.run(insert, given)?;
        self.sql(|c| insights::count_tokens(c, run, attempt))
    }

    fn let_wait(&self, run: &RunId, at: Option<Timestamp>, reason: &str, failed_attempts: u32) -> StoreResult<()> {
        let update = "UPDATE runs SET owner = NULL, next_attempt_at = ?2, reason = ?3, attempts = attempts + ?4 WHERE id = ?1";
        self.run(update, params![run, at.map(time::to_micros), reason, failed_attempts])
    }

    fn end_run(&self, run: &RunId, end: &RunEnd<'_>) -> StoreResult<()> {
        let RunEnd { outcome, at, reason, note, missed, iteration, failed_attempts } = end;
        let update = "UPDATE runs SET outcome = ?2, owner = NULL, finished_at = ?3, reason = ?4, note = coalesce(?5, note), missed_times = ?6, \
                      iteration = ?7, attempts = attempts + ?8 WHERE id = ?1";
        self.run(update, params![run, outcome, time::to_micros(*at), reason, note, missed, iteration, failed_attempts])
    }

    fn note_said(&self, run: &RunId, said: Option<&str>) -> StoreResult<()> {
        self.run("UPDATE runs SET said = ?2 WHERE id = ?1", params![run, said])
    }

    fn come_back_after(&self) -> StoreResult<i64> {
        let query = "SELECT CAST(value AS BIGINT) FROM facts WHERE name = 'iterations come back after row'";
        Ok(self.sql(|c| c.prepare_cached(query)?.query_row(params![], |row| row.get(0)).optional())?.unwrap_or(0))
    }

    fn written_iteration(&self, user: &UserId, mission: &MissionId, iteration: &IterationId, most: u32) -> StoreResult<Option<String>> {
        let query = "SELECT iteration FROM runs WHERE iteration_id = ?3 AND user_id = ?1 AND mission_id = ?2 AND iteration IS NOT NULL \
                     AND superseded_at IS NULL AND restored < ?4";
        self.text(query, params![user, mission, iteration, most])
    }

    fn noted(&self, user: &UserId, mission: &MissionId, iteration: &IterationId) -> StoreResult<Option<String>> {
        let query = "SELECT iteration FROM lost_iterations WHERE user_id = ?1 AND mission_id = ?2 AND iteration_id = ?3";
        self.text(query, params![user, mission, iteration])
    }

    fn note_lost(&self, user: &UserId, mission: &MissionId, iteration: &IterationId, text: &str) -> StoreResult<()> {
        let insert = "INSERT INTO lost_iterations (user_id, mission_id, iteration_id, iteration) VALUES (?1, ?2, ?3, ?4) \
                      ON CONFLICT (user_id, mission_id, iteration_id) DO UPDATE SET iteration = excluded.iteration";
        self.run(insert, params![user, mission, iteration, text])
    }

    fn take_lost(&self, user: &UserId, mission: &MissionId) -> StoreResult<Vec<String>> {
        let take = "DELETE FROM lost_iterations WHERE user_id = ?1 AND mission_id = ?2 RETURNING iteration";
        self.sql(|c| c.prepare_cached(take)?.query_map(params![user, mission], |row| row.get(0))?.collect())
    }

    fn count_restored(&self, user: &UserId, mission: &MissionId, iteration: &IterationId) -> StoreResult<()> {
        let count = "UPDATE runs SET restored = restored + 1 WHERE iteration_id = ?3 AND user_id = ?1 AND mission_id = ?2";
        self.run(count, params![user, mission, iteration])
    }

    fn supersede(&self, user: &UserId, mission: &MissionId, iteration: &IterationId, text: Option<&str>) -> StoreResult<()> {
        let update = "UPDATE runs SET superseded_at = ?4, iteration = coalesce(?5, iteration) WHERE iteration_id = ?3 AND user_id = ?1 \
                      AND mission_id = ?2 AND iteration IS NOT NULL";
        self.run(update, params![user, mission, iteration, time::to_micros(SqlTx::now(self)), text])?;
        self.run(
            "DELETE FROM lost_iterations WHERE user_id = ?1 AND mission_id = ?2 AND iteration_id = ?3",
            params![user, mission, iteration],
        )
    }

    fn add_call(&self, call: &OutboxCall) -> StoreResult<()> {
        outbox::add(self, call)
    }

    fn end_call(&self, step: &StepKey) -> StoreResult<()> {
        outbox::end(self, step)
    }

    fn count_automatic(&self, user: &UserId, agent: &AgentId, tool: &str) -> StoreResult<()> {
        automatic::count(self, user, agent, tool)
    }
}

/// A count as the database keeps numbers.
fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
