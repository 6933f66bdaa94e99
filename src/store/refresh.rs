//! Folding new rows of the log into the snapshots (docs/design.md, section 4).
//!
//! A batch is read and folded on a reader and then written in one short transaction, so that a long catch-up does not
//! hold up other writes. Meanwhile somebody else may have written a snapshot: whoever writes one has folded every row of
//! its record up to the snapshot's `last_seq`, so the one with the higher `last_seq` knows more, and stays.

use std::collections::hash_map::{Entry, HashMap};
use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};

use super::changes::{SetAside, columns, delta, from_text, last_seq, place, to_text};
use super::check::fold;
use super::grant_ends::note_grant_end;
use super::lost::note;
use super::snapshots::Table;
use super::writer::Tx;
use super::{Store, StoreResult};
use crate::domain::agent::Agent;
use crate::domain::change::is_own_client;
use crate::domain::decision;
use crate::domain::grant;
use crate::domain::iterations::{self, Iteration};
use crate::domain::lost::{join, lost};
use crate::domain::merge::{Delta, Fold, Stamps};
use crate::domain::mission::Mission;
use crate::domain::raw::RawRecord;
use crate::domain::time;

/// A batch ends at this many records, or this many bytes of their texts, so that its memory does not grow with the log.
const BATCH_RECORDS: usize = 20_000;
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// What a refresh of one table did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Rows of the log that were folded in.
    pub rows: u64,
    pub new: u64,
    pub updated: u64,
    pub users: BTreeSet<String>,
    /// Fields of a wrong type that were passed over, as (record id, field), in the records that this refresh touched.
    pub problems: Vec<(String, &'static str)>,
}

impl Refreshed {
    /// Adds what another batch did.
    pub fn absorb(&mut self, other: Refreshed) {
        self.rows += other.rows;
        self.new += other.new;
        self.updated += other.updated;
        self.users.extend(other.users);
        self.problems.extend(other.problems);
    }
}

/// New rows of one projected table.
pub(super) const NEW_ROWS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM sync_changes WHERE app_id = 'ai' AND table_name IN ('agents', 'aiMissions') AND table_name = ?1 AND seq > ?2 \
     ORDER BY seq LIMIT ?3"
);

/// New rows of one record, for a write that cannot wait for the refresh; by the record, since the refresh may be far behind.
pub(super) const NEW_ROWS_OF_RECORD: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM sync_changes WHERE user_id = ?3 AND app_id = 'ai' AND table_name = ?1 AND record_id = ?4 AND seq > ?2 ORDER BY seq"
);

impl Store {
    /// Folds the next new rows of a table, at most `limit`, and moves its cursor in the transaction that writes them.
    /// `false`: nothing is left to fold.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn refresh_batch(&self, table: Table, limit: u32) -> StoreResult<(Refreshed, bool)> {
        // Whoever comes second finds the rows folded; reading them twice would only take twice the memory.
        let _alone = self.shared.folding[table as usize].lock().await;
        let Some(batch) = self
            .read(move |c| {
                let c = c.unchecked_transaction()?;
                Batch::read(&c, table, limit)
            })
            .await?
        else {
            return Ok((Refreshed::default(), false));
        };
        let Batch { last, more, saves, report } = batch;
        self.write(move |tx| {
            for save in &saves {
                put(tx, table, save)?;
            }
            let forward = "UPDATE projection_cursors SET seq = max(seq, ?2) WHERE table_name = ?1";
            tx.sql(|c| c.prepare_cached(forward)?.execute(params![table.log_name(), last]).map(drop))
        })
        .await?;
        Ok((report, more))
    }
}

impl Store {
    /// How far a projection has read the log, and where the log ends.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn projected(&self, table: Table) -> StoreResult<(i64, i64)> {
        self.read(move |c| Ok((cursor(c, table)?.unwrap_or(0), last_seq(c)?))).await
    }
}

/// New rows, folded and ready to be written.
struct Batch {
    /// The last row of the log in it.
    last: i64,
    /// Whether there may be more rows.
    more: bool,
    saves: Vec<Save>,
    report: Refreshed,
}

impl Batch {
    /// Reads on from the cursor, in one state of the database; `None` where nothing is new.
    fn read(c: &Connection, table: Table, limit: u32) -> rusqlite::Result<Option<Batch>> {
        let mut folds: HashMap<Key, Folded> = HashMap::new();
        let mut report = Refreshed::default();
        let (mut last, mut seen, mut held) = (cursor(c, table)?.unwrap_or(0), 0, 0);
        let mut full = false;
        let mut statement = c.prepare_cached(NEW_ROWS)?;
        let mut rows = statement.query(params![table.log_name(), last, limit])?;
        while !full && let Some(row) = rows.next()? {
            last = row.get(place::SEQ)?;
            seen += 1;
            let Some(delta) = used(delta(row)?) else { continue };
            let record: String = row.get(place::RECORD_ID)?;
            let key = Key { record: record.clone(), user: row.get(place::USER_ID)? };
            let folded = match folds.entry(key) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let (folded, bytes) = load(c, table, &entry.key().user, &entry.key().record)?;
                    held += bytes;
                    entry.insert(folded)
                }
            };
            held += row.get_ref(place::DATA)?.as_str_or_null()?.map_or(0, str::len);
            report.rows +=
                u64::from(folded.apply(&record, delta, last, row.get(place::SYNC_AT)?, row.get_ref(place::CLIENT_ID)?.as_str()?));
            full = folds.len() >= BATCH_RECORDS || held >= BATCH_BYTES;
        }
        if seen == 0 {
            return Ok(None);
        }
        let mut saves = Vec::with_capacity(folds.len());
        for (Key { user, record }, folded) in folds {
            if folded.is_to_be_saved() {
                report.new += u64::from(!folded.stored);
                report.updated += u64::from(folded.stored);
                let (save, problems) = Save::new(table, &user, &record, &folded);
                report.problems.extend(problems.into_iter().map(|field| (record.clone(), field)));
                saves.push(save);
            }
            if !report.users.contains(&user) {
                report.users.insert(user);
            }
        }
        // In the order of the key, neighbours share pages.
        saves.sort_unstable_by(|a, b| (&a.user, &a.id).cmp(&(&b.user, &b.id)));
        Ok(Some(Batch { last, more: full || seen == limit, saves, report }))
    }
}

/// A record of a user.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    record: String,
    user: String,
}

/// The newest state of one record, rows included that no refresh has seen yet.
pub(super) fn newest(connection: &Connection, table: Table, user: &str, id: &str) -> rusqlite::Result<Folded> {
    let (mut folded, _) = load(connection, table, user, id)?;
    let mut statement = connection.prepare_cached(NEW_ROWS_OF_RECORD)?;
    let mut rows = statement.query(params![table.log_name(), cursor(connection, table)?.unwrap_or(0), user, id])?;
    while let Some(row) = rows.next()? {
        if let Some(delta) = used(delta(row)?) {
            folded.apply(id, delta, row.get(place::SEQ)?, row.get(place::SYNC_AT)?, row.get_ref(place::CLIENT_ID)?.as_str()?);
        }
    }
    Ok(folded)
}

/// Iterations that rows of clients took out of a record, by their ids, with the row and how they last stood.
pub(super) type Lost = BTreeMap<String, (i64, Iteration)>;

/// A row that is set aside is passed over, and told.
fn used(row: Result<Delta, SetAside>) -> Option<Delta> {
    row.inspect_err(|SetAside { seq, why }| tracing::warn!(row = seq, %why, "a log row is skipped; `mana-ai check` lists them all")).ok()
}

/// A record while it is being folded.
#[derive(Default)]
pub(super) struct Folded {
    pub fold: Fold,
    lost: Lost,
    /// When the keys of its grants end, as far as the rows say that were folded in.
    grant_ends: grant::Ends,
    last_seq: i64,
    last_applied_at: i64,
    stored: bool,
    changed: bool,
}

impl Folded {
    /// Folds in a row of a client; `false` where the snapshot already holds it.
    fn apply(&mut self, record_id: &str, delta: Delta, seq: i64, sync_at: i64, client_id: &str) -> bool {
        if seq <= self.last_seq {
            return false;
        }
        let at_risk = match &delta.data {
            Some(data) if data.contains_key(iterations::FIELD) && !is_own_client(client_id) => self.iterations(),
            _ => Vec::new(),
        };
        self.take(record_id, delta, seq, sync_at);
        if at_risk.is_empty() {
            return true;
        }
        for iteration in lost(&at_risk, &self.iterations()) {
            let known = self.lost.remove(iteration.id());
            let whole = known.map_or_else(|| iteration.clone(), |(_, known)| join(&iteration, &known));
            self.lost.insert(iteration.id().to_owned(), (seq, whole));
        }
        true
    }

    /// Whether rows were folded in that made a record. One that only rows without effect speak of needs no snapshot: the
    /// next row finds it unseen, as it is.
    pub(super) fn is_to_be_saved(&self) -> bool {
        self.changed && !matches!(self.fold, Fold::Unseen)
    }

    /// The iterations of the record as it stands.
    fn iterations(&self) -> Vec<Iteration> {
        let Fold::Known { record, .. } = &self.fold else { return Vec::new() };
        iterations::of_record(record)
    }

    /// Folds in the change that became row `seq` at `sync_at`.
    pub(super) fn take(&mut self, record_id: &str, delta: Delta, seq: i64, sync_at: i64) {
        let grants = grant::is_written_by(&delta);
        self.fold.apply(record_id, delta);
        if grants && let Fold::Known { record, .. } = &self.fold {
            grant::note(&mut self.grant_ends, record);
        }
        self.last_seq = seq;
        self.last_applied_at = sync_at;
        self.changed = true;
    }
}

/// How far a projection has read the log; a database without the row was damaged.
pub(super) fn cursor(connection: &Connection, table: Table) -> rusqlite::Result<Option<i64>> {
    let query = "SELECT seq FROM projection_cursors WHERE table_name = ?1";
    connection.prepare_cached(query)?.query_row([table.log_name()], |row| row.get(0)).optional()
}

/// What a snapshot holds, and the bytes of its text.
fn load(connection: &Connection, table: Table, user: &str, id: &str) -> rusqlite::Result<(Folded, usize)> {
    let query = match table {
        Table::Agents => {
            "SELECT record, field_meta, liveness, last_seq, last_applied_at FROM agent_snapshots WHERE user_id = ?1 AND agent_id = ?2"
        }
        Table::Missions => {
            "SELECT record, field_meta, liveness, last_seq, last_applied_at FROM mission_snapshots WHERE user_id = ?1 AND mission_id = ?2"
        }
    };
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query([user, id])?;
    let Some(row) = rows.next()? else { return Ok((Folded::default(), 0)) };
    let last_seq = row.get(3)?;
    let what = || format!("the snapshot of {} {id} of user {user}", table.log_name());
    let read = || -> rusqlite::Result<_> {
        let (record, stamps) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
        let ended = row.get_ref(2)?.as_str()? == "ended";
        let fold = if ended { Fold::Ended } else { Fold::Known { record: from_text(record, what)?, stamps: from_text(stamps, what)? } };
        Ok((fold, record.len() + stamps.len()))
    };
    match read() {
        Ok((fold, bytes)) => Ok((Folded { fold, last_seq, last_applied_at: row.get(4)?, stored: true, ..Folded::default() }, bytes)),
        // The log tells what a damaged snapshot should hold.
        Err(error) => {
            tracing::warn!(%error, "a snapshot is rebuilt from the log");
            let folded = fold(connection, table, user, id, last_seq)?.unwrap_or_default();
            Ok((Folded { stored: true, changed: false, ..folded }, 0))
        }
    }
}

/// A snapshot as it is written, with the columns that the due scan and the lists need.
pub(super) struct Save {
    user: String,
    id: String,
    pub record: String,
    pub stamps: String,
    pub liveness: &'static str,
    pub state: &'static str,
    /// Of missions only.
    pub agent_id: Option<String>,
    pub next_run_at: Option<i64>,
    pub awaiting_review: u64,
    pub client_active_at: Option<i64>,
    /// Whether its schedule has times, and it has none.
    pub unscheduled: bool,
    pub last_seq: i64,
    pub last_applied_at: i64,
    lost: Lost,
    grant_ends: grant::Ends,
}

impl Save {
    /// Makes it, and names the fields of a wrong type.
    pub fn new(table: Table, user: &str, id: &str, folded: &Folded) -> (Self, Vec<&'static str>) {
        let empty = (RawRecord::new(), Stamps::new());
        let (record, stamps, liveness) = match &folded.fold {
            Fold::Known { record, stamps } => (record, stamps, if folded.fold.live().is_some() { "live" } else { "deleted" }),
            Fold::Ended | Fold::Unseen => (&empty.0, &empty.1, "ended"),
        };
        let mut save = Save {
            user: user.to_owned(),
            id: id.to_owned(),
            record: to_text(record),
            stamps: to_text(stamps),
            liveness,
            state: "",
            agent_id: None,
            next_run_at: None,
            awaiting_review: 0,
            client_active_at: None,
            unscheduled: false,
            last_seq: folded.last_seq,
            last_applied_at: folded.last_applied_at,
            lost: folded.lost.clone(),
            grant_ends: folded.grant_ends.clone(),
        };
        let problems = match table {
            Table::Agents => {
                let (agent, problems) = Agent::read(id, record);
                save.state = agent.state.as_str();
                problems
            }
            Table::Missions => {
                let (mission, problems) = Mission::read(id, record);
                let plans = decision::plans(&mission.iterations);
                save.state = mission.state.as_str();
                save.next_run_at = mission.next_run_at.map(time::to_micros);
                save.awaiting_review = plans.awaiting_review;
                save.client_active_at = plans.client_active_at.map(time::to_micros);
                save.unscheduled = liveness == "live" && mission.lacks_time();
                save.agent_id = mission.agent_id;
                problems
            }
        };
        (save, problems.into_iter().map(|problem| problem.field).collect())
    }
}

/// Writes a snapshot, unless what is there knows more.
pub(super) fn put(tx: &Tx<'_>, table: Table, save: &Save) -> StoreResult<()> {
    let Save { user, id, record, stamps, liveness, state, last_seq, last_applied_at, lost, .. } = save;
    let Save { agent_id, next_run_at, awaiting_review, client_active_at, unscheduled, .. } = save;
    let updated_at = time::to_micros(tx.now());
    let written = tx.sql(|c| match table {
        Table::Agents => c
            .prepare_cached(
                "INSERT INTO agent_snapshots (user_id, agent_id, record, field_meta, liveness, state, last_seq, last_applied_at, updated_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (user_id, agent_id) DO UPDATE SET record = ?3, field_meta = ?4, \
                 liveness = ?5, state = ?6, last_seq = ?7, last_applied_at = ?8, updated_at = ?9 WHERE last_seq < ?7",
            )?
            .execute(params![user, id, record, stamps, liveness, state, last_seq, last_applied_at, updated_at]),
        Table::Missions => c
            .prepare_cached(
                "INSERT INTO mission_snapshots (user_id, mission_id, record, field_meta, liveness, state, last_seq, last_applied_at, \
                 updated_at, agent_id, next_run_at, awaiting_review, client_active_at, unscheduled) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
                 ON CONFLICT (user_id, mission_id) DO UPDATE SET record = ?3, field_meta = ?4, liveness = ?5, state = ?6, last_seq = ?7, \
                 last_applied_at = ?8, updated_at = ?9, agent_id = ?10, next_run_at = ?11, awaiting_review = ?12, client_active_at = ?13, \
                 unscheduled = ?14 WHERE last_seq < ?7",
            )?
            .execute(params![
                user,
                id,
                record,
                stamps,
                liveness,
                state,
                last_seq,
                last_applied_at,
                updated_at,
                agent_id,
                next_run_at,
                awaiting_review,
                client_active_at,
                unscheduled
            ]),
    })?;
    // Whoever knew more has folded the same rows, and noted the same losses and ends.
    if written > 0 && table == Table::Missions {
        note(tx, user, id, lost)?;
        save.grant_ends.iter().try_for_each(|(key, at)| note_grant_end(tx, user, key, *at))?;
    }
    Ok(())
}
