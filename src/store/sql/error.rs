//! Errors of SQLite, sorted by what their user can do about them.

use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::types::Type;

use super::StoreError;
use crate::store::postgres;

/// Own data that cannot be read, on its way through SQLite.
#[derive(Debug, thiserror::Error)]
#[error("{what} cannot be read: {reason}")]
pub(super) struct Unreadable {
    what: String,
    reason: String,
}

impl Unreadable {
    /// `what` names the row.
    pub fn new(what: String, reason: &impl ToString) -> Self {
        Unreadable { what, reason: reason.to_string() }
    }
}

impl From<Unreadable> for rusqlite::Error {
    fn from(unreadable: Unreadable) -> Self {
        rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(unreadable))
    }
}

/// Sorts an error of SQLite by what its user can do about it.
pub(in crate::store) fn store_error(path: &Path, error: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    if let rusqlite::Error::FromSqlConversionFailure(_, _, cause) = &error
        && let Some(Unreadable { what, reason }) = cause.downcast_ref()
    {
        return StoreError::Unreadable { path, what: what.clone(), reason: reason.clone() };
    }
    if let rusqlite::Error::ToSqlConversionFailure(cause) = &error
        && let Some(cause) = cause.downcast_ref()
    {
        return postgres::store_error(&path, cause);
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full { path },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy { path },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => StoreError::ReadOnly { path },
        Some(ErrorCode::NotADatabase) => StoreError::NotOurs { path },
        Some(ErrorCode::SystemIoFailure) => StoreError::Io { path, reason: error.to_string() },
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Corrupt { path, reason: error.to_string() },
        _ => StoreError::Engine { path, reason: error.to_string() },
    }
}

/// No reader could be had.
pub(super) fn no_reader(path: &Path, error: &r2d2::Error) -> StoreError {
    StoreError::Directory { path: path.to_owned(), reason: format!("no connection for reading ({error})") }
}
