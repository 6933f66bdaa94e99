//! Approved steps: who carries each out, what it writes into the log, and how that is taken back (docs/design.md, section 13).
//!
//! Pure: the store runs these rules inside its transaction, on the log as it is then. This room must not know the store,
//! endpoints, HTTP routes or pages.

mod carry;
mod own;
mod pending;
mod take_back;
mod undo;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use serde_json::{Value, json};
use uuid::Uuid;

pub use carry::{Carrier, GoAhead, Occasion};
pub use own::OwnHand;
pub use take_back::{KeptField, TakeBack};

use crate::auth::secret;
use crate::domain::ids::{AgentId, IterationId, MissionId, StepId, UserId};
use crate::domain::limits::Admitted;
use crate::domain::merge::{Delta, Record, Stamps};
use crate::modules::Modules;
use crate::modules::effects::{Obstacle, Preview, Records};

/// A user's part of the log, as a transaction sees it.
pub trait UserLog: Records {
    /// The wall clock, for stamps.
    fn wall(&self) -> Timestamp;
    /// The stamps of a record, deleted or not.
    fn stamps(&self, app: &str, table: &str, id: &str) -> Stamps;
    /// A record that is deleted and can be brought back.
    fn deleted(&self, app: &str, table: &str, id: &str) -> Option<Record>;
    /// The rows of a record with their event ids, in their order.
    fn rows(&self, app: &str, table: &str, id: &str) -> Vec<(String, Delta)>;
    /// How many steps of a tool an agent has carried out without review since a time.
    fn automatic_since(&self, agent: &AgentId, tool: &str, since: Timestamp) -> u64;
}

/// Who carries out what. Tools that are not named here are for the devices of the user.
#[derive(Debug, Clone)]
pub struct Executors {
    modules: Arc<Modules>,
    /// Tools that an endpoint carries out.
    called: Arc<BTreeSet<String>>,
    zone: TimeZone,
    automatic: AutoLimits,
}

/// What an agent may do without review.
#[derive(Debug, Clone, Default)]
pub struct AutoLimits {
    /// Steps of one tool within [`AutoLimits::WINDOW`].
    pub steps: u64,
    /// Tools that destroy something, which need a word of the agent's policy.
    pub destructive: Arc<Vec<String>>,
}

impl AutoLimits {
    pub const WINDOW: SignedDuration = SignedDuration::from_hours(1);
}

impl Executors {
    /// Leaves every step to the devices of the user.
    pub fn none(zone: TimeZone) -> Self {
        Self::new(Modules::builtin().without_tools(), BTreeSet::new(), zone, AutoLimits::default())
    }

    pub fn new(modules: Modules, called: BTreeSet<String>, zone: TimeZone, automatic: AutoLimits) -> Self {
        Executors { modules: Arc::new(modules), called: Arc::new(called), zone, automatic }
    }

    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    pub fn modules(&self) -> &Modules {
        &self.modules
    }

    /// Whether an endpoint carries out a tool.
    pub fn calls(&self, tool: &str) -> bool {
        self.called.contains(tool)
    }
}

/// What approving a step would do.
#[derive(Debug, Clone, PartialEq)]
pub enum Foreseen {
    /// A device of the user carries it out.
    ByDevice,
    /// An endpoint is called.
    ByEndpoint,
    /// It writes this into the log.
    Writes(Vec<Preview>),
    /// It would fail.
    Fails(Obstacle),
}

/// What a decision does besides what it writes into the mission, in the same transaction.
#[derive(Debug, Default)]
pub struct Effects {
    /// Rows of the log; one whose event id the log has is there already.
    pub rows: Vec<Admitted>,
    /// Calls that are to be made.
    pub calls: Vec<OutboxCall>,
    /// The step whose call came to its end.
    pub ended: Option<StepKey>,
    /// Steps that were carried out without review: agent and tool.
    pub automatic: Vec<(AgentId, String)>,
    /// What became of steps here and now: the tool, and how it went.
    pub outcomes: Vec<(String, StepOutcome)>,
}

/// What became of a step, as `mana_ai_tool_calls_total` counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    Executed,
    Failed,
    Undone,
}

impl StepOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            StepOutcome::Executed => "executed",
            StepOutcome::Failed => "failed",
            StepOutcome::Undone => "undone",
        }
    }
}

/// Where a step stands: clients may give the steps of two plans the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepKey {
    pub user_id: UserId,
    pub mission_id: MissionId,
    pub iteration_id: IterationId,
    pub step_id: StepId,
}

impl StepKey {
    /// The same for a step that is decided again, after so many times before.
    pub fn repeated_id(&self, of: &str, n: usize, earlier: usize) -> String {
        match earlier {
            0 => self.derived_id(of, n),
            _ => self.derived_id(&format!("{of} again {earlier}"), n),
        }
    }

    /// An id that follows from the step, so that what it writes cannot be written twice.
    pub fn derived_id(&self, of: &str, n: usize) -> String {
        let StepKey { user_id, mission_id, iteration_id, step_id } = self;
        let hash = secret::hash(&json!([user_id, mission_id, iteration_id, step_id, of, n]).to_string());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Uuid::new_v8(bytes).to_string()
    }
}

/// A call that leaves this machine. A step makes one at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxCall {
    pub step: StepKey,
    pub tool: String,
    /// The JSON that is sent.
    pub body: String,
}

impl OutboxCall {
    /// The id of the call, as its body has it: the same in every try, and another one when the step is decided again.
    pub fn id(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body.get("id").and_then(Value::as_str).map_or_else(|| self.step.step_id.to_string(), str::to_owned)
    }
}
