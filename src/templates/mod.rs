//! Templates: an agent with its missions and sample records, as a file that people can share (docs/templates.md).
//!
//! A template is data, read strictly: what is wrong is told with the file and the field. This room must not know the store,
//! pages, or who uses a template.

mod brought;
mod own;
mod part;
mod read;
mod suited;

use include_dir::{Dir, include_dir};
use serde_json::{Map, Value};

use crate::domain::language::Language;

pub use brought::{LackingModule, TemplateModules};
pub use own::{MAX_FILE, own};
pub use part::{BadTemplate, FileFault, FilePartKind};
pub use suited::{Sample, Suited, SuitedMission};

static BUILTIN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// The version of the form.
const FORMAT: u64 = 1;
/// How a template file ends.
const EXTENSION: &str = ".json";

/// What a template makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// The name of its file, without the ending.
    pub id: String,
    pub icon: String,
    pub category: String,
    pub name: Wording,
    pub tagline: Wording,
    pub description: Wording,
    /// What it brings besides: tables and tools that a server may not have.
    pub modules: TemplateModules,
    pub agent: TemplateAgent,
    pub records: Vec<TemplateRecord>,
    pub missions: Vec<TemplateMission>,
}

/// A text in each language.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wording {
    en: String,
    de: String,
}

impl Wording {
    /// The text in a language.
    pub fn told(&self, language: Language) -> &str {
        match language {
            Language::English => &self.en,
            Language::German => &self.de,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct TemplateAgent {
    pub name: Wording,
    pub avatar: String,
    pub role: Wording,
    pub system_prompt: Wording,
    /// As a record has it.
    pub policy: Map<String, Value>,
    pub max_tokens_per_day: Option<u64>,
}

impl TemplateAgent {
    /// The tools for which the policy decides in this way.
    pub fn tools(&self, decision: &str) -> Vec<&str> {
        let tools = self.policy.get("tools").and_then(Value::as_object).into_iter().flatten();
        tools.filter(|(_, decided)| *decided == decision).map(|(tool, _)| tool.as_str()).collect()
    }
}

/// A record that shows what the mission is about.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateRecord {
    /// How missions name it.
    pub key: String,
    /// `app/table`
    pub table: String,
    /// Texts may be in two languages, days and times count from today.
    fields: Map<String, Value>,
}

impl TemplateRecord {
    /// A value of it, as the file has it.
    pub fn value(&self, field: &str) -> Option<&Value> {
        self.fields.get(field)
    }

    /// A text of it.
    pub fn text(&self, field: &str, language: Language) -> Option<&str> {
        let given = self.fields.get(field)?;
        given.as_str().or_else(|| given.get(language.tag())?.as_str())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct TemplateMission {
    pub title: Wording,
    pub objective: Wording,
    pub concept: Wording,
    pub cadence: Value,
    /// Keys of the records that it reads.
    pub inputs: Vec<String>,
}

impl Template {
    /// Reads a file.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn read(file: &str, text: &[u8]) -> Result<Self, BadTemplate> {
        read::template(file, text)
    }

    /// The templates that come with the program, by their ids.
    pub fn builtin() -> Vec<Template> {
        Template::builtin_where(|_| true)
    }

    /// Those of them that bring modules. Every start needs these, and no others.
    pub fn builtin_with_modules() -> Vec<Template> {
        Template::builtin_where(|text| text.contains("\"modules\""))
    }

    fn builtin_where(is_wanted: impl Fn(&str) -> bool) -> Vec<Template> {
        let read = |file: &include_dir::File<'_>| {
            let text = file.contents_utf8().filter(|text| is_wanted(text))?;
            Template::read(file.path().to_str()?, text.as_bytes()).ok()
        };
        // A test reads each, so that none is missing in a release.
        let mut templates: Vec<Template> = BUILTIN.files().filter_map(read).collect();
        templates.sort_by(|a, b| a.id.cmp(&b.id));
        templates
    }
}

#[cfg(test)]
mod tests;
