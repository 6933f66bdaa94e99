//! Iterations that a client's write took out of a mission's record: noted where the write is folded in, and put back by a
//! row of this program (docs/design.md, section 6).

use rusqlite::{OptionalExtension, Row, params};
use serde_json::Value;

use super::changes::{from_text, to_text};
use super::edit::{append_to, space_of};
use super::refresh::{Lost, newest};
use super::snapshots::Table;
use super::writer::Tx;
use super::{Store, StoreError, StoreResult};
use crate::domain::change::{Change, Op, RUNNER_CLIENT};
use crate::domain::iterations::{self, Iteration};
use crate::domain::lost::{join, restore};
use crate::domain::merge::{Fold, Stamps, winning_stamp};
use crate::domain::mission::Mission;
use crate::domain::raw::Raw;
use crate::domain::retention::{self, RetentionBounds};
use crate::domain::time;

/// An iteration that went so often is left to the client that takes it out.
const MAX_RESTORED: u32 = 5;

/// A mission that lost iterations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lossy {
    pub user_id: String,
    pub mission_id: String,
}

impl Store {
    /// Missions with lost iterations, at most `limit`. One that is deleted may come back, and keeps its notes until then.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn lossy_missions(&self, limit: u32) -> StoreResult<Vec<Lossy>> {
        self.read(move |c| {
            let mission = |row: &Row<'_>| Ok(Lossy { user_id: row.get(0)?, mission_id: row.get(1)? });
            let query = "SELECT DISTINCT l.user_id, l.mission_id FROM lost_iterations l \
                         JOIN mission_snapshots m ON m.user_id = l.user_id AND m.mission_id = l.mission_id \
                         WHERE m.liveness <> 'deleted' LIMIT ?1";
            c.prepare_cached(query)?.query_map([limit], mission)?.collect()
        })
        .await
    }

    /// Puts back what a mission lost, in one row; a mission that ended stays gone. Answers how many iterations came back.
    ///
    /// # Errors
    /// When the database cannot be written; what was lost stays noted then.
    pub async fn restore_iterations(&self, of: Lossy, event_id: String, actor: Value, bounds: RetentionBounds) -> StoreResult<usize> {
        self.write(move |tx| {
            let newest = tx.sql(|c| newest(c, Table::Missions, &of.user_id, &of.mission_id))?;
            let is_deleted = matches!(newest.fold, Fold::Known { .. }) && newest.fold.live().is_none();
            if is_deleted {
                return Ok(0);
            }
            let lost = take_noted(tx, &of)?;
            let Some((record, stamps)) = newest.fold.live() else { return Ok(0) };
            let (mission, _) = Mission::read(&of.mission_id, record);
            let Some(whole) = restore(mission.iterations.clone(), &lost) else { return Ok(0) };
            let kept = retention::bound(whole, bounds);
            let came_back: Vec<&Iteration> = kept.iterations.iter().filter(|iteration| !mission.iterations.contains(iteration)).collect();
            supersede(tx, &of.user_id, &of.mission_id, &kept.left)?;
            let count = "UPDATE runs SET restored = restored + 1 WHERE iteration_id = ?3 AND user_id = ?1 AND mission_id = ?2";
            for iteration in &came_back {
                tx.sql(|c| c.prepare_cached(count)?.execute(params![of.user_id, of.mission_id, iteration.id()]))?;
            }
            let came_back = came_back.len();
            if came_back == 0 {
                return Ok(0);
            }
            let change = Change {
                event_id,
                app_id: "ai".into(),
                table: Table::Missions.log_name().into(),
                record_id: of.mission_id.clone(),
                user_id: of.user_id.clone(),
                space_id: space_of(tx, Table::Missions, &of.user_id, &of.mission_id)?,
                op: Op::Update,
                field_meta: Stamps::from([(
                    iterations::FIELD.into(),
                    winning_stamp(tx.now(), stamps.get(iterations::FIELD).map(String::as_str)),
                )]),
                data: Some(iterations::to_record(&kept.iterations)),
                client_id: RUNNER_CLIENT.into(),
                created_at: None,
                schema_version: 1,
                verbatim: None,
                actor: Some(actor.into()),
                origin: Some("system".into()),
            };
            append_to::<StoreError>(tx, Table::Missions, newest, &change)?;
            Ok(came_back)
        })
        .await
    }
}

/// Notes what a fold found missing, where this program wrote it and did not let it go.
pub(super) fn note(tx: &Tx<'_>, user: &str, mission: &str, lost: &Lost) -> StoreResult<()> {
    if lost.is_empty() {
        return Ok(());
    }
    let after = "SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'iterations come back after row'";
    let after: i64 = tx.sql(|c| c.prepare_cached(after)?.query_row([], |row| row.get(0)).optional())?.unwrap_or(0);
    for (id, (seq, iteration)) in lost {
        let ours = "SELECT iteration FROM runs WHERE iteration_id = ?3 AND user_id = ?1 AND mission_id = ?2 AND iteration IS NOT NULL \
                    AND superseded_at IS NULL AND restored < ?4";
        let ours = |key| {
            tx.sql(|c| {
                c.prepare_cached(ours)?.query_row(params![user, mission, key, MAX_RESTORED], |row| row.get::<_, String>(0)).optional()
            })
        };
        let Some(written) = ours(id).map(|found| found.filter(|_| *seq > after))? else { continue };
        let noted = "SELECT iteration FROM lost_iterations WHERE user_id = ?1 AND mission_id = ?2 AND iteration_id = ?3";
        let noted: Option<String> = tx.sql(|c| c.prepare_cached(noted)?.query_row([user, mission, id], |row| row.get(0)).optional())?;
        let whole = match noted {
            Some(noted) => to_text(&join(iteration, &tx.sql(|_| read(&noted, mission))?)),
            None => to_text(iteration),
        };
        // What somebody blew up comes back as it was written.
        let text = if whole.len() <= retention::MAX_BYTES { whole } else { written };
        let insert = "INSERT INTO lost_iterations (user_id, mission_id, iteration_id, iteration) VALUES (?1, ?2, ?3, ?4) \
                      ON CONFLICT DO UPDATE SET iteration = ?4";
        tx.sql(|c| c.prepare_cached(insert)?.execute([user, mission, id, &text]))?;
    }
    Ok(())
}

fn take_noted(tx: &Tx<'_>, of: &Lossy) -> StoreResult<Vec<Iteration>> {
    let take = "DELETE FROM lost_iterations WHERE user_id = ?1 AND mission_id = ?2 RETURNING iteration";
    let texts: Vec<String> = tx.sql(|c| c.prepare_cached(take)?.query_map([&of.user_id, &of.mission_id], |row| row.get(0))?.collect())?;
    tx.sql(|_| texts.iter().map(|text| read(text, &of.mission_id)).collect())
}

fn read(text: &str, mission: &str) -> rusqlite::Result<Iteration> {
    from_text::<Raw>(text, || format!("a lost iteration of mission {mission}")).map(Iteration::from)
}

/// Marks iterations that leave a record by its bounds, and keeps how they last stood.
pub(super) fn supersede(tx: &Tx<'_>, user: &str, mission: &str, left: &[Iteration]) -> StoreResult<()> {
    let update = "UPDATE runs SET superseded_at = ?4, iteration = coalesce(?5, iteration) WHERE iteration_id = ?3 AND user_id = ?1 AND mission_id = ?2 \
                  AND iteration IS NOT NULL";
    let forget = "DELETE FROM lost_iterations WHERE user_id = ?1 AND mission_id = ?2 AND iteration_id = ?3";
    let at = time::to_micros(tx.now());
    for iteration in left {
        let text = Some(to_text(iteration)).filter(|text| text.len() <= retention::MAX_BYTES);
        tx.sql(|c| {
            c.prepare_cached(update)?.execute(params![user, mission, iteration.id(), at, text])?;
            c.prepare_cached(forget)?.execute([user, mission, iteration.id()])
        })?;
    }
    Ok(())
}
