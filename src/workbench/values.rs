//! Values of records and parameters as people read them: days, times, amounts and texts.

use jiff::civil::Date;
use maud::{Markup, html};
use serde_json::Value;

use super::page::{moment, shorter};
use crate::domain::fields::is_ciphertext;
use crate::domain::language::Language;
use crate::domain::time;
use crate::modules::FieldKind;
use crate::text::catalog::{Words, text_id};
use crate::text::module;

/// Characters of a text.
const LONGEST: usize = 4_000;
/// Parts of a list or an object, and how deep they are shown; what lies deeper is JSON.
const MOST: usize = 20;
const DEEPEST: usize = 4;

/// A value, as its field holds it; where no field says so, as it looks.
pub(super) fn value(words: Words, kind: Option<FieldKind>, value: &Value) -> Markup {
    nested(words, kind, value, 0)
}

fn nested(words: Words, kind: Option<FieldKind>, value: &Value, depth: usize) -> Markup {
    let more = |all: usize| html! { @if all > MOST { p.hint { (words.with("review-more", [("n", (all - MOST).into())])) } } };
    html! {
        @match value {
            Value::Null => span.value { "–" },
            Value::Bool(flag) => span.value { (words.say(if *flag { text_id("review-yes") } else { text_id("review-no") })) },
            Value::Number(number) => span.value { (grouped(words.language(), &number.to_string())) },
            Value::String(text) => (text_value(words, kind, text)),
            Value::Object(fields) if depth < DEEPEST => { dl { @for (name, value) in fields.iter().take(MOST) {
                dt dir="auto" { (shorter(&in_words(name), 300)) } dd { (nested(words, None, value, depth + 1)) }
            } } (more(fields.len())) },
            Value::Array(items) if items.iter().all(is_short) => span.value dir="auto" {
                (items.iter().take(MOST).filter_map(Value::as_str).collect::<Vec<_>>().join(", ")) (more(items.len()))
            },
            Value::Array(items) if depth < DEEPEST => { ul { @for item in items.iter().take(MOST) { li { (nested(words, None, item, depth + 1)) } } } (more(items.len())) },
            other => span.value { (shorter(&other.to_string(), LONGEST)) },
        }
    }
}

fn is_short(item: &Value) -> bool {
    item.as_str().is_some_and(|text| text.len() <= 60)
}

fn text_value(words: Words, kind: Option<FieldKind>, text: &str) -> Markup {
    // A moment reads as one also where nothing says that it is.
    let at = || matches!(kind, Some(FieldKind::Time) | None).then(|| time::parse_rfc3339(text)).flatten();
    let day = || matches!(kind, Some(FieldKind::Day) | None).then(|| text.parse::<Date>().ok()).flatten().filter(|_| text.len() == 10);
    html! {
        @if is_ciphertext(text) { span.value { "🔒 " (words.say("review-encrypted")) } }
        @else if kind == Some(FieldKind::Choice) { span.value dir="auto" { (shorter(&module::choice(words, text), LONGEST)) } }
        @else if let Some(day) = day() { time datetime=(text) { (day_in_words(words.language(), day)) } }
        @else if let Some(at) = at() { (moment(at)) }
        @else { span.value dir="auto" { (shorter(text, LONGEST)) } }
    }
}

/// The name of a parameter in words: `dueDate` is "Due date".
pub(super) fn in_words(name: &str) -> String {
    if !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        return name.to_owned();
    }
    let mut words = String::with_capacity(name.len() + 4);
    let mut before = ' ';
    for letter in name.chars() {
        if words.is_empty() {
            words.extend(letter.to_uppercase());
        } else if letter.is_uppercase() && before.is_lowercase() {
            words.push(' ');
            words.extend(letter.to_lowercase());
        } else {
            words.push(if letter == '_' { ' ' } else { letter });
        }
        before = letter;
    }
    words
}

/// A day, until the script spells it in the reader's own way.
pub(super) fn day_in_words(language: Language, day: Date) -> String {
    match language {
        Language::English => day.strftime("%-d %b %Y").to_string(),
        Language::German => day.strftime("%-d.%-m.%Y").to_string(),
    }
}

/// A day without its year, for a place with little room.
pub(super) fn short_day(language: Language, day: Date) -> String {
    match language {
        Language::English => day.strftime("%-d %b").to_string(),
        Language::German => day.strftime("%-d.%-m.").to_string(),
    }
}

/// A number as JSON spells it, with its digits in groups.
pub(super) fn grouped(language: Language, number: &str) -> String {
    let (group, point) = match language {
        Language::English => (',', '.'),
        Language::German => ('.', ','),
    };
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(whole, fraction)| (whole, Some(fraction)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return number.to_owned();
    }
    let mut out = sign.to_owned();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n) % 3 == 0 {
            out.push(group);
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push(point);
        out += fraction;
    }
    out
}

/// A time that something took; empty where it took none, or nobody measured it.
pub(super) fn seconds(language: Language, took: f64) -> String {
    match took {
        took if took <= 0.0 => String::new(),
        took if took < 0.1 => format!("<\u{a0}{}\u{a0}s", grouped(language, "0.1")),
        took => format!("{}\u{a0}s", grouped(language, &format!("{took:.1}"))),
    }
}

/// A number of bytes in the largest unit that keeps it above one.
pub(super) fn bytes(language: Language, n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut of = (n as f64, 0);
    while of.0 >= 1_024.0 && of.1 + 1 < UNITS.len() {
        of = (of.0 / 1_024.0, of.1 + 1);
    }
    let number = format!("{:.1}", of.0);
    format!("{}\u{a0}{}", grouped(language, number.strip_suffix(".0").unwrap_or(&number)), UNITS[of.1])
}

/// An amount of money, with its cents.
pub(super) fn amount(language: Language, value: &Value) -> String {
    value.as_f64().map_or_else(|| value.to_string(), |number| grouped(language, &format!("{number:.2}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_sizes_and_amounts_are_spelled_as_the_language_does() {
        let took = |took| seconds(Language::German, took);
        assert_eq!([took(0.0), took(0.04), took(3.25)], ["", "<\u{a0}0,1\u{a0}s", "3,2\u{a0}s"]);
        let of = |n| bytes(Language::German, n);
        assert_eq!([of(21_474_836_480), of(1_536), of(7)], ["20\u{a0}GB", "1,5\u{a0}kB", "7\u{a0}B"]);
        assert_eq!([amount(Language::German, &json!(10.9)), amount(Language::English, &json!(-1200))], ["10,90", "-1,200.00"]);
    }

    #[test]
    fn numbers_have_their_digits_in_groups() {
        for (number, english, german) in
            [("7", "7", "7"), ("1234567.5", "1,234,567.5", "1.234.567,5"), ("-1200", "-1,200", "-1.200"), ("1e300", "1e300", "1e300")]
        {
            assert_eq!((grouped(Language::English, number), grouped(Language::German, number)), (english.into(), german.into()));
        }
    }

    #[test]
    fn a_value_reads_as_what_it_is() {
        let check = |kind, given: Value, expected: &str| {
            let shown = value(Words::ENGLISH, kind, &given).into_string();
            let text: String = shown.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect();
            assert_eq!(text.trim(), expected, "{given}");
        };
        check(Some(FieldKind::Day), json!("2026-04-05"), "5 Apr 2026");
        check(None, json!("2026-04-05"), "5 Apr 2026");
        check(Some(FieldKind::Line), json!("2026-04-05"), "2026-04-05");
        check(Some(FieldKind::Time), json!("2026-04-15T08:00:00.000Z"), "2026-04-15 08:00 UTC");
        check(Some(FieldKind::Amount), json!(1299.5), "1,299.5");
        check(None, json!(true), "Yes");
        check(None, json!(["red", "green"]), "red, green");
        check(None, json!({"dueDate": "2026-04-05"}), "Due date5 Apr 2026");
        check(None, json!("<b>&"), "&lt;b&gt;&amp;");
    }

    #[test]
    fn names_are_told_in_words() {
        assert_eq!(["dueDate", "title", "time_zone", "URL", "not <b>"].map(in_words), ["Due date", "Title", "Time zone", "URL", "not <b>"]);
    }
}
