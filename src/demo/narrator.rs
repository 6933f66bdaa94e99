//! Tells in plain words what each tick decided and why.

use std::collections::HashMap;

use crate::app::Operator;
use crate::domain::decision::{Condition, Decision};
use crate::domain::ids::UserId;
use crate::domain::mission::Mission;
use crate::domain::time;
use crate::runner::{Note, RunOutcome, RunReport, TickStats};
use crate::store::{Snapshot, StoreResult};
use crate::text::catalog::Words;
use crate::text::decision::compared;

/// Tells about tick after tick; what stays the same is not told twice.
#[derive(Default)]
pub struct Narrator {
    ticks: u32,
    last_waiting: Vec<String>,
}

impl Narrator {
    /// Lines about a tick whose runs have settled; none where nothing happened.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tell(
        &mut self,
        operator: &Operator,
        stats: &TickStats,
        notes: &[Note],
        settled: &[RunReport],
    ) -> StoreResult<Vec<String>> {
        self.ticks += 1;
        let rows = operator.missions(None, None).await?;
        let missions: HashMap<_, _> = rows.iter().map(|(row, _)| ((&row.user_id, row.id.as_str()), row)).collect();
        let name = |user: &UserId, id: &str| missions.get(&(user, id)).map_or_else(|| id.to_owned(), |row| title(row));
        let waiting: Vec<String> =
            notes.iter().filter_map(|note| kept(note).map(|why| format!("  {} – {why}", who(note, &name)))).collect();
        let same = waiting == self.last_waiting;
        self.last_waiting.clone_from(&waiting);
        if settled.is_empty() && same {
            return Ok(Vec::new());
        }
        let mut lines = vec![format!("Tick {} at {}: {} due", self.ticks, clock(stats), count(stats.due, "mission"))];
        for run in settled {
            let agent = notes.iter().find(|n| n.mission_id == run.mission_id && n.user_id == run.user_id).and_then(|n| n.agent.clone());
            let next = missions.get(&(&run.user_id, run.mission_id.as_str())).map(|row| next_run(row)).unwrap_or_default();
            lines.push(format!(
                "  {} “{}” – {}",
                agent.as_deref().unwrap_or("Mana"),
                name(&run.user_id, &run.mission_id),
                ended(&run.outcome, &next)
            ));
        }
        if same && !waiting.is_empty() {
            lines.push(format!("  The other {} still wait, for the same reasons.", waiting.len()));
        } else {
            lines.extend(waiting);
        }
        Ok(lines)
    }
}

fn who(note: &Note, name: &impl Fn(&UserId, &str) -> String) -> String {
    format!("{} “{}”", note.agent.as_deref().unwrap_or("Mana"), name(&note.user_id, &note.mission_id))
}

/// Why a mission did not start.
fn kept(note: &Note) -> Option<String> {
    let Decision::Wait(condition) = &note.decision else { return None };
    let why = compared(Words::ENGLISH, condition, None).to_string();
    Some(match condition {
        Condition::NotArchived(_) | Condition::NotPaused(_) => format!("skipped: {why}"),
        Condition::Budget { .. } => format!("skipped, the agent's budget is used up: {why}"),
        Condition::Idle { .. } => "still being planned".into(),
        Condition::Retry { .. } => format!("waits to try again: {}", note.reason.as_deref().unwrap_or(&why)),
        _ => format!("not now: {why}"),
    })
}

fn ended(outcome: &RunOutcome, next: &str) -> String {
    match outcome {
        RunOutcome::Planned { summary, steps, note, .. } => {
            let plan = match steps {
                0 => "nothing to do".to_owned(),
                steps => format!("planned {}, now up for review", count(*steps, "step")),
            };
            let note = note.as_ref().map_or_else(String::new, |note| format!(" ({note})"));
            format!("{plan}: {summary} {next}{note}")
        }
        RunOutcome::Failed { reason } => format!("failed for good: {reason} {next}"),
        RunOutcome::Dropped { reason } => format!("plan dropped: {reason}"),
        RunOutcome::Retrying { reason, .. } => format!("will try again soon: {reason}"),
        RunOutcome::Released { reason } => format!("put back: {reason}"),
        RunOutcome::Lost => "another process took it over".into(),
        RunOutcome::Broken { reason } => format!("could not be written: {reason}"),
    }
}

fn title(row: &Snapshot<Mission>) -> String {
    row.read().label().to_owned()
}

fn next_run(row: &Snapshot<Mission>) -> String {
    match row.read().next_run_at {
        None => "(No next time: it is started by hand.)".into(),
        Some(at) => format!("(Next: {}.)", time::iso_millis(at).replace(".000Z", "Z")),
    }
}

fn clock(stats: &TickStats) -> String {
    time::iso_millis(stats.scanned_at)[11..19].to_owned()
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
