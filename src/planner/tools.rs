//! The tools that a plan may propose, and which of them an agent is offered (docs/design.md, section 7).

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::json::is_default;
use crate::domain::policy::{Policy, ToolDecision};
use crate::domain::raw::Raw;
use crate::webhooks::WebhookSpec;

/// A tool of the catalog.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    pub name: String,
    pub module: String,
    pub description: String,
    /// Whether a plan may use it once at most.
    #[serde(default, skip_serializing_if = "is_default")]
    pub once: bool,
    /// Whether it destroys something: then it is never carried out without review, unless an agent's policy says so.
    #[serde(default, skip_serializing_if = "is_default")]
    pub destructive: bool,
    /// Whether it only reads: a call changes nothing anywhere.
    #[serde(default, rename = "readOnly", skip_serializing_if = "is_default")]
    pub read_only: bool,
    /// Who carries out its steps; where nothing is said, the log if a module describes it, else a device of the user.
    #[serde(default, skip_serializing)]
    pub execute: Option<Execute>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub parameters: Vec<Parameter>,
    /// Whether a template brought it: it is offered only to agents whose policy names it, so that nothing changes for others.
    #[serde(skip)]
    pub of_template: bool,
    #[serde(skip)]
    function: OnceLock<Raw>,
    #[serde(skip)]
    step: OnceLock<Raw>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: ParamKind,
    #[serde(default, skip_serializing_if = "is_default")]
    pub required: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub description: String,
    #[serde(default, rename = "enum", skip_serializing_if = "is_default")]
    pub allowed: Vec<String>,
}

/// Who carries out the steps of a tool (docs/design.md, section 13).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Execute {
    /// This program, as a module describes it.
    Log,
    /// A device of the user.
    Client,
    /// An endpoint of the operator.
    Webhook(WebhookSpec),
}

/// The type of a parameter, as JSON Schema names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamKind {
    String,
    Number,
    Integer,
    Boolean,
}

impl ParamKind {
    pub fn as_str(self) -> &'static str {
        match self {
            ParamKind::String => "string",
            ParamKind::Number => "number",
            ParamKind::Integer => "integer",
            ParamKind::Boolean => "boolean",
        }
    }
}

/// All tools.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    tools: Vec<Tool>,
    /// Whether a file of the operator says which tools there are: nothing is added to them.
    is_closed: bool,
}

/// A tool that an agent may propose, with the decision of its policy.
#[derive(Debug, Clone, Copy)]
pub struct Offered<'a> {
    pub tool: &'a Tool,
    pub decision: ToolDecision,
}

/// A catalog file that cannot be used: where the mistake is, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCatalog {
    #[error("{0}")]
    Form(String),
    #[error("tool {tool:?}: {what}")]
    Tool { tool: String, what: String },
}

/// A user's own tools as an object; a plain list extends the catalog.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replacing {
    #[serde(default)]
    replace: bool,
    tools: Vec<Tool>,
}

fn wrong(tool: &Tool, what: &str) -> BadCatalog {
    BadCatalog::Tool { tool: tool.name.clone(), what: what.into() }
}

impl Catalog {
    /// The catalog with the tools of a user's file.
    ///
    /// # Errors
    /// The first mistake of the file, with its place.
    pub fn with(self, file: &str) -> Result<Self, BadCatalog> {
        let form = |error: serde_json::Error| BadCatalog::Form(format!("{error}"));
        let (replace, tools) = match serde_json::from_str::<Value>(file).map_err(form)? {
            Value::Object(_) => {
                let Replacing { replace, tools } = serde_json::from_str(file).map_err(form)?;
                (replace, tools)
            }
            _ => (false, serde_json::from_str::<Vec<Tool>>(file).map_err(form)?),
        };
        let mut catalog = if replace { Catalog { is_closed: true, ..Catalog::default() } } else { self };
        for (at, tool) in tools.iter().enumerate() {
            tool.check()?;
            if tools[..at].iter().any(|other| other.name == tool.name) {
                return Err(wrong(tool, "stands twice in the file"));
            }
        }
        catalog.tools.retain(|known| !tools.iter().any(|tool| tool.name == known.name));
        catalog.tools.extend(tools);
        Ok(catalog)
    }

    /// The catalog that comes with the program.
    pub fn builtin() -> Self {
        // A test reads it, so that it cannot be broken in a release.
        Catalog { tools: serde_json::from_str(include_str!("tools.json")).unwrap_or_default(), is_closed: false }
    }

    pub fn tools(&self) -> &[Tool] {
        &self.tools
    }

    /// The same with tools of a template that are not known yet; those that are stay as they are.
    pub fn joined(mut self, tools: &[Tool]) -> Self {
        if !self.is_closed {
            let unknown: Vec<&Tool> = tools.iter().filter(|tool| self.tool(&tool.name).is_none()).collect();
            self.tools.extend(unknown.into_iter().map(|tool| Tool { of_template: true, ..tool.clone() }));
        }
        self
    }

    /// Whether no template can add a tool.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    pub fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    /// The tools that a policy does not deny.
    pub fn offered(&self, policy: &Policy) -> Vec<Offered<'_>> {
        self.tools
            .iter()
            .map(|tool| Offered { tool, decision: tool.decision(policy) })
            .filter(|offered| offered.decision != ToolDecision::Deny)
            .collect()
    }
}

/// Whether model servers take a name for a function or a parameter.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter))
}

impl Tool {
    /// Whether it can be offered. Names are those that model servers take for functions.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), BadCatalog> {
        if !is_name(&self.name) {
            return Err(wrong(self, "its `name` must be 1 to 64 letters, digits, _ or -"));
        }
        if self.module.is_empty() || self.description.trim().is_empty() {
            return Err(wrong(self, "`module` and `description` must say something: the policy and the model go by them"));
        }
        if self.read_only && (self.destructive || self.execute == Some(Execute::Log)) {
            return Err(wrong(self, "a tool that is `readOnly` destroys nothing and writes no records"));
        }
        for (at, parameter) in self.parameters.iter().enumerate() {
            let name = &parameter.name;
            if !is_name(name) || name == "rationale" {
                return Err(wrong(
                    self,
                    &format!("the parameter {name:?} must have a name of letters, digits, _ or -, other than rationale"),
                ));
            }
            if self.parameters[..at].iter().any(|other| other.name == *name) {
                return Err(wrong(self, &format!("the parameter {name:?} stands twice")));
            }
            if parameter.kind != ParamKind::String && !parameter.allowed.is_empty() {
                return Err(wrong(self, &format!("the parameter {name:?} has an `enum`, which only a string may have")));
            }
        }
        Ok(())
    }

    /// What becomes of its calls by a policy.
    pub fn decision(&self, policy: &Policy) -> ToolDecision {
        match self.of_template && !policy.names(&self.name, &self.module) {
            true => ToolDecision::Deny,
            false => policy.decide(&self.name, &self.module),
        }
    }

    /// Whether this program may carry it out: no endpoint, and no device alone.
    pub fn is_of_log(&self) -> bool {
        matches!(self.execute, None | Some(Execute::Log))
    }

    /// Whether two descriptions of a tool come to the same, wherever they are from.
    pub fn is_same(&self, other: &Tool) -> bool {
        let carried_out = |tool: &Tool| tool.execute.clone().filter(|execute| *execute != Execute::Log);
        (&self.name, &self.module, &self.description, &self.parameters)
            == (&other.name, &other.module, &other.description, &other.parameters)
            && (self.once, self.destructive, self.read_only) == (other.once, other.destructive, other.read_only)
            && carried_out(self) == carried_out(other)
    }

    /// The tool as a native function, written once. Each call must say why.
    pub fn function(&self) -> &Raw {
        self.function.get_or_init(|| {
            let mut parameters = self.schema();
            parameters["properties"]["rationale"] =
                json!({"type": "string", "description": "Why this step, in a sentence that the user can follow."});
            if let Some(required) = parameters["required"].as_array_mut() {
                required.push("rationale".into());
            }
            Raw::of(
                &json!({"type": "function", "function": {"name": self.name, "description": self.description, "parameters": parameters}}),
            )
        })
    }

    /// The JSON Schema of a step that calls it, written once.
    pub fn step(&self) -> &Raw {
        self.step.get_or_init(|| {
            Raw::of(&json!({
                "type": "object",
                "properties": {
                    "summary": {"type": "string"}, "toolName": {"type": "string", "enum": [self.name]},
                    "params": self.schema(), "rationale": {"type": "string"},
                },
                "required": ["summary", "toolName", "params", "rationale"],
            }))
        })
    }

    /// The JSON Schema of its parameters.
    fn schema(&self) -> Value {
        let properties: Map<String, Value> = self.parameters.iter().map(|parameter| (parameter.name.clone(), parameter.schema())).collect();
        let required: Vec<&str> = self.parameters.iter().filter(|parameter| parameter.required).map(|parameter| &*parameter.name).collect();
        json!({"type": "object", "properties": properties, "required": required})
    }

    /// One line for a prompt: name, parameters (`?` marks optional ones) and description.
    pub fn signature(&self) -> String {
        let parameters: Vec<String> = self.parameters.iter().map(Parameter::signature).collect();
        format!("{}({}): {}", self.name, parameters.join(", "), self.description)
    }
}

impl Parameter {
    /// A value as its type has it, where the text can be one.
    pub fn read(&self, text: &str) -> Value {
        let value = match self.kind {
            ParamKind::String => None,
            _ => serde_json::from_str(text).ok(),
        };
        value.unwrap_or_else(|| text.into())
    }

    fn schema(&self) -> Value {
        let mut schema = json!({"type": self.kind.as_str(), "description": self.description});
        if !self.allowed.is_empty() {
            schema["enum"] = json!(self.allowed);
        }
        schema
    }

    fn signature(&self) -> String {
        let kind = if self.allowed.is_empty() { self.kind.as_str().to_owned() } else { self.allowed.join("|") };
        format!("{}{}: {kind}", self.name, if self.required { "" } else { "?" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_file_extends_or_replaces_the_catalog() {
        let water = r#"{"name": "water_plants", "module": "garden", "description": "Water the plants.", "parameters": []}"#;
        let with = |file: &str| Catalog::builtin().with(file);
        assert_eq!(with(&format!("[{water}]")).unwrap().tools().len(), 25);
        assert_eq!(with(&water.replace("water_plants", "stop_timer").replace('{', "[{").replace('}', "}]")).unwrap().tools().len(), 24);
        let only = with(&format!(r#"{{"replace": true, "tools": [{water}]}}"#)).unwrap();
        assert_eq!(only.tools().iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["water_plants"]);
    }

    #[test]
    fn a_mistake_in_a_file_is_told_with_its_place() {
        let tool = |rest: &str| format!("[\n{{\"name\": \"x\", \"module\": \"m\", \"description\": \"d\", {rest}}}]");
        for (file, says) in [
            ("[{", "line 1 column 2"),
            ("3", "invalid type: integer `3`, expected a sequence at line 1"),
            ("{\"tool\": []}", "unknown field `tool`"),
            ("[\n{\"module\": \"m\"}]", "missing field `name` at line 2"),
            (tool("\"parameters\": [{\"name\": \"a\", \"type\": \"int\"}]").as_str(), "unknown variant `int`, expected one of `string`"),
            (tool("\"readOnly\": true, \"destructive\": true").as_str(), "destroys nothing"),
            (tool("\"params\": []").as_str(), "unknown field `params`"),
            (tool("\"parameters\": [{\"name\": \"rationale\", \"type\": \"string\"}]").as_str(), "tool \"x\": the parameter \"rationale\""),
            (tool("\"parameters\": [{\"name\": \"a\", \"type\": \"number\", \"enum\": [\"1\"]}]").as_str(), "has an `enum`"),
            (tool("\"once\": true").replace("\"x\"", "\"a b\"").as_str(), "its `name` must be"),
            (tool("\"once\": true").replace("\"d\"", "\"\"").as_str(), "must say something"),
        ] {
            let error = Catalog::builtin().with(file).unwrap_err().to_string();
            assert!(error.contains(says), "{file}: {error}");
        }
    }

    #[test]
    fn a_tool_of_a_template_is_offered_where_a_policy_names_it() {
        let bike = |name: &str| serde_json::from_value::<Tool>(json!({"name": name, "module": "bikes", "description": "d"})).unwrap();
        let catalog = Catalog::builtin().joined(&[bike("oil_bike"), bike("create_task")]);
        let offered = |policy: Value| {
            let offered = catalog.offered(&Policy::read(&policy).0);
            (offered.len(), offered.iter().any(|offered| offered.tool.name == "oil_bike"))
        };
        assert_eq!(offered(json!({"defaultForAi": "auto"})), (24, false));
        assert_eq!(offered(json!({"tools": {"oil_bike": null}})), (24, false));
        assert_eq!(offered(json!({"tools": {"oil_bike": "propose"}})), (25, true));
        assert_eq!(offered(json!({"defaultsByModule": {"bikes": "auto"}, "defaultForAi": "deny"})), (1, true));
        assert_eq!(offered(json!({"tools": {"oil_bike": "deny"}})), (24, false));
        // A file of the operator has the last word, and makes it everybody's.
        let own = catalog.with(&json!([bike("oil_bike")]).to_string()).unwrap();
        assert_eq!((own.tools().len(), own.offered(&Policy::default()).len()), (25, 25));
        assert!(Catalog::builtin().with(r#"{"replace": true, "tools": []}"#).unwrap().joined(&[bike("oil_bike")]).tools().is_empty());
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
