//! Checks of a whole database, while it is in use: the file, the log, and what was made out of the log.

use super::Store;
use super::changes::{COLUMNS, from_text, log_end, log_row, place};
use super::insights::{days_are_right, decisions_are};
use super::log_rows;
use super::refresh::{cursor, fold};
use super::snapshots::columns_of;
use crate::domain::ids::UserId;
use crate::domain::limits::Unusable;
use crate::domain::merge::Stamps;
use crate::domain::mission::MissionState;
use crate::domain::raw::RawRecord;
use crate::store::db::{self, Db, Error, OptionalExtension, Row, params};
use crate::store::script::{Columns, Save};
use crate::store::{SetAside, StoreResult, Table};

/// What a check looked at, and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Check {
    pub rows: i64,
    /// Agents and missions that were folded again from the log.
    pub records: u64,
    /// What is wrong, at most [`MOST_FINDINGS`].
    pub findings: Vec<Finding>,
    /// Rows that an older program let in and that break a limit of today, at most [`MOST_FINDINGS`]: they are kept, and nothing
    /// is made of them, which is no failure of the database.
    pub set_aside: Vec<SetAside>,
    /// Whether rows of the log may be lost or cannot be read, so that nothing can be told about what follows from them.
    pub log_in_doubt: bool,
}

/// Something wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A sentence.
    pub text: String,
    /// How it can be fixed out of what is sound; `None` where only a copy helps.
    pub fix: Option<Fix>,
}

/// A way to fix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fix {
    /// Make the indexes again.
    Indexes,
    /// Note which rows other programs wrote or took out.
    Places,
    /// Set how far a projection has read the log.
    Cursor(Table),
    /// Fold a record again.
    Snapshot { table: Table, user: UserId, id: String },
    /// Remove attempts whose run is not there.
    Attempts,
    /// Count the missions again.
    Counts,
    /// Count the tokens of each day again.
    Days,
}

/// A check stops to look for more of a kind at this many.
pub const MOST_FINDINGS: usize = 10_000;

impl Check {
    fn found(&mut self, fix: Option<Fix>, text: String) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(Finding { text, fix });
        }
    }
}

impl Store {
    /// Checks that the file is sound, and that the log is in order and can be read.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn check_log(&self) -> StoreResult<Check> {
        let path = self.path().to_owned();
        self.read(move |c| {
            let mut check = file_and_log(c)?;
            // A copy of it would be refused.
            if let Some(Err(error)) = c.sqlite().map(|c| crate::store::sqlite::migrate::verify(c, &path)) {
                check.found(None, error.to_string());
            }
            Ok(check)
        })
        .await
    }

    /// Goes on with what was made out of the log: whether all of it follows from there.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn check_projection(&self, mut check: Check) -> StoreResult<Check> {
        self.read(move |c| {
            for table in [Table::Agents, Table::Missions] {
                snapshots(c, table, &mut check)?;
            }
            places(c, &mut check)?;
            attempts(c, &mut check)?;
            counts(c, &mut check)?;
            if !days_are_right(c)? {
                check.found(Some(Fix::Days), "the tokens of some day are not those of its attempts".into());
            }
            Ok(check)
        })
        .await
    }
}

/// Checks the file and the log alone.
pub(in crate::store) fn file_and_log(connection: &Db<'_>) -> db::Result<Check> {
    let mut check = Check::default();
    if let Some(connection) = connection.sqlite() {
        file(connection, &mut check)?;
    }
    if connection.sqlite().is_some() {
        for text in log_rows::misfiled(connection)? {
            check.log_in_doubt = true;
            check.found(None, text);
        }
    }
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM sync_changes ORDER BY seq"))?;
    let mut rows = statement.query(params![])?;
    let mut last = i64::MIN;
    while let Some(row) = &rows.next()? {
        let [seq, sync_at, created_at]: [i64; 3] = [row.get(place::SEQ)?, row.get(place::SYNC_AT)?, row.get(place::CREATED_AT)?];
        if sync_at <= last {
            check.found(None, format!("row {seq} of the log has a sync_at that is not after the one before it"));
        }
        let bounds =
            [("seq", seq, 1..=i64::MAX / 2), ("sync_at", sync_at, 1..=LAST_TIME), ("created_at", created_at, FIRST_TIME..=LAST_TIME)];
        for (name, value, range) in bounds {
            if !range.contains(&value) {
                check.found(None, format!("row {seq} of the log has {value} as its {name}, which cannot be"));
            }
        }
        match log_row(row)? {
            Ok(_) => {}
            Err(SetAside { why: Unusable::Damaged(column), .. }) => {
                check.log_in_doubt = true;
                check.found(None, format!("row {seq} of the log has a {column} that cannot be read"));
            }
            Err(set_aside) if check.set_aside.len() < MOST_FINDINGS => check.set_aside.push(set_aside),
            Err(_) => {}
        }
        last = sync_at;
        check.rows += 1;
    }
    Ok(check)
}

fn file(connection: &rusqlite::Connection, check: &mut Check) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA integrity_check(100)")?;
    for said in statement.query_map([], |row| row.get::<_, String>(0))? {
        let said = said?;
        if said != "ok" {
            // Rows that an index should not hold twice are wrong in the log itself.
            let fix = (said.contains(" index ") && !said.contains("non-unique")).then_some(Fix::Indexes);
            check.log_in_doubt |= fix.is_none();
            check.found(fix, format!("the file is damaged: {said}"));
        }
    }
    Ok(())
}

/// The times that can be told: from the year -9999 to 9999, in microseconds.
const FIRST_TIME: i64 = -377_705_023_201_000_000;
const LAST_TIME: i64 = 253_402_207_200_999_999;

/// Folds every record of a table from its first row, and compares with what is stored.
fn snapshots(connection: &Db<'_>, table: Table, check: &mut Check) -> db::Result<()> {
    let (name, key) = columns_of(table);
    let read = cursor(connection, table)?;
    let end = log_end(connection)?.seq;
    if read.is_none() {
        check.found(Some(Fix::Cursor(table)), format!("it is not known how far the projection of {} has read", table.log_name()));
    }
    let read = read.unwrap_or(0);
    if read > end {
        check.found(
            Some(Fix::Cursor(table)),
            format!("the projection of {} has read up to row {read}, but the log ends at {end}", table.log_name()),
        );
    }
    let columns = match table {
        Table::Agents => "name, role, avatar, name_key, max_tokens",
        Table::Missions => {
            "title, objective, agent_id, next_run_at, awaiting_review, client_active_at, unscheduled, waiting_since, title_key, bad_schedule"
        }
    };
    let stored = format!(
        "SELECT record, field_meta, liveness, state, last_seq, last_applied_at, {columns} FROM {name} WHERE user_id = ?1 AND {key} = ?2"
    );
    let mut stored = connection.prepare_cached(&stored)?;
    let mut records =
        connection.prepare_cached("SELECT DISTINCT user_id, record_id FROM sync_changes WHERE app_id = 'ai' AND table_name = ?1")?;
    let mut records = records.query([table.log_name()])?;
    while let Some(row) = &records.next()? {
        let (user, id): (UserId, String) = (row.get(0)?, row.get(1)?);
        check.records += 1;
        let stored = match stored.query_row(params![user, id], |row| projected(table, row)).optional() {
            // What is no text cannot be right.
            Err(
                Error::FromSqlConversionFailure(..)
                | Error::Utf8Error(..)
                | Error::InvalidColumnType(..)
                | Error::IntegralValueOutOfRange(..),
            ) => Some(Projected::default()),
            stored => stored?,
        };
        // A write-back may be ahead of the projection; rows beyond both were not to be folded in yet.
        let upto = stored.as_ref().map_or(0, |stored| stored.last_seq).max(read.min(end));
        let save = fold(connection, table, &user, &id, upto)?.map(|folded| Save::new(table, &user, &id, &folded).0);
        let is_told = table == Table::Agents || decisions_are(connection, &user, &id, save.as_ref())?;
        let expected = save.map(Projected::of).transpose()?;
        if stored != expected || !is_told {
            let text = format!("the snapshot of {} {id} of user {user} is not the fold of its rows", table.log_name());
            check.found(Some(Fix::Snapshot { table, user, id }), text);
        }
    }
    let orphans = format!(
        "SELECT user_id, {key} FROM {name} WHERE NOT EXISTS (SELECT 1 FROM sync_changes \
         WHERE user_id = {name}.user_id AND app_id = 'ai' AND table_name = ?1 AND record_id = {name}.{key})"
    );
    let mut orphans = connection.prepare_cached(&orphans)?;
    let mut orphans = orphans.query([table.log_name()])?;
    while let Some(row) = &orphans.next()? {
        let (user, id): (UserId, String) = (row.get(0)?, row.get(1)?);
        let text = format!("there is a snapshot of {} {id} of user {user}, but no row in the log", table.log_name());
        check.found(Some(Fix::Snapshot { table, user, id }), text);
    }
    Ok(())
}

/// A snapshot as its readers see it.
#[derive(PartialEq, Default)]
struct Projected {
    record: RawRecord,
    stamps: Stamps,
    liveness: String,
    state: String,
    last_seq: i64,
    last_applied_at: i64,
    columns: Option<Columns>,
}

impl Projected {
    fn of(save: Save) -> db::Result<Self> {
        let what = || "a snapshot that was just made".to_owned();
        Ok(Projected {
            record: from_text(&save.record, what)?,
            stamps: from_text(&save.stamps, what)?,
            liveness: save.liveness.to_owned(),
            state: save.state.to_owned(),
            last_seq: save.last_seq,
            last_applied_at: save.last_applied_at,
            columns: Some(save.columns),
        })
    }
}

fn projected(table: Table, row: &Row<'_>) -> db::Result<Projected> {
    let what = || "a snapshot".to_owned();
    let columns = match table {
        Table::Agents => {
            Columns::Agent { name: row.get(6)?, role: row.get(7)?, avatar: row.get(8)?, name_key: row.get(9)?, max_tokens: row.get(10)? }
        }
        Table::Missions => Columns::Mission {
            title: row.get(6)?,
            objective: row.get(7)?,
            agent_id: row.get(8)?,
            next_run_at: row.get(9)?,
            awaiting_review: row.get(10)?,
            client_active_at: row.get(11)?,
            unscheduled: row.get(12)?,
            waiting_since: row.get(13)?,
            title_key: row.get(14)?,
            bad_schedule: row.get(15)?,
        },
    };
    Ok(Projected {
        record: from_text(row.get_ref(0)?.as_str()?, what)?,
        stamps: from_text(row.get_ref(1)?.as_str()?, what)?,
        liveness: row.get(2)?,
        state: row.get(3)?,
        last_seq: row.get(4)?,
        last_applied_at: row.get(5)?,
        columns: Some(columns),
    })
}

/// Checks that each row of the log has a place, and each place a row, unless somebody noted it: on Postgres other programs
/// write, and may have done so while nobody took notes.
fn places(connection: &Db<'_>, check: &mut Check) -> db::Result<()> {
    if connection.sqlite().is_some() {
        return Ok(());
    }
    for (kind, unnoted) in [("rows of the log have no place in it", UNNOTED_ROWS), ("places in the log have no row", UNNOTED_PLACES)] {
        let count: i64 = connection.query_row(&format!("SELECT count(*) {unnoted}"), params![], |row| row.get(0))?;
        if count > 0 {
            check.found(Some(Fix::Places), format!("{count} {kind}: other programs wrote past the triggers of public.sync_changes"));
        }
    }
    Ok(())
}

/// Rows without a place that nobody noted, and places without a row. Rows of people who were removed have none.
pub(super) const UNNOTED_ROWS: &str = "FROM public.sync_changes c WHERE NOT EXISTS (SELECT 1 FROM log_order o WHERE o.row_id = c.id) \
     AND NOT EXISTS (SELECT 1 FROM arrivals a WHERE a.row_id = c.id) AND NOT EXISTS (SELECT 1 FROM held_arrivals h WHERE h.row_id = c.id) \
     AND NOT EXISTS (SELECT 1 FROM removals r WHERE r.user_id = c.user_id)";
pub(super) const UNNOTED_PLACES: &str = "FROM log_order o WHERE NOT EXISTS (SELECT 1 FROM public.sync_changes c WHERE c.id = o.row_id) \
     AND NOT EXISTS (SELECT 1 FROM departures d WHERE d.row_id = o.row_id)";

fn attempts(connection: &Db<'_>, check: &mut Check) -> db::Result<()> {
    let orphans: i64 = connection.query_row(&format!("SELECT count(*) {ORPHANED_ATTEMPTS}"), params![], |row| row.get(0))?;
    if orphans > 0 {
        check.found(Some(Fix::Attempts), format!("{orphans} attempts belong to no run"));
    }
    Ok(())
}

/// Attempts whose run is not there.
pub(super) const ORPHANED_ATTEMPTS: &str = "FROM run_attempts WHERE run_id NOT IN (SELECT id FROM runs)";

fn counts(connection: &Db<'_>, check: &mut Check) -> db::Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT (SELECT missions FROM mission_counts WHERE state = ?1), \
         (SELECT count(*) FROM mission_snapshots WHERE state = ?1 AND liveness = 'live')",
    )?;
    for state in MissionState::ALL.map(MissionState::as_str) {
        let (said, there): (Option<i64>, i64) = statement.query_row([state], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if said != Some(there) {
            let said = said.map_or("nothing".into(), |said| said.to_string());
            check.found(Some(Fix::Counts), format!("there are {there} {state} missions, but the count says {said}"));
        }
    }
    Ok(())
}
