//! What each tick puts in order before it looks at missions: claims that nobody works on, runs that nobody waits for,
//! what another process learnt of the model server, and next times that are missing or that a wrong clock set.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::scan::Scan;
use super::tick::TickOutcome;
use super::told::ToldDecisions;
use super::{Runner, lock};
use crate::domain::actor;
use crate::domain::change::RUNNER_CLIENT;
use crate::domain::field;
use crate::domain::ids::{MissionId, RunId, UserId};
use crate::domain::mission::Mission;
use crate::domain::raw::{Raw, RawRecord};
use crate::domain::schedule::{first_time, time_again};
use crate::domain::time;
use crate::store::{Disorder, Edit, RanAhead, StoreError, StoreResult, Table};
use crate::text;
use crate::text::catalog::Words;

/// Waiting runs that one tick ends, and missions whose next time it looks at, at most.
const ORPHANS: u32 = 1_000;
const TIMES: u32 = 500;

/// How far ticks have come, whose work is bounded: the next one goes on there.
#[derive(Debug, Default)]
pub(super) struct ScanProgress {
    pub due: Scan,
    pub told: ToldDecisions,
    /// User and mission.
    unscheduled: (UserId, MissionId),
    /// When a run ended, and which.
    ran_ahead: Option<(Timestamp, RunId)>,
}

impl Runner {
    pub(super) async fn upkeep(&self, progress: &mut ScanProgress, now: Timestamp, outcome: &mut TickOutcome) -> StoreResult<()> {
        let future = now.checked_add(SignedDuration::from_mins(1)).unwrap_or(Timestamp::MAX);
        // Most ticks find nothing.
        let Disorder { lost, claims, waiting, unscheduled, ran_ahead } = self.store.disorder(future).await?;
        if lost {
            self.restore_lost().await?;
        }
        if claims {
            self.take_over().await?;
            self.give_strays_back(now).await?;
        }
        self.presence.sweep().await?;
        self.hear_of_outage().await?;
        if claims || waiting {
            self.store.drop_orphans(now, ORPHANS).await?;
        }
        if unscheduled {
            self.set_missing_times(progress, now, outcome).await?;
        }
        if ran_ahead {
            self.set_times_again(progress, (now, future), outcome).await?;
        }
        Ok(())
    }

    /// Sets the first times of missions whose client left that to the server.
    async fn set_missing_times(&self, progress: &mut ScanProgress, now: Timestamp, outcome: &mut TickOutcome) -> StoreResult<()> {
        let found = self.store.unscheduled(progress.unscheduled.clone(), TIMES).await?;
        progress.unscheduled = found.last().filter(|_| found.len() == TIMES as usize).cloned().unwrap_or_default();
        for (user, id) in found {
            let zone = self.settings.zone.clone();
            let set = self.set_time(&user, &id, move |mission| first_time(mission, now, &zone)).await;
            told(set, &user, outcome)?;
        }
        Ok(())
    }

    /// Sets the times anew that runs set on a clock that was ahead. Such runs ended in what is the future now.
    async fn set_times_again(
        &self,
        progress: &mut ScanProgress,
        (now, future): (Timestamp, Timestamp),
        outcome: &mut TickOutcome,
    ) -> StoreResult<()> {
        let after = progress.ran_ahead.take().filter(|(at, _)| *at > future).unwrap_or((future, RunId::default()));
        let found = self.store.ran_ahead(after, now, TIMES).await?;
        progress.ran_ahead = found.last().filter(|_| found.len() == TIMES as usize).map(|run| (run.finished_at, run.run_id.clone()));
        for RanAhead { user_id, mission_id, scheduled_for, finished_at, .. } in found {
            let zone = self.settings.zone.clone();
            let again = move |mission: &Mission| time_again(mission, scheduled_for, finished_at, now, &zone);
            let set = match self.store.snapshot::<Mission>(&user_id, &mission_id).await {
                Ok(Some(row)) if again(&row.read()).is_some() => self.set_time(&user_id, &mission_id, again).await,
                found => found.map(drop),
            };
            told(set, &user_id, outcome)?;
        }
        Ok(())
    }

    /// Writes the next time that the newest state of a mission is to have, in a row of the program's own.
    async fn set_time(
        &self,
        user: &UserId,
        id: &str,
        decide: impl FnOnce(&Mission) -> Option<Timestamp> + Send + 'static,
    ) -> StoreResult<()> {
        let edit = Edit {
            table: Table::Missions,
            user_id: user.to_owned(),
            record_id: id.to_owned(),
            event_id: Uuid::new_v4().to_string(),
            client_id: RUNNER_CLIENT.into(),
            actor: actor::runner(None, None),
            origin: "system",
        };
        let mission_id = id.to_owned();
        let fields = move |record: Option<&RawRecord>| {
            let next = record.and_then(|record| decide(&Mission::read(&mission_id, record).0));
            Ok::<_, StoreError>(next.into_iter().map(|at| (field::NEXT_RUN_AT.to_owned(), Raw::from(time::iso_millis(at)))).collect())
        };
        self.store.edit(edit, fields).await
    }

    /// Frees the claims of processes that are proven dead.
    async fn take_over(&self) -> StoreResult<()> {
        for owner in self.store.claim_holders().await? {
            if self.presence.has_ended(&owner).await? {
                let released = self.store.release_claims_of(owner).await?;
                self.metrics.takeovers_total.inc_by(released as u64);
                tracing::info!(runs = released, "took over the runs of a process that ended");
            }
        }
        Ok(())
    }

    /// Frees claims of this process that no task works on any more, because their end could not be written. Where the
    /// model was asked, that was an attempt, unless this machine was the reason.
    pub(super) async fn give_strays_back(&self, now: Timestamp) -> StoreResult<()> {
        let owner = self.presence.owner();
        let active = lock(&self.active).clone();
        let mut strays = self.store.held_by(owner).await?;
        strays.retain(|run| !active.contains(&run.run_id));
        let blameless = lock(&self.blameless).clone();
        let back = strays.into_iter().map(|mut run| {
            run.failed += u32::from(run.asked && !blameless.contains(&run.run_id));
            let wait = self.settings.backoff.wait(run.failed.max(1), rand::random::<f64>());
            (run, now.checked_add(wait).ok())
        });
        let given = self.store.give_back(owner, back.collect(), text::run::not_written(Words::ENGLISH)).await?;
        if given > 0 {
            tracing::warn!(runs = given, "released runs whose result could not be saved");
        }
        lock(&self.blameless).retain(|run| !blameless.contains(run));
        Ok(())
    }
}

/// What fails for one user fails for nobody else, unless it is the machine.
fn told(set: StoreResult<()>, user: &UserId, outcome: &mut TickOutcome) -> StoreResult<()> {
    match set {
        Err(error) if error.is_of_machine() => Err(error),
        Err(error) => {
            outcome.user_failed(user, &error);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
