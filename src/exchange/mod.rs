//! The change log as files: JSONL as clients write it, and CSV as Postgres writes and reads it (docs/design.md, section 2).
//!
//! This room turns bytes into changes, and names the line where it cannot, and changes into bytes. It must not know the database.

mod csv;
mod csv_form;
mod json_form;
mod lines;
mod packed;
mod row;

pub use csv_form::{header, row};
pub use packed::{Packer, Packing};
pub use row::ExchangeRow;

use std::io::BufRead;

use crate::domain::limits::Admitted;
use crate::store::StoreError;

/// A line that is not a change.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct BadLine {
    pub line: u64,
    pub reason: String,
}

/// Why an import stopped.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{0}; nothing of the file was kept. Correct the line, or keep the good lines with --skip-bad")]
    Line(#[from] BadLine),
    /// Where the next line begins cannot be told.
    #[error("{0}; nothing of the file was kept, since nothing after that can be told apart. Correct the line")]
    Broken(BadLine),
    #[error("the file cannot be read: {0}; nothing of it was kept")]
    Read(std::io::Error),
    #[error("the file is {0} text, and must be UTF-8; nothing of it was kept. Convert it first, as with `iconv -f {0} -t UTF-8`")]
    Encoding(&'static str),
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// The rows of a file, one after the other, each or why it is none.
pub type Rows<T> = Box<dyn Iterator<Item = Result<T, ImportError>> + Send>;

/// A file that is being read, as changes or as its rows before they are put to any rule.
pub struct Reading<T = Admitted> {
    pub changes: Rows<T>,
    /// Columns that the log does not have; what they hold is not kept.
    pub unknown: Vec<String>,
}

/// Reads a file in either form: JSONL where it starts with `{`, else CSV with a header; either may be compressed by gzip or
/// zstd.
///
/// # Errors
/// When the start of the file cannot be read, or is neither form.
pub fn read(file: Box<dyn BufRead + Send>) -> Result<Reading, ImportError> {
    let Reading { changes, unknown } = read_rows(file)?;
    Ok(Reading { changes: Box::new(changes.map(|row| Ok(row?.admit()?))), unknown })
}

/// Reads the rows of a file as they are, for those who want to tell of what an import would refuse or spell anew.
///
/// # Errors
/// When the start of the file cannot be read, or is neither form.
pub fn read_rows(file: Box<dyn BufRead + Send>) -> Result<Reading<ExchangeRow>, ImportError> {
    let mut file = packed::unpacked(file)?;
    let start = file.fill_buf().map_err(ImportError::Read)?;
    match start.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') | None => Ok(Reading { changes: Box::new(json_form::JsonRows::new(file)), unknown: Vec::new() }),
        Some(_) => csv_form::rows(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str) -> Vec<String> {
        match read(Box::new(std::io::Cursor::new(text.to_owned()))) {
            Err(error) => vec![error.to_string()],
            Ok(reading) => reading
                .changes
                .map(|change| match change {
                    Ok(change) => {
                        let mut json = serde_json::to_value(change.change()).unwrap();
                        json["eventId"] = "id".into();
                        json.to_string()
                    }
                    Err(ImportError::Line(bad) | ImportError::Broken(bad)) => bad.to_string(),
                    Err(other) => other.to_string(),
                })
                .collect(),
        }
    }

    const JSON: &str = r#"{"appId":"ai","table":"t","recordId":"r","userId":"u","op":"insert","data":{"a":"x, \"y\""},"fieldTimestamps":{"a":"2026-04-15T08:00:00.000Z"},"clientId":"c","createdAt":"2026-04-15T08:00:00.000001Z"}"#;

    #[test]
    fn both_forms_give_the_same_changes() {
        let csv = "seq,id,app_id,table_name,record_id,user_id,space_id,op,data,field_timestamps,client_id,created_at,actor,origin\n\
            7,00000000-0000-4000-8000-000000000001,ai,t,r,u,,insert,\"{\"\"a\"\": \"\"x, \\\"\"y\\\"\"\"\"}\",\"{\"\"a\"\": \"\"2026-04-15T08:00:00.000Z\"\"}\",c,2026-04-15 08:00:00.000001+00,,\n";
        assert_eq!(outcome(csv), outcome(JSON));
    }

    #[test]
    fn a_bad_line_is_named_and_the_next_is_read() {
        let broken = format!("{{\"op\": 1}}\n\n{JSON}\n{{\"half\": ");
        let lines = outcome(&broken);
        assert_eq!(lines[0], "line 1: `op` is the number 1, but must be a text");
        assert_eq!(lines[1], outcome(JSON)[0]);
        assert_eq!(lines[2], "line 4: not a JSON object: EOF while parsing a value at column 8");
    }

    #[test]
    fn a_file_of_neither_form_is_refused() {
        assert_eq!(
            outcome("hello\nworld\n"),
            ["line 1: the file is neither JSONL, which starts with {, nor a CSV with the columns of sync_changes: `app_id` is missing; \
              nothing of the file was kept. Correct the line, or keep the good lines with --skip-bad"]
        );
        assert!(outcome("").is_empty() && outcome("\u{feff}\n \n").is_empty());
    }

    #[test]
    fn a_bad_csv_row_is_named_by_its_line() {
        let csv = "id,app_id,table_name,record_id,user_id,op,data,client_id,created_at\n\
            00000000-0000-4000-8000-000000000001,ai,t,r,u,insert,\"{\"\"a\"\":\n1}\",c,2026-04-15 08:00:00+00\n\
            00000000-0000-4000-8000-000000000002,ai,t,r,u,insert,[oops,c,2026-04-15 08:00:00+00\n\
            too,few\n";
        let lines = outcome(csv);
        assert!(lines[0].starts_with('{'), "{lines:?}");
        assert!(lines[1].starts_with("line 4: not a JSON object: column `data`"), "{lines:?}");
        assert_eq!(lines[2], "line 5: not a JSON object: the row has 2 columns, the header has 9");
    }
}
