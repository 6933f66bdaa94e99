use serde_json::json;

use super::*;

/// A template that brings bikes.
fn bikes() -> Value {
    json!({
        "tables": [{"app": "bikes", "table": "bikes", "label": "Bikes", "createdAt": true, "fields": [
            {"name": "name", "kind": "line", "role": "title"},
            {"name": "size", "kind": "choice", "choices": ["small", "large"], "default": "large"},
            {"name": "oiledAt", "kind": "time", "optional": true}]}],
        "tools": [
            {"tool": "add_bike", "create": "bikes/bikes"},
            {"tool": "oil_bike", "update": "bikes/bikes", "id": "bikeId", "set": {"oiledAt": "$now"}},
            {"tool": "sell_bike", "delete": "bikes/bikes", "id": "bikeId"}],
        "catalog": [
            {"name": "add_bike", "module": "bikes", "description": "Add a bike.", "parameters": [
                {"name": "name", "type": "string", "required": true, "description": "What it is called."},
                {"name": "size", "type": "string", "description": "How large it is.", "enum": ["small", "large"]}]},
            {"name": "oil_bike", "module": "bikes", "description": "Oil a bike.", "execute": "log", "parameters": [
                {"name": "bikeId", "type": "string", "required": true, "description": "Id of the bike."}]},
            {"name": "sell_bike", "module": "bikes", "description": "Sell a bike.", "destructive": true}]
    })
}

fn read(modules: &Value) -> Result<TemplateModules, BadTemplate> {
    TemplateModules::read(&FilePart { file: "bikes.json", place: "modules".into(), value: modules })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut changed = bikes();
    *changed.pointer_mut(pointer).unwrap() = value;
    changed
}

#[test]
fn modules_are_read_strictly_and_a_mistake_is_told_with_its_place() {
    assert_eq!(read(&bikes()).unwrap().catalog.len(), 3);
    assert_eq!(read(&json!({})).unwrap(), TemplateModules::default());
    let webhook = json!({"webhook": {"url": "https://example.com"}});
    for (pointer, value, says) in [
        ("/tables", json!(7), "`modules.tables` is the number 7, but must be a list"),
        ("/tables", vec![bikes()["tables"][0].clone(); 21].into(), "`modules.tables` has 21 items, but at most 20 are allowed"),
        ("/tables", vec![bikes()["tables"][0].clone(); 2].into(), "`modules.tables` has \"bikes/bikes\" twice"),
        ("/tables/0/app", json!("ai"), "`modules.tables[0].app` has the records of missions and agents"),
        ("/tables/0/app", json!("my bikes"), "`modules.tables[0].app` must be 1 to 64 letters"),
        ("/tables/0/table", json!("a/b"), "`modules.tables[0].table` must be 1 to 64 letters"),
        ("/tables/0/label", json!("a\nb"), "`modules.tables[0].label` must be one line"),
        (
            "/tables/0",
            json!({"app": "bikes", "table": "contacts", "label": "x", "input": {"modules": ["contacts"], "fields": []}, "fields": []}),
            "`modules.tables[0].input.modules[0]` is \"contacts\", but a template's table goes no further than its own app",
        ),
        (
            "/tables/0",
            json!({"app": "bikes", "table": "bikes", "label": "x", "owns": [{"field": "taskId", "table": "todo/tasks"}], "fields": []}),
            "`modules.tables[0].owns[0].table` is \"todo/tasks\", but a template's table goes no further than its own app",
        ),
        ("/tables/0/fields/0/name", json!("spaceId"), "`modules.tables[0].fields[0].name` is a field that every record has"),
        ("/tables/0/fields/0/kind", json!("wheel"), "`modules.tables[0]` cannot be used: unknown variant `wheel`"),
        ("/tables/0/fields/1/choices", json!(vec!["x"; 61]), "`modules.tables[0].fields[1].choices` has 61 items"),
        ("/tools/0", json!({"tool": "add_bike", "make": "bikes/bikes"}), "`modules.tools[0]` cannot be used: unknown field `make`"),
        ("/tools/0/tool", json!("add bike"), "`modules.tools[0].tool` must be 1 to 64 letters"),
        ("/tools/1/set", json!({"$serde_json::private::RawValue": "[]"}), "`modules.tools[1]` must be an object of field values"),
        ("/catalog/0/name", json!("ride"), "`modules.catalog[0]` is \"ride\", of which modules.tools does not say"),
        ("/catalog/1/execute", json!("client"), "`modules.catalog[1].execute` must be log"),
        ("/catalog/1/execute", webhook, "`modules.catalog[1].execute` must be log"),
        ("/catalog/2/destructive", json!(false), "`modules.catalog[2]` deletes records, and must be destructive"),
        (
            "/catalog/2",
            json!({"name": "sell_bike", "module": "bikes", "description": "x", "readOnly": true}),
            "`modules.catalog[2]` cannot",
        ),
        ("/catalog/0/description", json!("x".repeat(1_001)), "`modules.catalog[0].description` is longer than 1000"),
        ("/catalog/0/parameters/0/name", json!("rationale"), "`modules.catalog[0]` cannot be used: tool \"add_bike\": the parameter"),
    ] {
        let error = read(&with(pointer, value)).unwrap_err().to_string();
        assert!(error.starts_with("bikes.json: ") && error.contains(says), "{error}");
    }
    let mut more = bikes();
    more["pages"] = json!([]);
    assert!(read(&more).unwrap_err().to_string().contains("`modules` has \"pages\", which is no field of it"));
}

#[test]
fn a_template_adds_and_never_changes() {
    let (modules, catalog) = (Modules::builtin(), Catalog::builtin());
    let brought = read(&bikes()).unwrap();
    let lacking = brought.lacking(&modules, &catalog).unwrap().unwrap();
    assert_eq!((lacking.place.as_str(), lacking.name.as_str()), ("modules.tables[0]", "bikes/bikes"));
    let (modules, catalog) = brought.joined(&modules, &catalog).unwrap();
    assert_eq!(brought.lacking(&modules, &catalog), Ok(None));
    // Once more changes nothing; nor does an operator who says the same.
    assert_eq!(brought.joined(&modules, &catalog).unwrap().0, modules);
    let own = json!([{"name": "oil_bike", "module": "bikes", "description": "Oil a bike.", "parameters": [
        {"name": "bikeId", "type": "string", "required": true, "description": "Id of the bike."}]}]);
    assert_eq!(brought.lacking(&modules, &catalog.clone().with(&own.to_string()).unwrap()), Ok(None));
    for (pointer, value, says) in [
        ("/tables/0/label", json!("Cycles"), "`modules.tables[0]` is \"bikes/bikes\", which this server described otherwise"),
        ("/tables/0/fields/1/default", Value::Null, "`modules.tables[0]` is \"bikes/bikes\""),
        ("/tools/1/set", json!({}), "`modules.tools[1]` is \"oil_bike\""),
        ("/catalog/0/description", json!("x"), "`modules.catalog[0]` is \"add_bike\""),
    ] {
        let other = read(&with(pointer, value)).unwrap();
        for error in [other.lacking(&modules, &catalog).unwrap_err(), other.joined(&modules, &catalog).unwrap_err()] {
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}

#[test]
fn a_template_does_not_take_over_the_tools_of_others() {
    // A device carries it out: this program knows no more than its name.
    let taken = read(&json!({"tools": [{"tool": "save_news_article", "create": "notes/notes"}]})).unwrap();
    let error = taken.joined(&Modules::builtin(), &Catalog::builtin()).unwrap_err().to_string();
    assert_eq!(error, "`modules.tools[0]` is \"save_news_article\", which this server described otherwise when it started");
    let nowhere = read(&json!({"tools": [{"tool": "fly", "create": "birds/birds"}]})).unwrap();
    let error = nowhere.joined(&Modules::builtin(), &Catalog::builtin()).unwrap_err().to_string();
    assert_eq!(error, "`modules` cannot be used: tool \"fly\": the table \"birds/birds\" is not described");
    let of_todo = read(&with("/catalog/0/module", json!("todo"))).unwrap();
    let error = of_todo.joined(&Modules::builtin(), &Catalog::builtin()).unwrap_err().to_string();
    assert!(error.starts_with("`modules.catalog[0].module` is \"todo\", of which other tools are"), "{error}");
    // Who says which tools there are, has no others.
    let closed = Catalog::builtin().with(r#"{"replace": true, "tools": []}"#).unwrap();
    let error = read(&bikes()).unwrap().joined(&Modules::builtin(), &closed).unwrap_err().to_string();
    assert_eq!(error, "`modules.catalog[0]` has \"add_bike\", which is no tool of this server");
}

#[test]
fn what_a_policy_names_goes_along_and_comes_back_as_it_was() {
    let brought = read(&bikes()).unwrap();
    let (modules, catalog) = brought.joined(&Modules::builtin(), &Catalog::builtin()).unwrap();
    let hook = r#"[{"name": "honk", "module": "bikes", "description": "Honk.", "execute": {"webhook": {"url": "http://x"}}}]"#;
    let catalog = catalog.with(hook).unwrap();
    let needed = |policy: Value| TemplateModules::needed(&Policy::read(&policy).0, &modules, &catalog);
    assert_eq!(needed(json!({"tools": {"create_task": "auto", "honk": "auto"}, "defaultForAi": "auto"})).written(), None);
    let one = needed(json!({"tools": {"oil_bike": "propose", "add_bike": "deny", "sell_bike": "deny"}}));
    assert_eq!((one.catalog.len(), one.described.tools().len(), one.described.tables().len()), (1, 1, 1));
    let all = needed(json!({"defaultsByModule": {"bikes": "propose"}}));
    let written = all.written().unwrap();
    assert!(!written.to_string().contains("honk") && !written.to_string().contains("null"), "{written}");
    assert_eq!(read(&written).unwrap(), brought);
}
