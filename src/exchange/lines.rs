//! Lines of a file, one at a time, none longer than a small machine can hold.

use std::io::{BufRead, Read};

use super::ImportError;
use crate::domain::limits::MAX_ROW_BYTES;

/// The longest row that is read, in bytes: the longest that an export writes, where each byte of a row may become an escape of
/// six, and what else a line has.
pub(super) const LONGEST: usize = 6 * MAX_ROW_BYTES + 1024 * 1024;

/// What reading a line came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Read,
    /// The text has more than [`LONGEST`] bytes now, and the line goes on.
    TooLong,
    End,
}

/// The lines of a file, counted.
pub(super) struct Lines {
    file: Box<dyn BufRead + Send>,
    /// How many were read.
    pub read: u64,
}

impl Lines {
    pub fn new(file: Box<dyn BufRead + Send>) -> Self {
        Lines { file, read: 0 }
    }

    /// Appends the next line, with its end, to a text.
    pub fn append(&mut self, text: &mut Vec<u8>) -> Result<Line, ImportError> {
        let room = (LONGEST + 1).saturating_sub(text.len());
        let read = (&mut self.file).take(room as u64).read_until(b'\n', text).map_err(ImportError::Read)?;
        self.read += u64::from(read > 0);
        Ok(match read {
            _ if text.len() > LONGEST => Line::TooLong,
            0 => Line::End,
            _ => Line::Read,
        })
    }

    /// Passes over what is left of a line that was too long.
    pub fn skip(&mut self) -> Result<(), ImportError> {
        self.file.skip_until(b'\n').map(drop).map_err(ImportError::Read)
    }
}
