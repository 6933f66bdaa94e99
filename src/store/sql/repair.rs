//! Fixing what was made out of the log, from the log.

use std::collections::BTreeSet;

use super::changes::log_end;
use super::check::{Finding, Fix, ORPHANED_ATTEMPTS, UNNOTED_PLACES, UNNOTED_ROWS};
use super::insights::count_days;
use super::refresh::{count, fold};
use super::snapshots::columns_of;
use super::writer::SqlTx;
use super::{Store, StoreResult, Table};
use crate::domain::ids::UserId;
use crate::domain::mission::MissionState;
use crate::store::db::{OptionalExtension, Row, params};
use crate::store::script::{self, Save};

impl Store {
    /// Fixes what can be fixed of what a check found, in one transaction; whatever else is written meanwhile stays.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is fixed then.
    pub async fn repair(&self, findings: &[Finding]) -> StoreResult<()> {
        let mut fixes: BTreeSet<Fix> = findings.iter().filter_map(|finding| finding.fix.clone()).collect();
        if fixes.iter().any(|fix| matches!(fix, Fix::Snapshot { .. })) {
            // What is damaged may have been counted under another state.
            fixes.insert(Fix::Counts);
        }
        self.write(move |tx| {
            // Lists of records are made again where somebody looks at them.
            tx.sql(|c| c.execute_batch("DELETE FROM record_lists; DELETE FROM record_cards"))?;
            fixes.iter().try_for_each(|fix| apply(tx, fix))
        })
        .await
    }
}

/// The fixes come in the order of their kinds, so that what is counted is fixed already.
fn apply(tx: &SqlTx<'_>, fix: &Fix) -> StoreResult<()> {
    match fix {
        Fix::Indexes => tx.sql(|c| c.execute_batch("REINDEX")),
        Fix::Places => tx.sql(|c| {
            c.execute(&format!("INSERT INTO departures (row_id) SELECT o.row_id {UNNOTED_PLACES} ORDER BY o.seq"), params![])?;
            let arrived = format!("INSERT INTO arrivals (row_id) SELECT c.id {UNNOTED_ROWS} ORDER BY c.created_at, c.id");
            c.execute(&arrived, params![]).map(drop)
        }),
        Fix::Cursor(table) => tx.sql(|c| {
            // Where it is not known, reading starts again; what was folded already stays.
            let back = "INSERT INTO projection_cursors (table_name, seq) VALUES (?1, 0) \
                 ON CONFLICT (table_name) DO UPDATE SET seq = min(projection_cursors.seq, ?2)";
            c.execute(back, params![table.log_name(), log_end(c)?.seq]).map(drop)
        }),
        Fix::Snapshot { table, user, id } => make_again(tx, *table, user, id),
        Fix::Attempts => tx.sql(|c| c.execute(&format!("DELETE {ORPHANED_ATTEMPTS}"), params![]).map(drop)),
        Fix::Days => tx.sql(count_days),
        Fix::Counts => tx.sql(|c| {
            let count = "INSERT INTO mission_counts (state, missions) \
                 VALUES (?1, (SELECT count(*) FROM mission_snapshots WHERE state = ?1 AND liveness = 'live')) \
                 ON CONFLICT (state) DO UPDATE SET missions = excluded.missions";
            MissionState::ALL.iter().try_for_each(|state| c.execute(count, [state.as_str()]).map(drop))
        }),
    }
}

/// Makes the snapshot of a record again out of its rows; there is none where these make no record.
pub(super) fn make_again(tx: &SqlTx<'_>, table: Table, user: &UserId, id: &str) -> StoreResult<()> {
    let (name, key) = columns_of(table);
    let folded = tx.sql(|c| {
        let counted = if table == Table::Missions { "CASE liveness WHEN 'live' THEN state END" } else { "NULL" };
        let delete = format!("DELETE FROM {name} WHERE user_id = ?1 AND {key} = ?2 RETURNING {counted}");
        // A state that a damage made unreadable is counted off nowhere; a repair counts all again.
        let state = |row: &Row<'_>| Ok(row.get::<_, Option<String>>(0).unwrap_or_default());
        let state = c.prepare_cached(&delete)?.query_row(params![user, id], state).optional()?.flatten();
        count(c, state.as_deref(), None)?;
        if table == Table::Missions {
            c.execute("DELETE FROM decided_steps WHERE user_id = ?1 AND mission_id = ?2", params![user, id])?;
        }
        fold(c, table, user, id, i64::MAX)
    })?;
    folded.map_or(Ok(()), |folded| script::put(tx, table, &[Save::new(table, user, id, &folded).0]))
}
