//! Tables for people, JSON lines for programs.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;

use crate::domain::time;
use crate::store::{Progress, SetAside};
pub(super) use crate::text::printable as safe;
use crate::text::{Mode, Printable, escaped};

/// Stdout for people; [`Write::flush`] before the end tells whether all was read.
pub(super) fn stdout() -> Printable<BufWriter<StdoutLock<'static>>> {
    Printable::new(raw_stdout(), Mode::Prose)
}

/// Stdout to the byte, for scripts and data that another program reads.
pub(super) fn raw_stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(64 * 1024, io::stdout().lock())
}

/// Writes one object a line.
pub(super) fn json_lines(lines: impl IntoIterator<Item = impl Serialize>) -> io::Result<()> {
    let mut out = raw_stdout();
    for line in lines {
        writeln!(out, "{}", escaped(&serde_json::to_string(&line)?))?;
    }
    out.flush()
}

/// Tells something beside the result, on stderr; where nobody can read it, nothing is lost.
pub(super) fn say(message: impl Display) {
    let line = format!("{message}\n");
    let _ = Printable::new(io::stderr().lock(), Mode::Prose).write_all(line.as_bytes());
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

/// Whether colors suit a stream.
pub(super) fn paints(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// A time for a table cell.
pub(super) fn when(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".into(), |at| time::iso_millis(at).replace(".000Z", "Z"))
}

/// A bar on stderr, hidden where that is no terminal.
pub(super) fn bar(template: &str, length: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr_with_hz(10));
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Rows that are told one by one.
const TOLD: usize = 20;

/// Says on stderr which rows of the log are kept and not used.
pub(super) fn tell_set_aside(rows: &[SetAside]) {
    for row in rows.iter().take(TOLD) {
        say(format_args!("{row}"));
    }
    if rows.len() > TOLD {
        say(format_args!("and {} rows more; `mana-ai check --json` lists them", rows.len() - TOLD));
    }
}

/// Lets work be stopped from outside.
#[derive(Clone, Default)]
pub(super) struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A bar for bytes whose number the work tells, and what stops the work.
pub(super) fn progress(what: &str) -> (ProgressBar, Progress, CancelToken) {
    let go_on = CancelToken::default();
    let stopped = go_on.clone();
    let bar = bar(&format!("{{bar:40}} {{bytes}} of about {{total_bytes}} {what}, {{eta}} left"), Some(0));
    let shown = bar.clone();
    let progress = move |done, total: u64| {
        shown.set_length(total.max(done));
        shown.set_position(done);
        !stopped.is_stopped()
    };
    (bar, Box::new(progress), go_on)
}
