//! A user's log as the rules of steps see it (docs/design.md, section 13).

use std::cell::RefCell;

use jiff::Timestamp;

use super::changes::{COLUMNS, RECORD, delta, place};
use super::linked::{Bounds, fold};
use super::{Store, StoreResult, automatic};
use crate::domain::ids::{AgentId, UserId};
use crate::domain::merge::{Delta, Fold, Record, Stamps};
use crate::modules::TableSpec;
use crate::modules::effects::Records;
use crate::steps::UserLog;
use crate::store::db::{self, Db, params};

/// How much of the log may be read of each record that a step is about.
const BOUNDS: Bounds = Bounds { rows: 100_000, bytes: 64 << 20, upto: i64::MAX };
/// Records that are looked through, at most.
const LOOKED_THROUGH: u32 = 100_000;

pub(super) const COUNT: &str = "SELECT count(*) FROM sync_changes WHERE seq IN (SELECT max(seq) FROM sync_changes WHERE user_id = ?1 \
     AND app_id = ?2 AND table_name = ?3 GROUP BY record_id) AND op <> 'delete'";
pub(super) const OLDEST: &str = "SELECT record_id FROM sync_changes WHERE user_id = ?1 AND app_id = ?2 AND table_name = ?3 \
     GROUP BY record_id ORDER BY min(seq) LIMIT ?4";
pub(super) const NEWEST: &str = "SELECT record_id FROM sync_changes WHERE user_id = ?1 AND app_id = ?2 AND table_name = ?3 \
     GROUP BY record_id ORDER BY min(seq) DESC LIMIT ?4";

impl Store {
    /// Looks at a user's log, all as of the same moment.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn look<T: Send + 'static>(
        &self,
        user: &UserId,
        now: Timestamp,
        look: impl FnOnce(&dyn UserLog) -> T + Send + 'static,
    ) -> StoreResult<T> {
        let user = user.to_owned();
        self.read(move |c| {
            let log = Logged::new(*c, &user, now);
            let seen = look(&log);
            log.end().map(|()| seen)
        })
        .await
    }
}

/// A user's log, read as it is asked for.
pub(super) struct Logged<'a> {
    connection: Db<'a>,
    user: &'a UserId,
    wall: Timestamp,
    /// The first error of the database. Whoever reads goes on as if nothing was there, and hears of it at the end.
    failed: RefCell<Option<db::Error>>,
}

impl<'a> Logged<'a> {
    pub fn new(connection: Db<'a>, user: &'a UserId, wall: Timestamp) -> Self {
        Logged { connection, user, wall, failed: RefCell::default() }
    }

    /// # Errors
    /// When something could not be read.
    pub fn end(self) -> db::Result<()> {
        self.failed.into_inner().map_or(Ok(()), Err)
    }

    fn read<T: Default>(&self, query: impl FnOnce(&Db<'_>) -> db::Result<T>) -> T {
        query(&self.connection).unwrap_or_else(|error| {
            self.failed.borrow_mut().get_or_insert(error);
            T::default()
        })
    }

    fn fold(&self, app: &str, table: &str, id: &str) -> Fold {
        let mut bounds = BOUNDS;
        self.read(|c| fold(c, self.user, app, table, id, &mut bounds)).unwrap_or_default()
    }
}

impl Records for Logged<'_> {
    fn record(&self, table: &TableSpec, id: &str) -> Option<Record> {
        self.fold(&table.app, &table.table, id).live().map(|(record, _)| record.read())
    }

    fn count(&self, table: &TableSpec) -> u64 {
        self.read(|c| c.prepare_cached(COUNT)?.query_row(params![self.user, table.app, table.table], |row| row.get(0)))
    }

    fn visit(&self, table: &TableSpec, newest_first: bool, visit: &mut dyn FnMut(&str, &Record) -> bool) {
        let ids: Vec<String> = self.read(|c| {
            let mut statement = c.prepare_cached(if newest_first { NEWEST } else { OLDEST })?;
            statement.query_map(params![self.user, table.app, table.table, LOOKED_THROUGH], |row| row.get(0))?.collect()
        });
        let mut shown = |id: &String| match self.fold(&table.app, &table.table, id).live() {
            Some((record, _)) => visit(id, &record.read()),
            None => true,
        };
        let _ = ids.iter().all(&mut shown);
    }
}

impl UserLog for Logged<'_> {
    fn wall(&self) -> Timestamp {
        self.wall
    }

    fn stamps(&self, app: &str, table: &str, id: &str) -> Stamps {
        match self.fold(app, table, id) {
            Fold::Known { stamps, .. } => stamps,
            _ => Stamps::new(),
        }
    }

    fn deleted(&self, app: &str, table: &str, id: &str) -> Option<Record> {
        match self.fold(app, table, id) {
            fold if fold.live().is_some() => None,
            Fold::Known { record, .. } => Some(record.read()),
            _ => None,
        }
    }

    fn rows(&self, app: &str, table: &str, id: &str) -> Vec<(String, Delta)> {
        self.read(|c| {
            let mut statement = c.prepare_cached(&RECORD.replace("{}", COLUMNS))?;
            let mut rows = statement.query(params![self.user, app, table, id])?;
            let mut found = Vec::new();
            while let Some(row) = &rows.next()?
                && found.len() < BOUNDS.rows
            {
                // A row that is set aside says nothing.
                if let Ok(delta) = delta(row)? {
                    found.push((row.get(place::ID)?, delta));
                }
            }
            Ok(found)
        })
    }

    fn automatic_since(&self, agent: &AgentId, tool: &str, since: Timestamp) -> u64 {
        self.read(|c| automatic::since(c, self.user, agent, tool, since))
    }
}
