//! Modules: which records there are, what their fields mean, and what tools write into them (docs/design.md, section 13;
//! docs/records.md).
//!
//! A module is a description, read from JSON: nothing here is made for one tool. This room must not know the store.

mod call;
mod card;
pub mod effects;
pub mod forms;
mod scene;
mod shared;
mod spec;

use serde::Deserialize;
use serde_json::{Map, Value};

pub use card::{RecordCard, searched};
pub use spec::{FieldKind, FieldRole, FieldSpec, OwnedRecord, TableSpec, ToolSpec};

use crate::domain::field;
use crate::domain::record_kind::{Kinds, RecordKind};

/// Every table and tool that is described.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Modules {
    #[serde(default)]
    tables: Vec<TableSpec>,
    #[serde(default)]
    tools: Vec<ToolSpec>,
}

/// A file of modules that cannot be used: where the mistake is, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadModules {
    #[error("{0}")]
    Form(String),
    #[error("tool {tool:?}: {what}")]
    Tool { tool: String, what: String },
}

impl Modules {
    /// The modules that existing clients have.
    pub fn builtin() -> Self {
        // A test reads it, so that it cannot be broken in a release.
        serde_json::from_str(include_str!("builtin.json")).unwrap_or_default()
    }

    /// The same with the modules of a user's file: its tables and tools are added, and stand in for those of the same name.
    ///
    /// # Errors
    /// The first mistake of the file, with its place.
    pub fn with(mut self, file: &str) -> Result<Self, BadModules> {
        let own: Modules = serde_json::from_str(file).map_err(|error| BadModules::Form(error.to_string()))?;
        self.tables.retain(|known| !own.tables.iter().any(|table| (&table.app, &table.table) == (&known.app, &known.table)));
        self.tools.retain(|known| !own.tools.iter().any(|tool| tool.tool == known.tool));
        self.tables.extend(own.tables);
        self.tools.extend(own.tools);
        self.check()?;
        Ok(self)
    }

    /// Whether every tool writes fields of tables that are described.
    fn check(&self) -> Result<(), BadModules> {
        for spec in &self.tools {
            let wrong = |what: String| BadModules::Tool { tool: spec.tool.clone(), what };
            let kinds = [&spec.create, &spec.update, &spec.delete];
            let mut paths = kinds.iter().filter_map(|path| path.as_deref());
            let (Some(path), None) = (paths.next(), paths.next()) else {
                return Err(wrong("it must have one of `create`, `update` and `delete`".into()));
            };
            let table = self.table(path).ok_or_else(|| wrong(format!("the table {path:?} is not described")))?;
            if spec.update.is_some() && spec.id.is_some() == spec.each.is_some() {
                return Err(wrong("an update needs either `id` or `each`".into()));
            }
            // Else it could go round and round.
            if spec.first.as_ref().is_some_and(|first| self.tool(first).is_none_or(|first| first.first.is_some())) {
                return Err(wrong("`first` must name a tool that is described and has none itself".into()));
            }
            let all = [(table, &spec.set)].into_iter().map(Ok);
            let beside = spec.with.values().map(|beside| Ok((self.table(&beside.create).ok_or(&beside.create)?, &beside.set)));
            for written in all.chain(beside) {
                let (table, set) = written.map_err(|path: &String| wrong(format!("the table {path:?} is not described")))?;
                if let Some(field) = set.keys().find(|field| table.field(field).is_none() && *field != field::UPDATED_AT) {
                    return Err(wrong(format!("the table {:?} has no field {field:?}", table.table)));
                }
            }
        }
        Ok(())
    }

    /// The same without what some tools write: somebody else carries them out.
    pub fn without(mut self, tools: &[String]) -> Self {
        self.tools.retain(|spec| !tools.contains(&spec.tool));
        self
    }

    /// How records read to an agent: those whose table says so, then every other one with a title that is shown.
    pub fn kinds(&self) -> Kinds {
        let of_table = |table: &TableSpec, kind: RecordKind| RecordKind { app: table.app.clone(), table: table.table.clone(), ..kind };
        let said = self.tables.iter().filter_map(|table| Some(of_table(table, table.input.clone()?)));
        let others = self.tables.iter().filter(|table| table.input.is_none());
        let others = others.filter_map(|table| Some(of_table(table, table.reads()?)));
        Kinds::new(said.chain(others).collect())
    }

    /// The tables alone.
    pub fn without_tools(mut self) -> Self {
        self.tools.clear();
        self
    }

    pub fn tables(&self) -> &[TableSpec] {
        &self.tables
    }

    pub fn tools(&self) -> &[ToolSpec] {
        &self.tools
    }

    /// The tool that makes a record of a table together with others.
    fn composed(&self, table: &TableSpec) -> Option<&ToolSpec> {
        let path = format!("{}/{}", table.app, table.table);
        self.tools.iter().find(|spec| spec.create.as_deref() == Some(&path) && !spec.with.is_empty())
    }

    /// The fields of a record that a person edits, with those of what belongs to it.
    pub fn editable(&self, table: &TableSpec) -> Vec<FieldSpec> {
        let is_edited = |field: &&FieldSpec| {
            let is_count = field.default.as_ref().and_then(Value::as_str) == Some("$count");
            !is_count && !matches!(field.kind, FieldKind::Link | FieldKind::Map)
        };
        let mut fields: Vec<FieldSpec> = table.fields.iter().filter(is_edited).cloned().collect();
        for owned in &table.owns {
            let other = self.table(&owned.table).into_iter().flat_map(|other| &other.fields);
            let shown: Vec<FieldSpec> = other.filter(|field| owned.shown.contains(&field.name)).cloned().collect();
            fields.splice(1.min(fields.len())..1.min(fields.len()), shown);
        }
        fields
    }

    /// The fields of the form that adds a record; `None` where a person cannot fill it in.
    pub fn form(&self, table: &TableSpec) -> Option<Vec<FieldSpec>> {
        let is_filled_in = |field: &&FieldSpec| {
            let is_own = field.default.as_ref().and_then(Value::as_str).is_some_and(|text| text.starts_with('$') && text != "$today");
            !is_own && !matches!(field.kind, FieldKind::Link | FieldKind::Map)
        };
        let mut fields: Vec<FieldSpec> = table.fields.iter().filter(is_filled_in).cloned().collect();
        let Some(spec) = self.composed(table) else {
            let is_closed = table.fields.iter().any(|field| field.is_required() && matches!(field.kind, FieldKind::Link | FieldKind::Map));
            return (!is_closed).then_some(fields);
        };
        if spec.of.is_some() {
            return None;
        }
        let mut place = 1.min(fields.len());
        for beside in spec.with.values() {
            let Some(other) = self.table(&beside.create) else { continue };
            for (name, template) in &beside.set {
                let param = template.as_str().and_then(|text| text.strip_prefix("$param:"));
                let (Some(param), Some(field)) = (param, other.field(name)) else { continue };
                if fields.iter().all(|known| known.name != param) {
                    // An end may be left open in the record, but nobody means that who adds one.
                    let default = field.default.clone().filter(|_| field.kind != FieldKind::Time);
                    fields.insert(place, FieldSpec { name: param.to_owned(), default, ..field.clone() });
                    place += 1;
                }
            }
        }
        Some(fields)
    }

    /// A table by `app/table`.
    pub fn table(&self, path: &str) -> Option<&TableSpec> {
        let (app, table) = path.split_once('/')?;
        self.tables.iter().find(|spec| spec.app == app && spec.table == table)
    }

    /// The field of a record into which a parameter of a tool goes: one of its name, or one that is set to it.
    pub fn field_of(&self, tool: &str, parameter: &str) -> Option<&FieldSpec> {
        let spec = self.tool(tool)?;
        let own = [&spec.create, &spec.update].into_iter().flatten().map(|path| (path, &spec.set));
        let written: Vec<_> = own.chain(spec.with.values().map(|beside| (&beside.create, &beside.set))).collect();
        let named = written.iter().find_map(|(path, _)| self.table(path)?.field(parameter));
        let template = format!("$param:{parameter}");
        let is_set = |(path, set): &(&String, &Map<String, Value>)| {
            let (field, _) = set.iter().find(|(_, value)| value.as_str() == Some(template.as_str()))?;
            self.table(path)?.field(field)
        };
        named.or_else(|| written.iter().find_map(is_set))
    }

    /// What a tool writes; `None`: nobody here carries it out.
    pub fn tool(&self, name: &str) -> Option<&ToolSpec> {
        self.tools.iter().find(|spec| spec.tool == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_descriptions_are_whole() {
        let modules: Modules = serde_json::from_str(include_str!("builtin.json")).unwrap();
        assert_eq!(modules.check(), Ok(()));
        assert!(modules.tools.len() > 15 && Modules::builtin().tools.len() == modules.tools.len());
    }

    #[test]
    fn a_file_adds_modules_and_its_mistakes_are_told() {
        let with = |tool: &str| {
            Modules::builtin().with(&format!(
                r#"{{"tables": [{{"app": "garden", "table": "plants", "label": "Plants", "fields": [
                    {{"name": "name", "kind": "line"}}, {{"name": "wateredAt", "kind": "time", "optional": true}}]}}],
                   "tools": [{{"tool": "water_plant", {tool}}}]}}"#
            ))
        };
        let garden = with(r#""update": "garden/plants", "id": "plantId", "set": {"wateredAt": "$now"}"#).unwrap();
        assert!(garden.table("garden/plants").is_some() && garden.tool("create_task").is_some());
        for (tool, says) in [
            (r#""update": "garden/trees", "id": "treeId""#, "tool \"water_plant\": the table \"garden/trees\" is not described"),
            (r#""update": "garden/plants", "id": "plantId", "set": {"color": "red"}"#, "the table \"plants\" has no field \"color\""),
            (r#""update": "garden/plants""#, "an update needs either `id` or `each`"),
            (r#""set": {}"#, "one of `create`, `update` and `delete`"),
            (r#""create": "garden/plants", "first": "water_plant""#, "`first` must name a tool"),
            (r#""make": "garden/plants""#, "unknown field `make`"),
        ] {
            let error = with(tool).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn an_input_means_a_kind_by_its_module_and_table() {
        let kinds = Modules::builtin().kinds();
        for (module, table, expected) in [
            ("goals", "companionGoals", "companionGoals"),
            ("goals", "goals", "companionGoals"),
            ("tasks", "tasks", "tasks"),
            ("todo", "tasks", "tasks"),
            ("todo", "todo", "tasks"),
            ("todo", "projects", "projects"),
            ("todo", "todoProjects", "projects"),
            ("calendar", "events", "events"),
            ("journal", "journalEntries", "journalEntries"),
            ("journal", "something", "journalEntries"),
            ("profile", "userContext", "userContext"),
            ("kontext", "kontextDoc", "kontextDoc"),
        ] {
            assert_eq!(kinds.find(module, table).map(|kind| kind.table.as_str()), Some(expected), "{module} {table}");
        }
        assert!(kinds.find("moon", "notes").is_none() && kinds.find("", "").is_none());
    }

    #[test]
    fn the_named_table_is_looked_in_first() {
        let kinds = Modules::builtin().kinds();
        let goals = kinds.find("goals", "goals").unwrap();
        assert_eq!(goals.tables("goals"), ["goals", "companionGoals"]);
        assert_eq!(goals.tables("companionGoals"), ["companionGoals", "goals"]);
        assert_eq!(kinds.find("journal", "other").unwrap().tables("other"), ["other", "journalEntries", "journal", "entries"]);
    }

    /// Each table that is described stands in the list of the shapes that clients write, under its app.
    #[test]
    fn every_described_table_is_one_of_the_clients() {
        let records = include_str!("../../docs/records.md");
        let on_the_wire = |app: &str, table: &str| {
            records.lines().any(|line| {
                let mut cells = line.trim_matches('|').split('|').map(str::trim);
                let first = cells.next().unwrap_or_default();
                let tables = cells.next().unwrap_or_default();
                (first == app || (app == "companion" && first == "none")) && tables.split([',', ' ', '(', ')']).any(|name| name == table)
            })
        };
        for kind in Modules::builtin().kinds().all() {
            assert!(on_the_wire(&kind.app, &kind.table), "{} {}", kind.app, kind.table);
            for link in &kind.links {
                assert!(on_the_wire(&link.app, &link.table), "{} {}", link.app, link.table);
            }
        }
    }

    /// The tables and tools that come with the program, as docs/modules.md shows them.
    fn table_of_tables() -> String {
        let modules = Modules::builtin();
        let mut rows = String::from("| app / table | fields (* clients may encrypt it) | tools that write it |\n|---|---|---|\n");
        for table in modules.tables().iter().filter(|table| !table.fields.is_empty()) {
            let path = format!("{}/{}", table.app, table.table);
            let field = |field: &FieldSpec| format!("{}{}", field.name, if field.encrypted { "\\*" } else { "" });
            let writes = |spec: &&ToolSpec| {
                let kinds = [&spec.create, &spec.update, &spec.delete];
                kinds.iter().any(|of| of.as_deref() == Some(&path)) || spec.with.values().any(|beside| beside.create == path)
            };
            let tools = modules.tools.iter().filter(writes).map(|spec| format!("`{}`", spec.tool)).collect::<Vec<_>>().join(", ");
            let fields = table.fields.iter().map(field).collect::<Vec<_>>().join(", ");
            rows += &format!("| `{path}` | {fields} | {tools} |\n");
        }
        rows
    }

    #[test]
    fn the_docs_have_every_table_and_tool() {
        const MARKS: (&str, &str) = ("<!-- tables: made from src/modules/builtin.json -->\n\n", "\n<!-- end of tables -->");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/modules.md");
        let docs = std::fs::read_to_string(path).unwrap();
        let (before, rest) = docs.split_once(MARKS.0).unwrap();
        let (_, after) = rest.split_once(MARKS.1).unwrap();
        let made = format!("{before}{}{}{}{after}", MARKS.0, table_of_tables(), MARKS.1);
        if std::env::var_os("MANA_WRITE_README").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        assert_eq!(docs, made, "write it anew with MANA_WRITE_README=1");
    }

    #[test]
    fn a_table_of_ones_own_reads_by_its_fields() {
        let own = r#"{"tables": [{"app": "garden", "table": "plants", "label": "Plants", "fields": [
            {"name": "name", "kind": "line", "role": "title"}, {"name": "room", "kind": "line", "optional": true}]}]}"#;
        let kinds = Modules::builtin().with(own).unwrap().kinds();
        let plant = serde_json::json!({"name": "Mint", "room": "balcony"});
        let text = crate::domain::record_text::text(kinds.find("garden", "plants").unwrap(), plant.as_object().unwrap(), &[]);
        assert_eq!(text, Some(("Mint".into(), "room: balcony".into())));
    }
}
