//! Rows that wait in a file until all of them are known, and then enter the log at once.
//!
//! An import reads its input for as long as that takes and keeps nobody waiting meanwhile; the writer only copies. The file
//! has no name, so that it is gone with the process, however that ends.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use uuid::Uuid;

use super::{Store, StoreError, StoreResult};
use crate::domain::limits::{Admitted, Stored};
use crate::domain::merge::future_stamps;
use crate::domain::time;
use crate::store::Appended;
use crate::store::tx::{NewRow, Tx};

/// The length that stands for null.
const NULL: u32 = u32::MAX;
/// Rows that are appended together; between two such lots there is a report.
const ROWS_AT_ONCE: usize = 200;
/// The name that the file has for a moment.
const PREFIX: &str = "import-";
const SUFFIX: &str = ".part";

/// Changes that were put to the limits and wait to be appended.
pub struct Staging {
    file: BufWriter<File>,
    database: PathBuf,
    rows: u64,
    replaced: u64,
    future: u64,
    now: Timestamp,
}

impl Store {
    /// Begins to stage changes at `now`, in a file of the data directory that only its owner can read. It blocks.
    ///
    /// # Errors
    /// When no file can be made there.
    pub fn stage(&self, now: Timestamp) -> StoreResult<Staging> {
        let database = self.path().to_owned();
        let dir = &self.shared.dir;
        sweep(dir);
        let name = dir.join(format!("{PREFIX}{}{SUFFIX}", Uuid::new_v4().simple()));
        let made = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&name);
        let file = made.and_then(|file| std::fs::remove_file(&name).map(|()| file)).map_err(|error| unusable(&database, &error))?;
        Ok(Staging { file: BufWriter::with_capacity(256 * 1024, file), database, rows: 0, replaced: 0, future: 0, now })
    }

    /// Appends what was staged in one transaction, in its order; changes whose event id their user's log has are passed over.
    /// `progress` hears from time to time how many were looked at.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is kept then.
    pub async fn append_staged(&self, staging: Staging, progress: impl Fn(u64) + Send + 'static) -> StoreResult<Appended> {
        let Staging { file, database, rows, replaced, future, .. } = staging;
        let file = file.into_inner().map_err(|error| unusable(&database, error.error()))?;
        self.write(move |tx| {
            let failed = |error: std::io::Error| unusable(&database, &error);
            let mut file = BufReader::with_capacity(256 * 1024, file);
            file.rewind().map_err(failed)?;
            let mut appended = Appended::default();
            let mut some: Vec<StagedRow> = Vec::new();
            for first in (0..rows).step_by(ROWS_AT_ONCE) {
                some.resize_with((rows - first).min(ROWS_AT_ONCE as u64) as usize, StagedRow::default);
                some.iter_mut().try_for_each(|row| row.read(&mut file)).map_err(failed)?;
                let new = some.iter().map(|row| Ok(row.new_row(Tx::next_sync_at(tx)?))).collect::<StoreResult<Vec<_>>>()?;
                appended.count(tx.insert(&new)?.iter().map(Option::is_some));
                progress(first);
            }
            tx.count_oddities(replaced, future);
            Ok(appended)
        })
        .await
    }
}

impl Staging {
    /// Adds a change. It blocks.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, change: &Admitted) -> StoreResult<()> {
        self.rows += 1;
        self.replaced += change.replaced();
        self.future += future_stamps(&change.change().field_meta, self.now);
        let created_at = change.change().created_at.map_or(i64::MIN, time::to_micros);
        write(&mut self.file, &change.stored(), created_at).map_err(|error| unusable(&self.database, &error))
    }

    /// How many were added.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// In how many of their texts something was replaced that no text can hold.
    pub fn replaced(&self) -> u64 {
        self.replaced
    }
}

/// Texts of a staged row, in the order of [`texts`].
const TEXTS: usize = 12;

fn texts<'a>(row: &Stored<'a>) -> [Option<&'a str>; TEXTS] {
    [
        Some(row.event_id),
        Some(row.app_id),
        Some(row.table),
        Some(row.record_id),
        Some(row.user_id),
        row.space_id,
        Some(row.op),
        row.data,
        Some(row.field_meta),
        Some(row.client_id),
        row.actor,
        row.origin,
    ]
}

fn write(file: &mut impl Write, row: &Stored<'_>, created_at: i64) -> std::io::Result<()> {
    for text in texts(row) {
        match text {
            None => file.write_all(&NULL.to_le_bytes())?,
            Some(text) => {
                // The limits of a row are far below.
                let length = u32::try_from(text.len()).map_err(|_| ErrorKind::InvalidInput)?;
                file.write_all(&length.to_le_bytes())?;
                file.write_all(text.as_bytes())?;
            }
        }
    }
    file.write_all(&created_at.to_le_bytes())?;
    file.write_all(&row.schema_version.to_le_bytes())
}

/// A row as it comes back; its texts are used again for the next.
#[derive(Default)]
struct StagedRow {
    texts: [String; TEXTS],
    is_null: [bool; TEXTS],
    created_at: i64,
    schema_version: i64,
}

impl StagedRow {
    fn read(&mut self, file: &mut impl Read) -> std::io::Result<()> {
        for (text, is_null) in self.texts.iter_mut().zip(&mut self.is_null) {
            let mut length = [0; 4];
            file.read_exact(&mut length)?;
            let length = u32::from_le_bytes(length);
            *is_null = length == NULL;
            text.clear();
            if !*is_null {
                let read = file.by_ref().take(length.into()).read_to_string(text)?;
                if read != length as usize {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
            }
        }
        for number in [&mut self.created_at, &mut self.schema_version] {
            let mut bytes = [0; 8];
            file.read_exact(&mut bytes)?;
            *number = i64::from_le_bytes(bytes);
        }
        Ok(())
    }

    fn new_row(&self, sync_at: i64) -> NewRow<'_> {
        let text = |at: usize| self.texts[at].as_str();
        let optional = |at: usize| (!self.is_null[at]).then_some(text(at));
        let row = Stored {
            event_id: text(0),
            app_id: text(1),
            table: text(2),
            record_id: text(3),
            user_id: text(4),
            space_id: optional(5),
            op: text(6),
            data: optional(7),
            field_meta: text(8),
            client_id: text(9),
            actor: optional(10),
            origin: optional(11),
            schema_version: self.schema_version,
        };
        let created_at = if self.created_at == i64::MIN { sync_at } else { self.created_at };
        NewRow { row, created_at, sync_at }
    }
}

/// A process that was killed between making its file and taking the name away has left an empty file.
fn sweep(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
        let is_ours = id.is_some_and(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if is_ours && entry.metadata().is_ok_and(|file| file.is_file() && file.len() == 0) {
            // Another import may be taking its name away at this moment.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn unusable(database: &Path, error: &std::io::Error) -> StoreError {
    let path = database.to_owned();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full { path },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path },
        _ => StoreError::Io { path, reason: error.to_string() },
    }
}
