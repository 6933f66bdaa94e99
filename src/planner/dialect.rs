//! How a plan is asked for: by native tool calls, or as one JSON object, in the best form that the server takes (docs/design.md,
//! section 7).

use serde::Serialize;

use super::tools::Offered;
use crate::domain::iteration::MAX_STEPS;
use crate::domain::raw::Raw;

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

/// The fields of a request that ask for a form.
#[derive(Debug, Default, Serialize)]
pub struct RequestFields<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<&'a Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
}

/// What the answer has to be.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat<'a> {
    JsonObject,
    JsonSchema { json_schema: NamedSchema<'a> },
}

#[derive(Debug, Serialize)]
struct NamedSchema<'a> {
    name: &'static str,
    strict: bool,
    schema: ObjectSchema<PlanProperties<'a>>,
}

#[derive(Debug, Serialize)]
struct ObjectSchema<P> {
    r#type: &'static str,
    properties: P,
    required: &'static [&'static str],
}

#[derive(Debug, Serialize)]
struct PlanProperties<'a> {
    summary: TextSchema,
    steps: StepsSchema<'a>,
}

#[derive(Debug, Serialize)]
struct TextSchema {
    r#type: &'static str,
}

#[derive(Debug, Serialize)]
struct StepsSchema<'a> {
    r#type: &'static str,
    #[serde(rename = "maxItems")]
    max_items: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<AnyOf<'a>>,
}

/// A step, held to the parameters of its tool.
#[derive(Debug, Serialize)]
struct AnyOf<'a> {
    #[serde(rename = "anyOf")]
    any_of: Vec<&'a Raw>,
}

impl RequestForm {
    /// What asks for this form.
    pub fn fields<'a>(self, offered: &[Offered<'a>]) -> RequestFields<'a> {
        match self {
            // An empty list of tools is refused by many servers.
            RequestForm::Tools => {
                RequestFields { tools: offered.iter().map(|offered| offered.tool.function()).collect(), ..RequestFields::default() }
            }
            RequestForm::Schema => {
                let json_schema = NamedSchema { name: "plan", strict: false, schema: plan_schema(offered) };
                RequestFields { response_format: Some(ResponseFormat::JsonSchema { json_schema }), ..RequestFields::default() }
            }
            RequestForm::Object => RequestFields { response_format: Some(ResponseFormat::JsonObject), ..RequestFields::default() },
            RequestForm::Plain => RequestFields::default(),
        }
    }
}

/// The schema of a plan; one without tools has no steps.
fn plan_schema<'a>(offered: &[Offered<'a>]) -> ObjectSchema<PlanProperties<'a>> {
    let any_of: Vec<&Raw> = offered.iter().map(|offered| offered.tool.step()).collect();
    let (max_items, items) = if any_of.is_empty() { (0, None) } else { (MAX_STEPS, Some(AnyOf { any_of })) };
    let (summary, steps) = (TextSchema { r#type: "string" }, StepsSchema { r#type: "array", max_items, items });
    ObjectSchema { r#type: "object", properties: PlanProperties { summary, steps }, required: &["summary", "steps"] }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::policy::Policy;
    use crate::planner::tools::Catalog;

    #[test]
    fn a_tool_as_a_function_asks_for_a_rationale() {
        let catalog = Catalog::builtin();
        let offered = catalog.offered(&Policy::default());
        let fields = json!(RequestForm::Tools.fields(&offered));
        let function = &fields["tools"][0]["function"];
        assert_eq!((&function["name"], &function["parameters"]["required"]), (&json!("create_task"), &json!(["title", "rationale"])));
        assert_eq!(function["parameters"]["properties"]["priority"]["enum"], json!(["low", "medium", "high"]));
        assert_eq!(fields["tools"].as_array().unwrap().len(), offered.len());
        assert_eq!(json!(RequestForm::Tools.fields(&[])), json!({}));
    }

    #[test]
    fn the_schema_of_a_plan_knows_each_tool() {
        let catalog = Catalog::builtin();
        let offered = catalog.offered(&Policy::default());
        let schema = &json!(RequestForm::Schema.fields(&offered))["response_format"]["json_schema"]["schema"];
        let steps = &schema["properties"]["steps"];
        assert_eq!((&steps["maxItems"], steps["items"]["anyOf"].as_array().unwrap().len()), (&json!(25), 24));
        assert_eq!(steps["items"]["anyOf"][1]["properties"]["params"]["required"], json!(["taskId"]));
    }
}
