//! A mission: what is to be planned, when, from which inputs (docs/design.md, section 4).

use jiff::Timestamp;
use serde_json::Value;

use super::cadence::Cadence;
use super::field;
use super::fields::{FieldProblem, FieldReader};
use super::ids::{AgentId, MissionId};
use super::iterations::Iteration;
use super::raw::RawRecord;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissionState {
    Active,
    Paused,
    Done,
    Archived,
    /// Missing, or a word that this program does not know: never due.
    Unknown,
}

impl MissionState {
    pub const ALL: [MissionState; 5] =
        [MissionState::Active, MissionState::Paused, MissionState::Done, MissionState::Archived, MissionState::Unknown];

    pub fn as_str(self) -> &'static str {
        match self {
            MissionState::Active => "active",
            MissionState::Paused => "paused",
            MissionState::Done => "done",
            MissionState::Archived => "archived",
            MissionState::Unknown => "unknown",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }
}

/// A linked record that the planner may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputRef {
    pub module: String,
    pub table: String,
    pub id: String,
}

/// A merged mission record with its defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Mission {
    pub id: MissionId,
    pub title: String,
    pub objective: String,
    pub concept_markdown: String,
    pub state: MissionState,
    pub next_run_at: Option<Timestamp>,
    pub inputs: Vec<InputRef>,
    /// As the client wrote it; [`super::cadence::Cadence::read`] understands it.
    pub cadence: Value,
    pub iterations: Vec<Iteration>,
    pub agent_id: Option<AgentId>,
    pub grant: Option<Value>,
}

impl Mission {
    /// Reads a merged record. Fields of a wrong type take their default and are listed.
    pub fn read(id: &str, record: &RawRecord) -> (Self, Vec<FieldProblem>) {
        let mut fields = FieldReader::new(record);
        let mut inputs = Vec::new();
        for value in fields.array(field::INPUTS) {
            let value = value.read();
            match read_input(&value) {
                Some(input) => inputs.push(input),
                None => fields.report(field::INPUTS, &value, "the list without it"),
            }
        }
        let mission = Mission {
            id: id.into(),
            title: fields.text(field::TITLE),
            objective: fields.text(field::OBJECTIVE),
            concept_markdown: fields.text(field::CONCEPT),
            state: fields.read(field::STATE, "unknown", |v| v.as_str().and_then(MissionState::parse)).unwrap_or(MissionState::Unknown),
            next_run_at: fields.time(field::NEXT_RUN_AT),
            inputs,
            cadence: fields.value(field::CADENCE).unwrap_or_default(),
            iterations: fields.array(field::ITERATIONS).into_iter().map(Iteration::from).collect(),
            agent_id: fields.optional_text(field::AGENT_ID).map(AgentId::from),
            grant: fields.value(field::GRANT),
        };
        (mission, fields.into_problems())
    }

    /// How many of its iterations await review.
    pub fn awaiting_review(&self) -> usize {
        self.iterations.iter().filter(|iteration| iteration.awaits_review()).count()
    }

    /// Whether it is active, has a schedule with times, and no next time: some clients leave that to the server.
    pub fn lacks_time(&self) -> bool {
        self.state == MissionState::Active
            && self.next_run_at.is_none()
            && Cadence::read(&self.cadence).is_ok_and(|cadence| !cadence.is_manual())
    }

    /// Whether it is active and has no next time, since its schedule cannot be followed.
    pub fn has_bad_schedule(&self) -> bool {
        self.state == MissionState::Active && self.next_run_at.is_none() && Cadence::read(&self.cadence).is_err()
    }

    /// The title, or the id where there is none.
    pub fn label(&self) -> &str {
        if self.title.trim().is_empty() { &self.id } else { &self.title }
    }
}

fn read_input(value: &Value) -> Option<InputRef> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
    Some(InputRef { module: text("module")?, table: text("table")?, id: text(field::ID)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(record: Value) -> (Mission, Vec<FieldProblem>) {
        Mission::read("m", &record.as_object().unwrap().into())
    }

    #[test]
    fn a_mission_without_a_known_state_is_never_due() {
        assert_eq!(read(json!({})).0.state, MissionState::Unknown);
        let (mission, problems) = read(json!({"state": "waiting"}));
        assert_eq!(mission.state, MissionState::Unknown);
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn a_broken_input_leaves_the_others() {
        let (mission, problems) = read(json!({"inputs": [7, {"module": "goals", "table": "goals", "id": "g"}, {"module": "goals"}]}));
        assert_eq!(mission.inputs, [InputRef { module: "goals".into(), table: "goals".into(), id: "g".into() }]);
        assert_eq!(problems.len(), 2);
    }

    #[test]
    fn times_of_a_wrong_form_count_as_none() {
        for value in [json!(17), json!("tomorrow"), json!({}), json!("2026-04-15")] {
            let (mission, problems) = read(json!({"nextRunAt": value}));
            assert_eq!((mission.next_run_at, problems.len()), (None, 1), "{value}");
        }
        let (mission, problems) = read(json!({"nextRunAt": ""}));
        assert_eq!((mission.next_run_at, problems.len()), (None, 0), "an empty text is how some clients say: none");
    }
}
