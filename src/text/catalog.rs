//! What the program says, in every language that it speaks.
//!
//! The texts stand in `catalog/LANGUAGE/AREA.ftl`, in the syntax of Project Fluent. The id of a message begins with the name of
//! its file, and is named in the code as a literal: the tests of this file hold both to each other.

use std::borrow::Cow;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use jiff::Timestamp;

use super::phrase::{Phrase, Piece};
use super::saying::{Saying, SayingArg};
use crate::domain::language::Language;

#[cfg(test)]
pub(super) mod tests;

/// The texts of one language.
type Bundle = FluentBundle<FluentResource>;

macro_rules! files {
    ($language:literal) => {
        files!(
            $language, "access", "agents", "common", "decision", "history", "insights", "mission", "missions", "modules", "obstacle", "overview", "records", "review",
            "runs", "settings", "sign-in", "start", "templates"
        )
    };
    ($language:literal, $($area:literal),+) => {
        [$(($area, include_str!(concat!("catalog/", $language, "/", $area, ".ftl")))),+]
    };
}

const AREAS: usize = 18;
const ENGLISH_FILES: [(&str, &str); AREAS] = files!("en");
const GERMAN_FILES: [(&str, &str); AREAS] = files!("de");

static ENGLISH: LazyLock<Bundle> = LazyLock::new(|| bundle(Language::English, &ENGLISH_FILES));
static GERMAN: LazyLock<Bundle> = LazyLock::new(|| bundle(Language::German, &GERMAN_FILES));

fn bundle_of(language: Language) -> &'static Bundle {
    match language {
        Language::English => &ENGLISH,
        Language::German => &GERMAN,
    }
}

/// What does not parse, or is there twice, is left out; tests see to it that there is no such thing.
fn bundle(language: Language, files: &[(&str, &str)]) -> Bundle {
    let formatter: fn(&FluentValue<'_>, &_) -> _ = match language {
        Language::English => |value, _| number(value, ',', '.'),
        Language::German => |value, _| number(value, '.', ','),
    };
    let mut bundle = Bundle::new_concurrent(vec![language.tag().parse().unwrap_or_default()]);
    // Pages isolate the texts of others by `<bdi>`.
    bundle.set_use_isolating(false);
    bundle.set_formatter(Some(formatter));
    drop(bundle.add_builtins());
    for (_, text) in files {
        let parsed = FluentResource::try_new((*text).to_owned()).unwrap_or_else(|(sound, _)| sound);
        drop(bundle.add_resource(parsed));
    }
    bundle
}

/// A number with its digits in groups, unless its message says `NUMBER($n, useGrouping: "false")`.
fn number(value: &FluentValue<'_>, group: char, point: char) -> Option<String> {
    let FluentValue::Number(number) = value else { return None };
    let text = number.as_string();
    let (whole, fraction) = text.split_once('.').map_or((text.as_ref(), None), |(whole, fraction)| (whole, Some(fraction)));
    let mut out = String::with_capacity(text.len() + 4);
    for (n, digit) in whole.chars().enumerate() {
        let left = whole.len() - n;
        if number.options.use_grouping && n > 0 && left % 3 == 0 && !out.ends_with('-') {
            out.push(group);
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push(point);
        out += fraction;
    }
    Some(out)
}

/// Stands before the number of a slot in a formatted text: a character that no text of people has.
const MARK: char = '\u{fdd0}';

/// The texts of a language. A message that is missing is said in English, and one that is missing there too by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words(Language);

impl Words {
    /// Those of commands, logs and stored texts.
    pub const ENGLISH: Words = Words(Language::English);

    pub const fn of(language: Language) -> Words {
        Words(language)
    }

    pub fn language(self) -> Language {
        self.0
    }

    /// A message without variables.
    pub fn say(self, id: &'static str) -> Cow<'static, str> {
        self.format(id, None)
    }

    /// A message with its variables; a number also chooses between singular and plural.
    ///
    /// ```
    /// use mana_ai::text::catalog::Words;
    ///
    /// assert_eq!(Words::ENGLISH.with("decision-agent", [("state", "paused".into())]), "the agent is paused");
    /// ```
    pub fn with<const N: usize>(self, id: &'static str, args: [(&'static str, FluentValue<'_>); N]) -> String {
        self.format(id, Some(&FluentArgs::from_iter(args))).into_owned()
    }

    /// A message with variables and times; readers spell the times.
    pub fn phrase<const N: usize, const M: usize>(
        self,
        id: &'static str,
        args: [(&'static str, FluentValue<'_>); N],
        times: [(&'static str, Timestamp); M],
    ) -> Phrase {
        let said = Saying {
            id: id.to_owned(),
            args: args.iter().map(|(name, value)| ((*name).to_owned(), SayingArg::of(value))).collect(),
            times: times.iter().map(|(name, at)| ((*name).to_owned(), *at)).collect(),
        };
        Phrase::of(self.fill(id, args, times), said)
    }

    /// A message with variables, and with slots for what is no text, such as a link.
    pub fn fill<T: Clone, const N: usize, const M: usize>(
        self,
        id: &'static str,
        args: [(&'static str, FluentValue<'_>); N],
        slots: [(&'static str, T); M],
    ) -> Vec<Piece<T>> {
        let args = args.into_iter().map(|(name, value)| (name, unmarked(value)));
        let marks = slots.iter().enumerate().map(|(n, (name, _))| (*name, format!("{MARK}{n}{MARK}").into()));
        let text = self.format(id, Some(&args.chain(marks).collect()));
        pieces(&text, |n| slots.get(n).map(|(_, slot)| slot.clone()))
    }

    /// A message that was stored with its arguments; `None`: there is none of this id any more.
    pub fn retell(self, saying: &Saying) -> Option<Phrase> {
        let pattern = bundle_of(self.0).get_message(&saying.id)?.value()?;
        let mut args = FluentArgs::new();
        for (name, value) in &saying.args {
            args.set(name.clone(), unmarked(value.value()));
        }
        for (n, name) in saying.times.keys().enumerate() {
            args.set(name.clone(), format!("{MARK}{n}{MARK}"));
        }
        let text = bundle_of(self.0).format_pattern(pattern, Some(&args), &mut Vec::new());
        Some(Phrase::of(pieces(&text, |n| saying.times.values().nth(n).copied()), saying.clone()))
    }

    /// A message whose id is made of a name that comes from elsewhere; `None`: there is none.
    pub fn find(self, id: &str) -> Option<String> {
        let bundle = bundle_of(self.0);
        let pattern = bundle.get_message(id)?.value()?;
        Some(bundle.format_pattern(pattern, None, &mut Vec::new()).into_owned())
    }

    /// A text of others in the quotation marks of the language, with what acts on a terminal spelled out.
    pub fn quoted(self, text: &str) -> String {
        let quoted = format!("{text:?}");
        match self.0 {
            Language::English => quoted,
            Language::German => format!("„{}“", quoted.trim_start_matches('"').strip_suffix('"').unwrap_or_default()),
        }
    }

    /// The name of a thing in quotation marks.
    pub fn marked(self, name: &str) -> String {
        match self.0 {
            Language::English => format!("“{name}”"),
            Language::German => format!("„{name}“"),
        }
    }

    fn format(self, id: &'static str, args: Option<&FluentArgs<'_>>) -> Cow<'static, str> {
        for bundle in [bundle_of(self.0), &ENGLISH] {
            if let Some(pattern) = bundle.get_message(id).and_then(|message| message.value()) {
                return bundle.format_pattern(pattern, args, &mut Vec::new());
            }
        }
        id.into()
    }
}

/// The id of a message that is said elsewhere, such as one of a table.
pub const fn text_id(id: &'static str) -> &'static str {
    id
}

/// The pieces of a formatted text: every second part is the number of a slot.
fn pieces<T>(text: &str, slot: impl Fn(usize) -> Option<T>) -> Vec<Piece<T>> {
    let piece = |(n, part): (usize, &str)| match n % 2 {
        0 => Some(Piece::Text(part.to_owned())).filter(|_| !part.is_empty()),
        _ => slot(part.parse().ok()?).map(Piece::Slot),
    };
    text.split(MARK).enumerate().filter_map(piece).collect()
}

fn unmarked(value: FluentValue<'_>) -> FluentValue<'_> {
    match value {
        FluentValue::String(text) if text.contains(MARK) => text.replace(MARK, "").into(),
        value => value,
    }
}
