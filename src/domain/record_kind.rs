//! The kinds of records that missions link: where each is kept, how its fields read, which clients encrypt, and which other
//! records belong to it. The kinds themselves are data of `crate::modules`.
//!
//! How a record becomes a text is told by [`super::record_text`], and who may read it by the grants.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::json::is_default;

/// One kind of record.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordKind {
    /// The module as inputs name it; the first is the one that this program writes.
    pub modules: Vec<String>,
    #[serde(skip)]
    pub app: String,
    /// The table on the wire.
    #[serde(skip)]
    pub table: String,
    /// Other names of the table: of older clients, of the client's own database, or of inputs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub aliases: Vec<String>,
    /// Characters of content that a prompt takes.
    #[serde(default = "usual_limit")]
    pub limit: usize,
    pub fields: Vec<Field>,
    /// Whether fields that are not described belong to the text too, in the words of the record.
    #[serde(default, skip_serializing_if = "is_default")]
    pub open: bool,
    /// Other records that belong to it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub links: Vec<RecordLink>,
}

/// What a field is for its reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// What the record is called.
    Title,
    /// What it says.
    Text,
    /// Something about it, shown as `label: value`.
    #[default]
    Fact,
}

/// How a value is spelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueForm {
    /// As it is; lists and objects in one line.
    #[default]
    Plain,
    /// A flag that is worth a word only when it is set.
    Flag,
    /// Whether something was done: `open` or `completed`; a text stands for itself.
    Done,
    /// A list of `{title, isCompleted}`.
    Checklist,
    /// A number, its target and its period, out of the whole record.
    Progress,
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    #[serde(default, skip_serializing_if = "is_default")]
    pub role: Role,
    pub label: String,
    /// Where it stands: the first of these that is filled in counts; none: under its label. A dot leads into an object.
    #[serde(default, skip_serializing_if = "is_default")]
    paths: Vec<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub form: ValueForm,
    /// Whether existing clients may encrypt it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub encrypted: bool,
}

/// Records that belong to a record, which names them.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RecordLink {
    /// The field with the id, or with a list of ids.
    pub ids: String,
    pub app: String,
    pub table: String,
    /// The facts that it adds.
    pub fields: Vec<Field>,
    /// More than this many are not followed.
    pub most: usize,
}

fn usual_limit() -> usize {
    500
}

/// The kinds of records that inputs may mean.
#[derive(Debug, Clone, Default)]
pub struct Kinds(Vec<Arc<RecordKind>>);

impl Kinds {
    pub fn new(kinds: Vec<RecordKind>) -> Self {
        Kinds(kinds.into_iter().map(Arc::new).collect())
    }

    pub fn all(&self) -> &[Arc<RecordKind>] {
        &self.0
    }

    /// The kind of record that an input means: of the module, the one whose table it names, else the module's first.
    pub fn find(&self, module: &str, table: &str) -> Option<&Arc<RecordKind>> {
        let mut of_module = self.0.iter().filter(|kind| kind.modules.iter().any(|name| name == module));
        let first = of_module.clone().next();
        of_module.find(|kind| kind.table == table || kind.aliases.iter().any(|alias| alias == table)).or(first)
    }
}

impl Field {
    /// A field of a record as it reads by itself.
    pub fn new(role: Role, name: &str, encrypted: bool) -> Self {
        Field { role, label: name.to_owned(), paths: Vec::new(), form: ValueForm::Plain, encrypted }
    }

    /// Where it stands.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let label = self.paths.is_empty().then_some(self.label.as_str());
        self.paths.iter().map(String::as_str).chain(label)
    }
}

impl RecordKind {
    /// A kind of a module, of which nothing is known yet.
    pub fn of_module(module: &str) -> Self {
        RecordKind {
            modules: vec![module.to_owned()],
            app: String::new(),
            table: String::new(),
            aliases: Vec::new(),
            limit: usual_limit(),
            fields: Vec::new(),
            open: false,
            links: Vec::new(),
        }
    }

    /// The tables in which a record is looked for, in this order: the one that the input names, then this kind's.
    pub fn tables(&self, named: &str) -> Vec<String> {
        let mut tables = vec![named.to_owned()];
        for table in [&self.table].into_iter().chain(&self.aliases) {
            if *table != named {
                tables.push(table.clone());
            }
        }
        tables
    }

    /// The name of its module.
    pub fn module(&self) -> &str {
        self.modules.first().map(String::as_str).unwrap_or_default()
    }

    /// Whether a text of this kind is made with a field of the record itself; no other field is ever decrypted.
    pub fn uses(&self, field: &str) -> bool {
        if self.open { !BOOKKEEPING.contains(&field) } else { uses(&self.fields, field) }
    }
}

/// Whether any of `described` stands in a field of the record itself.
pub fn uses(described: &[Field], field: &str) -> bool {
    described.iter().any(|described| described.paths().any(|path| path.split('.').next() == Some(field)))
}

/// Fields that say nothing about the user: every record has them.
pub const BOOKKEEPING: [&str; 10] =
    ["id", "userId", "spaceId", "authorId", "visibility", "interview", "createdAt", "updatedAt", "deletedAt", "transcriptModel"];
