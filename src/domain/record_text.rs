//! How a record reads: a title and a content, by the description of its kind (docs/design.md, section 8).

use serde_json::Value;

use super::fields::is_ciphertext;
use super::merge::Record;
use super::record_kind::{BOOKKEEPING, Field, RecordKind, Role, ValueForm, uses};

const TITLE_LIMIT: usize = 200;
/// Characters of a text that stands in for a title.
const START_LIMIT: usize = 80;

/// Title and content of a record, with the facts that its links add; `None` where there is nothing to say.
pub fn text(kind: &RecordKind, record: &Record, linked: &[String]) -> Option<(String, String)> {
    let mut title = String::new();
    let (mut texts, mut facts) = (Vec::new(), Vec::new());
    for field in &kind.fields {
        let Some(value) = spelled(field, record) else { continue };
        match field.role {
            Role::Title => title = value,
            Role::Text => texts.push(value),
            Role::Fact if field.label.is_empty() => texts.push(value),
            Role::Fact => facts.push(format!("{}: {value}", field.label)),
        }
    }
    if kind.open {
        let others = record.iter().filter(|(name, _)| !BOOKKEEPING.contains(&name.as_str()) && !uses(&kind.fields, name));
        facts.extend(others.filter_map(|(name, value)| Some(format!("{name}: {}", plain(value)?))));
    }
    // A time of the record itself and the same of its block would contradict each other.
    facts.retain(|fact| !linked.iter().any(|newer| newer.split(':').next() == fact.split(':').next()));
    texts.extend(facts);
    texts.extend(linked.iter().cloned());
    let content = texts.join("\n");
    let empty = title.is_empty() && content.is_empty();
    (!empty).then(|| (cut(&title, TITLE_LIMIT), cut(&content, kind.limit)))
}

/// The facts that a linked record adds. What is encrypted there is left out.
pub fn facts(fields: &[Field], record: &Record) -> Vec<String> {
    let fact = |field: &Field| Some(format!("{}: {}", field.label, spelled(field, record).filter(|text| !is_ciphertext(text))?));
    fields.iter().filter_map(fact).collect()
}

/// What a record is called in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordName {
    /// Its title, its day, or how its text begins.
    Text(String),
    Encrypted,
    Untitled,
}

/// How a record is called in a list to choose from.
pub fn called(kind: &RecordKind, record: &Record) -> RecordName {
    let of_role = |role: Role| -> Vec<String> {
        let fields = kind.fields.iter().filter(move |field| field.role == role);
        fields.filter_map(|field| spelled(field, record)).filter(|text| !text.trim().is_empty()).collect()
    };
    let (titles, texts) = (of_role(Role::Title), of_role(Role::Text));
    let readable = |texts: &[String]| texts.iter().find(|text| !is_ciphertext(text)).cloned();
    // An entry without a title is known by its day.
    let day = || kind.fields.iter().filter(|field| field.label == "date").find_map(|field| spelled(field, record));
    let is_hidden = !titles.is_empty();
    let start = || readable(&texts).filter(|_| !is_hidden).map(|text| cut(text.trim().lines().next().unwrap_or_default(), START_LIMIT));
    match readable(&titles).or_else(day).or_else(start) {
        Some(text) => RecordName::Text(text),
        None if is_hidden || !texts.is_empty() => RecordName::Encrypted,
        None => RecordName::Untitled,
    }
}

/// The value at a path of field names.
pub fn at<'a>(record: &'a Record, path: &str) -> Option<&'a Value> {
    let mut names = path.split('.');
    let first = record.get(names.next()?)?;
    names.try_fold(first, |value, name| value.get(name))
}

fn spelled(field: &Field, record: &Record) -> Option<String> {
    let mut values = field.paths().filter_map(|path| at(record, path));
    match field.form {
        ValueForm::Progress => progress(record),
        ValueForm::Plain => values.find_map(plain),
        ValueForm::Flag => values.next().filter(|value| value.as_bool() == Some(true)).map(|_| "yes".into()),
        ValueForm::Done => values.find_map(|value| match value {
            Value::Bool(done) => Some(if *done { "completed" } else { "open" }.to_owned()),
            other => plain(other),
        }),
        ValueForm::Checklist => values.find_map(checklist),
    }
}

/// A value in one line: itself, the items of a list, the filled-in fields of an object.
fn plain(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let filled = fields.iter().filter_map(|(name, value)| Some(format!("{name}: {}", plain(value)?)));
            filled.collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    };
    (!text.is_empty()).then_some(text)
}

fn checklist(value: &Value) -> Option<String> {
    let Value::Array(items) = value else { return plain(value) };
    let line = |item: &Value| {
        let title = item.get("title").and_then(Value::as_str).filter(|title| !title.is_empty())?;
        let done = item.get("isCompleted").and_then(Value::as_bool) == Some(true);
        Some(format!("\n- [{}] {title}", if done { "x" } else { " " }))
    };
    let lines: String = items.iter().filter_map(line).collect();
    (!lines.is_empty()).then_some(lines)
}

/// `Progress: 3 of at least 10 per week`. Clients keep the target in an object, older ones beside it.
fn progress(record: &Record) -> Option<String> {
    let number = |paths: &[&str]| paths.iter().find_map(|path| at(record, path).filter(|v| v.is_number()).map(ToString::to_string));
    let word = |paths: &[&str]| paths.iter().find_map(|path| at(record, path)?.as_str().filter(|text| !text.is_empty()));
    let current = number(&["progress.current", "currentValue", "current"]);
    let target = number(&["progress.target", "target.value", "targetValue", "target"]);
    let period = word(&["target.period", "period"]);
    let mut text = format!("Progress: {}", current.unwrap_or_else(|| "0".into()));
    if let Some(target) = target {
        // At least is what a goal means by itself.
        let bound = if word(&["target.comparison", "comparison"]) == Some("lte") { "at most " } else { "" };
        text += &format!(" of {bound}{target}");
    }
    if let Some(unit) = word(&["unit"]) {
        text += &format!(" {unit}");
    }
    if let Some(period) = period {
        text += &format!(" per {period}");
    }
    Some(text)
}

fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kinds() -> crate::domain::record_kind::Kinds {
        crate::modules::Modules::builtin().kinds()
    }

    fn read(module: &str, record: Value) -> Option<(String, String)> {
        text(kinds().find(module, "").unwrap(), record.as_object().unwrap(), &[])
    }

    fn check(module: &str, record: Value, title: &str, content: &str) {
        assert_eq!(read(module, record), Some((title.into(), content.into())));
    }

    #[test]
    fn a_record_is_called_by_its_title_its_day_or_the_start_of_its_text() {
        let check = |module: &str, record: Value, expected: RecordName| {
            assert_eq!(called(kinds().find(module, "").unwrap(), record.as_object().unwrap()), expected, "{record}");
        };
        let text = |text: &str| RecordName::Text(text.into());
        check("notes", json!({"title": "Balcony", "content": "Shady."}), text("Balcony"));
        check("notes", json!({"title": "", "content": "\nWater the mint.\nTwice."}), text("Water the mint."));
        check("notes", json!({"title": null, "content": "a".repeat(100)}), text(&format!("{}…", "a".repeat(80))));
        check("notes", json!({"title": "enc:1:AAAA.AAAA", "content": "Shady."}), RecordName::Encrypted);
        check("notes", json!({"content": "enc:1:AAAA.AAAA"}), RecordName::Encrypted);
        check("notes", json!({}), RecordName::Untitled);
        check("journal", json!({"content": "Slept well.", "entryDate": "2026-04-14"}), text("2026-04-14"));
    }

    #[test]
    fn a_goal_is_its_progress() {
        for (goal, content) in [
            (json!({"title": "Run", "currentValue": 3, "targetValue": 10, "period": "week"}), "Progress: 3 of 10 per week"),
            (json!({"title": "Run", "progress": {"current": 1, "target": 2}}), "Progress: 1 of 2"),
            (json!({"title": "Run", "target": {"value": 5, "period": "day"}}), "Progress: 0 of 5 per day"),
            (
                json!({"title": "Run", "metric": {"source": "event_count", "eventType": "DrinkLogged", "filterField": "drinkType", "filterValue": "coffee"},
                       "target": {"value": 3, "period": "day", "comparison": "lte"}, "currentValue": 1, "status": "active", "currentPeriodStart": "2026-04-15"}),
                "Progress: 1 of at most 3 per day\nstatus: active\ncounts: DrinkLogged\nwhere: coffee\nsince: 2026-04-15",
            ),
        ] {
            check("goals", goal, "Run", content);
        }
    }

    #[test]
    fn a_task_says_whether_it_is_done_and_what_is_left() {
        let task = json!({
            "id": "t", "title": "Taxes", "description": "Sort receipts", "priority": "high", "isCompleted": false, "dueDate": "2026-05-01",
            "completedAt": null, "estimatedDuration": null, "order": 3, "metadata": {"labelIds": []},
            "subtasks": [{"id": "1", "title": "Find them", "isCompleted": true}, {"id": "2", "title": "Scan", "isCompleted": false}],
        });
        check(
            "todo",
            task,
            "Taxes",
            "Sort receipts\nstatus: open\npriority: high\ndueDate: 2026-05-01\nsubtasks: \n- [x] Find them\n- [ ] Scan",
        );
        check(
            "tasks",
            json!({"title": "T", "isCompleted": true, "completedAt": "2026-04-01"}),
            "T",
            "status: completed\ncompletedAt: 2026-04-01",
        );
        check("tasks", json!({"title": "T", "status": "open"}), "T", "status: open");
    }

    #[test]
    fn an_event_takes_its_times_from_its_block() {
        let kind = &kinds().find("calendar", "events").unwrap().clone();
        let block =
            json!({"startDate": "2026-04-18T10:00:00Z", "endDate": "2026-04-18T11:00:00Z", "allDay": false, "title": "enc:1:AAAA.AAAA"});
        let facts = facts(&kind.links[0].fields, block.as_object().unwrap());
        let event = json!({"title": "Dentist", "location": "Mill Lane", "startTime": "older"});
        assert_eq!(
            text(kind, event.as_object().unwrap(), &facts),
            Some(("Dentist".into(), "location: Mill Lane\nstartTime: 2026-04-18T10:00:00Z\nendTime: 2026-04-18T11:00:00Z".into()))
        );
        check("calendar", json!({"name": "N", "startTime": "9:00"}), "N", "startTime: 9:00");
    }

    #[test]
    fn a_journal_entry_has_its_date() {
        let entry =
            json!({"title": null, "content": "Slept well.", "entryDate": "2026-04-14", "mood": "zufrieden", "tags": ["sleep", "home"]});
        check("journal", entry, "", "Slept well.\ndate: 2026-04-14\nmood: zufrieden\ntags: sleep, home");
        assert_eq!(read("journal", json!({"x": 1})), None);
    }

    #[test]
    fn a_profile_is_every_field_that_was_filled_in() {
        let profile = json!({"id": "singleton", "userId": "u", "about": {"bio": "Likes maps", "birthday": "", "languages": ["de", "en"]}, "interests": [],
            "freeform": "", "hobbies": ["chess"], "interview": {"answeredIds": [1]}, "createdAt": "2026"});
        check("profile", profile, "", "about: bio: Likes maps; languages: de, en\nhobbies: chess");
    }

    #[test]
    fn content_is_cut_at_the_limit_of_its_module() {
        for (module, limit) in [("notes", 500), ("kontext", 1_500), ("profile", 2_000)] {
            let (_, content) = read(module, json!({"content": "é".repeat(3_000)})).unwrap();
            assert_eq!(content.chars().count(), limit + 1, "{module}: the limit and an ellipsis");
        }
    }
}
