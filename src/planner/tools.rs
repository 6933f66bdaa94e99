//! The tools that a plan may propose, and which of them an agent is offered (DESIGN, section 7).

use serde::Deserialize;

use crate::domain::policy::{Policy, ToolDecision};

/// A tool of the catalog.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Tool {
    pub name: String,
    pub module: String,
    pub description: String,
    /// Whether a plan may use it once at most.
    #[serde(default)]
    pub once: bool,
    #[serde(default)]
    pub parameters: Vec<Parameter>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Parameter {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Kind,
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    pub description: String,
    #[serde(default, rename = "enum")]
    pub allowed: Vec<String>,
}

/// The type of a parameter, as JSON Schema names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    String,
    Number,
    Integer,
    Boolean,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::Number => "number",
            Kind::Integer => "integer",
            Kind::Boolean => "boolean",
        }
    }
}

/// All tools.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    tools: Vec<Tool>,
}

/// A tool that an agent may propose, with the decision of its policy.
#[derive(Debug, Clone, Copy)]
pub struct Offered<'a> {
    pub tool: &'a Tool,
    pub decision: ToolDecision,
}

impl Catalog {
    /// The catalog that comes with the program.
    pub fn builtin() -> Self {
        // A test reads it, so that it cannot be broken in a release.
        Catalog { tools: serde_json::from_str(include_str!("tools.json")).unwrap_or_default() }
    }

    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// The tools that a policy does not deny.
    pub fn offered(&self, policy: &Policy) -> Vec<Offered<'_>> {
        self.tools
            .iter()
            .map(|tool| Offered { tool, decision: policy.decide(&tool.name, &tool.module) })
            .filter(|offered| offered.decision != ToolDecision::Deny)
            .collect()
    }
}

impl Tool {
    /// One line for a prompt: name, parameters (`?` marks optional ones) and description.
    pub fn signature(&self) -> String {
        let parameters: Vec<String> = self.parameters.iter().map(Parameter::signature).collect();
        format!("{}({}): {}", self.name, parameters.join(", "), self.description)
    }
}

impl Parameter {
    fn signature(&self) -> String {
        let kind = if self.allowed.is_empty() { self.kind.as_str().to_owned() } else { self.allowed.join("|") };
        format!("{}{}: {kind}", self.name, if self.required { "" } else { "?" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_builtin_catalog_is_whole_and_described() {
        let catalog = Catalog::builtin();
        assert_eq!(catalog.tools().len(), 24);
        for tool in catalog.tools() {
            assert!(!tool.description.is_empty(), "{}", tool.name);
            for parameter in &tool.parameters {
                assert!(!parameter.description.is_empty(), "{} of {}", parameter.name, tool.name);
            }
        }
    }

    #[test]
    fn denied_tools_are_not_offered() {
        let catalog = Catalog::builtin();
        let (policy, _) =
            Policy::read(&json!({"tools": {"create_note": "deny"}, "defaultsByModule": {"notes": "auto"}, "defaultForAi": "deny"}));
        let names: Vec<_> = catalog.offered(&policy).iter().map(|o| (o.tool.name.as_str(), o.decision)).collect();
        let auto = ToolDecision::Auto;
        assert_eq!(names, [("update_note", auto), ("append_to_note", auto), ("add_tag_to_note", auto)]);
    }
}
