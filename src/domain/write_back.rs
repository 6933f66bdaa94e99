//! What a finished run writes into its mission, decided on the mission's newest state (docs/design.md, section 6).

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::cadence::{BadCadence, Cadence};
use super::field;
use super::ids::MissionId;
use super::iterations::{self, Iteration};
use super::merge::{Fold, Stamps, winning_stamp};
use super::mission::{Mission, MissionState};
use super::raw::{Raw, RawRecord};
use super::retention::{self, RetentionBounds};
use super::time;

/// The due time that a run was claimed for, and what it came to.
#[derive(Debug)]
pub struct Finished<'a> {
    pub mission_id: &'a MissionId,
    pub scheduled_for: Timestamp,
    pub iteration: &'a Iteration,
}

/// The rules and clocks that the write follows.
#[derive(Debug)]
pub struct Terms<'a> {
    /// The time that cadences continue from.
    pub now: Timestamp,
    /// The wall clock, for field stamps.
    pub wrote_at: Timestamp,
    pub zone: &'a TimeZone,
    pub bounds: RetentionBounds,
}

/// The update of the mission.
#[derive(Debug, PartialEq)]
pub struct Write {
    pub data: RawRecord,
    pub field_meta: Stamps,
    /// Iterations that had to leave the record.
    pub left: Vec<Iteration>,
    /// Due times that went by unserved and that this run stands for.
    pub missed: u32,
    /// The cadence cannot be followed: the mission does not run again until it is set.
    pub bad_cadence: Option<BadCadence>,
}

/// Why a plan is dropped: its mission is no longer as the run found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    Deleted,
    /// It became something other than active.
    Became(MissionState),
    Rescheduled {
        from: Timestamp,
        to: Option<Timestamp>,
    },
}

/// Makes the update.
///
/// # Errors
/// The reason for which the plan is dropped.
pub fn write(fold: &Fold, finished: &Finished<'_>, terms: &Terms<'_>) -> Result<Write, DropReason> {
    let Some((record, stamps)) = fold.live() else { return Err(DropReason::Deleted) };
    let (mission, _) = Mission::read(finished.mission_id, record);
    still_due(&mission, finished.scheduled_for, terms.now)?;
    let (next, missed, bad_cadence) = match Cadence::read(&mission.cadence) {
        Ok(cadence) => {
            let resumption = cadence.resume(finished.scheduled_for, terms.now, terms.zone);
            (resumption.next, resumption.missed, None)
        }
        Err(bad) => (None, 0, Some(bad)),
    };
    let iterations = mission.iterations.into_iter().chain([finished.iteration.clone()]).collect();
    let kept = retention::bound(iterations, terms.bounds);
    let mut data = iterations::to_record(&kept.iterations);
    data.insert(field::NEXT_RUN_AT.into(), next.map_or_else(Raw::null, |at| time::iso_millis(at).into()));
    let field_meta =
        data.keys().map(|field| (field.clone(), winning_stamp(terms.wrote_at, stamps.get(field).map(String::as_str)))).collect();
    Ok(Write { data, field_meta, left: kept.left, missed, bad_cadence })
}

/// Whether a mission still waits for the run that was claimed for `scheduled_for`. A next time that has come is "run now",
/// pressed during the run: the run under way is what was asked for.
///
/// # Errors
/// The reason why it does not.
pub fn still_due(mission: &Mission, scheduled_for: Timestamp, now: Timestamp) -> Result<(), DropReason> {
    if mission.state != MissionState::Active {
        return Err(DropReason::Became(mission.state));
    }
    if mission.next_run_at.is_some_and(|at| at == scheduled_for || at <= now) {
        return Ok(());
    }
    Err(DropReason::Rescheduled { from: scheduled_for, to: mission.next_run_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change::Op;
    use crate::domain::merge::Delta;
    use serde_json::{Value, json};

    const SCHEDULED: &str = "2026-04-15T08:00:00Z";

    fn fold(rows: &[(Value, Value)]) -> Fold {
        let mut fold = Fold::default();
        for (data, meta) in rows {
            fold.apply(
                "m",
                Delta {
                    op: Op::Update,
                    data: data.as_object().map(RawRecord::from),
                    field_meta: serde_json::from_value(meta.clone()).unwrap(),
                    created_at: "2026-04-15T07:00:00Z".parse().unwrap(),
                },
            );
        }
        fold
    }

    fn mission() -> (Value, Value) {
        (
            json!({"state": "active", "nextRunAt": SCHEDULED, "cadence": {"kind": "interval", "everyMinutes": 60}, "iterations": [{"id": "old"}]}),
            json!({"nextRunAt": "2026-04-15T07:00:00.000Z"}),
        )
    }

    fn run(rows: &[(Value, Value)]) -> Result<Write, DropReason> {
        let finished =
            Finished { mission_id: &"m".into(), scheduled_for: SCHEDULED.parse().unwrap(), iteration: &json!({"id": "new"}).into() };
        let now: Timestamp = "2026-04-15T08:00:05Z".parse().unwrap();
        write(
            &fold(rows),
            &finished,
            &Terms { now, wrote_at: now, zone: &TimeZone::UTC, bounds: RetentionBounds { iterations: 2, bytes: retention::MAX_BYTES } },
        )
    }

    #[test]
    fn the_iteration_joins_what_arrived_meanwhile() {
        let feedback = (
            json!({"iterations": [{"id": "older"}, {"id": "old", "userFeedback": "good"}]}),
            json!({"iterations": "2031-01-01T00:00:00.000Z"}),
        );
        let write = run(&[mission(), feedback]).unwrap();
        assert_eq!(write.data.value("iterations").unwrap(), json!([{"id": "old", "userFeedback": "good"}, {"id": "new"}]));
        assert_eq!(write.left, [json!({"id": "older"}).into()]);
        assert_eq!(write.data.value("nextRunAt").unwrap(), "2026-04-15T09:00:00.000Z");
        assert_eq!(write.field_meta["iterations"], "2031-01-01T00:00:00.001Z", "beats a clock that runs ahead");
        assert_eq!(write.field_meta["nextRunAt"], "2026-04-15T08:00:05.000Z");
    }

    #[test]
    fn a_mission_that_moved_on_drops_the_plan() {
        let later = |data: Value| run(&[mission(), (data, json!({"nextRunAt": "2026-04-15T07:30:00.000Z"}))]).unwrap_err();
        let from = SCHEDULED.parse().unwrap();
        assert_eq!(later(json!({"deletedAt": "2026-04-15T08:00:01Z"})), DropReason::Deleted);
        assert_eq!(later(json!({"state": "paused"})), DropReason::Became(MissionState::Paused));
        let tomorrow = "2026-04-16T08:00:00Z";
        assert_eq!(later(json!({"nextRunAt": tomorrow})), DropReason::Rescheduled { from, to: Some(tomorrow.parse().unwrap()) });
        assert_eq!(later(json!({"nextRunAt": null})), DropReason::Rescheduled { from, to: None });
    }

    #[test]
    fn run_now_during_a_run_keeps_its_plan() {
        let now = json!({"nextRunAt": "2026-04-15T08:00:03.000Z"});
        let write = run(&[mission(), (now, json!({"nextRunAt": "2026-04-15T08:00:03.000Z"}))]).unwrap();
        assert_eq!(write.data.value("nextRunAt").unwrap(), "2026-04-15T09:00:00.000Z");
    }

    #[test]
    fn a_broken_cadence_counts_as_manual_and_is_told() {
        let write = run(&[mission(), (json!({"cadence": {"kind": "sometimes"}}), json!({}))]).unwrap();
        assert_eq!(write.data.value("nextRunAt").unwrap(), Value::Null);
        assert!(write.bad_cadence.is_some());
    }
}
