//! The log, with what was decided before in the same transaction and is not written yet.

use std::cell::RefCell;
use std::collections::HashMap;

use jiff::Timestamp;

use super::UserLog;
use crate::domain::change::Op;
use crate::domain::ids::AgentId;
use crate::domain::merge::{Delta, Record, Stamps, winning_stamp};
use crate::modules::TableSpec;
use crate::modules::effects::{RecordWrite, Records};

pub(super) struct Pending<'a> {
    log: &'a dyn UserLog,
    made: RefCell<Made>,
}

/// What was decided, by what it is about: there may be thousands.
#[derive(Default)]
struct Made {
    writes: Vec<RecordWrite>,
    /// Places in `writes`, by app, table and id.
    of_record: HashMap<(String, String, String), Vec<usize>>,
    of_table: HashMap<(String, String), OfTable>,
}

#[derive(Default)]
struct OfTable {
    /// New records in their order.
    new: Vec<String>,
    deleted: u64,
    /// Records in the log; counted once.
    counted: Option<u64>,
}

impl<'a> Pending<'a> {
    pub fn new(log: &'a dyn UserLog) -> Self {
        Pending { log, made: RefCell::default() }
    }

    pub fn push(&self, write: RecordWrite) {
        let mut made = self.made.borrow_mut();
        let (app, table, id) = (write.app.clone(), write.table.clone(), write.record_id.clone());
        let of_table = made.of_table.entry((app.clone(), table.clone())).or_default();
        match write.op {
            Op::Insert => of_table.new.push(id.clone()),
            Op::Delete => of_table.deleted += 1,
            Op::Update => {}
        }
        let place = made.writes.len();
        made.of_record.entry((app, table, id)).or_default().push(place);
        made.writes.push(write);
    }

    /// Everything that was decided, in its order.
    pub fn into_writes(self) -> Vec<RecordWrite> {
        self.made.into_inner().writes
    }

    fn of_record(&self, app: &str, table: &str, id: &str) -> Vec<RecordWrite> {
        let made = self.made.borrow();
        let places = made.of_record.get(&(app.to_owned(), table.to_owned(), id.to_owned()));
        places.into_iter().flatten().filter_map(|place| made.writes.get(*place).cloned()).collect()
    }

    fn of_table<T>(&self, table: &TableSpec, read: impl FnOnce(&mut OfTable) -> T) -> T {
        read(self.made.borrow_mut().of_table.entry((table.app.clone(), table.table.clone())).or_default())
    }

    fn show_new(&self, table: &TableSpec, newest_first: bool, visit: &mut dyn FnMut(&str, &Record) -> bool) -> bool {
        let mut new = self.of_table(table, |of_table| of_table.new.clone());
        if newest_first {
            new.reverse();
        }
        new.iter().all(|id| self.record(table, id).is_none_or(|record| visit(id, &record)))
    }
}

impl Records for Pending<'_> {
    fn record(&self, table: &TableSpec, id: &str) -> Option<Record> {
        let mut record = self.log.record(table, id);
        for write in self.of_record(&table.app, &table.table, id) {
            match (write.op, &mut record) {
                (Op::Insert, None) => record = Some(write.fields),
                (Op::Update, Some(record)) => record.extend(write.fields),
                (Op::Delete, _) => record = None,
                _ => {}
            }
        }
        record
    }

    fn count(&self, table: &TableSpec) -> u64 {
        let counted = self.of_table(table, |of_table| of_table.counted).unwrap_or_else(|| self.log.count(table));
        self.of_table(table, |of_table| {
            of_table.counted = Some(counted);
            (counted + of_table.new.len() as u64).saturating_sub(of_table.deleted)
        })
    }

    fn visit(&self, table: &TableSpec, newest_first: bool, visit: &mut dyn FnMut(&str, &Record) -> bool) {
        if newest_first && !self.show_new(table, true, visit) {
            return;
        }
        let mut goes_on = true;
        self.log.visit(table, newest_first, &mut |id, record| {
            goes_on = match self.of_record(&table.app, &table.table, id).is_empty() {
                true => visit(id, record),
                false => self.record(table, id).is_none_or(|record| visit(id, &record)),
            };
            goes_on
        });
        if goes_on && !newest_first {
            self.show_new(table, false, visit);
        }
    }
}

impl UserLog for Pending<'_> {
    fn wall(&self) -> Timestamp {
        self.log.wall()
    }

    fn stamps(&self, app: &str, table: &str, id: &str) -> Stamps {
        let mut stamps = self.log.stamps(app, table, id);
        for write in self.of_record(app, table, id).iter().filter(|write| write.op == Op::Update) {
            for field in write.fields.keys() {
                let stamp = winning_stamp(self.wall(), stamps.get(field).map(String::as_str));
                stamps.insert(field.clone(), stamp);
            }
        }
        stamps
    }

    fn deleted(&self, app: &str, table: &str, id: &str) -> Option<Record> {
        self.log.deleted(app, table, id)
    }

    fn rows(&self, app: &str, table: &str, id: &str) -> Vec<(String, Delta)> {
        self.log.rows(app, table, id)
    }

    fn automatic_since(&self, agent: &AgentId, tool: &str, since: Timestamp) -> u64 {
        self.log.automatic_since(agent, tool, since)
    }
}

/// A look that counts nothing: a preview does not show where a record stands in its list.
pub(super) struct Uncounted<'a>(pub &'a dyn Records);

impl Records for Uncounted<'_> {
    fn record(&self, table: &TableSpec, id: &str) -> Option<Record> {
        self.0.record(table, id)
    }

    fn count(&self, _: &TableSpec) -> u64 {
        0
    }

    fn visit(&self, table: &TableSpec, newest_first: bool, visit: &mut dyn FnMut(&str, &Record) -> bool) {
        self.0.visit(table, newest_first, visit);
    }
}
