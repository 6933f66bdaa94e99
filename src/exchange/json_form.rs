//! JSONL: one change a line.

use std::io::BufRead;

use super::lines::{LONGEST, Line, Lines};
use super::{BadLine, ExchangeRow, ImportError};
use crate::domain::change::BadChange;
use crate::domain::json;
use crate::domain::raw::RawRecord;

pub(super) struct JsonRows {
    lines: Lines,
    ended: bool,
    text: Vec<u8>,
}

impl JsonRows {
    pub fn new(file: Box<dyn BufRead + Send>) -> Self {
        JsonRows { lines: Lines::new(file), ended: false, text: Vec::new() }
    }
}

impl Iterator for JsonRows {
    type Item = Result<ExchangeRow, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            self.text.clear();
            let line = self.lines.read + 1;
            let read = self.lines.append(&mut self.text).and_then(|read| match read {
                Line::TooLong => self.lines.skip().map(|()| read),
                _ => Ok(read),
            });
            match read {
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
                Ok(Line::End) => self.ended = true,
                Ok(Line::TooLong) => {
                    let reason = format!("longer than {} MB", LONGEST / 1024 / 1024);
                    return Some(Err(BadLine { line, reason }.into()));
                }
                Ok(Line::Read) if self.text.trim_ascii().is_empty() => {}
                Ok(Line::Read) => return Some(row(line, &self.text).map_err(Into::into)),
            }
        }
        None
    }
}

fn row(line: u64, text: &[u8]) -> Result<ExchangeRow, BadLine> {
    // Each line is parsed alone, so serde always calls it line 1.
    let not_json = |error: serde_json::Error| BadChange::NotAnObject(error.to_string().replace(" at line 1 column ", " at column "));
    let object: RawRecord = json::read(text.trim_ascii()).map_err(|error| BadLine { line, reason: not_json(error).to_string() })?;
    Ok(ExchangeRow { line, object, verbatim: None })
}
