//! Calls of tools that leave this machine: made, tried again, and closed (docs/design.md, section 13.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Duration;
use uuid::Uuid;

use super::{App, Reviews};
use crate::domain::actor;
use crate::domain::backoff::Backoff;
use crate::domain::change::RUNNER_CLIENT;
use crate::domain::iterations;
use crate::domain::raw::RawRecord;
use crate::domain::review::conclude;
use crate::domain::time;
use crate::runner::Clock;
use crate::steps::{Effects, OutboxCall, StepOutcome, UserLog};
use crate::store::{DueCall, Edit, Presence, PresenceError, Store, StoreError, StoreResult, Table};
use crate::webhooks::{Called, Webhook};

/// Tries before a call is given up, and the waits between them: half a day in all.
const TRIES: u32 = 12;
const BACKOFF: Backoff = Backoff { base: SignedDuration::from_secs(5), max: SignedDuration::from_hours(2) };
/// Calls that are made at the same time.
const AT_ONCE: u32 = 8;
/// How often somebody looks for calls whose time has come.
const LOOK: Duration = Duration::from_secs(1);

/// Waits between tries to write the end of a call.
const WRITE_TRIES: [Duration; 4] = [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];

/// What is said where nobody knows what became of a call.
const UNKNOWN: &str = "outcome unknown: the program ended while it called, or could not note the answer; look whether it was done before you propose it again";

/// Makes the calls that decisions left behind. One per process.
pub struct Outbox {
    store: Store,
    reviews: Arc<Reviews>,
    webhooks: BTreeMap<String, Webhook>,
    presence: Presence,
    clock: Clock,
}

impl Outbox {
    /// An outbox that shows its presence, so that its calls are taken over when it dies.
    ///
    /// # Errors
    /// When the presence cannot be shown.
    pub fn new(store: Store, reviews: Arc<Reviews>, webhooks: BTreeMap<String, Webhook>, clock: Clock) -> Result<Self, PresenceError> {
        Ok(Outbox { presence: store.show_presence()?, store, reviews, webhooks, clock })
    }

    /// Makes some of the calls whose time has come, and answers how many.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn deliver(&self) -> StoreResult<usize> {
        self.take_over().await?;
        let due = self.store.claim_calls(self.presence.owner(), (self.clock)(), AT_ONCE).await?;
        let made = due.len();
        let mut calls: FuturesUnordered<_> = due.into_iter().map(|due| self.make(due)).collect();
        let mut ended = Ok(made);
        // Each is closed, whatever becomes of the others.
        while let Some(one) = calls.next().await {
            ended = ended.and_then(|made| one.map(|()| made));
        }
        ended
    }

    /// Ends what processes left that died in a call: such a call is made again where that does no harm.
    async fn take_over(&self) -> StoreResult<()> {
        for held in self.store.held_calls().await? {
            // Between two deliveries this process makes no call: what it holds, it could not close.
            if held.owner != self.presence.owner() && !self.presence.has_ended(&held.owner).await? {
                continue;
            }
            let again = self.webhooks.get(&held.call.tool).is_some_and(|webhook| webhook.idempotent);
            tracing::warn!(step = held.call.step.step_id.as_str(), tool = held.call.tool, again, "nobody knows how this call ended");
            if again {
                self.store.retry_call(&held.call, (self.clock)(), "nobody knows how it ended".into()).await?;
            } else {
                self.end(held.call, Err(UNKNOWN.into())).await?;
            }
        }
        Ok(())
    }

    async fn make(&self, due: DueCall) -> StoreResult<()> {
        let DueCall { call, tried } = due;
        let Some(webhook) = self.webhooks.get(&call.tool) else {
            return self.end(call, Err("its tool has no webhook any more".into())).await;
        };
        let called = webhook.call(&call.id(), (self.clock)(), call.body.clone()).await;
        match called {
            Called::Done(answer) => {
                tracing::info!(
                    user = call.step.user_id.as_str(),
                    step = call.step.step_id.as_str(),
                    tool = call.tool,
                    "a step was carried out by its webhook"
                );
                let message = if answer.trim().is_empty() { "Done".to_owned() } else { answer };
                let result = json!({"at": time::iso_millis((self.clock)()), "by": "webhook", "message": message});
                self.end(call, Ok(result)).await
            }
            Called::Refused(why) => self.end(call, Err(why)).await,
            Called::Later(why) if tried + 1 >= TRIES => self.end(call, Err(format!("given up after {TRIES} tries; the last: {why}"))).await,
            Called::Later(why) => {
                let now = (self.clock)();
                let at = now.checked_add(BACKOFF.wait(tried + 1, rand::random())).unwrap_or(Timestamp::MAX);
                tracing::warn!(
                    user = call.step.user_id.as_str(),
                    step = call.step.step_id.as_str(),
                    tool = call.tool,
                    tried = tried + 1,
                    "a webhook did not take a step"
                );
                self.store.retry_call(&call, at, why).await
            }
        }
    }

    /// Closes a call, and tells its end on the step, where the mission still has it and has room for it. A passing trouble of
    /// the database is waited for: it must not cost what is known of the outcome.
    async fn end(&self, call: OutboxCall, result: Result<Value, String>) -> StoreResult<()> {
        for wait in WRITE_TRIES {
            match self.close(call.clone(), Some(result.clone())).await {
                Err(error) if error.is_of_machine() => tokio::time::sleep(wait).await,
                Err(error) => {
                    // What fails for one user must not hold up the others.
                    tracing::error!(user = call.step.user_id.as_str(), step = call.step.step_id.as_str(), %error, "the end of a call cannot be told on its step");
                    return self.close(call, None).await;
                }
                Ok(()) => return Ok(()),
            }
        }
        self.close(call, Some(result)).await
    }

    /// Closes a call; `None`: without a word on the step.
    async fn close(&self, call: OutboxCall, result: Option<Result<Value, String>>) -> StoreResult<()> {
        let edit = Edit {
            table: Table::Missions,
            user_id: call.step.user_id.clone(),
            record_id: call.step.mission_id.to_string(),
            event_id: Uuid::new_v4().to_string(),
            client_id: RUNNER_CLIENT.into(),
            actor: actor::runner(None, None),
            origin: "system",
        };
        let ended = move |before: Option<&RawRecord>, _: &dyn UserLog| {
            let concluded = before.and_then(|record| {
                let iterations = iterations::of_record(record);
                conclude(&iterations, &call.step.iteration_id, &call.step.step_id, result.as_ref()?)
            });
            let outcome = if matches!(result, Some(Ok(_))) { StepOutcome::Executed } else { StepOutcome::Failed };
            let outcomes = vec![(call.tool, outcome)];
            let ended = Some(call.step);
            Ok((
                concluded.map(|iterations| iterations::to_record(&iterations)).unwrap_or_default(),
                Effects { ended, outcomes, ..Effects::default() },
            ))
        };
        let effects = self.store.edit_with::<StoreError>(edit, ended).await?;
        self.reviews.count(&effects);
        Ok(())
    }
}

impl App {
    /// Makes calls until the app stops: at once when a decision leaves some, and when the time of a further try has come.
    pub async fn follow_outbox(&self) {
        let mut stopping = self.stopping.subscribe();
        while !*stopping.borrow_and_update() {
            let made = self.outbox.deliver().await.unwrap_or_else(|error| {
                tracing::error!(%error, "calls could not be made; the next look tries again");
                0
            });
            if made > 0 {
                continue;
            }
            tokio::select! {
                () = self.reviews.calls.notified() => {}
                _ = stopping.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}
