//! Snapshots on a server: many are looked up, or written, with one statement.

use std::collections::BTreeMap;

use serde::Serialize;

use super::refresh::{STORED, add_missions};
use super::server_rows::{SoughtRow, ask, json, parts};
use super::snapshots::columns_of;
use crate::domain::ids::UserId;
use crate::store::Table;
use crate::store::db::{self, Db, Row, ValueRef};
use crate::store::script::{Columns, Folded, Save};

const COMMON: &str = "last_seq, last_applied_at, updated_at, liveness, state, field_meta, record";
const OF_AGENTS: &str = "name, role, avatar, name_key, max_tokens";
const OF_MISSIONS: &str = "agent_id, next_run_at, awaiting_review, client_active_at, unscheduled, title, objective, waiting_since, title_key, bad_schedule, next_key";

/// A snapshot of either table.
#[derive(Serialize, Default)]
struct GivenSnapshot<'a> {
    user_id: &'a str,
    id: &'a str,
    last_seq: i64,
    last_applied_at: i64,
    updated_at: i64,
    liveness: &'a str,
    state: &'a str,
    field_meta: &'a str,
    record: &'a str,
    name: Option<&'a str>,
    role: Option<&'a str>,
    avatar: Option<&'a str>,
    name_key: Option<&'a str>,
    max_tokens: Option<i64>,
    agent_id: Option<&'a str>,
    next_run_at: Option<i64>,
    awaiting_review: Option<u64>,
    client_active_at: Option<i64>,
    unscheduled: Option<u8>,
    bad_schedule: Option<u8>,
    title: Option<&'a str>,
    objective: Option<&'a str>,
    waiting_since: Option<i64>,
    title_key: Option<&'a str>,
    next_key: Option<i64>,
}

/// What there is of the records that are asked for, in their order. Each is looked up by its key, also while a plan stays that was
/// made when the table was small.
fn sought(table: Table, columns: &str) -> String {
    let (name, key) = columns_of(table);
    format!(
        "SELECT {columns} FROM json_to_recordset(CAST(CAST(?1 AS TEXT) AS JSON)) AS g (n BIGINT, user_id TEXT, id TEXT) \
         LEFT JOIN LATERAL (SELECT * FROM {name} t WHERE t.user_id = g.user_id AND t.{key} = g.id OFFSET 0) AS s ON true ORDER BY g.n"
    )
}

/// Writes snapshots over what is there.
fn upsert(table: Table) -> String {
    let (name, key) = columns_of(table);
    let of_table = if table == Table::Agents { OF_AGENTS } else { OF_MISSIONS };
    let columns = format!("{COMMON}, {of_table}");
    let changed: Vec<String> = columns.split(", ").map(|column| format!("{column} = excluded.{column}")).collect();
    format!(
        "INSERT INTO {name} (user_id, {key}, {columns}) SELECT user_id, id, {columns} \
         FROM json_to_recordset(CAST(CAST(?1 AS TEXT) AS JSON)) AS g (user_id TEXT, id TEXT, last_seq BIGINT, last_applied_at BIGINT, \
         updated_at BIGINT, liveness TEXT, state TEXT, field_meta TEXT, record TEXT, name TEXT, role TEXT, avatar TEXT, name_key TEXT, max_tokens BIGINT, \
         agent_id TEXT, next_run_at BIGINT, awaiting_review BIGINT, client_active_at BIGINT, unscheduled BIGINT, title TEXT, objective TEXT, \
         waiting_since BIGINT, title_key TEXT, bad_schedule BIGINT, next_key BIGINT) \
         ON CONFLICT (user_id, {key}) DO UPDATE SET {}",
        changed.join(", ")
    )
}

fn keys<'a>(records: impl Iterator<Item = (&'a UserId, &'a str)>) -> impl Iterator<Item = SoughtRow<'a>> {
    records.enumerate().map(|(n, (user, id))| SoughtRow { n, user_id: user.as_str(), id, ..SoughtRow::default() })
}

/// What snapshots hold; the default where there is none. `read` is shown those that are there.
pub(super) fn load(
    c: &Db<'_>,
    table: Table,
    records: &[(&UserId, &str)],
    read: impl Fn(&Row<'_>, (&UserId, &str)) -> db::Result<Folded>,
) -> db::Result<Vec<Folded>> {
    let mut asked = records.iter();
    ask(c, &sought(table, STORED), keys(records.iter().copied()), |row| match asked.next() {
        Some(record) if row.get_ref("last_seq")? != ValueRef::Null => read(row, *record),
        _ => Ok(Folded::default()),
    })
}

/// Writes snapshots, but for those of which what is there knows more, and those of people who were removed.
pub(super) fn put(c: &Db<'_>, table: Table, saves: &[Save], updated_at: i64) -> db::Result<Vec<bool>> {
    let mut written = Vec::with_capacity(saves.len());
    for saves in parts(saves, |save| save.record.len() + save.stamps.len()) {
        written.extend(put_together(c, table, saves, updated_at)?);
    }
    Ok(written)
}

fn put_together(c: &Db<'_>, table: Table, saves: &[Save], updated_at: i64) -> db::Result<Vec<bool>> {
    let before = "coalesce(s.last_seq, 0), CASE s.liveness WHEN 'live' THEN s.state END, \
                  (SELECT 1 FROM removals r WHERE r.user_id = g.user_id) IS NOT NULL";
    let mut asked = saves.iter();
    let known = ask(c, &sought(table, before), keys(saves.iter().map(|save| (&save.user, save.id.as_str()))), |row| {
        let (seq, state, is_removed): (i64, Option<String>, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let is_new = asked.next().is_some_and(|save| seq < save.last_seq);
        Ok((is_new && !is_removed, state))
    })?;
    let news = || saves.iter().zip(&known).filter(|(_, (is_new, _))| *is_new);
    let given: Vec<GivenSnapshot<'_>> = news().map(|(save, _)| given(save, updated_at)).collect();
    if !given.is_empty() {
        c.prepare_cached(&upsert(table))?.execute([json(&given)?])?;
    }
    if table == Table::Missions {
        let mut missions = BTreeMap::<&str, i64>::new();
        for (save, (_, before)) in news() {
            let after = (save.liveness == "live").then_some(save.state);
            for (state, by) in [(before.as_deref(), -1), (after, 1)] {
                if let Some(state) = state {
                    *missions.entry(state).or_default() += by;
                }
            }
        }
        missions.into_iter().try_for_each(|(state, by)| add_missions(c, state, by))?;
    }
    Ok(known.into_iter().map(|(is_new, _)| is_new).collect())
}

fn given(save: &Save, updated_at: i64) -> GivenSnapshot<'_> {
    let Save { user, id, record, stamps, liveness, state, last_seq, last_applied_at, columns, .. } = save;
    let common = GivenSnapshot {
        user_id: user.as_str(),
        id,
        last_seq: *last_seq,
        last_applied_at: *last_applied_at,
        updated_at,
        liveness,
        state,
        field_meta: stamps,
        record,
        ..GivenSnapshot::default()
    };
    match columns {
        Columns::Agent { name, role, avatar, name_key, max_tokens } => GivenSnapshot {
            name: Some(name),
            role: Some(role),
            avatar: Some(avatar),
            name_key: Some(name_key),
            max_tokens: *max_tokens,
            ..common
        },
        Columns::Mission {
            agent_id,
            next_run_at,
            awaiting_review,
            client_active_at,
            unscheduled,
            bad_schedule,
            title,
            objective,
            waiting_since,
            title_key,
        } => GivenSnapshot {
            agent_id: agent_id.as_ref().map(|id| id.as_str()),
            next_run_at: *next_run_at,
            awaiting_review: Some(*awaiting_review),
            client_active_at: *client_active_at,
            unscheduled: Some((*unscheduled).into()),
            bad_schedule: Some((*bad_schedule).into()),
            title: Some(title),
            objective: Some(objective),
            waiting_since: *waiting_since,
            title_key: Some(title_key),
            next_key: Some(next_run_at.unwrap_or(i64::MAX)),
            ..common
        },
    }
}
