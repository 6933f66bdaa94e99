//! What an agent may propose: one decision per tool (docs/design.md, sections 4 and 7).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What happens to a tool call of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolDecision {
    Auto,
    Propose,
    Deny,
}

impl ToolDecision {
    pub fn as_str(self) -> &'static str {
        match self {
            ToolDecision::Auto => "auto",
            ToolDecision::Propose => "propose",
            ToolDecision::Deny => "deny",
        }
    }

    fn read(value: &Value) -> Option<Self> {
        [ToolDecision::Auto, ToolDecision::Propose, ToolDecision::Deny].into_iter().find(|d| value.as_str() == Some(d.as_str()))
    }
}

/// The policy of an agent; the most specific entry decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    tools: BTreeMap<String, ToolDecision>,
    defaults_by_module: BTreeMap<String, ToolDecision>,
    default_for_ai: ToolDecision,
    /// Tools that destroy something and may do so without review.
    allow_destructive: BTreeSet<String>,
}

impl Default for Policy {
    /// Everything may be proposed: nothing runs without the user anyway.
    fn default() -> Self {
        Policy {
            tools: BTreeMap::new(),
            defaults_by_module: BTreeMap::new(),
            default_for_ai: ToolDecision::Propose,
            allow_destructive: BTreeSet::new(),
        }
    }
}

impl Policy {
    /// Reads a policy. An entry that is null was cleared. One that cannot be understood counts as `deny`, since its author meant to restrict
    /// or allow something and only the first is safe; `false` says that there was one.
    pub fn read(value: &Value) -> (Self, bool) {
        let mut sound = value.is_object();
        let mut decision = |value: &Value| {
            ToolDecision::read(value).unwrap_or_else(|| {
                sound = false;
                ToolDecision::Deny
            })
        };
        let mut table = |field: &str| match value.get(field) {
            // A cleared entry arrives as null, and is none.
            Some(Value::Object(entries)) => {
                entries.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), decision(value))).collect()
            }
            _ => BTreeMap::new(),
        };
        let (tools, defaults_by_module) = (table("tools"), table("defaultsByModule"));
        let default_for_ai = match value.get("defaultForAi") {
            None | Some(Value::Null) => ToolDecision::Propose,
            Some(value) => decision(value),
        };
        let tables_sound = ["tools", "defaultsByModule"].iter().all(|t| value.get(t).is_none_or(|v| v.is_object() || v.is_null()));
        let allowed = value.get("allowDestructive").and_then(Value::as_array);
        let allow_destructive = allowed.into_iter().flatten().filter_map(|tool| tool.as_str().map(str::to_owned)).collect();
        (Policy { tools, defaults_by_module, default_for_ai, allow_destructive }, sound && tables_sound)
    }

    /// Whether a tool that destroys something may do so without review, where its decision is `auto`.
    pub fn allows_destructive(&self, tool: &str) -> bool {
        self.allow_destructive.contains(tool)
    }

    /// Whether it says something of a tool or its module, and not of all that it does not name alone.
    pub fn names(&self, tool: &str, module: &str) -> bool {
        self.tools.contains_key(tool) || self.defaults_by_module.contains_key(module)
    }

    /// The decision for one tool of one module.
    pub fn decide(&self, tool: &str, module: &str) -> ToolDecision {
        *self.tools.get(tool).or_else(|| self.defaults_by_module.get(module)).unwrap_or(&self.default_for_ai)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_most_specific_entry_decides() {
        let (policy, sound) = Policy::read(&json!({
            "tools": {"create_task": "auto", "create_note": "deny"},
            "defaultsByModule": {"notes": "propose", "todo": "deny"},
            "defaultForAi": "deny",
        }));
        assert!(sound);
        assert_eq!(policy.decide("create_task", "todo"), ToolDecision::Auto);
        assert_eq!(policy.decide("create_note", "notes"), ToolDecision::Deny);
        assert_eq!(policy.decide("update_note", "notes"), ToolDecision::Propose);
        assert_eq!(policy.decide("log_mood", "mood"), ToolDecision::Deny);
    }

    #[test]
    fn an_entry_that_was_cleared_decides_nothing() {
        let (policy, sound) =
            Policy::read(&json!({"tools": {"create_task": null}, "defaultsByModule": {"todo": null}, "defaultForAi": "auto"}));
        assert!(sound);
        assert_eq!(policy.decide("create_task", "todo"), ToolDecision::Auto);
    }

    #[test]
    fn an_entry_that_is_not_understood_denies() {
        let (policy, sound) = Policy::read(&json!({"tools": {"create_task": "maybe"}}));
        assert!(!sound);
        assert_eq!(policy.decide("create_task", "todo"), ToolDecision::Deny);
        assert_eq!(policy.decide("log_mood", "mood"), ToolDecision::Propose);
        assert!(!Policy::read(&json!("all")).1);
        let (policy, sound) = Policy::read(&json!({"tools": {"create_task": null}, "defaultsByModule": {"todo": "deny"}}));
        assert!(sound);
        assert_eq!(policy.decide("create_task", "todo"), ToolDecision::Deny, "a cleared entry leaves it to the next one");
        assert!(!Policy::read(&json!({"tools": []})).1);
    }
}
