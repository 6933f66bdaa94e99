//! What an agent may do, in its form: three presets, a choice for each module, and one for each tool.
//!
//! A preset or a module is a way to set many tools at once: what is written is a decision for each tool, as other clients write
//! it. Each counts where it differs from what the form showed.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::agent_form::select;
use super::fields::FormFields;
use crate::domain::field;
use crate::domain::merge::Record;
use crate::domain::policy::{Policy, ToolDecision};
use crate::planner::tools::{Execute, Tool};
use crate::text::catalog::{Words, text_id};
use crate::text::module;

const DECISIONS: [(&str, &str); 3] =
    [("propose", text_id("agents-propose")), ("auto", text_id("agents-auto")), ("deny", text_id("agents-deny"))];

/// A policy with a name.
#[derive(Clone, Copy, PartialEq)]
enum Preset {
    Asks,
    Reads,
    Acts,
}

impl Preset {
    const ALL: [Preset; 3] = [Preset::Asks, Preset::Reads, Preset::Acts];

    fn name(self) -> &'static str {
        match self {
            Preset::Asks => "asks",
            Preset::Reads => "reads",
            Preset::Acts => "acts",
        }
    }

    fn decides(self, tool: &Tool) -> &'static str {
        match self {
            Preset::Reads if tool.read_only => "auto",
            Preset::Acts if is_safe(tool) => "auto",
            Preset::Asks | Preset::Reads | Preset::Acts => "propose",
        }
    }

    /// The preset that a policy comes to.
    fn of(policy: &Policy, tools: &[Tool]) -> Option<Preset> {
        let tools: Vec<&Tool> = tools.iter().filter(|tool| is_meant(policy, tool)).collect();
        let decides = |preset: Preset| tools.iter().all(|tool| tool.decision(policy).as_str() == preset.decides(tool));
        Preset::ALL.into_iter().find(|preset| decides(*preset))
    }

    /// The preset that was chosen anew.
    fn chosen(fields: &FormFields) -> Option<Preset> {
        let name = fields.text("preset");
        Preset::ALL.into_iter().find(|preset| preset.name() == name && fields.text("preset-was") != name)
    }
}

/// Whether a tool only reads, or what it does stays among the user's own records, and can be undone.
fn is_safe(tool: &Tool) -> bool {
    tool.read_only || (!tool.destructive && !matches!(tool.execute, Some(Execute::Webhook(_))))
}

/// Whether a preset says something of a tool: one of a template is only for the agents that name it.
fn is_meant(policy: &Policy, tool: &Tool) -> bool {
    !tool.of_template || policy.names(&tool.name, &tool.module)
}

/// The tools by their modules, in the order of the catalog.
fn by_module(tools: &[Tool]) -> Vec<(&str, Vec<&Tool>)> {
    let mut modules: Vec<(&str, Vec<&Tool>)> = Vec::new();
    for tool in tools {
        match modules.iter_mut().find(|(module, _)| *module == tool.module) {
            Some((_, tools)) => tools.push(tool),
            None => modules.push((&tool.module, vec![tool])),
        }
    }
    modules
}

/// The decision that all tools of a module have.
fn common(policy: &Policy, tools: &[&Tool]) -> Option<ToolDecision> {
    let mut decisions = tools.iter().map(|tool| tool.decision(policy));
    let first = decisions.next()?;
    decisions.all(|other| other == first).then_some(first)
}

/// A policy in a few words: its preset, or how many tools may do what.
pub(super) fn told(words: Words, written: &Value, tools: &[Tool]) -> String {
    let (policy, _) = Policy::read(written);
    let id = match Preset::of(&policy, tools) {
        Some(Preset::Asks) => text_id("agents-preset-asks"),
        Some(Preset::Reads) => text_id("agents-preset-reads"),
        Some(Preset::Acts) => text_id("agents-preset-acts"),
        None => {
            let meant = || tools.iter().filter(|tool| is_meant(&policy, tool));
            let count = |value: &str| meant().filter(|tool| tool.decision(&policy).as_str() == value).count();
            let counts = DECISIONS.map(|(value, id)| (words.say(id), count(value)));
            let told: Vec<String> = counts.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| format!("{name}: {n}")).collect();
            return format!("{} ({})", words.say("agents-preset-own"), told.join(", "));
        }
    };
    words.say(id).into()
}

pub(super) fn fieldset(words: Words, written: Option<&Map<String, Value>>, tools: &[Tool]) -> Markup {
    let policy = written.map_or_else(Policy::default, |written| Policy::read(&Value::Object(written.clone())).0);
    let preset = Preset::of(&policy, tools).map_or("", Preset::name);
    let rest = written.and_then(|policy| policy.get("defaultForAi")).map_or("propose", read_decision);
    let decisions = DECISIONS.map(|(value, id)| (value, words.say(id)));
    let reads = match tools.iter().any(|tool| tool.read_only) {
        true => text_id("agents-preset-reads-hint"),
        false => text_id("agents-preset-reads-none"),
    };
    let presets = [
        (Preset::Asks.name(), text_id("agents-preset-asks"), text_id("agents-preset-asks-hint")),
        (Preset::Reads.name(), text_id("agents-preset-reads"), reads),
        (Preset::Acts.name(), text_id("agents-preset-acts"), text_id("agents-preset-acts-hint")),
        ("", text_id("agents-preset-own"), text_id("agents-preset-own-hint")),
    ];
    html! {
        fieldset {
            legend { (words.say("agents-policy")) }
            input type="hidden" name="preset-was" value=(preset);
            @for (name, title, hint) in presets {
                label.choice {
                    input type="radio" name="preset" value=(name) checked[name == preset];
                    span { b { (words.say(title)) } br; span.hint { (words.say(hint)) } }
                }
            }
            details.modules open[preset.is_empty()] {
                summary { (words.say("agents-policy-modules")) }
                p.hint { (words.say("agents-policy-hint")) }
                @for (name, tools) in by_module(tools) { (module_choice(words, &policy, written, name, &tools)) }
                div.columns.narrow { div { label for="rest" { (words.say("agents-policy-rest")) } (select("rest", "defaultForAi", &decisions, rest)) } }
            }
        }
    }
}

fn module_choice(words: Words, policy: &Policy, written: Option<&Map<String, Value>>, name: &str, tools: &[&Tool]) -> Markup {
    let id = format!("module-{name}");
    let decision = common(policy, tools).map_or("", ToolDecision::as_str);
    let options = [("", text_id("agents-per-tool"))].into_iter().chain(DECISIONS).map(|(value, id)| (value, words.say(id)));
    let options: Vec<_> = options.collect();
    html! {
        div.module {
            div.head {
                label for=(id) { (module::module(words, name)) }
                input type="hidden" name={ "module-was:" (name) } value=(decision);
                (select(&id, &format!("module:{name}"), &options, decision))
            }
            details open[decision.is_empty()] {
                summary { (words.with("agents-tools", [("count", tools.len().into())])) }
                div.columns { @for tool in tools { (tool_choice(words, policy, written, tool)) } }
            }
        }
    }
}

fn tool_choice(words: Words, policy: &Policy, written: Option<&Map<String, Value>>, tool: &Tool) -> Markup {
    let id = format!("tool-{}", tool.name);
    let chosen = written.and_then(|policy| policy.get("tools")?.get(&tool.name)?.as_str()).unwrap_or_default();
    let is_of_module = !tool.of_template || policy.names("", &tool.module);
    let unsaid = if is_of_module { text_id("agents-default") } else { text_id("agents-unnamed") };
    let options = [("", unsaid)].into_iter().chain(DECISIONS).map(|(value, id)| (value, words.say(id)));
    let options: Vec<_> = options.collect();
    html! {
        div {
            label for=(id) { (module::tool(words, &tool.name, &tool.description)) }
            (select(&id, &format!("tool:{}", tool.name), &options, chosen))
            p.hint { code { (tool.name) } @if tool.destructive { " " b { (words.say("agents-destructive")) } } @if tool.read_only { " " b { (words.say("agents-read-only")) } } }
        }
    }
}

/// A decision as it is read: what is no decision counts as deny.
fn read_decision(value: &Value) -> &str {
    value.as_str().filter(|text| DECISIONS.iter().any(|(decision, _)| decision == text)).unwrap_or("deny")
}

/// What is chosen for a tool: by its module where that was set anew, else by itself.
fn choice(fields: &FormFields, tool: &Tool) -> String {
    let module = fields.text(&format!("module:{}", tool.module));
    if !module.is_empty() && module != fields.text(&format!("module-was:{}", tool.module)) {
        return module;
    }
    fields.text(&format!("tool:{}", tool.name))
}

/// The policy with the choices of the form, `None` where there is none and nothing was chosen.
pub(super) fn read(fields: &FormFields, was: &Record, tools: &[Tool]) -> Option<Map<String, Value>> {
    let old = was.get(field::POLICY).and_then(Value::as_object);
    let mut policy = old.cloned().unwrap_or_default();
    let mut chosen = policy.get("tools").and_then(Value::as_object).cloned().unwrap_or_default();
    let before = chosen.clone();
    let (named, preset) = (Policy::read(&Value::Object(policy.clone())).0, Preset::chosen(fields));
    for tool in tools {
        let preset = preset.filter(|_| is_meant(&named, tool));
        let choice = preset.map_or_else(|| choice(fields, tool), |preset| preset.decides(tool).to_owned());
        let known = DECISIONS.iter().any(|(decision, _)| *decision == choice);
        // A decision that this form has no word for counts as deny; it stays until another is chosen.
        let unknown = |value: &Value| !DECISIONS.iter().any(|(decision, _)| *value == *decision);
        match known {
            true => drop(chosen.insert(tool.name.clone(), json!(choice))),
            false if chosen.get(&tool.name).is_some_and(unknown) => {}
            false => drop(chosen.shift_remove(&tool.name)),
        }
    }
    let rest = fields.text("defaultForAi");
    let rest = if preset.is_none() && DECISIONS.iter().any(|(decision, _)| *decision == rest) { rest } else { "propose".into() };
    // Nothing was chosen for an agent that has no policy.
    if old.is_none() && !was.is_empty() && chosen.is_empty() && rest == "propose" {
        return None;
    }
    if was.is_empty() {
        // Clients list the tools of a new agent by name.
        for tool in tools.iter().filter(|tool| !tool.of_template) {
            chosen.entry(&tool.name).or_insert_with(|| json!(rest));
        }
    }
    let stays = match policy.get("defaultForAi") {
        Some(old) => read_decision(old) == rest,
        None => rest == "propose" && old.is_some(),
    };
    // Nothing was chosen anew.
    if old.is_some() && stays && chosen == before {
        return None;
    }
    // Clients look for `tools` without asking whether it is there.
    policy.insert("tools".into(), Value::Object(chosen));
    if !stays {
        policy.insert("defaultForAi".into(), json!(rest));
    }
    Some(policy)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::planner::tools::Catalog;

    fn sent(choices: &[(&str, &str)]) -> FormFields {
        FormFields(choices.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// The catalog with two tools of its own, of which one only reads.
    fn catalog() -> Catalog {
        let tool = |name: &str, more: &str| {
            format!(
                r#"{{"name": "{name}", "module": "door", "description": "d", {more} "execute": {{"webhook": {{"url": "http://door"}}}}}}"#
            )
        };
        Catalog::builtin().with(&format!("[{}, {}]", tool("look_out", r#""readOnly": true,"#), tool("ring_bell", ""))).unwrap()
    }

    fn decided(choices: &[(&str, &str)], was: Value) -> BTreeMap<String, String> {
        let catalog = catalog();
        let was = Record::from_iter([(field::POLICY.to_owned(), was)]);
        let written = read(&sent(choices), &was, catalog.tools()).unwrap();
        let (policy, _) = Policy::read(&Value::Object(written));
        catalog.tools().iter().map(|tool| (tool.name.clone(), policy.decide(&tool.name, &tool.module).as_str().to_owned())).collect()
    }

    #[test]
    fn a_preset_decides_about_every_tool_and_never_lets_one_destroy() {
        let acts = decided(&[("preset", "acts"), ("preset-was", "asks"), ("tool:create_note", "deny")], json!({}));
        let of = |decisions: &BTreeMap<String, String>| {
            ["create_note", "undo_drink", "ring_bell", "look_out"].map(|tool| decisions[tool].clone())
        };
        assert_eq!(of(&acts), ["auto", "propose", "propose", "auto"]);
        let reads = decided(&[("preset", "reads"), ("preset-was", "asks")], json!({}));
        assert_eq!(of(&reads), ["propose", "propose", "propose", "auto"]);
        let asks = decided(&[("preset", "asks"), ("preset-was", "")], json!({"tools": {"create_note": "auto"}, "defaultForAi": "auto"}));
        assert!(asks.values().all(|decision| decision == "propose"), "{asks:?}");
        let catalog = catalog();
        assert!(Preset::of(&Policy::read(&json!({ "tools": reads })).0, catalog.tools()) == Some(Preset::Reads));
        assert!(Preset::of(&Policy::default(), Catalog::builtin().tools()) == Some(Preset::Asks));
        let policy = |decisions: &BTreeMap<String, String>| Policy::read(&json!({ "tools": decisions })).0;
        assert!(Preset::of(&policy(&acts), catalog.tools()) == Some(Preset::Acts));
        assert!(Preset::of(&policy(&asks), catalog.tools()) == Some(Preset::Asks));
    }

    #[test]
    fn a_tool_of_a_template_is_for_the_agents_that_name_it() {
        let tool = r#"{"name": "water", "module": "garden", "description": "d", "parameters": []}"#;
        let catalog = Catalog::builtin().joined(&[serde_json::from_str(tool).unwrap()]);
        let written = |choices: &[(&str, &str)], was: Record| {
            let written = read(&sent(choices), &was, catalog.tools()).unwrap();
            (written["tools"].get("water").cloned(), written["tools"]["create_note"].clone())
        };
        let was = |tools: Value| Record::from_iter([(field::POLICY.to_owned(), json!({"tools": tools, "defaultForAi": "propose"}))]);
        // Neither a new agent nor a preset names it.
        assert_eq!(written(&[("preset", "acts"), ("preset-was", "asks")], Record::new()), (None, json!("auto")));
        assert_eq!(written(&[("preset", "acts"), ("preset-was", "asks")], was(json!({}))), (None, json!("auto")));
        assert_eq!(written(&[("preset", "acts"), ("preset-was", "")], was(json!({"water": "deny"}))), (Some(json!("auto")), json!("auto")));
        let asks = [("preset", "asks"), ("preset-was", "asks"), ("module:garden", "propose"), ("module-was:garden", "deny")];
        assert_eq!(written(&asks, was(json!({"create_note": "deny"}))).0, Some(json!("propose")));
        assert!(Preset::of(&Policy::default(), catalog.tools()) == Some(Preset::Asks));
        assert!(Preset::of(&Policy::read(&json!({"tools": {"water": "deny"}})).0, catalog.tools()).is_none());
    }

    #[test]
    fn a_module_that_is_set_anew_sets_its_tools_and_others_stay() {
        let choices = [
            ("preset", "asks"),
            ("preset-was", "asks"),
            ("module:notes", "deny"),
            ("module-was:notes", "propose"),
            ("module:todo", "propose"),
            ("module-was:todo", "propose"),
            ("tool:create_task", "auto"),
            ("defaultForAi", "propose"),
        ];
        let decisions = decided(&choices, json!({}));
        assert_eq!([&decisions["create_note"], &decisions["update_note"], &decisions["create_task"]], ["deny", "deny", "auto"]);
        assert_eq!(decisions["log_mood"], "propose");
    }
}
