//! What people write into the described tables themselves: the same rows as those of a step, in their own name.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::UserLog;
use super::carry::{Target, row};
use super::pending::Pending;
use crate::domain::actor;
use crate::domain::change::Op;
use crate::domain::field::DELETED_AT;
use crate::domain::ids::UserId;
use crate::domain::limits::{Admitted, admit};
use crate::domain::merge::Record;
use crate::domain::raw::RawRecord;
use crate::domain::time;
use crate::modules::effects::{Obstacle, RecordWrite, ToolCall, added, edited};
use crate::modules::{Modules, TableSpec};

/// The name of the calendar that a first event gets.
const CALENDAR: &str = "Calendar";

/// Somebody who writes, and into what.
pub struct OwnHand<'a> {
    pub modules: &'a Modules,
    pub user: &'a UserId,
    pub client: &'a str,
    pub zone: &'a TimeZone,
    pub now: Timestamp,
    pub log: &'a dyn UserLog,
}

impl OwnHand<'_> {
    /// The rows of new records of a table.
    ///
    /// # Errors
    /// Which of them cannot be added, from 0, and why.
    pub fn add(&self, table: &TableSpec, given: &[Record], next_id: impl FnMut() -> String) -> Result<Vec<Admitted>, (usize, Obstacle)> {
        Ok(self.add_each(given.iter().map(|record| (table, record)), next_id)?.1)
    }

    /// The ids of new records, each of its table, and their rows with those of what they need besides.
    ///
    /// # Errors
    /// Which of them cannot be added, from 0, and why.
    pub fn add_each<'g>(
        &self,
        given: impl IntoIterator<Item = (&'g TableSpec, &'g Record)>,
        mut next_id: impl FnMut() -> String,
    ) -> Result<(Vec<String>, Vec<Admitted>), (usize, Obstacle)> {
        let pending = Pending::new(self.log);
        let mut ids = Vec::new();
        for (n, (table, params)) in given.into_iter().enumerate() {
            let mut add = |table: &TableSpec, params: &Record| {
                let call = ToolCall { tool: "", params, user: self.user, space: None, now: self.now, zone: self.zone };
                added(self.modules, table, &call, &pending, &mut next_id)
            };
            let mut written = add(table, params);
            // The first event of somebody without a calendar.
            if let Err(Obstacle::NothingToChoose { table: missing }) = &written
                && let Some(calendars) = self.modules.tables().iter().find(|table| table.table == *missing && table.app == "calendar")
            {
                let first = json!({"name": CALENDAR, "isDefault": true});
                let made = add(calendars, first.as_object().unwrap_or(&Record::new())).map_err(|obstacle| (n, obstacle))?;
                made.into_iter().for_each(|write| pending.push(write));
                written = add(table, params);
            }
            let written = written.map_err(|obstacle| (n, obstacle))?;
            let own = written.iter().find(|write| write.app == table.app && write.table == table.table && write.op == Op::Insert);
            ids.push(own.map(|write| write.record_id.clone()).unwrap_or_default());
            written.into_iter().for_each(|write| pending.push(write));
        }
        let rows: Result<_, _> =
            pending.into_writes().iter().map(|write| self.row(write, &mut next_id).map_err(|obstacle| (0, obstacle))).collect();
        Ok((ids, rows?))
    }

    /// The rows that change fields of a record, and those of the same name in what belongs to it; none where they are so
    /// already.
    ///
    /// # Errors
    /// Why it cannot be changed.
    pub fn change(
        &self,
        table: &TableSpec,
        id: &str,
        given: Record,
        mut next_id: impl FnMut() -> String,
    ) -> Result<Vec<Admitted>, Obstacle> {
        let record = self.log.record(table, id).ok_or_else(|| Obstacle::NoRecord { table: table.table.clone(), id: id.to_owned() })?;
        let within = |table: &TableSpec| Record::from_iter(given.clone().into_iter().filter(|(name, _)| table.field(name).is_some()));
        let owned: Vec<_> = self.owned(table, &record).collect();
        let is_known = |name: &String| table.field(name).is_some() || owned.iter().any(|(table, _)| table.field(name).is_some());
        if let Some(name) = given.keys().find(|name| !is_known(name)) {
            return Err(Obstacle::Missing { param: name.clone() });
        }
        let mut writes: Vec<RecordWrite> = edited(table, &record, id, within(table), self.now)?.into_iter().collect();
        for (table, id) in &owned {
            if let Some(record) = self.log.record(table, id) {
                writes.extend(edited(table, &record, id, within(table), self.now)?);
            }
        }
        writes.iter().map(|write| self.row(write, &mut next_id)).collect()
    }

    /// The rows that delete a record with what belongs to it.
    ///
    /// # Errors
    /// Where there is no such record.
    pub fn delete(&self, table: &TableSpec, id: &str, mut next_id: impl FnMut() -> String) -> Result<Vec<Admitted>, Obstacle> {
        let record = self.log.record(table, id).ok_or_else(|| Obstacle::NoRecord { table: table.table.clone(), id: id.to_owned() })?;
        let mut gone = vec![(table, id.to_owned())];
        gone.extend(self.owned(table, &record).filter(|(table, id)| self.log.record(table, id).is_some()));
        let fields = || Record::from_iter([(DELETED_AT.to_owned(), time::iso_millis(self.now).into())]);
        let rows = gone.into_iter().map(|(table, id)| {
            let write = RecordWrite { app: table.app.clone(), table: table.table.clone(), record_id: id, op: Op::Delete, fields: fields() };
            self.row(&write, &mut next_id)
        });
        rows.collect()
    }

    /// The rows that bring a deleted record back with what belongs to it; none where it is not deleted.
    ///
    /// # Errors
    /// Where the log does not take them.
    pub fn undelete(&self, table: &TableSpec, id: &str, mut next_id: impl FnMut() -> String) -> Result<Vec<Admitted>, Obstacle> {
        let Some(record) = self.log.deleted(&table.app, &table.table, id) else { return Ok(Vec::new()) };
        let mut back = vec![(table, id.to_owned())];
        back.extend(self.owned(table, &record).filter(|(table, id)| self.log.deleted(&table.app, &table.table, id).is_some()));
        let fields = || Record::from_iter([(DELETED_AT.to_owned(), Value::Null)]);
        let rows = back.into_iter().map(|(table, id)| {
            let write = RecordWrite { app: table.app.clone(), table: table.table.clone(), record_id: id, op: Op::Update, fields: fields() };
            self.row(&write, &mut next_id)
        });
        rows.collect()
    }

    fn owned<'t>(&'t self, table: &'t TableSpec, record: &'t Record) -> impl Iterator<Item = (&'t TableSpec, String)> {
        table.owns.iter().filter_map(|owned| {
            let id = record.get(&owned.field)?.as_str()?;
            Some((self.modules.table(&owned.table)?, id.to_owned()))
        })
    }

    /// The row of a write.
    ///
    /// # Errors
    /// Where the log does not take it.
    pub fn row(&self, write: &RecordWrite, next_id: &mut impl FnMut() -> String) -> Result<Admitted, Obstacle> {
        let fields = RawRecord::from(&write.fields);
        let change = row(self.user, self.client, next_id(), Target::of(write), fields, &actor::user(self.user), "user", self.log);
        admit(change).map_err(|refusal| Obstacle::Refused { why: refusal.to_string() })
    }
}
