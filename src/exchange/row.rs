//! A row of a file before it is put to any rule.

use super::BadLine;
use crate::domain::change::{Change, Verbatim, from_json, stamps_text};
use crate::domain::limits::{Admitted, admit};
use crate::domain::merge::FieldMeta;
use crate::domain::raw::RawRecord;

/// A row as it stands in the file, by the names of the JSONL form.
pub struct ExchangeRow {
    pub line: u64,
    pub object: RawRecord,
    /// The columns of a CSV that hold JSON.
    pub(super) verbatim: Option<Verbatim>,
}

impl ExchangeRow {
    /// The change that the row tells of.
    ///
    /// # Errors
    /// The first field that cannot be taken.
    pub fn read(self) -> Result<Change, BadLine> {
        let new_id = || uuid::Uuid::new_v4().to_string();
        let change = from_json(self.object, new_id).map_err(|bad| BadLine { line: self.line, reason: bad.to_string() })?;
        Ok(match self.verbatim {
            Some(verbatim) => kept_to_the_byte(change, verbatim),
            None => change,
        })
    }

    /// The change, put to the limits of the log.
    ///
    /// # Errors
    /// The first field that cannot be taken, or the first limit that it breaks.
    pub fn admit(self) -> Result<Admitted, BadLine> {
        let line = self.line;
        admit(self.read()?).map_err(|refusal| BadLine { line, reason: refusal.to_string() })
    }
}

/// A change with its columns as they were; stamps in a spelling that the log does not keep are spelled anew.
fn kept_to_the_byte(change: Change, mut verbatim: Verbatim) -> Change {
    let is_same = |text: &String| serde_json::from_str::<FieldMeta>(text).is_ok_and(|meta| meta.0 == change.field_meta);
    if verbatim.field_meta.as_ref().is_some_and(|text| !is_same(text)) {
        verbatim.field_meta = Some(stamps_text(&change.field_meta));
    }
    Change { verbatim: Some(Box::new(verbatim)), ..change }
}
