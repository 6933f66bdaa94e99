//! The modules that a template brings: read strictly, taken in beside those of a server, and taken out of one to share.
//!
//! A template only adds. What a server describes otherwise stays as it is, and the template cannot be used there.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::part::{BadTemplate, FileFault, FilePart};
use crate::domain::policy::{Policy, ToolDecision};
use crate::domain::record_kind::BOOKKEEPING;
use crate::modules::{Modules, TableSpec, ToolSpec};
use crate::planner::tools::{Catalog, Execute, Tool, is_name};

const MAX_TABLES: usize = 20;
const MAX_TOOLS: usize = 40;
/// Fields of a table, parameters of a tool, and choices of either.
const MAX_PARTS: usize = 60;
/// Characters of what a tool or parameter is called for the model.
const MAX_DESCRIPTION: usize = 1_000;
/// The app whose records are missions and agents: no template writes into them.
const OWN_APP: &str = "ai";

/// Tables, what tools write into them, and how plans call these tools.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TemplateModules {
    pub described: Modules,
    /// Each is described, so that this program carries it out.
    pub catalog: Vec<Tool>,
}

/// As a file has them.
#[derive(Serialize)]
struct Written<'a> {
    tables: &'a [TableSpec],
    tools: &'a [ToolSpec],
    catalog: &'a [Tool],
}

/// A table or tool of a template that a server lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LackingModule {
    pub place: String,
    pub name: String,
}

impl TemplateModules {
    pub(super) fn read(part: &FilePart<'_>) -> Result<Self, BadTemplate> {
        part.object(&["tables", "tools", "catalog"])?;
        let tables = part.list("tables", MAX_TABLES)?.iter().map(table).collect::<Result<Vec<_>, _>>()?;
        let tools = part.list("tools", MAX_TOOLS)?.iter().map(tool_spec).collect::<Result<Vec<_>, _>>()?;
        let catalog = part.list("catalog", MAX_TOOLS)?.iter().map(|part| tool(part, &tools)).collect::<Result<Vec<_>, _>>()?;
        once(part, "tables", tables.iter().map(TableSpec::path))?;
        once(part, "tools", tools.iter().map(|spec| spec.tool.clone()))?;
        once(part, "catalog", catalog.iter().map(|tool| tool.name.clone()))?;
        Ok(TemplateModules { described: Modules::new(tables, tools), catalog })
    }

    pub fn is_empty(&self) -> bool {
        self.described.is_empty() && self.catalog.is_empty()
    }

    /// The first table or tool that is not known.
    ///
    /// # Errors
    /// The first that is described otherwise, or cannot be known at all.
    pub fn lacking(&self, modules: &Modules, catalog: &Catalog) -> Result<Option<LackingModule>, BadTemplate> {
        let mut lacking = None;
        let mut note = |place: String, name: &str, is_known: Option<bool>| match is_known {
            Some(true) => Ok(()),
            Some(false) => Err(bad(place, FileFault::Otherwise(name.to_owned()))),
            None => {
                lacking.get_or_insert(LackingModule { place, name: name.to_owned() });
                Ok(())
            }
        };
        for (n, table) in self.described.tables().iter().enumerate() {
            note(place_of("tables", n), &table.path(), modules.table(&table.path()).map(|known| known == table))?;
        }
        for (n, spec) in self.described.tools().iter().enumerate() {
            let known = modules.tool(&spec.tool).map(|known| known == spec);
            // Else a template would say who carries out a tool of others.
            let is_of_others = || catalog.tool(&spec.tool).map(|_| false);
            note(place_of("tools", n), &spec.tool, known.or_else(is_of_others))?;
        }
        for (n, tool) in self.catalog.iter().enumerate() {
            let known = catalog.tool(&tool.name).map(|known| known.is_same(tool));
            if known.is_none() && catalog.is_closed() {
                return Err(bad(place_of("catalog", n), FileFault::NoTool(tool.name.clone())));
            }
            let is_of_others = |other: &&Tool| other.module == tool.module && self.catalog.iter().all(|own| own.name != other.name);
            if catalog.tools().iter().any(|other| is_of_others(&other)) {
                return Err(bad(format!("{}.module", place_of("catalog", n)), FileFault::ModuleTaken(tool.module.clone())));
            }
            note(place_of("catalog", n), &tool.name, known)?;
        }
        Ok(lacking)
    }

    /// What a server knows that takes them in.
    ///
    /// # Errors
    /// What is described otherwise there, cannot be known there, or does not fit together.
    pub fn joined(&self, modules: &Modules, catalog: &Catalog) -> Result<(Modules, Catalog), BadTemplate> {
        self.lacking(modules, catalog)?;
        let joined = modules.joined(&self.described);
        let modules = joined.map_err(|error| bad("modules".to_owned(), FileFault::Description(error.to_string())))?;
        Ok((modules, catalog.clone().joined(&self.catalog)))
    }

    /// What another server needs for the tools that a policy names: of those that do not come with the program, and that
    /// this program carries out.
    pub(super) fn needed(policy: &Policy, modules: &Modules, catalog: &Catalog) -> Self {
        let builtin = Catalog::builtin();
        let is_used = |tool: &Tool| policy.names(&tool.name, &tool.module) && tool.decision(policy) != ToolDecision::Deny;
        let is_named = |tool: &&Tool| is_used(tool) && builtin.tool(&tool.name).is_none();
        let is_of_log = |tool: &&Tool| tool.is_of_log() && modules.tool(&tool.name).is_some();
        let named: Vec<&Tool> = catalog.tools().iter().filter(is_named).filter(is_of_log).collect();
        let names: Vec<&str> = named.iter().map(|tool| tool.name.as_str()).collect();
        let described = modules.needed(&names, &Modules::builtin());
        TemplateModules { described, catalog: named.into_iter().cloned().collect() }
    }

    /// As a file has them.
    pub(super) fn written(&self) -> Option<Value> {
        let written = Written { tables: self.described.tables(), tools: self.described.tools(), catalog: &self.catalog };
        serde_json::to_value(written).ok().filter(|_| !self.is_empty())
    }
}

fn place_of(list: &str, n: usize) -> String {
    format!("modules.{list}[{n}]")
}

fn bad(place: String, what: FileFault) -> BadTemplate {
    BadTemplate { file: String::new(), place, what }
}

/// A description in the form of its type.
fn form<T: DeserializeOwned>(part: &FilePart<'_>) -> Result<T, BadTemplate> {
    // The JSON library would take an object with such a key for the text of another value.
    if has_key(part.value, "$serde_json") {
        return Err(part.wrong(FileFault::NoValues));
    }
    T::deserialize(part.value).map_err(|error| part.wrong(FileFault::Description(error.to_string())))
}

fn has_key(value: &Value, begin: &str) -> bool {
    match value {
        Value::Object(object) => object.iter().any(|(key, value)| key.starts_with(begin) || has_key(value, begin)),
        Value::Array(items) => items.iter().any(|value| has_key(value, begin)),
        _ => false,
    }
}

fn table(part: &FilePart<'_>) -> Result<TableSpec, BadTemplate> {
    let spec: TableSpec = form(part)?;
    part.need("label")?.line()?;
    name(&part.need("table")?)?;
    let app = part.need("app")?;
    name(&app)?;
    if spec.app == OWN_APP {
        return Err(app.wrong(FileFault::OwnRecords));
    }
    // Else it would stand before what missions read as the records of others.
    for module in part.get("input").map_or(Ok(Vec::new()), |input| input.list("modules", MAX_PARTS))? {
        let name = module.text()?;
        if name != spec.app {
            return Err(module.wrong(FileFault::OtherApp(name)));
        }
    }
    // What is owned goes with its owner, and nobody would look for records of others there.
    for owned in part.list("owns", MAX_PARTS)? {
        let table = owned.need("table")?;
        let path = table.text()?;
        if path.split_once('/').is_none_or(|(app, _)| app != spec.app) {
            return Err(table.wrong(FileFault::OtherApp(path)));
        }
    }
    for field in part.list("fields", MAX_PARTS)? {
        field.list("choices", MAX_PARTS)?.iter().try_for_each(|choice| choice.line().map(drop))?;
        let called = field.need("name")?;
        name(&called)?;
        if BOOKKEEPING.contains(&called.text()?.as_str()) {
            return Err(called.wrong(FileFault::OwnField));
        }
    }
    Ok(spec)
}

fn tool_spec(part: &FilePart<'_>) -> Result<ToolSpec, BadTemplate> {
    name(&part.need("tool")?)?;
    form(part)
}

fn tool(part: &FilePart<'_>, described: &[ToolSpec]) -> Result<Tool, BadTemplate> {
    let mut tool: Tool = form(part)?;
    if let Some(execute) = part.get("execute").filter(|_| !tool.is_of_log()) {
        return Err(execute.wrong(FileFault::Elsewhere));
    }
    // As such it may not say that it only reads.
    tool.execute = Some(Execute::Log);
    tool.check().map_err(|error| part.wrong(FileFault::Description(error.to_string())))?;
    name(&part.need("module")?)?;
    short(&part.need("description")?)?;
    for parameter in part.list("parameters", MAX_PARTS)? {
        parameter.get("description").map_or(Ok(()), |part| short(&part))?;
        parameter.list("enum", MAX_PARTS)?.iter().try_for_each(|choice| choice.line().map(drop))?;
    }
    let Some(spec) = described.iter().find(|spec| spec.tool == tool.name) else {
        return Err(part.wrong(FileFault::NotDescribed(tool.name)));
    };
    match spec.deletes() && !tool.destructive {
        true => Err(part.wrong(FileFault::Deletes)),
        false => Ok(tool),
    }
}

/// A name that stands in addresses and in calls.
fn name(part: &FilePart<'_>) -> Result<(), BadTemplate> {
    if is_name(&part.text()?) { Ok(()) } else { Err(part.wrong(FileFault::NoName)) }
}

fn short(part: &FilePart<'_>) -> Result<(), BadTemplate> {
    let is_short = part.text()?.chars().count() <= MAX_DESCRIPTION;
    if is_short { Ok(()) } else { Err(part.wrong(FileFault::TooLong { most: MAX_DESCRIPTION })) }
}

/// Nothing of a list stands there twice.
fn once(part: &FilePart<'_>, list: &str, names: impl Iterator<Item = String>) -> Result<(), BadTemplate> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name.clone()) {
            return Err(part.need(list)?.wrong(FileFault::Twice(name)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
