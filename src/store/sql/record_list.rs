//! Lists of records: cards that are made of the log where somebody looks at a table, and what was deleted of anything
//! (docs/design.md, section 9).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::cards::{agent, mission};
use super::changes::times_rows_went;
use super::linked::{Bounds, fold};
use super::{AgentCard, LAST, MissionCard, Store, StoreResult};
use crate::domain::ids::UserId;
use crate::domain::merge::{Fold, Record};
use crate::domain::time;
use crate::modules::{RecordCard, TableSpec};
use crate::store::db::{self, Db, OptionalExtension, Row, ToSql, params};

/// Rows of a table that one transaction takes in.
const BATCH: usize = 5_000;
/// How much of the log may be read of one record.
const BOUNDS: Bounds = Bounds { rows: 100_000, bytes: 64 << 20, upto: i64::MAX };

pub(super) const NEW_RECORDS: &str = "SELECT record_id, sync_at FROM sync_changes WHERE user_id = ?1 AND app_id = ?2 AND table_name = ?3 \
     AND sync_at > ?4 ORDER BY sync_at LIMIT ?5";
pub(super) const OWNERS: &str =
    "SELECT record_id FROM record_cards WHERE user_id = ?1 AND app_id = ?2 AND table_name = ?3 AND owned_id = ?4 AND owned_id IS NOT NULL";
pub(super) const DELETED_RECORDS: &str = "SELECT changed_at, app_id, table_name, record_id, shown FROM record_cards \
     WHERE user_id = ?1 AND deleted = 1 AND changed_at < ?2 ORDER BY changed_at DESC LIMIT ?3";
pub(super) const DELETED_MISSIONS: &str = "SELECT mission_id, title, objective, state, next_run_at, awaiting_review, waiting_since, agent_id, \
     last_applied_at FROM mission_snapshots WHERE user_id = ?1 AND liveness = 'deleted' AND last_applied_at < ?2 \
     ORDER BY last_applied_at DESC LIMIT ?3";
pub(super) const DELETED_AGENTS: &str = "SELECT agent_id, name, role, avatar, state, last_applied_at FROM agent_snapshots \
     WHERE user_id = ?1 AND liveness = 'deleted' AND last_applied_at < ?2 ORDER BY last_applied_at DESC LIMIT ?3";
pub(super) const RECORDS_COUNT: &str = "SELECT count(*) FROM (SELECT 1 FROM record_cards WHERE user_id = ?1 AND app_id = ?2 \
     AND table_name = ?3 AND deleted = 0 LIMIT ?4) AS counted";
const LIST: &str = "SELECT shape, read_to FROM record_lists WHERE user_id = ?1 AND app_id = ?2 AND table_name = ?3";

/// By what records are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordSort {
    /// What changed last first.
    Changed,
    Title,
    /// By their day or time; those without one come last.
    NewestDay,
    OldestDay,
}

/// A place in the order: the key and the id of a record.
pub type RecordPlace = (String, String);

/// Which records of a table are listed.
#[derive(Debug, Clone)]
pub struct RecordsWanted {
    /// A part of title or text, in lower case.
    pub search: String,
    /// As [`TableSpec::facet`] makes them.
    pub facets: Vec<String>,
    pub sort: RecordSort,
    pub after: Option<RecordPlace>,
}

/// A table whose records are listed, and those whose records belong to them, each by the field that names one.
#[derive(Debug, Clone)]
pub struct ListedTable {
    pub table: TableSpec,
    pub owned: Vec<(String, TableSpec)>,
}

/// A record that can be brought back.
#[derive(Debug, Clone, PartialEq)]
pub struct DeletedRecord {
    pub at: Timestamp,
    pub app: String,
    pub table: String,
    pub id: String,
    pub shown: Record,
}

/// A part of the order in which records are listed, after a place; `facets` are how many are chosen.
pub(super) fn records_where(sort: RecordSort, without_day: bool, facets: usize) -> String {
    let (key, after, order) = match sort {
        RecordSort::Changed => ("changed_at", "<", "changed_at DESC, record_id DESC"),
        RecordSort::Title => ("title_key", ">", "title_key, record_id"),
        RecordSort::NewestDay if !without_day => ("day_key", "<", "day_key DESC, record_id DESC"),
        RecordSort::NewestDay | RecordSort::OldestDay => ("day_key", ">", "day_key, record_id"),
    };
    let part = match (sort, without_day) {
        (RecordSort::NewestDay | RecordSort::OldestDay, false) => "AND day_key > ''",
        (RecordSort::NewestDay | RecordSort::OldestDay, true) => "AND day_key = ''",
        _ => "",
    };
    let chosen: String = (0..facets).map(|n| format!(" AND instr(facets, ?{}) > 0", n + 8)).collect();
    format!(
        "SELECT record_id, CAST({key} AS TEXT), shown FROM record_cards WHERE user_id = ?1 AND app_id = ?2 AND table_name = ?3 AND deleted = 0 \
         AND ({key}, record_id) {after} (?4, ?5) {part}{chosen} AND (?6 = '' OR instr(search, ?6) > 0) ORDER BY {order} LIMIT ?7"
    )
}

impl Store {
    /// Brings the list of a table up to date with the log.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn refresh_records(&self, user: &UserId, listed: &ListedTable) -> StoreResult<()> {
        loop {
            let (of, table) = (user.clone(), listed.clone());
            let Some(batch) = self.read(move |c| ListBatch::read(c, &of, &table)).await? else {
                return Ok(());
            };
            let (of, table, more) = (user.clone(), listed.table.clone(), batch.more);
            let is_written = self.write(move |tx| tx.sql(|c| batch.write(c, &of, &table))).await?;
            // Where somebody else wrote meanwhile, it is looked at again.
            if is_written && !more {
                return Ok(());
            }
        }
    }

    /// How many records a list has, as it was brought up to date last; counted up to `most`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn records_count(&self, user: &UserId, app: &str, table: &str, most: u32) -> StoreResult<u64> {
        let (user, app, table) = (user.to_owned(), app.to_owned(), table.to_owned());
        self.read(move |c| c.prepare_cached(RECORDS_COUNT)?.query_row(params![user, app, table, most], |row| row.get(0))).await
    }

    /// Records of a list as it was brought up to date last, at most `limit`, and the place after which further ones follow.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn records_where(
        &self,
        user: &UserId,
        app: &str,
        table: &str,
        wanted: RecordsWanted,
        limit: usize,
    ) -> StoreResult<(Vec<(String, Record)>, Option<RecordPlace>)> {
        let (user, app, table) = (user.to_owned(), app.to_owned(), table.to_owned());
        self.read(move |c| {
            let RecordsWanted { search, facets, sort, after } = wanted;
            let by_day = matches!(sort, RecordSort::NewestDay | RecordSort::OldestDay);
            let first = match sort {
                RecordSort::Changed => (i64::MAX.to_string(), LAST.to_owned()),
                RecordSort::NewestDay => (LAST.to_owned(), LAST.to_owned()),
                RecordSort::Title | RecordSort::OldestDay => RecordPlace::default(),
            };
            let is_past_days = by_day && after.as_ref().is_some_and(|(key, _)| key.is_empty());
            let mut parts = vec![(false, after.clone().unwrap_or(first))];
            if is_past_days {
                parts.clear();
            }
            if by_day {
                parts.push((true, after.filter(|_| is_past_days).unwrap_or_default()));
            }
            let mut found: Vec<(RecordPlace, Record)> = Vec::new();
            for (without_day, (key, id)) in parts {
                let left = limit - found.len();
                if left == 0 {
                    break;
                }
                let key: db::Value = match sort {
                    RecordSort::Changed => key.parse::<i64>().unwrap_or(i64::MAX).into(),
                    _ => key.into(),
                };
                let place = params![user, app, table, key, id, search, left];
                let given: Vec<&dyn ToSql> = place.iter().copied().chain(facets.iter().map(|facet| facet as &dyn ToSql)).collect();
                let mut statement = c.prepare_cached(&records_where(sort, without_day, facets.len()))?;
                let rows = statement.query_map(&*given, listed)?;
                found.extend(rows.collect::<Result<Vec<_>, _>>()?);
            }
            let next = found.last().filter(|_| found.len() == limit).map(|(place, _)| place.clone());
            Ok((found.into_iter().map(|((_, id), record)| (id, record)).collect(), next))
        })
        .await
    }

    /// Records of a user that were deleted before a moment and can be brought back, the last first, out of lists as they were
    /// brought up to date last.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn deleted_records(&self, user: &UserId, before: Timestamp, limit: u32) -> StoreResult<Vec<DeletedRecord>> {
        let (user, before) = (user.to_owned(), time::to_micros(before));
        let deleted = |row: &Row<'_>| {
            let at = time::from_micros(row.get(0)?);
            Ok(DeletedRecord { at, app: row.get(1)?, table: row.get(2)?, id: row.get(3)?, shown: shown(row, 4)? })
        };
        self.read(move |c| c.prepare_cached(DELETED_RECORDS)?.query_map(params![user, before, limit], deleted)?.collect()).await
    }

    /// Missions of a user that were deleted before a moment and can be brought back, the last first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn deleted_missions(&self, user: &UserId, before: Timestamp, limit: u32) -> StoreResult<Vec<(Timestamp, MissionCard)>> {
        let (user, before) = (user.to_owned(), time::to_micros(before));
        let deleted = |row: &Row<'_>| Ok((time::from_micros(row.get(8)?), mission(row)?));
        self.read(move |c| c.prepare_cached(DELETED_MISSIONS)?.query_map(params![user, before, limit], deleted)?.collect()).await
    }

    /// The same for agents.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn deleted_agents(&self, user: &UserId, before: Timestamp, limit: u32) -> StoreResult<Vec<(Timestamp, AgentCard)>> {
        let (user, before) = (user.to_owned(), time::to_micros(before));
        let deleted = |row: &Row<'_>| Ok((time::from_micros(row.get(5)?), agent(row)?));
        self.read(move |c| c.prepare_cached(DELETED_AGENTS)?.query_map(params![user, before, limit], deleted)?.collect()).await
    }
}

fn listed(row: &Row<'_>) -> db::Result<(RecordPlace, Record)> {
    Ok(((row.get(1)?, row.get(0)?), shown(row, 2)?))
}

/// What is damaged is shown as empty; the list is made again where its table is described otherwise.
fn shown(row: &Row<'_>, column: usize) -> db::Result<Record> {
    Ok(serde_json::from_str(row.get_ref(column)?.as_str()?).unwrap_or_default())
}

/// What a list lacks.
struct ListBatch {
    /// What the list was when it was looked at.
    was: Option<(String, i64)>,
    rows_went: i64,
    shape: String,
    is_new_shape: bool,
    read_to: i64,
    more: bool,
    /// By their ids; `None` for one that is gone for good.
    cards: Vec<(String, Option<MadeCard>)>,
}

struct MadeCard {
    card: RecordCard,
    changed_at: i64,
    is_deleted: bool,
    owned_id: Option<String>,
}

impl ListBatch {
    fn read(c: &Db<'_>, user: &UserId, listed: &ListedTable) -> db::Result<Option<Self>> {
        let ListedTable { table, owned } = listed;
        let was: Option<(String, i64)> =
            c.prepare_cached(LIST)?.query_row(params![user, table.app, table.table], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let rows_went = times_rows_went(c)?;
        let shape = table.shape();
        let is_new_shape = was.as_ref().is_none_or(|(known, _)| *known != shape);
        let from = was.as_ref().filter(|_| !is_new_shape).map_or(0, |(_, read_to)| *read_to);
        let own = new_rows(c, user, table, from)?;
        let of_owned = owned.iter().map(|(_, table)| new_rows(c, user, table, from)).collect::<db::Result<Vec<_>>>()?;
        let all = || of_owned.iter().chain([&own]);
        let last = |rows: &Vec<(String, i64)>| rows.last().map(|(_, at)| *at);
        // A table of which not all was read says how far this goes.
        let full = all().filter(|rows| rows.len() == BATCH).filter_map(last).min();
        let Some(read_to) = full.or_else(|| all().filter_map(last).max()) else {
            return Ok(is_new_shape.then(|| ListBatch { was, rows_went, shape, is_new_shape, read_to: 0, more: false, cards: Vec::new() }));
        };
        let mut changed: BTreeMap<String, i64> = BTreeMap::new();
        let mut note = |id: String, at: i64| {
            let known = changed.entry(id).or_insert(at);
            *known = at.max(*known);
        };
        own.iter().filter(|(_, at)| *at <= read_to).for_each(|(id, at)| note(id.clone(), *at));
        let mut owners = c.prepare_cached(OWNERS)?;
        for (id, at) in of_owned.iter().flatten().filter(|(_, at)| *at <= read_to && !is_new_shape) {
            for owner in owners.query_map(params![user, table.app, table.table, id], |row| row.get(0))? {
                note(owner?, *at);
            }
        }
        let made = |(id, at): (String, i64)| Ok((id.clone(), made(c, user, listed, &id, at)?));
        let cards = changed.into_iter().map(made).collect::<db::Result<Vec<_>>>()?;
        Ok(Some(ListBatch { was, rows_went, shape, is_new_shape, read_to, more: full.is_some(), cards }))
    }

    /// `false`: somebody else wrote the list meanwhile, or rows went out of the log.
    fn write(&self, c: &Db<'_>, user: &UserId, table: &TableSpec) -> db::Result<bool> {
        let (app, name) = (&table.app, &table.table);
        let now: Option<(String, i64)> =
            c.prepare_cached(LIST)?.query_row(params![user, app, name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        if now != self.was || times_rows_went(c)? != self.rows_went {
            return Ok(false);
        }
        if self.is_new_shape {
            c.prepare_cached("DELETE FROM record_cards WHERE user_id = ?1 AND app_id = ?2 AND table_name = ?3")?
                .execute(params![user, app, name])?;
        }
        let mut put = c.prepare_cached(
            "INSERT INTO record_cards (user_id, app_id, table_name, record_id, changed_at, deleted, owned_id, title_key, day_key, facets, \
             shown, search) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
             ON CONFLICT (user_id, app_id, table_name, record_id) DO UPDATE SET changed_at = max(record_cards.changed_at, ?5), deleted = ?6, owned_id = ?7, \
             title_key = ?8, day_key = ?9, facets = ?10, shown = ?11, search = ?12",
        )?;
        let mut remove =
            c.prepare_cached("DELETE FROM record_cards WHERE user_id = ?1 AND app_id = ?2 AND table_name = ?3 AND record_id = ?4")?;
        for (id, made) in &self.cards {
            let Some(MadeCard { card, changed_at, is_deleted, owned_id }) = made else {
                remove.execute(params![user, app, name, id])?;
                continue;
            };
            let RecordCard { title_key, day_key, facets, search, shown } = card;
            let shown = Value::Object(shown.clone()).to_string();
            put.execute(params![user, app, name, id, changed_at, is_deleted, owned_id, title_key, day_key, facets, shown, search])?;
        }
        c.prepare_cached(
            "INSERT INTO record_lists (user_id, app_id, table_name, shape, read_to) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (user_id, app_id, table_name) DO UPDATE SET shape = ?4, read_to = ?5",
        )?
        .execute(params![user, app, name, self.shape, self.read_to])?;
        Ok(true)
    }
}

fn new_rows(c: &Db<'_>, user: &UserId, table: &TableSpec, from: i64) -> db::Result<Vec<(String, i64)>> {
    let mut statement = c.prepare_cached(NEW_RECORDS)?;
    statement.query_map(params![user, table.app, table.table, from, BATCH], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// The card of a record with the fields of what belongs to it.
fn made(c: &Db<'_>, user: &UserId, listed: &ListedTable, id: &str, changed_at: i64) -> db::Result<Option<MadeCard>> {
    let folded = |table: &TableSpec, id: &str| {
        let mut bounds = BOUNDS;
        let fold = fold(c, user, &table.app, &table.table, id, &mut bounds)?.unwrap_or_default();
        let is_live = fold.live().is_some();
        Ok::<_, db::Error>(match fold {
            Fold::Known { record, .. } => Some((record.read(), is_live)),
            _ => None,
        })
    };
    let Some((mut record, is_live)) = folded(&listed.table, id)? else { return Ok(None) };
    let mut owned_id = None;
    for (field, table) in &listed.owned {
        let Some(owned) = record.get(field).and_then(Value::as_str).map(str::to_owned) else { continue };
        for (name, value) in folded(table, &owned)?.map(|(record, _)| record).into_iter().flatten() {
            record.entry(name).or_insert(value);
        }
        owned_id.get_or_insert(owned);
    }
    Ok(Some(MadeCard { card: listed.table.card(&record), changed_at, is_deleted: !is_live, owned_id }))
}
