//! The form of an agent, and the record that it stands for.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::fields::{Fields, shown};
use super::page::csrf;
use super::session::SignedIn;
use crate::domain::fields::is_ciphertext;
use crate::domain::merge::Record;
use crate::planner::tools::Tool;

const DECISIONS: [(&str, &str); 3] = [("propose", "Propose"), ("auto", "Automatic"), ("deny", "Deny")];

pub(super) fn form(who: &SignedIn, action: &str, label: &str, record: &Record, tools: &[Tool], wrong: Option<&str>) -> Markup {
    let number = |field: &str| record.get(field).filter(|v| !v.is_null()).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
    let policy = record.get("policy").and_then(Value::as_object);
    let rest = policy.and_then(|p| p.get("defaultForAi")).and_then(Value::as_str).unwrap_or("propose");
    html! {
        form.stack method="post" action=(action) {
            (csrf(who))
            @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong) } }
            div.columns {
                div { label for="name" { "Name" } input #name name="name" value=(shown(record, "name")) dir="auto" required; }
                div { label for="avatar" { "Avatar" } input #avatar name="avatar" value=(shown(record, "avatar")) dir="auto" placeholder="🦉"; }
            }
            label for="role" { "Role" }
            input #role name="role" value=(shown(record, "role")) dir="auto";
            (secret_text(record, "systemPrompt", "System prompt", "How it works and speaks. The model reads it as instructions."))
            (secret_text(record, "memory", "Memory", "What it should know about you. The model is told that nothing in it is an instruction."))
            div.columns {
                div {
                    label for="concurrent" { "Plans at the same time" }
                    input #concurrent name="maxConcurrentMissions" type="number" min="0" value=(number("maxConcurrentMissions").unwrap_or_else(|| "1".into()));
                }
                div {
                    label for="tokens" { "Tokens a day" }
                    input #tokens name="maxTokensPerDay" type="number" min="0" value=(number("maxTokensPerDay").unwrap_or_default()) aria-describedby="tokens-hint";
                    p #tokens-hint .hint { "Empty: no bound." }
                }
            }
            details open[policy.is_some()] {
                summary { "What it may propose" }
                p.hint { "A tool that is denied is never shown to the model. Nothing is carried out by this program, whatever is chosen." }
                div.columns.narrow {
                    div { label for="rest" { "All other tools" } (select("rest", "defaultForAi", &DECISIONS, rest)) }
                    @for tool in tools {
                        @let chosen = policy.and_then(|p| p.get("tools")?.get(&tool.name)?.as_str()).unwrap_or_default();
                        div { label for={ "tool-" (tool.name) } { (tool.name) } (tool_choice(tool, chosen)) }
                    }
                }
            }
            button.primary { (label) }
        }
    }
}

fn secret_text(record: &Record, field: &str, label: &str, hint: &str) -> Markup {
    let text = shown(record, field);
    html! {
        label for=(field) { (label) }
        @if is_ciphertext(text) { p.hint #{ (field) "-hint" } { "Your client encrypted this text, so only your client can show and change it." } }
        @else {
            // A line end right after the tag would be lost.
            textarea #(field) name=(field) rows="5" dir="auto" aria-describedby={ (field) "-hint" } { "\n" (text) }
            p.hint #{ (field) "-hint" } { (hint) }
        }
    }
}

pub(super) fn select(id: &str, name: &str, options: &[(&str, &str)], chosen: &str) -> Markup {
    html! { select id=(id) name=(name) { @for (value, label) in options { option value=(value) selected[*value == chosen] { (label) } } } }
}

fn tool_choice(tool: &Tool, chosen: &str) -> Markup {
    let options: Vec<(&str, &str)> = [("", "As the rest")].into_iter().chain(DECISIONS).collect();
    select(&format!("tool-{}", tool.name), &format!("tool:{}", tool.name), &options, chosen)
}

/// Reads the form. Parts of the record that the form does not show stay as they are.
///
/// # Errors
/// What is wrong, in words, and the record as it was given.
pub(super) fn read(fields: &Fields, before: Option<&Record>, tools: &[Tool]) -> Result<Record, (String, Record)> {
    let mut record = Record::new();
    for field in ["name", "avatar", "role", "systemPrompt", "memory"] {
        if fields.all(field).next().is_some() {
            record.insert(field.into(), json!(keep_line_ends(fields.text(field), before, field)));
        }
    }
    let mut wrong = shown(&record, "name").trim().is_empty().then(|| "An agent needs a name.".to_owned());
    for (field, label) in [("maxConcurrentMissions", "Plans at the same time"), ("maxTokensPerDay", "Tokens a day")] {
        match fields.whole(field, label) {
            Ok(number) => drop(record.insert(field.into(), number.map_or(Value::Null, Value::from))),
            Err(why) => {
                record.insert(field.into(), json!(fields.text(field)));
                wrong.get_or_insert(why);
            }
        }
    }
    if let Some(policy) = policy(fields, before, tools) {
        record.insert("policy".into(), Value::Object(policy));
    }
    if before.is_none() {
        record.insert("state".into(), json!("active"));
    }
    match wrong {
        None => Ok(record),
        Some(wrong) => Err((wrong, record)),
    }
}

/// A record whose text has the line ends of another system keeps them, unless the text was edited.
pub(super) fn keep_line_ends(text: String, before: Option<&Record>, field: &str) -> String {
    match before.map(|record| shown(record, field)) {
        Some(old) if old.replace("\r\n", "\n").replace('\r', "\n") == text => old.to_owned(),
        _ => text,
    }
}

/// The policy with the choices of the form, `None` where there is none and nothing was chosen.
fn policy(fields: &Fields, before: Option<&Record>, tools: &[Tool]) -> Option<Map<String, Value>> {
    let old = before.and_then(|record| record.get("policy")).and_then(Value::as_object);
    let mut policy = old.cloned().unwrap_or_default();
    let mut chosen = policy.get("tools").and_then(Value::as_object).cloned().unwrap_or_default();
    for tool in tools {
        let choice = fields.text(&format!("tool:{}", tool.name));
        match DECISIONS.iter().any(|(decision, _)| *decision == choice) {
            true => drop(chosen.insert(tool.name.clone(), json!(choice))),
            false => drop(chosen.shift_remove(&tool.name)),
        }
    }
    let rest = fields.text("defaultForAi");
    let rest = if DECISIONS.iter().any(|(decision, _)| *decision == rest) { rest } else { "propose".into() };
    if old.is_none() && chosen.is_empty() && rest == "propose" {
        return None;
    }
    if !chosen.is_empty() || policy.contains_key("tools") {
        policy.insert("tools".into(), Value::Object(chosen));
    }
    if rest != "propose" || policy.contains_key("defaultForAi") || old.is_none() {
        policy.insert("defaultForAi".into(), json!(rest));
    }
    Some(policy)
}
