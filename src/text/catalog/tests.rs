//! Holds the catalogs to each other and to the code.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::*;
use crate::architecture::files;

/// Messages that are the same in English and German.
const SAME: [&str; 10] = [
    "access-mission",
    "agents-name",
    "decision-title-agent",
    "insights-percent",
    "insights-plan",
    "insights-tokens",
    "missions-agent",
    "missions-minute",
    "modules-field-name",
    "runs-problem-param",
];

/// What a message says, as it is written, by its id.
fn messages(files: &[(&'static str, &'static str)]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (area, text) in files {
        if let Err((_, errors)) = FluentResource::try_new((*text).to_owned()) {
            panic!("{area}.ftl: {errors:?}");
        }
        let mut id = String::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, value)) = line.split_once(" =").filter(|_| line.starts_with(|c: char| c.is_ascii_lowercase())) {
                assert!(name.starts_with(&format!("{area}-")), "{name} stands in {area}.ftl");
                id = name.to_owned();
                assert!(found.insert(id.clone(), value.trim().to_owned()).is_none(), "{id} is there twice");
            } else if !line.is_empty() {
                let value = found.get_mut(&id).unwrap_or_else(|| panic!("{area}.ftl: {line}"));
                *value += "\n";
                *value += line.trim();
            }
        }
    }
    found
}

fn english() -> BTreeMap<String, String> {
    messages(&ENGLISH_FILES)
}

fn german() -> BTreeMap<String, String> {
    messages(&GERMAN_FILES)
}

/// The ids of an area.
pub(in crate::text) fn ids_of(area: &str) -> BTreeSet<String> {
    english().into_keys().filter(|id| id.starts_with(&format!("{area}-"))).collect()
}

fn variables(message: &str) -> BTreeSet<String> {
    let variable = Regex::new(r"\$([a-zA-Z]+)").unwrap();
    variable.captures_iter(message).map(|found| found[1].to_owned()).collect()
}

#[test]
fn both_languages_say_the_same_messages_of_the_same_variables() {
    let of = |messages: BTreeMap<String, String>| -> BTreeMap<String, BTreeSet<String>> {
        messages.iter().map(|(id, message)| (id.clone(), variables(message))).collect()
    };
    assert_eq!(of(english()), of(german()));
}

#[test]
fn a_german_message_is_german() {
    let german = german();
    let same: Vec<String> = english().into_iter().filter(|(id, message)| german.get(id) == Some(message)).map(|(id, _)| id).collect();
    assert_eq!(same, SAME);
}

/// From an opening bracket to the one that closes it.
fn bracketed(code: &str) -> &str {
    let (mut depth, mut in_text) = (0, false);
    let mut before = ' ';
    for (at, c) in code.char_indices() {
        match c {
            '"' if before != '\\' => in_text = !in_text,
            '(' if !in_text => depth += 1,
            ')' if !in_text => depth -= 1,
            _ => {}
        }
        before = c;
        if depth == 0 {
            return &code[..=at];
        }
    }
    code
}

/// Every id that the code names to say it, with the code of the call that says it now.
fn said() -> Vec<(String, Option<String>)> {
    let call = Regex::new(r"\b(?:say|with|phrase|fill|rich|text_id)\(").unwrap();
    let areas = ENGLISH_FILES.map(|(area, _)| area).join("|");
    let id = Regex::new(&format!(r#""((?:{areas})-[a-z0-9-]+)""#)).unwrap();
    let mut said = Vec::new();
    for (_, code) in files() {
        for found in call.find_iter(&code) {
            let now = found.as_str() != "text_id(";
            let call = bracketed(&code[found.end() - 1..]);
            // The arguments after the id have texts of their own.
            let first = call.split('[').next().unwrap_or_default();
            said.extend(id.captures_iter(first).map(|id| (id[1].to_owned(), now.then(|| call.to_owned()))));
        }
    }
    said
}

#[test]
fn what_the_code_says_is_there_and_gets_its_variables() {
    let messages = english();
    for (id, call) in said() {
        let message = messages.get(&id).unwrap_or_else(|| panic!("no message {id}"));
        let Some(call) = call else { continue };
        for variable in variables(message) {
            assert!(call.contains(&format!("(\"{variable}\",")), "{id} needs {variable}: {call}");
        }
    }
}

#[test]
fn every_message_is_said() {
    let code: Vec<String> = files().into_iter().map(|(_, code)| code).collect();
    // Those of modules are found by names that are data; `text::module` holds them to it.
    let ids = english().into_keys().filter(|id| !id.starts_with("modules-"));
    let unused: Vec<String> = ids.filter(|id| !code.iter().any(|code| code.contains(&format!("\"{id}\"")))).collect();
    assert!(unused.is_empty(), "{unused:#?}");
}

#[test]
fn numbers_are_grouped_as_the_language_groups_them_and_choose_the_plural() {
    let text = "x-n = { $n ->\n [one] { $n } byte\n *[other] { $n } bytes\n }\nx-plain = { NUMBER($n, useGrouping: \"false\") }\n";
    for (language, id, n, told) in [
        (Language::English, "x-n", 1_234_567.0, "1,234,567 bytes"),
        (Language::English, "x-n", 1.0, "1 byte"),
        (Language::English, "x-n", 999.0, "999 bytes"),
        (Language::English, "x-plain", 1_234_567.0, "1234567"),
        (Language::German, "x-n", 1_234_567.5, "1.234.567,5 bytes"),
        (Language::German, "x-n", -123_456.0, "-123.456 bytes"),
    ] {
        let bundle = bundle(language, &[("x", text)]);
        let pattern = bundle.get_message(id).unwrap().value().unwrap();
        assert_eq!(bundle.format_pattern(pattern, Some(&FluentArgs::from_iter([("n", n)])), &mut Vec::new()), told);
    }
}

#[test]
fn a_slot_stands_in_its_place_whatever_the_texts_around_it_hold() {
    let at: Timestamp = "2026-04-15T08:00:00Z".parse().unwrap();
    let text = format!("a{MARK}0{MARK}b");
    let pieces = Words::ENGLISH.fill("obstacle-no-record", [("table", text.into())], [("id", at)]);
    assert_eq!(pieces, [Piece::Text("There is no record ".into()), Piece::Slot(at), Piece::Text(" in a0b.".into())]);
}

#[test]
fn a_message_that_is_not_there_is_said_by_its_id() {
    assert_eq!(Words::of(Language::German).say("no-such-message"), "no-such-message");
}
