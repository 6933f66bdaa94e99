//! What lists show of a record, and by what they find, sort and choose it.

use serde_json::Value;

use super::{FieldKind, FieldRole, FieldSpec, TableSpec};
use crate::domain::fields::is_ciphertext;
use crate::domain::merge::Record;
use crate::domain::time;

/// Characters of a text that is shown, of one that is sorted by, and of one that is searched.
const SHOWN: usize = 300;
const SORTED: usize = 200;
const SEARCHED: usize = 4_000;
/// When an event begins, which stands in its block.
const START: &str = "startDate";
/// Whether it takes whole days, so that its begin is a day.
const WHOLE_DAYS: &str = "allDay";

/// A record in a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordCard {
    /// The start of its title, or of its text where it has none, in lower case.
    pub title_key: String,
    /// Its day or time; empty where it has none.
    pub day_key: String,
    /// Its choices and flags, as `|field=value|…|`.
    pub facets: String,
    /// The start of its title and text, in lower case.
    pub search: String,
    /// The fields that are shown, cut.
    pub shown: Record,
}

fn start(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}

fn lower(text: &str, most: usize) -> String {
    start(text.trim(), most).to_lowercase()
}

/// What a text is searched by.
pub fn searched(text: &str) -> String {
    lower(text, SORTED)
}

impl TableSpec {
    /// The fields by which records are chosen: choices, and flags.
    pub fn facets(&self) -> impl Iterator<Item = &FieldSpec> {
        self.fields.iter().filter(|field| match field.kind {
            FieldKind::Choice => !field.choices.is_empty(),
            FieldKind::Flag => true,
            _ => false,
        })
    }

    /// The choice of a value of a field, as it stands among the facets; `None` where the field has no such value.
    pub fn facet(&self, field: &str, value: &str) -> Option<String> {
        let field = self.facets().find(|known| known.name == field)?;
        let is_known = match field.kind {
            FieldKind::Flag => matches!(value, "true" | "false"),
            _ => field.choices.iter().any(|choice| choice == value),
        };
        is_known.then(|| format!("|{}={value}|", field.name))
    }

    /// The field of the day or time by which its records are sorted.
    pub fn day(&self) -> Option<&str> {
        if self.is_calendar() {
            return Some(START);
        }
        self.fields.iter().find(|field| matches!(field.kind, FieldKind::Day | FieldKind::Time)).map(|field| field.name.as_str())
    }

    /// What cards are made of: where it is another, they are made again.
    pub fn shape(&self) -> String {
        let named = |role| self.role(role).map_or("", |field| field.name.as_str());
        let shown: Vec<&str> = self.shown().collect();
        let facets: Vec<String> = self.facets().map(|field| format!("{}({})", field.name, field.choices.join("/"))).collect();
        let owned: Vec<String> = self.owns.iter().map(|owned| format!("{}={}", owned.field, owned.table)).collect();
        format!(
            "1 {} {} {} [{}] [{}] [{}]",
            named(FieldRole::Title),
            named(FieldRole::Text),
            self.day().unwrap_or_default(),
            shown.join(","),
            facets.join(","),
            owned.join(",")
        )
    }

    /// The fields that lists tell besides title and text.
    fn shown(&self) -> impl Iterator<Item = &str> {
        let told = |field: &&FieldSpec| matches!(field.kind, FieldKind::Day | FieldKind::Choice | FieldKind::Amount);
        let start = self.is_calendar().then_some([START, WHOLE_DAYS]).into_iter().flatten();
        self.fields.iter().filter(told).map(|field| field.name.as_str()).chain(self.done.as_deref()).chain(start)
    }

    /// The card of a record, which has the fields of what belongs to it.
    pub fn card(&self, record: &Record) -> RecordCard {
        let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
        let of_role = |role| self.role(role).map_or(("", ""), |field| (field.name.as_str(), text(&field.name)));
        let plain = |text: &'_ str| if is_ciphertext(text) { String::new() } else { text.to_owned() };
        let ((title_name, title), (text_name, body)) = (of_role(FieldRole::Title), of_role(FieldRole::Text));
        let (plain_title, plain_body) = (plain(title), plain(body));
        let mut shown = Record::new();
        let mut show = |name: &str| match record.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => drop(shown.insert(name.to_owned(), start(text, SHOWN).into())),
            Some(value @ (Value::Bool(_) | Value::Number(_))) => drop(shown.insert(name.to_owned(), value.clone())),
            Some(other) => drop(shown.insert(name.to_owned(), start(&other.to_string(), SHOWN).into())),
        };
        show(title_name);
        if title.trim().is_empty() {
            show(text_name);
        }
        self.shown().for_each(&mut show);
        let facet = |field: &FieldSpec| {
            let value = match field.kind {
                FieldKind::Flag if record.get(&field.name) == Some(&Value::Bool(true)) => "true",
                FieldKind::Flag => "false",
                _ => text(&field.name),
            };
            self.facet(&field.name, value)
        };
        let facets: Vec<String> = self.facets().filter_map(facet).collect();
        RecordCard {
            title_key: lower(if plain_title.trim().is_empty() { &plain_body } else { &plain_title }, SORTED),
            day_key: self.day().map(|name| day_key(text(name))).unwrap_or_default(),
            facets: facets.concat(),
            search: lower(&format!("{}\n{}", start(&plain_title, SEARCHED), start(&plain_body, SEARCHED)), SEARCHED),
            shown,
        }
    }
}

/// A day or a moment, so that texts sort as times do.
fn day_key(text: &str) -> String {
    match time::parse_rfc3339(text) {
        Some(at) => time::iso_millis(at),
        None => text.parse::<jiff::civil::Date>().map(|day| day.to_string()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::modules::Modules;

    fn card(table: &str, record: Value) -> RecordCard {
        let modules = Modules::builtin();
        modules.table(table).unwrap().card(record.as_object().unwrap())
    }

    #[test]
    fn a_card_has_what_lists_show_and_sort_by() {
        let task = card(
            "todo/tasks",
            json!({"title": " Buy BREAD ", "description": "Rye", "priority": "high", "dueDate": "2026-04-05", "isCompleted": true, "order": 3}),
        );
        assert_eq!((task.title_key.as_str(), task.day_key.as_str(), task.search.as_str()), ("buy bread", "2026-04-05", "buy bread \nrye"));
        assert_eq!(task.facets, "|priority=high||isCompleted=true|");
        let shown: Vec<&str> = task.shown.keys().map(String::as_str).collect();
        assert_eq!(shown, ["title", "priority", "dueDate", "isCompleted"]);
        let event = card("calendar/events", json!({"title": "Dentist", "startDate": "2026-04-05T10:00:00+02:00"}));
        assert_eq!((event.day_key.as_str(), event.shown.contains_key("startDate")), ("2026-04-05T08:00:00.000Z", true));
        let note = card("notes/notes", json!({"content": "No title"}));
        assert_eq!((note.title_key.as_str(), note.shown["content"].as_str()), ("no title", Some("No title")));
    }

    #[test]
    fn odd_records_have_cards_too() {
        for odd in [json!({}), json!({"title": 7, "priority": ["x"], "dueDate": "soon", "isCompleted": "yes"}), json!({"priority": "a|b"})]
        {
            let card = card("todo/tasks", odd);
            assert_eq!((card.title_key.as_str(), card.day_key.as_str(), card.facets.as_str()), ("", "", "|isCompleted=false|"));
        }
        let sealed = card("notes/notes", json!({"title": "enc:1:abc", "content": "enc:1:def"}));
        assert_eq!((sealed.title_key.as_str(), sealed.search.trim(), sealed.shown["title"].as_str()), ("", "", Some("enc:1:abc")));
        let long = card("notes/notes", json!({"title": "x".repeat(10_000), "content": "ä".repeat(10_000)}));
        assert_eq!((long.title_key.len(), long.search.chars().count(), long.shown["title"].as_str().unwrap().len()), (200, 4_000, 300));
    }

    #[test]
    fn only_known_values_are_chosen() {
        let modules = Modules::builtin();
        let tasks = modules.table("todo/tasks").unwrap();
        assert_eq!(tasks.facet("priority", "high").as_deref(), Some("|priority=high|"));
        for (field, value) in [("priority", "High"), ("isCompleted", "yes"), ("title", "x"), ("nothing", "true")] {
            assert_eq!(tasks.facet(field, value), None);
        }
        let mut other = tasks.clone();
        other.done = None;
        assert_ne!(other.shape(), tasks.shape());
    }
}
