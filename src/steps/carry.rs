//! Carrying out the steps of one decision, each on what those before it left.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::pending::{Pending, Uncounted};
use super::{AutoLimits, Effects, Executors, Foreseen, OutboxCall, StepKey, StepOutcome, UserLog};
use crate::domain::actor::{self, Work};
use crate::domain::agent::Agent;
use crate::domain::change::{Change, Op};
use crate::domain::field;
use crate::domain::ids::{IterationId, MissionId, StepId, UserId};
use crate::domain::iterations::Iteration;
use crate::domain::limits::{Admitted, admit};
use crate::domain::merge::{Record, Stamps, winning_stamp};
use crate::domain::policy::ToolDecision;
use crate::domain::raw::RawRecord;
use crate::domain::review::{CarriedOut, Review, StepDecision, apply};
use crate::domain::step::IterationStep;
use crate::domain::time;
use crate::modules::effects::{self, Obstacle, RecordWrite, ToolCall};
use crate::text;

/// For whom, and for which mission.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    pub user: &'a UserId,
    pub mission: &'a MissionId,
    pub iteration: &'a IterationId,
    /// The space of the mission; `None`: the user's own.
    pub space: Option<&'a str>,
    pub agent: Option<&'a Agent>,
    /// The client id of the rows.
    pub client: &'a str,
    pub now: Timestamp,
}

impl Occasion<'_> {
    fn key(&self, step: &StepId) -> StepKey {
        StepKey {
            user_id: self.user.to_owned(),
            mission_id: self.mission.to_owned(),
            iteration_id: self.iteration.to_owned(),
            step_id: step.to_owned(),
        }
    }
}

/// Carries out the steps of one decision.
pub struct Carrier<'a> {
    executors: &'a Executors,
    occasion: Occasion<'a>,
    log: Pending<'a>,
    effects: Effects,
    /// Whether nobody reviewed what is carried out.
    is_automatic: bool,
}

/// What a new plan may do without review.
#[derive(Debug, Clone)]
pub struct GoAhead {
    pub executors: Executors,
    pub agent: Option<Agent>,
    /// What the agent's policy says about the tools of the plan.
    pub decisions: Vec<(String, ToolDecision)>,
}

impl GoAhead {
    /// The iteration after those of its steps were carried out that may go ahead, and what they do.
    pub fn run(&self, iteration: &Iteration, occasion: Occasion<'_>, log: &dyn UserLog) -> (Iteration, Effects) {
        let occasion = Occasion { agent: self.agent.as_ref(), iteration: iteration.id(), ..occasion };
        let mut carrier = Carrier { is_automatic: true, ..Carrier::new(&self.executors, occasion, log) };
        let mut review = Review { iteration_id: iteration.id().to_owned(), ..Review::default() };
        for step in iteration.steps() {
            let tool = step.tool().unwrap_or_default();
            let decision = self.decisions.iter().find(|(name, _)| name == tool).map_or(ToolDecision::Propose, |(_, decision)| *decision);
            if carrier.may_go_ahead(tool, decision) {
                review.decisions.insert(step.id().to_owned(), StepDecision::Approve);
            }
        }
        let after = apply(std::slice::from_ref(iteration), &review, &mut |step| carrier.carry_out(step));
        let after = after.and_then(|after| after.into_iter().next()).unwrap_or_else(|| iteration.clone());
        (after, carrier.effects())
    }
}

impl<'a> Carrier<'a> {
    pub fn new(executors: &'a Executors, occasion: Occasion<'a>, log: &'a dyn UserLog) -> Self {
        Carrier { executors, occasion, log: Pending::new(log), effects: Effects::default(), is_automatic: false }
    }

    /// Everything that the steps do besides their own state.
    pub fn effects(self) -> Effects {
        self.effects
    }

    fn call<'c>(&'c self, tool: &'c str, params: &'c Record) -> ToolCall<'c> {
        let Occasion { user, space, now, .. } = self.occasion;
        ToolCall { tool, params, user, space, now, zone: &self.executors.zone }
    }

    /// What approving a step would do.
    pub fn foresee(&self, step: &IterationStep) -> Foreseen {
        let Some((tool, params)) = step.tool().zip(step.params().and_then(Value::as_object)) else { return Foreseen::ByDevice };
        if self.executors.calls(tool) {
            return Foreseen::ByEndpoint;
        }
        match effects::preview(&self.executors.modules, &self.call(tool, params), &Uncounted(&self.log)) {
            Ok(previews) => Foreseen::Writes(previews),
            Err(Obstacle::NotDescribed | Obstacle::Encrypted { .. }) => Foreseen::ByDevice,
            Err(obstacle) => Foreseen::Fails(obstacle),
        }
    }

    /// Carries out an approved step, as far as the log or a webhook does it.
    pub fn carry_out(&mut self, step: &IterationStep) -> CarriedOut {
        let empty = Record::new();
        let Some(tool) = step.tool() else { return CarriedOut::ByClient };
        let params = step.params().and_then(Value::as_object).unwrap_or(&empty);
        if self.executors.calls(tool) {
            let call = self.outgoing(tool, step, params);
            self.effects.calls.push(call);
            return CarriedOut::Called;
        }
        let (key, earlier) = (self.occasion.key(step.id()), step.earlier().len());
        let mut n = 0;
        let mut next_id = || {
            n += 1;
            key.repeated_id("record", n, earlier)
        };
        let written = effects::writes(&self.executors.modules, &self.call(tool, params), &self.log, &mut next_id)
            .and_then(|writes| self.rows(step, &writes).map(|rows| (writes, rows)));
        let mut outcome = |outcome| self.effects.outcomes.push((tool.to_owned(), outcome));
        match written {
            Ok((writes, rows)) => {
                outcome(StepOutcome::Executed);
                let records: Vec<Value> =
                    writes.iter().map(|write| json!({"app": write.app, "table": write.table, "id": write.record_id})).collect();
                self.effects.rows.extend(rows);
                writes.into_iter().for_each(|write| self.log.push(write));
                let mut result = json!({"at": time::iso_millis(self.occasion.now), "by": "mana-ai", "message": "Done", "records": records});
                if self.is_automatic {
                    result["automatic"] = true.into();
                }
                CarriedOut::Done(result)
            }
            // Nobody but a device knows how, or has the key.
            Err(Obstacle::NotDescribed | Obstacle::Encrypted { .. }) => CarriedOut::ByClient,
            Err(obstacle) => {
                outcome(StepOutcome::Failed);
                CarriedOut::Failed(text::obstacle::for_programs(&obstacle))
            }
        }
    }

    /// Whether a new step may go ahead without review; one that may counts against the limit.
    fn may_go_ahead(&mut self, tool: &str, decision: ToolDecision) -> bool {
        let Some(agent) = self.occasion.agent.filter(|_| decision == ToolDecision::Auto) else { return false };
        let limits = &self.executors.automatic;
        if limits.destructive.iter().any(|name| name == tool) && !agent.policy.allows_destructive(tool) {
            return false;
        }
        let since = self.log.wall().checked_sub(AutoLimits::WINDOW).unwrap_or(Timestamp::MIN);
        let now = self.effects.automatic.iter().filter(|(_, counted)| counted == tool).count() as u64;
        if self.log.automatic_since(&agent.id, tool, since) + now >= limits.steps {
            return false;
        }
        self.effects.automatic.push((agent.id.clone(), tool.to_owned()));
        true
    }

    fn outgoing(&self, tool: &str, step: &IterationStep, params: &Record) -> OutboxCall {
        let Occasion { user, mission, iteration, agent, .. } = self.occasion;
        let id = match step.earlier().len() {
            0 => step.id().to_string(),
            earlier => format!("{}-again-{earlier}", step.id()),
        };
        OutboxCall {
            step: self.occasion.key(step.id()),
            tool: tool.to_owned(),
            body: body(&Sent {
                id: &id,
                tool,
                params,
                rationale: step.rationale(),
                mission_id: mission,
                iteration_id: iteration,
                agent: agent.map(|agent| (agent.id.as_str(), agent.name.as_str())),
                user,
            }),
        }
    }

    /// The rows of what a step writes.
    fn rows(&self, step: &IterationStep, writes: &[RecordWrite]) -> Result<Vec<Admitted>, Obstacle> {
        let work = Work { mission_id: self.occasion.mission, iteration_id: self.occasion.iteration, rationale: step.rationale() };
        let actor = actor::runner(self.occasion.agent, Some(work));
        let (key, earlier) = (self.occasion.key(step.id()), step.earlier().len());
        let row = |(n, write): (usize, &RecordWrite)| {
            let event_id = key.repeated_id("row", n, earlier);
            let (user, client) = (self.occasion.user, self.occasion.client);
            let change = row(user, client, event_id, Target::of(write), RawRecord::from(&write.fields), &actor, "agent", &self.log);
            admit(change).map_err(|refusal| Obstacle::Refused { why: refusal.to_string() })
        };
        writes.iter().enumerate().map(row).collect()
    }
}

/// What a row does, and to which record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub app: &'a str,
    pub table: &'a str,
    pub record_id: &'a str,
    pub op: Op,
}

impl<'a> Target<'a> {
    pub fn of(write: &'a RecordWrite) -> Self {
        Target { app: &write.app, table: &write.table, record_id: &write.record_id, op: write.op }
    }
}

/// A row of the log that makes a write win over what its record has.
#[expect(clippy::too_many_arguments)]
pub(super) fn row(
    user: &UserId,
    client: &str,
    event_id: String,
    Target { app, table, record_id, op }: Target<'_>,
    mut data: RawRecord,
    actor: &Value,
    origin: &str,
    log: &dyn UserLog,
) -> Change {
    let known = if op == Op::Insert { Stamps::new() } else { log.stamps(app, table, record_id) };
    let stamp = |field: &str| winning_stamp(log.wall(), known.get(field).map(String::as_str));
    let field_meta = match op {
        // As clients do it: the fields of a new record count from the record's own time.
        Op::Insert => Stamps::new(),
        Op::Update => data.keys().map(|field| (field.clone(), stamp(field))).collect(),
        Op::Delete => {
            // What a delete writes is its own stamp.
            data.change(|field, at| *at = stamp(field).into());
            Stamps::new()
        }
    };
    Change {
        event_id,
        app_id: app.to_owned(),
        table: table.to_owned(),
        record_id: record_id.to_owned(),
        user_id: user.to_owned(),
        space_id: data.text(field::SPACE_ID).map(|space| space.into_owned()),
        op,
        data: Some(data),
        field_meta,
        client_id: client.to_owned(),
        created_at: None,
        schema_version: 1,
        verbatim: None,
        actor: Some(actor.into()),
        origin: Some(origin.to_owned()),
    }
}

/// What a call of an endpoint says.
struct Sent<'a> {
    id: &'a str,
    tool: &'a str,
    params: &'a Record,
    rationale: &'a str,
    mission_id: &'a MissionId,
    iteration_id: &'a IterationId,
    /// Id and name.
    agent: Option<(&'a str, &'a str)>,
    user: &'a UserId,
}

fn body(sent: &Sent<'_>) -> String {
    json!({
        "id": sent.id,
        "tool": sent.tool,
        "params": sent.params,
        "rationale": sent.rationale,
        "missionId": sent.mission_id,
        "iterationId": sent.iteration_id,
        "agent": sent.agent.map(|(id, name)| json!({"id": id, "name": name})),
        "user": sent.user,
    })
    .to_string()
}
