//! Lines of a file, one at a time, none longer than a small machine can hold.

use std::io::{BufRead, Read};

use super::{BadLine, ImportError};

/// The longest row that is read, in bytes; a push takes no more than 10 MB.
pub(super) const LONGEST: usize = 32 * 1024 * 1024;

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

    /// Appends the next line, with its end, to a text that began in line `first`; `false` at the end of the file.
    pub fn append(&mut self, text: &mut Vec<u8>, first: u64) -> Result<bool, ImportError> {
        let room = (LONGEST + 1).saturating_sub(text.len());
        let read = (&mut self.file).take(room as u64).read_until(b'\n', text).map_err(ImportError::Read)?;
        self.read += u64::from(read > 0);
        if text.len() > LONGEST {
            let reason = format!("longer than {} MB, or a quote in it is never closed", LONGEST / 1024 / 1024);
            return Err(ImportError::Broken(BadLine { line: first, reason }));
        }
        Ok(read > 0)
    }
}
