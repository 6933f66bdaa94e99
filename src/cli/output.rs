//! Tables for people, JSON lines for programs.

use std::io::{self, BufWriter, StdoutLock, Write};

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde_json::Value;

use crate::domain::time;

/// Buffered stdout; [`Write::flush`] before the end tells whether all was read.
pub(super) fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(64 * 1024, io::stdout().lock())
}

/// Writes one object a line.
pub(super) fn json_lines(lines: impl IntoIterator<Item = Value>) -> io::Result<()> {
    let mut out = stdout();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

/// Writes rows under a header, or what it means that there are none.
pub(super) fn table(header: &[&str], rows: Vec<Vec<String>>, none: &str) -> io::Result<()> {
    let mut out = stdout();
    if rows.is_empty() {
        writeln!(out, "{none}")?;
        return out.flush();
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic).set_header(header.to_vec());
    for row in rows {
        table.add_row(row.iter().map(|cell| safe(cell)).collect::<Vec<_>>());
    }
    writeln!(out, "{table}")?;
    out.flush()
}

/// A text of somebody else on one line: a control character in it must not reach the terminal.
pub(super) fn safe(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A time for a table cell.
pub(super) fn when(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".into(), |at| time::iso_millis(at).replace(".000Z", "Z"))
}
