//! CSV as `COPY sync_changes TO STDOUT WITH (FORMAT csv, HEADER)` writes it; an empty cell is null.

use std::io::BufRead;

use csv::{ReaderBuilder, StringRecord};
use serde_json::Value;

use super::{BadLine, Changes, ImportError, new_id};
use crate::domain::change::{BadChange, Change, from_json};
use crate::domain::merge::Record;

/// Columns by their name in Postgres, with the field of the JSONL form, and whether they hold JSON.
const COLUMNS: [(&str, &str, bool); 15] = [
    ("id", "eventId", false),
    ("app_id", "appId", false),
    ("table_name", "table", false),
    ("record_id", "recordId", false),
    ("user_id", "userId", false),
    ("space_id", "spaceId", false),
    ("op", "op", false),
    ("data", "data", true),
    ("field_meta", "fieldMeta", true),
    ("field_timestamps", "fieldTimestamps", true),
    ("client_id", "clientId", false),
    ("created_at", "createdAt", false),
    ("schema_version", "schemaVersion", true),
    ("actor", "actor", true),
    ("origin", "origin", false),
];

const REQUIRED: [&str; 6] = ["app_id", "table_name", "record_id", "user_id", "op", "created_at"];

type Column = Option<(&'static str, &'static str, bool)>;

pub(super) fn rows(file: Box<dyn BufRead + Send>) -> Result<Changes, ImportError> {
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(file);
    let header = reader.headers().map_err(error)?;
    if let Some(missing) = REQUIRED.iter().find(|name| !header.iter().any(|column| column == **name)) {
        let reason =
            format!("the file is neither JSONL, which starts with {{, nor a CSV with the columns of sync_changes: `{missing}` is missing");
        return Err(BadLine { line: 1, reason }.into());
    }
    let columns: Vec<Column> = header.iter().map(|name| COLUMNS.into_iter().find(|(column, ..)| *column == name)).collect();
    Ok(Box::new(reader.into_records().map(move |row| {
        let row = row.map_err(error)?;
        let line = row.position().map_or(0, csv::Position::line);
        change(&row, &columns).map_err(|bad| BadLine::new(line, &bad).into())
    })))
}

fn change(row: &StringRecord, columns: &[Column]) -> Result<Change, BadChange> {
    if row.len() != columns.len() {
        return Err(BadChange::NotAnObject(format!("the row has {} columns, the header has {}", row.len(), columns.len())));
    }
    let mut object = Record::new();
    for (cell, column) in row.iter().zip(columns) {
        let Some((name, field, json)) = column else { continue };
        let value = match cell {
            "" => Value::Null,
            text if *json => serde_json::from_str(text).map_err(|error| BadChange::NotAnObject(format!("column `{name}`: {error}")))?,
            text => Value::String(text.to_owned()),
        };
        object.insert((*field).to_owned(), value);
    }
    from_json(object, new_id)
}

fn error(error: csv::Error) -> ImportError {
    let line = error.position().map_or(1, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(error) => ImportError::Read(error),
        csv::ErrorKind::Utf8 { err, .. } => BadLine { line, reason: format!("the row is not UTF-8: {err}") }.into(),
        other => BadLine { line, reason: format!("{other:?}") }.into(),
    }
}
