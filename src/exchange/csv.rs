//! CSV as Postgres speaks it (its manual, COPY, "CSV Format"): an empty cell is null, and `""` is an empty text. Libraries
//! for CSV read both alike, which would lose the difference.

use std::io::BufRead;

use super::lines::{LONGEST, Line, Lines};
use super::{BadLine, ImportError};

/// A cell; `None` is null.
pub(super) type Cell = Option<String>;

/// The rows of a file, each with the number of its first line.
pub(super) struct CsvRows {
    lines: Lines,
    ended: bool,
}

impl CsvRows {
    pub fn new(file: Box<dyn BufRead + Send>) -> Self {
        CsvRows { lines: Lines::new(file), ended: false }
    }

    /// Reads lines until no quote is open.
    fn row(&mut self, text: &mut Vec<u8>) -> Result<(), ImportError> {
        let (first, mut looked_at, mut quotes) = (self.lines.read + 1, 0, 0);
        loop {
            let line = self.lines.append(text)?;
            if line == Line::TooLong {
                let reason = format!("longer than {} MB, or a quote in it is never closed", LONGEST / 1024 / 1024);
                return Err(ImportError::Broken(BadLine { line: first, reason }));
            }
            quotes += text[looked_at..].iter().filter(|byte| **byte == b'"').count();
            looked_at = text.len();
            if quotes % 2 == 0 {
                return Ok(());
            }
            if line == Line::End {
                return Err(ImportError::Broken(BadLine { line: first, reason: "a quote of this row is never closed".into() }));
            }
        }
    }
}

impl Iterator for CsvRows {
    type Item = Result<(u64, Vec<Cell>), ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut text = Vec::new();
        while !self.ended {
            text.clear();
            let line = self.lines.read + 1;
            if let Err(error) = self.row(&mut text) {
                self.ended = true;
                return Some(Err(error));
            }
            let row = text.strip_suffix(b"\n").map_or(text.as_slice(), |row| row.strip_suffix(b"\r").unwrap_or(row));
            // Postgres may close its data with this line.
            if text.is_empty() || row == b"\\." {
                self.ended = true;
            } else if !row.is_empty() {
                let cells = split(row).into_iter().map(|cell| cell.map(String::from_utf8).transpose()).collect::<Result<_, _>>();
                let not_utf8 = |error| BadLine { line, reason: format!("the row is not UTF-8: {error}") }.into();
                return Some(cells.map(|cells| (line, cells)).map_err(not_utf8));
            }
        }
        None
    }
}

fn split(row: &[u8]) -> Vec<Option<Vec<u8>>> {
    let (mut cells, mut cell) = (Vec::new(), Vec::new());
    let (mut quoted, mut open) = (false, false);
    let mut bytes = row.iter().copied().peekable();
    loop {
        match bytes.next() {
            Some(b'"') if open && bytes.next_if_eq(&b'"').is_some() => cell.push(b'"'),
            Some(b'"') => (open, quoted) = (!open, true),
            Some(byte) if open || byte != b',' => cell.push(byte),
            end => {
                let text = std::mem::take(&mut cell);
                cells.push(if text.is_empty() && !quoted { None } else { Some(text) });
                quoted = false;
                if end.is_none() {
                    return cells;
                }
            }
        }
    }
}

/// Writes a row, without the end of its line.
pub(super) fn join<'a>(cells: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let mut row = String::new();
    for (n, cell) in cells.into_iter().enumerate() {
        if n > 0 {
            row.push(',');
        }
        match cell {
            None => {}
            Some(text) if text.is_empty() || text.contains([',', '"', '\n', '\r', '\\']) => {
                row.push('"');
                row += &text.replace('"', "\"\"");
                row.push('"');
            }
            Some(text) => row += text,
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<Result<(u64, Vec<Cell>), String>> {
        let rows = CsvRows::new(Box::new(std::io::Cursor::new(text.to_owned())));
        rows.map(|row| row.map_err(|error| error.to_string().split(';').next().unwrap_or_default().to_owned())).collect()
    }

    fn check(text: &str, expected: &[(u64, &[Option<&str>])]) {
        let expected: Vec<_> =
            expected.iter().map(|(line, cells)| Ok((*line, cells.iter().map(|c| c.map(str::to_owned)).collect()))).collect();
        assert_eq!(read(text), expected, "{text:?}");
    }

    #[test]
    fn null_is_not_an_empty_text() {
        check("a,,\"\"\n", &[(1, &[Some("a"), None, Some("")])]);
        check(",\r\n,\"\"", &[(1, &[None, None]), (2, &[None, Some("")])]);
    }

    #[test]
    fn quoted_cells_hold_anything() {
        check("\"a\"\"b,\nc\r\n\",d\n\ne\n", &[(1, &[Some("a\"b,\nc\r\n"), Some("d")]), (5, &[Some("e")])]);
        check("x\"y,z\"\"\",\"\\.\"\n\\.\nafter", &[(1, &[Some("xy,z\""), Some("\\.")])]);
        check(" a ,\" b \"", &[(1, &[Some(" a "), Some(" b ")])]);
    }

    #[test]
    fn a_quote_that_stays_open_is_named_by_its_line() {
        assert_eq!(read("a\n\nb,\"c\nd\n"), [Ok((1, vec![Some("a".into())])), Err("line 3: a quote of this row is never closed".into())]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(rows in prop::collection::vec(prop::collection::vec(prop::option::of(any::<String>()), 2..6), 1..6)) {
            let text: String = rows.iter().map(|row| join(row.iter().map(Option::as_deref)) + "\n").collect();
            let read: Vec<Vec<Cell>> = read(&text).into_iter().map(|row| row.unwrap().1).collect();
            prop_assert_eq!(read, rows);
        }
    }
}
