//! What other programs write into the log on Postgres, and take out of it (docs/design.md, section 18).

use std::collections::{BTreeMap, BTreeSet};

use super::changes::{note_end, note_rows_went};
use super::removal::{RemovalStart, begin};
use super::repair::make_again;
use super::writer::SqlTx;
use super::{Store, StoreResult, Table};
use crate::domain::ids::UserId;
use crate::domain::time;
use crate::store::db::{self, Db, Row, params};

/// Rows whose places go in one write.
const GONE: i64 = 1_000;

/// Takes the places of rows that are gone, and answers the records that they were of.
const TAKE: &str = "WITH first AS (SELECT number FROM departures ORDER BY number LIMIT ?1), \
     noted AS (DELETE FROM departures d USING first WHERE d.number = first.number RETURNING d.row_id), \
     gone AS (DELETE FROM log_order o USING noted n WHERE o.row_id = n.row_id \
     AND NOT EXISTS (SELECT 1 FROM public.sync_changes c WHERE c.id = o.row_id) \
     RETURNING o.user_id, o.app_id, o.table_name, o.record_id, o.bytes) \
     SELECT user_id, app_id, table_name, record_id, count(*), CAST(sum(bytes) AS BIGINT) FROM gone \
     GROUP BY user_id, app_id, table_name, record_id";

/// A record of which others took rows out.
struct Bereft {
    app: String,
    table: String,
    record: String,
    rows: i64,
    bytes: i64,
}

impl Store {
    /// Gives rows that other programs wrote into the log their place in it, and takes the places of rows that they took out; a
    /// file has no such rows.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn take_in_arrivals(&self) -> StoreResult<()> {
        loop {
            let waiting = self.read(|c| {
                let waits = |notes| c.prepare_cached(notes)?.exists(params![]);
                Ok(match c.sqlite() {
                    Some(_) => (false, false),
                    None => (waits("SELECT 1 FROM arrivals LIMIT 1")?, waits("SELECT 1 FROM departures LIMIT 1")?),
                })
            });
            match waiting.await? {
                (_, true) => self.write(forget_some).await?,
                // Every group of writes takes some of them in before it begins.
                (true, false) => self.write(|_| Ok(())).await?,
                (false, false) => return Ok(()),
            }
        }
    }
}

/// Forgets some rows that went, and all of a user who has none left.
fn forget_some(tx: &SqlTx<'_>) -> StoreResult<()> {
    let bereft = tx.sql(|c| {
        note_end(c)?;
        note_rows_went(c)?;
        let read = |row: &Row<'_>| {
            let record = Bereft { app: row.get(1)?, table: row.get(2)?, record: row.get(3)?, rows: row.get(4)?, bytes: row.get(5)? };
            Ok((row.get::<_, UserId>(0)?, record))
        };
        let mut users = BTreeMap::<UserId, Vec<Bereft>>::new();
        for record in c.prepare_cached(TAKE)?.query_map([GONE], read)? {
            let (user, record) = record?;
            users.entry(user).or_default().push(record);
        }
        Ok(users)
    })?;
    bereft.into_iter().try_for_each(|(user, records)| forget(tx, &user, &records))
}

fn forget(tx: &SqlTx<'_>, user: &UserId, records: &[Bereft]) -> StoreResult<()> {
    let now = time::to_micros(tx.now());
    let leaves = tx.sql(|c| {
        let [rows, bytes] = [|record: &Bereft| record.rows, |record: &Bereft| record.bytes].map(|of| records.iter().map(of).sum::<i64>());
        c.execute("UPDATE user_log SET rows = rows - ?2, bytes = bytes - ?3 WHERE user_id = ?1", params![user, rows, bytes])?;
        if c.prepare_cached("SELECT 1 FROM log_order WHERE user_id = ?1 LIMIT 1")?.exists([user])? {
            return Ok(false);
        }
        let begun = begin(c, user, now)? == RemovalStart::Begun;
        if begun {
            c.execute("INSERT INTO gone_users (user_id) VALUES (?1) ON CONFLICT DO NOTHING", [user])?;
        }
        Ok(begun)
    })?;
    if leaves {
        tracing::info!(user = user.as_str(), "another program took all rows of a user out of the log; everything else of theirs goes, too");
        return Ok(());
    }
    let lists: BTreeSet<_> = records.iter().map(|record| (&*record.app, &*record.table)).collect();
    for (app, table) in lists {
        // They are made again where somebody looks at them.
        for list in ["record_lists", "record_cards"] {
            let forget = format!("DELETE FROM {list} WHERE user_id = ?1 AND app_id = ?2 AND table_name = ?3");
            tx.sql(|c| c.execute(&forget, params![user, app, table]))?;
        }
    }
    for record in records.iter().filter(|record| record.app == "ai") {
        if let Some(table) = [Table::Agents, Table::Missions].into_iter().find(|table| table.log_name() == record.table) {
            make_again(tx, table, user, &record.record)?;
        }
    }
    Ok(())
}

/// Opens the door to a user whose removal is done and began since their rows went, and calls in what came meanwhile.
pub(super) fn let_in_again(c: &Db<'_>, user: &UserId) -> db::Result<bool> {
    let is_gone = c.execute("DELETE FROM gone_users WHERE user_id = ?1", [user])? > 0;
    if is_gone {
        c.execute("INSERT INTO arrivals (row_id) SELECT row_id FROM held_arrivals WHERE user_id = ?1 ORDER BY number", [user])?;
        c.execute("DELETE FROM removals WHERE user_id = ?1", [user])?;
    }
    c.execute("DELETE FROM held_arrivals WHERE user_id = ?1", [user])?;
    Ok(is_gone)
}
