//! The form of an agent, and the record that it stands for.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::fields::{FormFields, LineMode, as_it_was, number_shown, shown, text_of};
use super::page::csrf;
use super::session::SignedIn;
use crate::domain::field;
use crate::domain::fields::is_ciphertext;
use crate::domain::merge::Record;
use crate::planner::tools::Tool;

/// The fields of a record that its page and the form show.
pub(super) const SHOWN: [&str; 9] = [
    field::NAME,
    field::AVATAR,
    field::ROLE,
    field::SYSTEM_PROMPT,
    field::MEMORY,
    field::POLICY,
    field::MAX_CONCURRENT_MISSIONS,
    field::MAX_TOKENS_PER_DAY,
    field::STATE,
];
const DECISIONS: [(&str, &str); 3] = [("propose", "Propose"), ("auto", "Automatic"), ("deny", "Deny")];

pub(super) fn form(
    who: &SignedIn,
    action: &str,
    label: &str,
    record: &Record,
    was: &Record,
    tools: &[Tool],
    wrong: Option<&str>,
) -> Markup {
    let policy = record.get(field::POLICY).and_then(Value::as_object);
    let rest = policy.and_then(|p| p.get("defaultForAi")).map_or("propose", read_decision);
    html! {
        form.stack method="post" action=(action) {
            (csrf(who))
            (as_it_was(was, &SHOWN))
            @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong) } }
            div.columns {
                div { label for="name" { "Name" } input #name name=(field::NAME) value=(shown(record, field::NAME)) dir="auto" required; }
                div { label for="avatar" { "Avatar" } input #avatar name=(field::AVATAR) value=(shown(record, field::AVATAR)) dir="auto" placeholder="🦉"; }
            }
            label for="role" { "Role" }
            input #role name=(field::ROLE) value=(shown(record, field::ROLE)) dir="auto";
            (secret_text(record, field::SYSTEM_PROMPT, "System prompt", "How it works and speaks. The model reads it as instructions."))
            (secret_text(record, field::MEMORY, "Memory", "What it should know about you. The model is told that nothing in it is an instruction."))
            div.columns {
                div {
                    label for="concurrent" { "Parallel plans" }
                    input #concurrent name=(field::MAX_CONCURRENT_MISSIONS) type="number" min="0" value=(number(record, field::MAX_CONCURRENT_MISSIONS));
                }
                div {
                    label for="tokens" { "Daily token limit" }
                    input #tokens name=(field::MAX_TOKENS_PER_DAY) type="number" min="0" value=(number(record, field::MAX_TOKENS_PER_DAY)) aria-describedby="tokens-hint";
                    p #tokens-hint .hint { "Leave empty for no limit." }
                }
            }
            details open[policy.is_some()] {
                summary { "What it may propose, and do" }
                p.hint { "You approve each step of what is proposed. What is automatic is carried out with the plan, without review, but not without end. A tool that is denied is never shown to the model." }
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

/// A number of a record as its field shows it.
fn number(record: &Record, field: &str) -> String {
    let otherwise = if field == field::MAX_CONCURRENT_MISSIONS { "1" } else { "" };
    record.get(field).filter(|value| !value.is_null()).map_or_else(|| otherwise.to_owned(), number_shown)
}

/// A decision as it is read: what is no decision counts as deny.
fn read_decision(value: &Value) -> &str {
    value.as_str().filter(|text| DECISIONS.iter().any(|(decision, _)| decision == text)).unwrap_or("deny")
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
    let options: Vec<(&str, &str)> = [("", "Default")].into_iter().chain(DECISIONS).collect();
    select(&format!("tool-{}", tool.name), &format!("tool:{}", tool.name), &options, chosen)
}

/// Reads the form; `was` is what it showed. Parts of the policy that the form does not show stay as they are.
///
/// # Errors
/// What is wrong, in words, and the record as it was given.
pub(super) fn read(fields: &FormFields, was: &Record, tools: &[Tool]) -> Result<Record, (String, Record)> {
    let mut record = Record::new();
    for (field, lines) in [
        (field::NAME, LineMode::One),
        (field::AVATAR, LineMode::One),
        (field::ROLE, LineMode::One),
        (field::SYSTEM_PROMPT, LineMode::Many),
        (field::MEMORY, LineMode::Many),
    ] {
        // An encrypted text has no field, and stays.
        if fields.all(field).next().is_some() && !is_ciphertext(shown(was, field)) {
            record.insert(field.into(), text_of(fields, was, field, lines));
        }
    }
    let mut wrong = shown(&record, field::NAME).trim().is_empty().then(|| "An agent needs a name.".to_owned());
    for (field, label) in [(field::MAX_CONCURRENT_MISSIONS, "Parallel plans"), (field::MAX_TOKENS_PER_DAY, "Daily token limit")] {
        match fields.whole(field, label) {
            // What the form showed is no choice, be it a default or a stand-in for what no field can show.
            _ if fields.text(field) == number(was, field) => record.extend(was.get(field).map(|old| (field.to_owned(), old.clone()))),
            Ok(number) => drop(record.insert(field.into(), number.map_or(Value::Null, Value::from))),
            Err(why) => {
                record.insert(field.into(), json!(fields.text(field)));
                wrong.get_or_insert(why);
            }
        }
    }
    if let Some(policy) = policy(fields, was, tools) {
        record.insert(field::POLICY.into(), Value::Object(policy));
    }
    match wrong {
        None => Ok(record),
        Some(wrong) => Err((wrong, record)),
    }
}

/// The policy with the choices of the form, `None` where there is none and nothing was chosen.
fn policy(fields: &FormFields, was: &Record, tools: &[Tool]) -> Option<Map<String, Value>> {
    let old = was.get(field::POLICY).and_then(Value::as_object);
    let mut policy = old.cloned().unwrap_or_default();
    let mut chosen = policy.get("tools").and_then(Value::as_object).cloned().unwrap_or_default();
    let before = chosen.clone();
    for tool in tools {
        let choice = fields.text(&format!("tool:{}", tool.name));
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
    let rest = if DECISIONS.iter().any(|(decision, _)| *decision == rest) { rest } else { "propose".into() };
    // Nothing was chosen for an agent that has no policy.
    if old.is_none() && !was.is_empty() && chosen.is_empty() && rest == "propose" {
        return None;
    }
    if was.is_empty() {
        // Clients list the tools of a new agent by name.
        for tool in tools {
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
