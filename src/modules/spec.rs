//! How a description is written: tables, their fields, and what tools write into them (docs/modules.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::domain::json::is_default;
use crate::domain::record_kind::{Field, RecordKind, Role};

/// A table of records.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TableSpec {
    pub app: String,
    pub table: String,
    /// What its records are called.
    pub label: String,
    /// Whether clients write the moment of creation into a new record.
    #[serde(default, skip_serializing_if = "is_default")]
    pub created_at: bool,
    /// Whether they write that of a change.
    #[serde(default, skip_serializing_if = "is_default")]
    pub updated_at: bool,
    /// How its records read to an agent; where nothing is said, by their fields.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) input: Option<RecordKind>,
    /// Records that are written, deleted and brought back together with one of this table.
    #[serde(default, skip_serializing_if = "is_default")]
    pub owns: Vec<OwnedRecord>,
    /// Whether its records are shown as parts of others alone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hidden: bool,
    /// The flag that says that a record is done.
    #[serde(default, skip_serializing_if = "is_default")]
    pub done: Option<String>,
    /// In the order in which a new record has them.
    pub fields: Vec<FieldSpec>,
}

/// A record that belongs to another one, whose field has its id.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OwnedRecord {
    pub field: String,
    /// `app/table`
    pub table: String,
    /// Its fields that are shown and edited with the record.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shown: Vec<String>,
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldSpec {
    pub name: String,
    pub kind: FieldKind,
    /// What a new record has where nothing is given: a value, or a word that begins with `$`.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Whether a new record goes without it where nothing is given.
    #[serde(default, skip_serializing_if = "is_default")]
    pub optional: bool,
    /// Whether existing clients may encrypt it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub encrypted: bool,
    /// What it is for a reader, where it is more than a fact.
    #[serde(default, skip_serializing_if = "is_default")]
    pub role: Option<FieldRole>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub choices: Vec<String>,
}

impl FieldSpec {
    /// Whether a new record needs a value for it.
    pub fn is_required(&self) -> bool {
        self.default.is_none() && !self.optional
    }

    /// Its name in words: `dueDate` is "Due date", `isPinned` is "Pinned".
    pub fn label(&self) -> String {
        let name = self.name.strip_prefix("is").filter(|rest| rest.starts_with(char::is_uppercase)).unwrap_or(&self.name);
        let mut words = String::new();
        for (n, letter) in name.chars().enumerate() {
            match (n, letter.is_uppercase()) {
                (0, _) => words.extend(letter.to_uppercase()),
                (_, true) => {
                    words.push(' ');
                    words.extend(letter.to_lowercase());
                }
                _ => words.push(letter),
            }
        }
        words
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldRole {
    /// What the record is called.
    Title,
    /// What it says.
    Text,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldKind {
    /// A text of one line.
    Line,
    /// A text of many.
    Text,
    /// One of the field's choices.
    Choice,
    Flag,
    Number,
    /// A number above zero; a negative one loses its sign.
    Amount,
    /// `YYYY-MM-DD`, in UTC.
    Day,
    /// A moment, RFC 3339.
    Time,
    /// `HH:mm`, in the user's zone.
    Clock,
    /// The id of another record.
    Link,
    List,
    Map,
}

/// What a tool writes. Parameters go into the fields of their name; `set` says what else a field becomes.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolSpec {
    pub tool: String,
    /// `app/table` of a new record.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) create: Option<String>,
    /// `app/table` of a record that is there.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) update: Option<String>,
    /// `app/table` of a record that goes: its newest, where no parameter names one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) delete: Option<String>,
    /// The parameter that names that record.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) id: Option<String>,
    /// Which records are changed, where no parameter names one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) each: Option<Each>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) set: Map<String, Value>,
    /// Another record that an update changes too.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) also: Option<Also>,
    /// A tool that is carried out before it, where there is something for it to do.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) first: Option<String>,
    /// Other records that are made with it, by the word that stands for their ids.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) with: BTreeMap<String, Beside>,
    /// Parameters that must be there, given or brought along.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) needs: Vec<String>,
    /// Parameters that a choice brings along.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) presets: Option<Presets>,
    /// A record that the new one is about, and the parameter that names it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) of: Option<Named>,
    /// Which record `$default` means.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) choose: Option<Choose>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    pub(super) table: String,
    pub(super) id: String,
}

/// The first record of a table whose flag is set, else the first.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Choose {
    pub(super) table: String,
    pub(super) flag: String,
}

/// Live records whose fields are as `where` says, whose text has the value of a parameter, in whatever case, and whose flag
/// is not set.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Each {
    pub(super) r#where: Map<String, Value>,
    pub(super) field: String,
    pub(super) param: String,
    pub(super) unless: String,
}

/// Another record that is changed with one, whose field has its id.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Also {
    pub(super) table: String,
    pub(super) id: String,
    pub(super) set: Map<String, Value>,
}

/// A parameter, and what each of its values stands for; a parameter that is given counts more.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Presets {
    pub(super) param: String,
    pub(super) values: BTreeMap<String, Map<String, Value>>,
}

/// A record that is made beside another one.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Beside {
    pub(super) create: String,
    pub(super) set: Map<String, Value>,
}

/// Tells null from nothing.
fn given<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

impl TableSpec {
    /// The field with a role.
    pub fn role(&self, role: FieldRole) -> Option<&FieldSpec> {
        self.fields.iter().find(|field| field.role == Some(role))
    }

    /// The field of a name or a label, in whatever case.
    pub fn named(&self, name: &str) -> Option<&FieldSpec> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name) || field.label().eq_ignore_ascii_case(name))
    }

    /// How its records read by their fields; `None` where they stand for nothing by themselves.
    pub(super) fn reads(&self) -> Option<RecordKind> {
        self.role(FieldRole::Title).filter(|_| !self.hidden)?;
        let role = |field: &FieldSpec| match field.role {
            Some(FieldRole::Title) => Role::Title,
            Some(FieldRole::Text) => Role::Text,
            None => Role::Fact,
        };
        let told = self.fields.iter().filter(|field| !matches!(field.kind, FieldKind::Link | FieldKind::Flag) && field.name != "order");
        let fields = told.map(|field| Field::new(role(field), &field.name, field.encrypted)).collect();
        Some(RecordKind { fields, ..RecordKind::of_module(&self.app) })
    }

    /// Whether its records are events of a calendar, whose times stand in a block.
    pub fn is_calendar(&self) -> bool {
        self.field("calendarId").is_some() && self.field("timeBlockId").is_some()
    }

    pub fn field(&self, name: &str) -> Option<&FieldSpec> {
        self.fields.iter().find(|field| field.name == name)
    }
}
