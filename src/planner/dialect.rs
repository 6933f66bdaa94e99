//! How a plan is asked for: by native tool calls, or as one JSON object, in the best form that the server takes (docs/design.md,
//! section 7).

use serde_json::{Map, Value, json};

use super::tools::{Offered, Parameter, Tool};
use crate::domain::iteration::MAX_STEPS;

/// Which form to use, as configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// Tool calls where the server takes them, else JSON; either answer is read.
    #[default]
    Auto,
    Tools,
    Json,
}

/// One form of a request. Servers refuse those that they do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestForm {
    /// The tools as native functions.
    Tools,
    /// A JSON object held to a schema.
    Schema,
    /// A JSON object of whatever shape.
    Object,
    /// Only words.
    Plain,
}

impl Dialect {
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Dialect::Auto),
            "tools" => Some(Dialect::Tools),
            "json" => Some(Dialect::Json),
            _ => None,
        }
    }

    /// The forms to try, the best first.
    pub fn forms(self) -> &'static [RequestForm] {
        match self {
            Dialect::Auto => &[RequestForm::Tools, RequestForm::Schema, RequestForm::Object, RequestForm::Plain],
            Dialect::Tools => &[RequestForm::Tools],
            Dialect::Json => &[RequestForm::Schema, RequestForm::Object, RequestForm::Plain],
        }
    }
}

impl RequestForm {
    /// The fields of a request that ask for this form.
    pub fn fields(self, offered: &[Offered<'_>]) -> Map<String, Value> {
        let mut fields = Map::new();
        match self {
            // An empty list of tools is refused by many servers.
            RequestForm::Tools if offered.is_empty() => {}
            RequestForm::Tools => drop(fields.insert("tools".into(), offered.iter().map(|offered| function(offered.tool)).collect())),
            RequestForm::Schema => {
                let schema = json!({"name": "plan", "strict": false, "schema": plan_schema(offered)});
                fields.insert("response_format".into(), json!({"type": "json_schema", "json_schema": schema}));
            }
            RequestForm::Object => drop(fields.insert("response_format".into(), json!({"type": "json_object"}))),
            RequestForm::Plain => {}
        }
        fields
    }
}

/// A tool as a native function. Each call must say why.
fn function(tool: &Tool) -> Value {
    let mut parameters = parameters_schema(tool);
    parameters["properties"]["rationale"] =
        json!({"type": "string", "description": "Why this step, in a sentence that the user can follow."});
    if let Some(required) = parameters["required"].as_array_mut() {
        required.push("rationale".into());
    }
    json!({"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": parameters}})
}

fn parameters_schema(tool: &Tool) -> Value {
    let properties: Map<String, Value> = tool.parameters.iter().map(|parameter| (parameter.name.clone(), schema_of(parameter))).collect();
    let required: Vec<&str> =
        tool.parameters.iter().filter(|parameter| parameter.required).map(|parameter| parameter.name.as_str()).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

fn schema_of(parameter: &Parameter) -> Value {
    let mut schema = json!({"type": parameter.kind.as_str(), "description": parameter.description});
    if !parameter.allowed.is_empty() {
        schema["enum"] = json!(parameter.allowed);
    }
    schema
}

/// The schema of a plan, each step held to the parameters of its tool.
fn plan_schema(offered: &[Offered<'_>]) -> Value {
    let step = |offered: &Offered<'_>| {
        json!({
            "type": "object",
            "properties": {
                "summary": {"type": "string"}, "toolName": {"type": "string", "enum": [offered.tool.name]},
                "params": parameters_schema(offered.tool), "rationale": {"type": "string"},
            },
            "required": ["summary", "toolName", "params", "rationale"],
        })
    };
    let mut steps = json!({"type": "array", "maxItems": if offered.is_empty() { 0 } else { MAX_STEPS }});
    if !offered.is_empty() {
        steps["items"] = json!({"anyOf": offered.iter().map(step).collect::<Vec<_>>()});
    }
    json!({"type": "object", "properties": {"summary": {"type": "string"}, "steps": steps}, "required": ["summary", "steps"]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::Policy;
    use crate::planner::tools::Catalog;

    #[test]
    fn a_tool_as_a_function_asks_for_a_rationale() {
        let catalog = Catalog::builtin();
        let offered = catalog.offered(&Policy::default());
        let fields = RequestForm::Tools.fields(&offered);
        let function = &fields["tools"][0]["function"];
        assert_eq!((&function["name"], &function["parameters"]["required"]), (&json!("create_task"), &json!(["title", "rationale"])));
        assert_eq!(function["parameters"]["properties"]["priority"]["enum"], json!(["low", "medium", "high"]));
        assert_eq!(fields["tools"].as_array().unwrap().len(), offered.len());
        assert!(RequestForm::Tools.fields(&[]).is_empty());
    }

    #[test]
    fn the_schema_of_a_plan_knows_each_tool() {
        let catalog = Catalog::builtin();
        let offered = catalog.offered(&Policy::default());
        let schema = &RequestForm::Schema.fields(&offered)["response_format"]["json_schema"]["schema"];
        let steps = &schema["properties"]["steps"];
        assert_eq!((&steps["maxItems"], steps["items"]["anyOf"].as_array().unwrap().len()), (&json!(25), 24));
        assert_eq!(steps["items"]["anyOf"][1]["properties"]["params"]["required"], json!(["taskId"]));
    }
}
