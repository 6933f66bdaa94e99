//! CSV with a header of field names or labels (RFC 4180); a semicolon may stand between cells, as spreadsheets in many
//! languages have it.

use serde_json::Value;

use super::super::TableSpec;
use super::{BadText, TextColumns, text, value};
use crate::domain::merge::Record;

pub fn read(columns: &TextColumns<'_>, given: &str) -> Result<Vec<Record>, BadText> {
    let header = given.lines().next().unwrap_or_default();
    let delimiter = if header.matches(';').count() > header.matches(',').count() { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(given.as_bytes());
    let broken = |error: csv::Error| {
        let line = error.position().map_or(1, |position| position.line() as usize);
        BadText::Csv { line, why: error.to_string() }
    };
    let names = reader.headers().map_err(broken)?.clone();
    let field = |name: &str| {
        let TableSpec { table, label: called, .. } = columns.table;
        let unknown = || BadText::NoField { table: table.clone(), called: called.clone(), name: name.to_owned() };
        columns.named(name).ok_or_else(unknown)
    };
    let fields: Vec<_> = names.iter().map(field).collect::<Result<_, _>>()?;
    let mut records = Vec::new();
    for row in reader.records() {
        let row = row.map_err(broken)?;
        let cells = fields.iter().zip(row.iter()).map(|(field, cell)| (field.name.clone(), value(field, cell)));
        let record: Record = cells.filter(|(_, value)| !value.is_null()).collect();
        if !record.is_empty() {
            records.push(record);
        }
    }
    Ok(records)
}

pub fn header(table: &TableSpec) -> String {
    line(table.fields.iter().map(|field| field.name.clone()).collect())
}

pub fn write(table: &TableSpec, record: &Record) -> String {
    line(table.fields.iter().map(|field| cell(record.get(&field.name))).collect())
}

fn line(cells: Vec<String>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // It is written into memory.
    let _ = writer.write_record(&cells);
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// A cell that no spreadsheet takes for a formula.
fn cell(value: Option<&Value>) -> String {
    let text = text(value);
    let is_formula = value.is_some_and(Value::is_string) && text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Modules;
    use serde_json::json;

    #[test]
    fn rows_are_records_by_their_header() {
        let modules = Modules::builtin();
        let table = modules.table("finance/transactions").unwrap();
        let read =
            |text: &str| read(&TextColumns::new(table, []), text).map(|records| records.into_iter().map(Value::Object).collect::<Vec<_>>());
        let expected: Value = serde_json::from_str(r#"{"type": "expense", "amount": 12.50, "description": "Tea, green"}"#).unwrap();
        assert_eq!(read("type,amount,description\nexpense,12.50,\"Tea, green\"\n").unwrap(), std::slice::from_ref(&expected));
        assert_eq!(read("Type;Amount;Description\nexpense;12.50;\"Tea, green\"\n;;\n").unwrap(), [expected]);
        let unknown = read("type,colour\nexpense,red\n").unwrap_err().to_string();
        assert_eq!(unknown, "line 1: Transactions have no field \"colour\"");
        assert!(read("type,amount\nexpense\n").unwrap_err().to_string().starts_with("line 2: "));
    }

    #[test]
    fn what_is_written_reads_back_and_is_no_formula() {
        let modules = Modules::builtin();
        let table = modules.table("habits/habits").unwrap();
        let record = json!({"title": "Read, \"a lot\"", "icon": "star", "color": "#fff", "targetPerDay": 2, "isArchived": false});
        let text = header(table) + &write(table, record.as_object().unwrap());
        assert_eq!(read(&TextColumns::new(table, []), &text).unwrap().into_iter().map(Value::Object).collect::<Vec<_>>(), [record]);
        assert!(write(table, json!({"title": "=1+1"}).as_object().unwrap()).contains("'=1+1"));
    }
}
