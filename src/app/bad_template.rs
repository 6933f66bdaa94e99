//! What is wrong with a template, in the words of a page.

use crate::templates::{BadTemplate, FileFault, FilePartKind};
use crate::text::cadence;
use crate::text::catalog::{Words, text_id};

/// With the file and the place in it, as far as they are known.
pub fn told(words: Words, bad: &BadTemplate) -> String {
    let what = fault(words, &bad.what);
    let what = if bad.place.is_empty() { what } else { format!("`{}` {what}", bad.place) };
    if bad.file.is_empty() { what } else { format!("{}: {what}", bad.file) }
}

fn fault(words: Words, fault: &FileFault) -> String {
    let id = match fault {
        FileFault::Size { most, .. } | FileFault::NoFile { most } => {
            return words.with("templates-bad-size", [("most", (*most).into())]);
        }
        FileFault::Unreadable(why) => return words.with("templates-bad-file", [("why", why.into())]),
        FileFault::NoJson(why) => return words.with("templates-bad-json", [("why", why.into())]),
        FileFault::Format(format) => return words.with("templates-bad-format", [("format", (*format).into())]),
        FileFault::Kind { found, allowed } => {
            let allowed = words.say(match allowed {
                FilePartKind::Object => text_id("templates-kind-object"),
                FilePartKind::List => text_id("templates-kind-list"),
                FilePartKind::Text => text_id("templates-kind-text"),
                FilePartKind::Wording => text_id("templates-kind-wording"),
            });
            return words.with("templates-bad-kind", [("found", cadence::value(words, found).into()), ("allowed", allowed.into())]);
        }
        FileFault::UnknownField { name, known } => {
            return words.with("templates-bad-field", [("name", words.quoted(name).into()), ("known", known.join(", ").into())]);
        }
        FileFault::Lacks(name) => return words.with("templates-bad-lacks", [("name", words.quoted(name).into())]),
        FileFault::Items { n, most } => return words.with("templates-bad-items", [("n", (*n).into()), ("most", (*most).into())]),
        FileFault::TooLong { most } => return words.with("templates-bad-long", [("most", (*most).into())]),
        FileFault::NoKey(key) => return words.with("templates-bad-key", [("key", words.quoted(key).into())]),
        FileFault::Schedule(bad) => return words.with("templates-bad-schedule", [("why", cadence::told(words, bad).into())]),
        FileFault::NoTool(name) => return words.with("templates-bad-tool", [("name", words.quoted(name).into())]),
        FileFault::NoTable(name) => return words.with("templates-bad-table", [("name", words.quoted(name).into())]),
        FileFault::NoField { name, table } => {
            return words.with("templates-bad-table-field", [("name", words.quoted(name).into()), ("table", table.into())]);
        }
        FileFault::Description(why) => return words.with("templates-bad-description", [("why", why.into())]),
        FileFault::Twice(name) => return words.with("templates-bad-twice", [("name", words.quoted(name).into())]),
        FileFault::NotDescribed(name) => return words.with("templates-bad-not-described", [("name", words.quoted(name).into())]),
        FileFault::Otherwise(name) => return words.with("templates-bad-otherwise", [("name", words.quoted(name).into())]),
        FileFault::OnceRestarted(name) => return words.with("templates-bad-once-restarted", [("name", words.quoted(name).into())]),
        FileFault::ForOperator(name) => return words.with("templates-bad-for-operator", [("name", words.quoted(name).into())]),
        FileFault::NoName => text_id("templates-bad-name"),
        FileFault::OtherApp(name) => return words.with("templates-bad-other-app", [("name", words.quoted(name).into())]),
        FileFault::ModuleTaken(name) => return words.with("templates-bad-module-taken", [("name", words.quoted(name).into())]),
        FileFault::OwnRecords => text_id("templates-bad-own-records"),
        FileFault::OwnField => text_id("templates-bad-own-field"),
        FileFault::Elsewhere => text_id("templates-bad-elsewhere"),
        FileFault::Deletes => text_id("templates-bad-deletes"),
        FileFault::Depth => text_id("templates-bad-depth"),
        FileFault::Empty => text_id("templates-bad-empty"),
        FileFault::NoLine => text_id("templates-bad-line"),
        FileFault::NoHeading => text_id("templates-bad-heading"),
        FileFault::NoNumber => text_id("templates-bad-number"),
        FileFault::NoDecisions => text_id("templates-bad-decisions"),
        FileFault::NoDecision => text_id("templates-bad-decision"),
        FileFault::NoValues => text_id("templates-bad-values"),
        FileFault::NoMoment => text_id("templates-bad-moment"),
        FileFault::Encrypted => text_id("templates-bad-encrypted"),
        FileFault::SameKey => text_id("templates-bad-same-key"),
        FileFault::NoMissions => text_id("templates-bad-no-missions"),
    };
    words.say(id).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::language::Language;
    use crate::templates::Template;

    #[test]
    fn what_is_wrong_with_a_file_is_told_in_the_language_of_the_page() {
        let german = |text: &str| told(Words::of(Language::German), &Template::read("tee.json", text.as_bytes()).unwrap_err());
        for (text, says) in [
            (r#"{"format": 2}"#, "tee.json: `format` muss 1 sein, die einzige Form, die diese Version liest"),
            (r#"{"format": 1, "name": 5}"#, "tee.json: `name` ist 5, muss aber ein Text sein oder ein Objekt mit je einem als en und de"),
            (r#"{"format": 1}"#, "tee.json: „name“ fehlt"),
            (
                r#"{"format": 1, "soul": 1}"#,
                "tee.json: hat „soul“, das dort kein Feld ist; es gibt format, name, icon, category, tagline, description, modules, agent, records, missions",
            ),
        ] {
            assert_eq!(german(text), says);
        }
    }
}
