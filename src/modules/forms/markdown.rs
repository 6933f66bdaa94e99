//! Markdown: a list of items, or sections under headings.

use serde_json::Value;

use super::super::{FieldRole, TableSpec};
use super::text;
use crate::domain::merge::Record;

/// Characters of a title that is made of the first line of a text.
const TITLE: usize = 80;

/// Items of a list become records with a title, ticked ones done; otherwise each first-level heading begins a record; a text
/// with neither is one record.
pub fn read(table: &TableSpec, given: &str) -> Vec<Record> {
    let Some(title) = table.role(FieldRole::Title) else { return Vec::new() };
    let body = table.role(FieldRole::Text).filter(|field| field.name != title.name);
    let items: Vec<Record> = given.lines().filter_map(|line| item(table, &title.name, line)).collect();
    let lines = || given.lines().filter(|line| !line.trim().is_empty());
    if table.done.is_some() && !items.is_empty() || !items.is_empty() && items.len() == lines().count() {
        return items;
    }
    let mut sections: Vec<(String, Vec<&str>)> = Vec::new();
    let mut fenced = false;
    for line in given.lines() {
        fenced ^= line.trim_start().starts_with("```");
        match line.strip_prefix("# ").filter(|_| !fenced) {
            Some(heading) => sections.push((heading.trim().to_owned(), Vec::new())),
            None if sections.is_empty() && line.trim().is_empty() => {}
            None if sections.is_empty() => sections.push((String::new(), vec![line])),
            None => sections.last_mut().into_iter().for_each(|(_, lines)| lines.push(line)),
        }
    }
    let record = |(heading, lines): (String, Vec<&str>)| {
        let content = lines.join("\n").trim().to_owned();
        let heading = match heading.is_empty() {
            true => content.lines().next().unwrap_or_default().trim_start_matches('#').trim().chars().take(TITLE).collect(),
            false => heading,
        };
        let mut record = Record::from_iter([(title.name.clone(), Value::from(heading))]);
        if let Some(body) = body {
            record.insert(body.name.clone(), content.into());
        }
        record
    };
    sections.into_iter().map(record).collect()
}

fn item(table: &TableSpec, title: &str, line: &str) -> Option<Record> {
    let rest = ["- ", "* ", "+ "].into_iter().find_map(|mark| line.trim_start().strip_prefix(mark))?.trim();
    let (done, rest) = match rest.split_once(']') {
        Some(("[ ", rest)) => (false, rest),
        Some(("[x" | "[X", rest)) => (true, rest),
        _ => (false, rest),
    };
    let mut record = Record::from_iter([(title.to_owned(), Value::from(rest.trim()))]);
    if let Some(field) = table.done.as_ref().filter(|_| done) {
        record.insert(field.clone(), true.into());
    }
    (!rest.trim().is_empty()).then_some(record)
}

/// What [`read`] reads.
pub fn write(table: &TableSpec, record: &Record) -> String {
    let Some(title) = table.role(FieldRole::Title) else { return String::new() };
    let body = table.role(FieldRole::Text).filter(|field| field.name != title.name);
    let heading = text(record.get(&title.name)).replace(['\r', '\n'], " ");
    match (&table.done, body) {
        (Some(done), _) => {
            let mark = if record.get(done) == Some(&Value::Bool(true)) { "x" } else { " " };
            format!("- [{mark}] {heading}\n")
        }
        (None, Some(body)) => format!("# {heading}\n\n{}\n\n", text(record.get(&body.name)).trim_end()),
        (None, None) => format!("- {heading}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Modules;
    use serde_json::json;

    fn check(table: &str, given: &str, expected: Value) {
        let modules = Modules::builtin();
        let table = modules.table(table).unwrap();
        let records: Vec<Value> = read(table, given).into_iter().map(Value::Object).collect();
        assert_eq!(Value::Array(records), expected, "{given}");
    }

    #[test]
    fn headings_begin_notes_and_items_are_tasks() {
        let notes = "# One\n\nText\n\n```sh\n# no heading\n```\n# Two\n";
        check(
            "notes/notes",
            notes,
            json!([{"title": "One", "content": "Text\n\n```sh\n# no heading\n```"}, {"title": "Two", "content": ""}]),
        );
        check("notes/notes", "Just a text.\nMore", json!([{"title": "Just a text.", "content": "Just a text.\nMore"}]));
        check("notes/notes", "A list:\n- one", json!([{"title": "A list:", "content": "A list:\n- one"}]));
        check("todo/tasks", "Today\n- [ ] Bread\n* [x] Milk\n- ", json!([{"title": "Bread"}, {"title": "Milk", "isCompleted": true}]));
        check("habits/habits", "- Stretch\n- Read\n", json!([{"title": "Stretch"}, {"title": "Read"}]));
        check("notes/notes", "  \n", json!([]));
    }

    #[test]
    fn what_is_written_reads_back() {
        let modules = Modules::builtin();
        for (table, given) in [("notes/notes", "# One\n\nText\n\n# Two\n\nMore\n\n"), ("todo/tasks", "- [ ] Bread\n- [x] Milk\n")] {
            let table = modules.table(table).unwrap();
            let written: String = read(table, given).iter().map(|record| write(table, record)).collect();
            assert_eq!(written, given);
        }
    }
}
