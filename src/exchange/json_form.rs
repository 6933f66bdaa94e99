//! JSONL: one change a line.

use std::io::BufRead;

use super::{BadLine, ImportError, new_id};
use crate::domain::change::{BadChange, Change, from_json};
use crate::domain::json;
use crate::domain::merge::Record;

pub(super) struct Lines {
    file: Box<dyn BufRead + Send>,
    line: u64,
    text: Vec<u8>,
}

impl Lines {
    pub fn new(file: Box<dyn BufRead + Send>) -> Self {
        Lines { file, line: 0, text: Vec::new() }
    }
}

impl Iterator for Lines {
    type Item = Result<Change, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.text.clear();
            self.line += 1;
            match self.file.read_until(b'\n', &mut self.text) {
                Err(error) => return Some(Err(ImportError::Read(error))),
                Ok(0) => return None,
                Ok(_) if self.text.trim_ascii().is_empty() => {}
                Ok(_) => return Some(change(&self.text).map_err(|bad| BadLine::new(self.line, &bad).into())),
            }
        }
    }
}

fn change(text: &[u8]) -> Result<Change, BadChange> {
    // Each line is parsed alone, so serde always calls it line 1.
    let not_json = |error: serde_json::Error| BadChange::NotAnObject(error.to_string().replace(" at line 1 column ", " at column "));
    let object: Record = json::read(text.trim_ascii()).map_err(not_json)?;
    from_json(object, new_id)
}
