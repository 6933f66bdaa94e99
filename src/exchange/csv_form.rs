//! CSV as `COPY sync_changes TO STDOUT WITH (FORMAT csv, HEADER)` writes it and `COPY … FROM` takes it, each column to the byte.

use std::io::BufRead;

use jiff::Timestamp;

use super::csv::{Cell, CsvRows, join};
use super::{BadLine, ExchangeRow, ImportError, Reading};
use crate::domain::change::{BadChange, Change, Verbatim};
use crate::domain::json;
use crate::domain::raw::{Raw, RawRecord};

/// Columns by their name in Postgres, with the field of the JSONL form, and whether they hold JSON. An export has them in
/// this order, without those of [`NOT_EXPORTED`].
const COLUMNS: [(&str, &str, bool); 17] = [
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
    ("seq", "seq", true),
    ("sync_at", "syncAt", false),
];

/// An older name, and the place in a log, which each log gives anew.
const NOT_EXPORTED: [&str; 3] = ["field_timestamps", "seq", "sync_at"];

const REQUIRED: [&str; 6] = ["app_id", "table_name", "record_id", "user_id", "op", "created_at"];

type Column = Option<(&'static str, &'static str, bool)>;

pub(super) fn rows(file: Box<dyn BufRead + Send>) -> Result<Reading<ExchangeRow>, ImportError> {
    let mut rows = CsvRows::new(file);
    let header: Vec<String> = match rows.next().transpose()? {
        Some((_, cells)) => cells.into_iter().map(Option::unwrap_or_default).collect(),
        None => Vec::new(),
    };
    if let Some(missing) = REQUIRED.iter().find(|name| !header.iter().any(|column| column == **name)) {
        let reason =
            format!("the file is neither JSONL, which starts with {{, nor a CSV with the columns of sync_changes: `{missing}` is missing");
        return Err(BadLine { line: 1, reason }.into());
    }
    if let Some(twice) = header.iter().enumerate().find_map(|(n, name)| header[..n].contains(name).then_some(name)) {
        return Err(BadLine { line: 1, reason: format!("the column `{twice}` is there twice") }.into());
    }
    let column = |name: &String| COLUMNS.into_iter().find(|(column, ..)| column == name);
    let columns: Vec<Column> = header.iter().map(column).collect();
    let unknown = header.into_iter().filter(|name| column(name).is_none()).collect();
    let changes = rows.map(move |row| {
        let (line, cells) = row?;
        read_row(line, cells, &columns).map_err(|reason| BadLine { line, reason }.into())
    });
    Ok(Reading { changes: Box::new(changes), unknown })
}

fn read_row(line: u64, cells: Vec<Cell>, columns: &[Column]) -> Result<ExchangeRow, String> {
    if cells.len() != columns.len() {
        let what = format!("the row has {} columns, the header has {}", cells.len(), columns.len());
        return Err(BadChange::NotAnObject(what).to_string());
    }
    let mut object = RawRecord::new();
    let mut verbatim = Verbatim::default();
    for (cell, column) in cells.into_iter().zip(columns) {
        let (Some((name, field, json)), Some(text)) = (column, cell) else { continue };
        if !*json {
            object.insert((*field).to_owned(), text);
            continue;
        }
        let text = json::whole(text);
        let value: Raw =
            json::read(text.as_bytes()).map_err(|error| BadChange::NotAnObject(format!("column `{name}`: {error}")).to_string())?;
        object.insert((*field).to_owned(), value);
        match *name {
            "data" => verbatim.data = Some(text),
            "field_meta" => verbatim.field_meta = Some(text),
            "field_timestamps" if verbatim.field_meta.is_none() => verbatim.field_meta = Some(text),
            "actor" => verbatim.actor = Some(text),
            _ => {}
        }
    }
    Ok(ExchangeRow { line, object, verbatim: Some(verbatim) })
}

/// The first line of an export.
pub fn header() -> String {
    join(COLUMNS.iter().map(|(name, ..)| Some(*name)).filter(|name| !NOT_EXPORTED.contains(&name.unwrap_or_default())))
}

/// A change as a line of an export.
pub fn row(change: &Change) -> String {
    let texts = change.texts();
    let created_at = change.created_at.map(postgres_time);
    let schema_version = change.schema_version.to_string();
    join([
        Some(change.event_id.as_str()),
        Some(&change.app_id),
        Some(&change.table),
        Some(&change.record_id),
        Some(&change.user_id),
        change.space_id.as_deref(),
        Some(change.op.as_str()),
        texts.data.as_deref(),
        texts.field_meta.as_deref(),
        Some(&change.client_id),
        created_at.as_deref(),
        Some(&schema_version),
        texts.actor.as_deref(),
        change.origin.as_deref(),
    ])
}

/// The form that Postgres writes for UTC: `2026-04-15 08:00:00.010000+00`.
fn postgres_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.6f+00").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_kept_to_the_byte() {
        let odd = r##"00000000-0000-4000-8000-000000000001,ai,t,r,u,"",update,"{""b"": 0.10,  ""a"": 12345678901234567890123}",null,"",1969-12-31 23:59:59.000001+00,1,"{ ""k"":1 }",user"##;
        let nulls = "00000000-0000-4000-8000-000000000001,ai,t,r,u,,delete,,,c,2026-04-15 08:00:00.000000+00,1,,";
        for line in [odd, nulls] {
            let file = format!("{}\n{line}\n", header());
            let mut reading = rows(Box::new(std::io::Cursor::new(file))).unwrap();
            assert_eq!(row(reading.changes.next().unwrap().unwrap().admit().unwrap().change()), line);
        }
    }

    #[test]
    fn columns_that_the_log_does_not_have_are_named() {
        let file = "seq,app_id,table_name,record_id,user_id,op,created_at,shard,sync_at
";
        assert_eq!(rows(Box::new(std::io::Cursor::new(file))).unwrap().unknown, ["shard"]);
    }
}
