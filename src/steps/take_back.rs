//! Taking back what the steps of an iteration wrote, the last one first.

use std::collections::BTreeSet;

use serde_json::Value;

use super::carry::{Target, row};
use super::undo::{Undo, undo};
use super::{StepKey, UserLog};
use crate::domain::ids::{IterationId, MissionId, StepId, UserId};
use crate::domain::iterations::Iteration;
use crate::domain::limits::{Admitted, LimitRefusal, admit};
use crate::domain::step::{IterationStep, StepStatus};

/// What taking a step back does.
#[derive(Debug, Default)]
pub struct Back {
    pub rows: Vec<Admitted>,
    pub kept: Vec<KeptField>,
}

/// A field that somebody changed since the step, so that it stays.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptField {
    pub app: String,
    pub table: String,
    pub id: String,
    pub field: String,
    pub now: Value,
}

/// Takes back steps of one iteration.
pub struct TakeBack<'a> {
    user: &'a UserId,
    mission: &'a MissionId,
    iteration: IterationId,
    client: &'a str,
    actor: Value,
    log: &'a dyn UserLog,
    /// Rows that count as if they had never been: those of steps that were taken back whole, and what took them back.
    undone: BTreeSet<String>,
}

/// Tries to take the same step back that are told apart.
const TRIES: usize = 16;
/// Records that one step wrote at one time, as far as they are looked at; the count stands in a record that clients write, too.
const MAX_RECORDS: usize = 300;

impl<'a> TakeBack<'a> {
    pub fn new(
        user: &'a UserId,
        mission: &'a MissionId,
        client: &'a str,
        actor: Value,
        log: &'a dyn UserLog,
        iteration: &Iteration,
    ) -> Self {
        let undone = BTreeSet::new();
        let mut back = TakeBack { user, mission, iteration: iteration.id().to_owned(), client, actor, log, undone };
        for step in iteration.steps() {
            let key = back.key(step.id());
            let is_undone = step.status() == StepStatus::Rejected && step.undone().is_some();
            let mut times = step.earlier();
            times.extend(is_undone.then(|| step.written().len()));
            for (earlier, written) in times.into_iter().enumerate() {
                for n in 0..written.min(MAX_RECORDS) {
                    back.undone.insert(key.repeated_id("row", n, earlier));
                    back.undone.extend((0..TRIES).map(|again| undo_id(&key, n, again, earlier)));
                }
            }
        }
        back
    }

    fn key(&self, step: &StepId) -> StepKey {
        StepKey {
            user_id: self.user.to_owned(),
            mission_id: self.mission.to_owned(),
            iteration_id: self.iteration.clone(),
            step_id: step.to_owned(),
        }
    }

    /// What takes a step back; `None`: nothing of it is left in the log.
    ///
    /// # Errors
    /// Where a row would break a limit of the log.
    pub fn step(&mut self, step: &IterationStep) -> Result<Option<Back>, LimitRefusal> {
        let mut back = Back::default();
        let mut ids = Vec::new();
        let (key, earlier) = (self.key(step.id()), step.earlier().len());
        for (n, (app, table, id)) in step.written().into_iter().enumerate().rev() {
            let own = key.repeated_id("row", n, earlier);
            let rows = self.log.rows(&app, &table, &id);
            let known: BTreeSet<String> = rows.iter().map(|(id, _)| id.clone()).collect();
            let rows: Vec<_> = rows.into_iter().filter(|(id, _)| !self.undone.contains(id)).collect();
            let Undo { write, conflicts } = undo(&id, &rows, &own);
            if let Some((op, fields)) = write {
                let event_id = (0..TRIES).map(|again| undo_id(&key, n, again, earlier)).find(|id| !known.contains(id));
                let event_id = event_id.unwrap_or_else(|| own.clone());
                let target = Target { app: &app, table: &table, record_id: &id, op };
                let change = row(self.user, self.client, event_id.clone(), target, fields, &self.actor, "user", self.log);
                back.rows.push(admit(change)?);
                ids.push(event_id);
            }
            ids.push(own);
            let kept = conflicts.into_iter().map(|conflict| KeptField {
                app: app.clone(),
                table: table.clone(),
                id: id.clone(),
                field: conflict.field,
                now: conflict.now,
            });
            back.kept.extend(kept);
        }
        if back.kept.is_empty() {
            self.undone.extend(ids);
        }
        Ok((!back.rows.is_empty() || !back.kept.is_empty()).then_some(back))
    }
}

fn undo_id(key: &StepKey, n: usize, again: usize, earlier: usize) -> String {
    key.repeated_id(&format!("undo {again}"), n, earlier)
}
