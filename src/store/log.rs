//! Rows of the change log, as they are appended and read (docs/design.md, section 2).

use std::collections::BTreeSet;

use crate::domain::change::Change;
use crate::domain::ids::UserId;
use crate::domain::limits::Unusable;

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Appended {
    /// Rows that are new in the log.
    pub added: u64,
    /// Rows whose event id the log already had.
    pub known: u64,
}

impl Appended {
    /// Counts rows, each new or known.
    pub(super) fn of(are_new: impl IntoIterator<Item = bool>) -> Self {
        let mut appended = Appended::default();
        appended.count(are_new);
        appended
    }

    /// Counts further rows.
    pub(super) fn count(&mut self, are_new: impl IntoIterator<Item = bool>) {
        for is_new in are_new {
            self.added += u64::from(is_new);
            self.known += u64::from(!is_new);
        }
    }
}

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub struct Pull {
    pub user_id: UserId,
    pub app_id: String,
    /// Only these tables; none: all of the app.
    pub tables: BTreeSet<String>,
    /// The cursor: rows after this `sync_at`, in microseconds.
    pub since: i64,
    /// The client that asks; its own rows are passed over.
    pub not_client: Option<String>,
    /// Rows that a page has at most.
    pub limit: usize,
}

/// Rows in the order of the log, and the cursor that accounts for all that were looked at.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    pub rows: Vec<LogRow>,
    /// Microseconds.
    pub synced_until: i64,
    /// Whether there may be more.
    pub has_more: bool,
}

/// What a push did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PushOutcome {
    pub appended: Appended,
    /// What is new for the client, where it was read with the push: it is short, and the client was here a moment ago.
    pub page: Option<Page>,
}

/// A row with its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRow {
    pub seq: i64,
    /// Microseconds, strictly increasing with `seq`.
    pub sync_at: i64,
    /// `created_at` is always set.
    pub change: Change,
}

/// A row that is kept in the file and not used: it breaks a limit, or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {seq} of the log is set aside: {why}")]
pub struct SetAside {
    pub seq: i64,
    pub why: Unusable,
}

/// Which rows a reader of the log wants; `None` takes all.
#[derive(Debug, Clone, Default)]
pub struct RowFilter {
    pub user: Option<UserId>,
    pub app: Option<String>,
    pub table: Option<String>,
}
