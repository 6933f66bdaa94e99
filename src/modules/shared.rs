//! Descriptions that go from one server to another: what a file adds to those that are known, and what a tool needs so that
//! another server can carry it out.

use super::{BadModules, Modules, TableSpec, ToolSpec};

impl Modules {
    pub fn new(tables: Vec<TableSpec>, tools: Vec<ToolSpec>) -> Self {
        Modules { tables, tools }
    }

    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.tools.is_empty()
    }

    /// The same with the tables and tools of others that are not known yet; those that are stay as they are.
    ///
    /// # Errors
    /// The first tool that writes what nobody describes.
    pub fn joined(&self, others: &Modules) -> Result<Modules, BadModules> {
        let mut joined = self.clone();
        joined.tables.extend(others.tables.iter().filter(|table| self.table(&table.path()).is_none()).cloned());
        joined.tools.extend(others.tools.iter().filter(|spec| self.tool(&spec.tool).is_none()).cloned());
        for spec in &others.tools {
            if let Some(path) = spec.tables().find(|path| joined.table(path).is_none()) {
                return Err(BadModules::Tool { tool: spec.tool.clone(), what: format!("the table {path:?} is not described") });
            }
            // Its own word says whether it destroys something, and nobody would look for it here.
            if spec.first.as_deref().and_then(|first| joined.tool(first)).is_some_and(ToolSpec::deletes) {
                return Err(BadModules::Tool { tool: spec.tool.clone(), what: "`first` must not name a tool that deletes".into() });
            }
        }
        joined.check()?;
        Ok(joined)
    }

    /// The descriptions of some tools, with those that run before them and the tables of both, without what everybody knows.
    pub fn needed(&self, tools: &[&str], known: &Modules) -> Modules {
        let named: Vec<&ToolSpec> = tools.iter().filter_map(|tool| self.tool(tool)).collect();
        let before = named.iter().filter_map(|spec| self.tool(spec.first.as_deref()?));
        let mut specs: Vec<&ToolSpec> = Vec::new();
        for spec in named.iter().copied().chain(before) {
            if specs.iter().all(|other| other.tool != spec.tool) && known.tool(&spec.tool).is_none() {
                specs.push(spec);
            }
        }
        let mut tables: Vec<&TableSpec> = Vec::new();
        let mut open: Vec<&str> = specs.iter().flat_map(|spec| spec.tables()).collect();
        open.reverse();
        while let Some(path) = open.pop() {
            let is_new = known.table(path).is_none() && tables.iter().all(|table| table.path() != path);
            if let Some(table) = self.table(path).filter(|_| is_new) {
                tables.push(table);
                open.extend(table.owns.iter().map(|owned| owned.table.as_str()));
            }
        }
        Modules::new(tables.into_iter().cloned().collect(), specs.into_iter().cloned().collect())
    }
}

impl TableSpec {
    /// `app/table`
    pub fn path(&self) -> String {
        format!("{}/{}", self.app, self.table)
    }
}

impl ToolSpec {
    /// The tables that it writes or looks into, as `app/table`.
    fn tables(&self) -> impl Iterator<Item = &str> {
        let own = [&self.create, &self.update, &self.delete].into_iter().flatten();
        let beside = self.with.values().map(|beside| &beside.create);
        let others = self.also.iter().map(|also| &also.table).chain(self.of.iter().map(|of| &of.table));
        own.chain(beside).chain(others).chain(self.choose.iter().map(|choose| &choose.table)).map(String::as_str)
    }

    /// Whether a record goes.
    pub fn deletes(&self) -> bool {
        self.delete.is_some()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn modules(value: Value) -> Modules {
        serde_json::from_value(value).unwrap()
    }

    fn bikes() -> Value {
        json!({
            "tables": [
                {"app": "bikes", "table": "bikes", "label": "Bikes", "owns": [{"field": "lockId", "table": "bikes/locks"}],
                    "fields": [{"name": "name", "kind": "line", "role": "title"}, {"name": "rides", "kind": "number", "default": null}]},
                {"app": "bikes", "table": "locks", "label": "Locks", "hidden": true, "fields": []},
                {"app": "bikes", "table": "rides", "label": "Rides", "fields": [{"name": "bikeId", "kind": "link"}]},
                {"app": "boats", "table": "boats", "label": "Boats", "fields": []}],
            "tools": [
                {"tool": "park", "update": "bikes/bikes", "id": "bikeId"},
                {"tool": "ride", "create": "bikes/rides", "first": "park", "of": {"table": "bikes/bikes", "id": "bikeId"}},
                {"tool": "log_ride", "create": "todo/tasks"},
                {"tool": "row", "update": "boats/boats", "id": "boatId"}]
        })
    }

    #[test]
    fn a_description_that_is_written_reads_as_the_same() {
        let all = [Modules::builtin(), modules(bikes())];
        for known in all {
            assert_eq!(modules(json!({"tables": known.tables(), "tools": known.tools()})), known);
        }
        // Nothing is written that says nothing.
        let park = json!(modules(bikes()).tool("park"));
        assert_eq!(park, json!({"tool": "park", "update": "bikes/bikes", "id": "bikeId"}));
    }

    #[test]
    fn others_add_what_is_unknown_and_change_nothing() {
        let known = Modules::builtin();
        let joined = known.joined(&modules(bikes())).unwrap();
        assert_eq!((joined.tables().len(), joined.tools().len()), (known.tables().len() + 4, known.tools().len() + 4));
        let mut changed = bikes();
        changed["tables"][0]["label"] = "Wheels".into();
        assert_eq!(joined.joined(&modules(changed)).unwrap(), joined);
        for (what, says) in [
            (json!({"tools": [{"tool": "x", "create": "cars/cars"}]}), "\"cars/cars\" is not described"),
            (json!({"tools": [{"tool": "x", "create": "todo/tasks", "of": {"table": "cars/cars", "id": "c"}}]}), "\"cars/cars\""),
            (json!({"tools": [{"tool": "x", "create": "todo/tasks", "first": "y"}]}), "`first` must name a tool"),
            (json!({"tools": [{"tool": "x", "create": "todo/tasks", "first": "undo_drink"}]}), "`first` must not name a tool that deletes"),
            (
                json!({"tools": [{"tool": "x", "create": "todo/tasks", "first": "y"}, {"tool": "y", "delete": "todo/tasks"}]}),
                "`first` must not name a tool that deletes",
            ),
        ] {
            let error = known.joined(&modules(what)).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_tool_takes_along_what_it_needs_and_no_more() {
        let all = Modules::builtin().joined(&modules(bikes())).unwrap();
        let needed = all.needed(&["ride", "log_ride", "create_task", "unknown"], &Modules::builtin());
        let tables: Vec<String> = needed.tables().iter().map(TableSpec::path).collect();
        let tools: Vec<&str> = needed.tools().iter().map(|spec| spec.tool.as_str()).collect();
        assert_eq!((tables.join(" "), tools.join(" ")), ("bikes/rides bikes/bikes bikes/locks".into(), "ride log_ride park".into()));
    }
}
