//! An agent: who a mission is handed to (docs/design.md, section 4).

use super::field;
use super::fields::{FieldProblem, FieldReader, is_ciphertext};
use super::ids::AgentId;
use super::policy::Policy;
use super::raw::RawRecord;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AgentState {
    #[default]
    Active,
    Paused,
    Archived,
}

impl AgentState {
    pub fn as_str(self) -> &'static str {
        match self {
            AgentState::Active => "active",
            AgentState::Paused => "paused",
            AgentState::Archived => "archived",
        }
    }

    /// A state by its name.
    pub fn parse(name: &str) -> Option<Self> {
        [AgentState::Active, AgentState::Paused, AgentState::Archived].into_iter().find(|s| s.as_str() == name)
    }
}

/// A merged agent record with its defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    pub id: AgentId,
    pub name: String,
    pub role: String,
    /// May be ciphertext; see [`Agent::plain_system_prompt`].
    pub system_prompt: Option<String>,
    /// May be ciphertext; see [`Agent::plain_memory`].
    pub memory: Option<String>,
    pub policy: Policy,
    pub state: AgentState,
    pub max_concurrent_missions: u64,
    /// Tokens per rolling 24 hours; `None`: no cap.
    pub max_tokens_per_day: Option<u64>,
}

impl Agent {
    /// Reads a merged record. Fields of a wrong type take their default and are listed.
    pub fn read(id: &str, record: &RawRecord) -> (Self, Vec<FieldProblem>) {
        let mut fields = FieldReader::new(record);
        let policy = match fields.value(field::POLICY) {
            None => Policy::default(),
            Some(value) => {
                let (policy, sound) = Policy::read(&value);
                if !sound {
                    fields.report(field::POLICY, &value, "`deny` for each entry that is not auto, propose or deny");
                }
                policy
            }
        };
        let agent = Agent {
            id: id.into(),
            name: fields.optional_text(field::NAME).unwrap_or_else(|| "Unnamed".into()),
            role: fields.text(field::ROLE),
            system_prompt: fields.optional_text(field::SYSTEM_PROMPT),
            memory: fields.optional_text(field::MEMORY),
            policy,
            state: fields.read(field::STATE, "active", |v| v.as_str().and_then(AgentState::parse)).unwrap_or_default(),
            max_concurrent_missions: fields.whole(field::MAX_CONCURRENT_MISSIONS, 0, "1").unwrap_or(1),
            max_tokens_per_day: fields.whole(field::MAX_TOKENS_PER_DAY, 0, "no cap"),
        };
        (agent, fields.into_problems())
    }

    /// The system prompt, unless it is ciphertext.
    pub fn plain_system_prompt(&self) -> Option<&str> {
        self.system_prompt.as_deref().filter(|t| !is_ciphertext(t))
    }

    /// The memory, unless it is ciphertext.
    pub fn plain_memory(&self) -> Option<&str> {
        self.memory.as_deref().filter(|t| !is_ciphertext(t))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(record: Value) -> (Agent, Vec<FieldProblem>) {
        Agent::read("a", &record.as_object().unwrap().into())
    }

    #[test]
    fn an_empty_record_takes_every_default() {
        let (agent, problems) = read(json!({}));
        assert!(problems.is_empty());
        assert_eq!((agent.name.as_str(), agent.role.as_str(), agent.state), ("Unnamed", "", AgentState::Active));
        assert_eq!((agent.max_concurrent_missions, agent.max_tokens_per_day), (1, None));
    }

    #[test]
    fn wrong_types_take_the_default_and_are_listed() {
        let (agent, problems) =
            read(json!({"name": 7, "state": "asleep", "maxConcurrentMissions": -1, "maxTokensPerDay": "lots", "role": "r"}));
        assert_eq!((agent.name.as_str(), agent.role.as_str(), agent.state), ("Unnamed", "r", AgentState::Active));
        assert_eq!((agent.max_concurrent_missions, agent.max_tokens_per_day), (1, None));
        let listed: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            listed,
            [
                "`name` is the number 7; an empty text is used in its place",
                "`state` is \"asleep\"; active is used in its place",
                "`maxConcurrentMissions` is the number -1; 1 is used in its place",
                "`maxTokensPerDay` is \"lots\"; no cap is used in its place",
            ]
        );
    }

    #[test]
    fn ciphertext_is_never_plain() {
        let (agent, _) = read(json!({"memory": " enc:1:abc.def", "systemPrompt": "Be brief."}));
        assert_eq!((agent.plain_memory(), agent.plain_system_prompt()), (None, Some("Be brief.")));
    }
}
