//! The form of an agent, and the record that it stands for.

use std::borrow::Cow;

use maud::{Markup, html};
use serde_json::{Value, json};

use super::fields::{FormFields, LineMode, as_it_was, number_shown, shown, text_of};
use super::page::{csrf, shorter};
use super::policy_form;
use super::session::SignedIn;
use crate::app::ListedMission;
use crate::domain::field;
use crate::domain::fields::is_ciphertext;
use crate::domain::merge::Record;
use crate::planner::tools::Tool;
use crate::text::catalog::{Words, text_id};

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
/// The form with a record, `was` being the one that it was first made from; `missions` are those that it can be tried on.
pub(super) fn form(
    who: &SignedIn,
    action: &str,
    record: &Record,
    was: &Record,
    tools: &[Tool],
    missions: &[ListedMission],
    wrong: Option<&str>,
) -> Markup {
    let policy = record.get(field::POLICY).and_then(Value::as_object);
    let words = who.words;
    html! {
        form.stack method="post" action=(action) {
            (csrf(who))
            (as_it_was(was, &SHOWN))
            @if let Some(wrong) = wrong { p.wrong role="alert" tabindex="-1" autofocus { (wrong) } }
            div.columns {
                div { label for="name" { (words.say("agents-name")) } input #name name=(field::NAME) value=(shown(record, field::NAME)) dir="auto" required; }
                div { label for="avatar" { (words.say("agents-avatar")) } input #avatar name=(field::AVATAR) value=(shown(record, field::AVATAR)) dir="auto" placeholder="🦉"; }
            }
            label for="role" { (words.say("agents-role")) }
            input #role name=(field::ROLE) value=(shown(record, field::ROLE)) dir="auto";
            (secret_text(words, record, field::SYSTEM_PROMPT, words.say("agents-prompt"), words.say("agents-prompt-hint")))
            (secret_text(words, record, field::MEMORY, words.say("agents-memory"), words.say("agents-memory-hint")))
            div.columns {
                div {
                    label for="concurrent" { (words.say("agents-parallel")) }
                    input #concurrent name=(field::MAX_CONCURRENT_MISSIONS) type="number" min="0" value=(number(record, field::MAX_CONCURRENT_MISSIONS));
                }
                div {
                    label for="tokens" { (words.say("agents-tokens")) }
                    input #tokens name=(field::MAX_TOKENS_PER_DAY) type="number" min="0" value=(number(record, field::MAX_TOKENS_PER_DAY)) aria-describedby="tokens-hint";
                    p #tokens-hint .hint { (words.say("agents-tokens-hint")) }
                }
            }
            (policy_form::fieldset(words, policy, tools))
            div.actions {
                button.primary { @if was.is_empty() { (words.say("agents-create")) } @else { (words.say("common-save")) } }
                @if was.is_empty() { a.button href=(action) { (words.say("common-cancel")) } }
            }
            // Enter in a field goes to the first button.
            @if !missions.is_empty() { (trial(words, action, missions)) }
        }
    }
}

/// A way to see what the model makes of the agent before it is saved.
fn trial(words: Words, action: &str, missions: &[ListedMission]) -> Markup {
    let missions: Vec<(&str, String)> =
        missions.iter().map(|ListedMission { card, .. }| (card.id.as_str(), shorter(card.label(), 80))).collect();
    let first = missions.first().map_or("", |(id, _)| id);
    html! {
        fieldset {
            legend { (words.say("agents-try")) }
            p.hint { (words.say("agents-try-hint")) }
            label for="mission" { (words.say("agents-try-on")) }
            (select("mission", "mission", &missions, first))
            div.actions { button formaction={ (action) "/try" } { (words.say("agents-try-button")) } }
        }
    }
}

/// A number of a record as its field shows it.
fn number(record: &Record, field: &str) -> String {
    let otherwise = if field == field::MAX_CONCURRENT_MISSIONS { "1" } else { "" };
    record.get(field).filter(|value| !value.is_null()).map_or_else(|| otherwise.to_owned(), number_shown)
}

fn secret_text(words: Words, record: &Record, field: &str, label: Cow<'_, str>, hint: Cow<'_, str>) -> Markup {
    let text = shown(record, field);
    html! {
        label for=(field) { (label) }
        @if is_ciphertext(text) { p.hint #{ (field) "-hint" } { (words.say("agents-encrypted")) } }
        @else {
            // A line end right after the tag would be lost.
            textarea #(field) name=(field) rows="5" dir="auto" aria-describedby={ (field) "-hint" } { "\n" (text) }
            p.hint #{ (field) "-hint" } { (hint) }
        }
    }
}

pub(super) fn select<L: AsRef<str>>(id: &str, name: &str, options: &[(&str, L)], chosen: &str) -> Markup {
    html! { select id=(id) name=(name) { @for (value, label) in options { option value=(value) selected[*value == chosen] { (label.as_ref()) } } } }
}

/// Reads the form; `was` is what it showed. Parts of the policy that the form does not show stay as they are.
///
/// # Errors
/// What is wrong, in words, and the record as it was given.
pub(super) fn read(words: Words, fields: &FormFields, was: &Record, tools: &[Tool]) -> Result<Record, (String, Record)> {
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
    let mut wrong = shown(&record, field::NAME).trim().is_empty().then(|| words.say("agents-needs-name").into_owned());
    for (field, label) in
        [(field::MAX_CONCURRENT_MISSIONS, text_id("agents-parallel")), (field::MAX_TOKENS_PER_DAY, text_id("agents-tokens"))]
    {
        match fields.whole(words, field, &words.say(label)) {
            // What the form showed is no choice, be it a default or a stand-in for what no field can show.
            _ if fields.text(field) == number(was, field) => record.extend(was.get(field).map(|old| (field.to_owned(), old.clone()))),
            Ok(number) => drop(record.insert(field.into(), number.map_or(Value::Null, Value::from))),
            Err(why) => {
                record.insert(field.into(), json!(fields.text(field)));
                wrong.get_or_insert(why);
            }
        }
    }
    if let Some(policy) = policy_form::read(fields, was, tools) {
        record.insert(field::POLICY.into(), Value::Object(policy));
    }
    match wrong {
        None => Ok(record),
        Some(wrong) => Err((wrong, record)),
    }
}
