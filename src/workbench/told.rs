//! What is stored in English, in the language of the page. A message in short has the English words behind it.

use maud::{Markup, html};

use super::page::{phrase, shorter};
use crate::store::{AttemptError, RunRow};
use crate::text::catalog::{Words, text_id};
use crate::text::run;
use crate::text::told::sentences;

/// Why a run waits, failed or was dropped.
pub(super) fn reason(words: Words, row: &RunRow) -> Markup {
    let Some(text) = &row.run.reason else { return html! {} };
    let is_short = row.said.iter().any(|saying| saying.id.starts_with("runs-failure-"));
    // The English text says at length what these say in short.
    let is_text_better = row.said.is_empty() || (is_short && words == Words::ENGLISH);
    let known = sentences(words, &row.said).filter(|_| !is_text_better);
    html! {
        @match known {
            None => p.hint dir="auto" { (shorter(text, 600)) },
            Some(sentences) => {
                p.hint { @for (n, sentence) in sentences.iter().enumerate() { @if n > 0 { "; " } (phrase(sentence)) } }
                @if is_short { (in_words_of_program(words, text)) }
            }
        }
    }
}

/// What its user should know about the plan of a run, with what the program says of it where that is wanted.
pub(super) fn note(words: Words, row: &RunRow, with_details: bool) -> Markup {
    let Some(text) = &row.note else { return html! {} };
    match sentences(words, &row.note_said).filter(|sentences| !sentences.is_empty()) {
        None => html! { p.hint dir="auto" { (shorter(text, 600)) } },
        Some(sentences) => html! {
            p.hint dir="auto" { @for (n, sentence) in sentences.iter().enumerate() { @if n > 0 { " " } (phrase(sentence)) } }
            @if with_details { (in_words_of_program(words, text)) }
        },
    }
}

/// A failure of the model or its server, by the name under which it is kept.
pub(super) fn failure(words: Words, name: &str, text: &str) -> Markup {
    match run::failure(name).filter(|_| words != Words::ENGLISH) {
        None => html! { p.wrong role="alert" dir="auto" { (shorter(text, 600)) } },
        Some(id) => html! { p.wrong role="alert" { (words.say(id)) } (in_words_of_program(words, text)) },
    }
}

/// Why an attempt failed.
pub(super) fn of_attempt(words: Words, error: &AttemptError) -> Markup {
    if words == Words::ENGLISH {
        return html! { p.wrong dir="auto" { (shorter(&error.text, 600)) } };
    }
    let short = error.name.as_deref().and_then(run::failure).unwrap_or(text_id("runs-is-failed"));
    html! { p.wrong { (words.say(short)) } (in_words_of_program(words, &error.text)) }
}

fn in_words_of_program(words: Words, text: &str) -> Markup {
    html! { details { summary { (words.say("runs-details")) } p.hint lang="en" dir="auto" { (shorter(text, 600)) } } }
}
