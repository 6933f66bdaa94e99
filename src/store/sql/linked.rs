//! Records that something names, folded out of the log within bounds (docs/design.md, section 8).

use super::changes::{COLUMNS, RECORD, delta, place};
use super::{Store, StoreResult};
use crate::domain::ids::UserId;
use crate::domain::merge::{Fold, Stamps};
use crate::domain::raw::RawRecord;
use crate::store::db::{self, Db, Row, ValueRef, params};

/// A record that is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub app: String,
    /// Where it is looked for, in this order.
    pub tables: Vec<String>,
    pub id: String,
}

/// How much of the log may be read for one list of records.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub rows: usize,
    /// Bytes of JSON.
    pub bytes: usize,
    /// The last row that is seen.
    pub upto: i64,
}

/// What became of a wanted record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Linked<T> {
    /// It lives, and this was kept of it.
    Live(T),
    /// No row, or deleted.
    Absent,
    /// It lives, and nothing was kept of it.
    Refused,
    /// Its rows went beyond the bounds.
    TooLong,
}

impl Store {
    /// Folds records of one user, all as of the same moment; `keep` takes what is needed of the one at a place of the list,
    /// so that no more than one whole record is in memory.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn linked<T: Send + 'static>(
        &self,
        user: &UserId,
        wanted: Vec<Wanted>,
        mut bounds: Bounds,
        keep: impl Fn(usize, &str, &RawRecord, &Stamps) -> Option<T> + Send + 'static,
    ) -> StoreResult<Vec<Linked<T>>> {
        let user = user.to_owned();
        self.read(move |c| {
            let mut found = Vec::with_capacity(wanted.len());
            for (place, wanted) in wanted.iter().enumerate() {
                found.push(one(c, &user, wanted, &mut bounds, |table, record, stamps| keep(place, table, record, stamps))?);
            }
            Ok(found)
        })
        .await
    }
}

fn one<T>(
    connection: &Db<'_>,
    user: &UserId,
    wanted: &Wanted,
    bounds: &mut Bounds,
    keep: impl Fn(&str, &RawRecord, &Stamps) -> Option<T>,
) -> db::Result<Linked<T>> {
    for table in &wanted.tables {
        let Some(fold) = fold(connection, user, &wanted.app, table, &wanted.id, bounds)? else { return Ok(Linked::TooLong) };
        if let Some((record, stamps)) = fold.live() {
            return Ok(keep(table, record, stamps).map_or(Linked::Refused, Linked::Live));
        }
    }
    Ok(Linked::Absent)
}

/// Folds one record; `None` where that would go beyond the bounds. What was read counts.
pub(super) fn fold(connection: &Db<'_>, user: &UserId, app: &str, table: &str, id: &str, bounds: &mut Bounds) -> db::Result<Option<Fold>> {
    let mut fold = Fold::default();
    let mut statement = connection.prepare_cached(&RECORD.replace("{}", COLUMNS))?;
    let mut rows = statement.query(params![user, app, table, id])?;
    while let Some(row) = &rows.next()? {
        if row.get::<_, i64>(place::SEQ)? > bounds.upto {
            break;
        }
        let bytes = json_bytes(row)?;
        if bounds.rows == 0 || bounds.bytes < bytes {
            return Ok(None);
        }
        bounds.rows -= 1;
        bounds.bytes -= bytes;
        // A row that is set aside says nothing.
        if let Ok(delta) = delta(row)? {
            fold.apply(id, delta);
        }
    }
    Ok(Some(fold))
}

fn json_bytes(row: &Row<'_>) -> db::Result<usize> {
    let bytes = |column: usize| {
        row.get_ref(column).map(|value| match value {
            ValueRef::Text(text) | ValueRef::Blob(text) => text.len(),
            _ => 0,
        })
    };
    Ok(bytes(1)?.saturating_add(bytes(2)?))
}
