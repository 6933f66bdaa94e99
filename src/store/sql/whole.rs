//! Parts of one record on an engine that reads it whole: what [`parts`](super::parts) has SQLite cut.

use super::changes::record_from_text;
use super::parts::{Longest, PLANS_BYTES, PlanCard, RecordPart, SomePlans};
use super::snapshots::columns_of;
use crate::domain::decision::Plans;
use crate::domain::field;
use crate::domain::ids::{IterationId, UserId};
use crate::domain::iterations::{self, Iteration};
use crate::domain::raw::{Raw, RawRecord};
use crate::domain::time;
use crate::store::Table;
use crate::store::db::{self, Db, OptionalExtension, params};

/// Characters of the texts of a [`PlanCard`].
const SUMMARY_CHARS: usize = 300;

fn live(c: &Db<'_>, table: Table, user: &UserId, id: &str) -> db::Result<Option<RawRecord>> {
    let (name, key) = columns_of(table);
    let query = format!("SELECT record FROM {name} WHERE user_id = ?1 AND {key} = ?2 AND liveness = 'live'");
    let text: Option<String> = c.query_row(&query, params![user, id], |row| row.get(0)).optional()?;
    text.map(|text| record_from_text(&text, || format!("a snapshot ({id} of user {user})"))).transpose()
}

pub(super) fn part(
    c: &Db<'_>,
    (table, user, id): (Table, &UserId, &str),
    fields: &[&str],
    longest: Longest,
) -> db::Result<Option<RecordPart>> {
    let Some(record) = live(c, table, user, id)? else { return Ok(None) };
    let mut part = RecordPart::default();
    for (name, value) in record.iter().filter(|(name, _)| fields.contains(&name.as_str())) {
        let is_nested = value.get().starts_with(['[', '{']);
        if name == field::ITERATIONS && value.get().starts_with('[') {
            continue;
        }
        if let Some(text) = value.text() {
            let cut: String = text.chars().take(longest.chars as usize).collect();
            if cut.len() < text.len() {
                part.missing.insert(name.clone(), (text.len() - cut.len()) as u64);
            }
            part.record.insert(name.clone(), Raw::from(cut));
        } else if is_nested && value.get().len() > longest.bytes as usize {
            part.missing.insert(name.clone(), value.get().len() as u64);
        } else {
            part.record.insert(name.clone(), value.clone());
        }
    }
    Ok(Some(part))
}

pub(super) fn some_plans(c: &Db<'_>, user: &UserId, id: &str, skip: usize, limit: usize) -> db::Result<SomePlans> {
    let Some(record) = live(c, Table::Missions, user, id)? else { return Ok(SomePlans::default()) };
    let counts = "SELECT awaiting_review, client_active_at FROM mission_snapshots WHERE user_id = ?1 AND mission_id = ?2";
    let plans = c.query_row(counts, params![user, id], |row| {
        Ok(Plans { awaiting_review: row.get(0)?, client_active_at: row.get::<_, Option<i64>>(1)?.map(time::from_micros) })
    })?;
    let mut iterations = iterations::of_record(&record);
    let all = iterations.len();
    iterations.reverse();
    // Those that await review first, each kind in its order.
    iterations.sort_by_key(|iteration| !iteration.awaits_review());
    let mut before = 0;
    let fits = |iteration: &Iteration| {
        let fits = before < PLANS_BYTES;
        before += iteration.bytes();
        fits
    };
    let iterations = iterations.into_iter().skip(skip).take(limit).take_while(fits).collect();
    Ok(SomePlans { iterations, all, plans })
}

pub(super) fn waiting(c: &Db<'_>, user: &UserId, id: &str, limit: u32) -> db::Result<Vec<PlanCard>> {
    let record = live(c, Table::Missions, user, id)?.unwrap_or_default();
    let waiting = iterations::of_record(&record).into_iter().filter(Iteration::awaits_review).take(limit as usize);
    let card = |iteration: Iteration| PlanCard {
        id: iteration.id().clone(),
        started_at: iteration.started_at(),
        summary: iteration.summary().chars().take(SUMMARY_CHARS).collect(),
        steps: iteration.steps().len() as u64,
    };
    Ok(waiting.map(card).collect())
}

pub(super) fn plan(c: &Db<'_>, user: &UserId, id: &str, iteration: &IterationId) -> db::Result<Option<Iteration>> {
    let record = live(c, Table::Missions, user, id)?.unwrap_or_default();
    Ok(iterations::of_record(&record).into_iter().find(|found| found.id() == iteration))
}
