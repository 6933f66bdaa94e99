//! Records of the described tables: listed, searched, added, changed, deleted, brought in and taken out.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{App, AppError, WrongValue};
use crate::domain::change::WORKBENCH_CLIENT;
use crate::domain::ids::UserId;
use crate::domain::language::Language;
use crate::domain::limits::Admitted;
use crate::domain::merge::Record;
use crate::modules::effects::Obstacle;
use crate::modules::forms::{self, FormWriter, TextColumns, TextForm};
use crate::modules::{Modules, TableSpec, searched};
use crate::steps::{OwnHand, UserLog};
use crate::store::{ListedTable, RecordPlace, RecordSort, RecordsWanted, StoreError, StoreResult};
use crate::text::catalog::Words;
use crate::text::module;

/// The longest export, in bytes.
const EXPORT_BYTES: usize = 16 * 1024 * 1024;

/// Which records of a table are listed, and in which order.
#[derive(Debug, Clone)]
pub struct RecordFilter {
    /// A part of title or text, in whatever case.
    pub search: String,
    /// As [`TableSpec::facet`] makes them.
    pub facets: Vec<String>,
    pub sort: RecordSort,
    pub after: Option<RecordPlace>,
}

/// Some records of a table.
#[derive(Debug, Default)]
pub struct RecordList {
    /// With their ids; what lists show of them.
    pub records: Vec<(String, Record)>,
    /// The place after which further ones follow.
    pub next: Option<RecordPlace>,
}

/// Why rows were not written.
enum NotWritten {
    Obstacle(usize, Obstacle),
    Store(StoreError),
}

impl From<StoreError> for NotWritten {
    fn from(error: StoreError) -> Self {
        NotWritten::Store(error)
    }
}

impl App {
    /// The tables that are described.
    pub fn modules(&self) -> &Modules {
        self.reviews.executors().modules()
    }

    /// Records of a table by a filter, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read, or its lists cannot be brought up to date.
    pub async fn records(&self, user: &UserId, table: &TableSpec, filter: RecordFilter, limit: usize) -> StoreResult<RecordList> {
        self.store.refresh_records(user, &self.listed_table(table)).await?;
        let RecordFilter { search, facets, sort, after } = filter;
        let wanted = RecordsWanted { search: searched(&search), facets, sort, after };
        let (records, next) = self.store.records_where(user, &table.app, &table.table, wanted, limit).await?;
        Ok(RecordList { records, next })
    }

    /// How many records each table has that is shown, in the order of the tables; counted up to `most`.
    ///
    /// # Errors
    /// When the database cannot be read, or its lists cannot be brought up to date.
    pub async fn records_counts(&self, user: &UserId, most: u32) -> StoreResult<Vec<(&TableSpec, u64)>> {
        let mut counts = Vec::new();
        for table in self.modules().tables().iter().filter(|table| !table.hidden) {
            self.store.refresh_records(user, &self.listed_table(table)).await?;
            counts.push((table, self.store.records_count(user, &table.app, &table.table, most).await?));
        }
        Ok(counts)
    }

    /// A table with those whose records belong to its own.
    pub(super) fn listed_table(&self, table: &TableSpec) -> ListedTable {
        let owned = table.owns.iter().filter_map(|owned| Some((owned.field.clone(), self.modules().table(&owned.table)?.clone())));
        ListedTable { table: table.clone(), owned: owned.collect() }
    }

    /// One record, with the fields of what belongs to it.
    ///
    /// # Errors
    /// Where there is none, or the database cannot be read.
    pub async fn record(&self, user: &UserId, table: &TableSpec, id: &str) -> Result<Record, AppError> {
        let (table, modules, id) = (table.clone(), self.modules().clone(), id.to_owned());
        let look = move |log: &dyn UserLog| log.record(&table, &id).map(|record| with_owned(log, &modules, &table, record));
        self.store.look(user, self.now(), look).await?.ok_or(AppError::NotFound)
    }

    /// Adds records, all or none of them, and answers how many rows that were.
    ///
    /// # Errors
    /// The first record that cannot be added, with its place where there are several, or the database.
    pub async fn add_records(&self, user: &UserId, table: &TableSpec, given: Vec<Record>) -> Result<u64, AppError> {
        let (table, several) = (table.clone(), given.len() > 1);
        let added = self.write_own(user, move |hand: &OwnHand<'_>| hand.add(&table, &given, new_id)).await;
        added.map_err(|error| match error {
            NotWritten::Obstacle(n, obstacle) if several => AppError::Obstacle { record: Some(n + 1), obstacle },
            other => other.into(),
        })
    }

    /// Changes fields of a record.
    ///
    /// # Errors
    /// Where there is none, a field cannot be changed, or the database cannot be written.
    pub async fn change_record(&self, user: &UserId, table: &TableSpec, id: &str, fields: Record) -> Result<(), AppError> {
        let (table, id) = (table.clone(), id.to_owned());
        let changed = move |hand: &OwnHand<'_>| hand.change(&table, &id, fields, new_id).map_err(|obstacle| (0, obstacle));
        Ok(self.write_own(user, changed).await.map(drop)?)
    }

    /// Deletes a record with what belongs to it.
    ///
    /// # Errors
    /// Where there is none, or the database cannot be written.
    pub async fn delete_record(&self, user: &UserId, table: &TableSpec, id: &str) -> Result<(), AppError> {
        let (table, id) = (table.clone(), id.to_owned());
        let deleted = move |hand: &OwnHand<'_>| hand.delete(&table, &id, new_id).map_err(|obstacle| (0, obstacle));
        Ok(self.write_own(user, deleted).await.map(drop)?)
    }

    /// Brings a deleted record back with what belongs to it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn undelete_record(&self, user: &UserId, table: &TableSpec, id: &str) -> Result<(), AppError> {
        let (table, id) = (table.clone(), id.to_owned());
        let back = move |hand: &OwnHand<'_>| hand.undelete(&table, &id, new_id).map_err(|obstacle| (0, obstacle));
        Ok(self.write_own(user, back).await.map(drop)?)
    }

    /// Takes in the records of a text, all or none of them, and answers how many there were; `file` is the name of the file that
    /// it was in, or empty.
    ///
    /// # Errors
    /// What is wrong with the text, or the database cannot be written.
    pub async fn import_records(&self, user: &UserId, table: &TableSpec, text: &str, file: &str) -> Result<usize, AppError> {
        let columns = columns(table);
        let records = forms::read(TextForm::guess(&columns, text, file), &columns, text, self.reviews.executors().zone())?;
        let count = records.len();
        self.add_records(user, table, records).await?;
        Ok(count)
    }

    /// All records of a table as a text, the oldest first.
    ///
    /// # Errors
    /// When the text is too long for a page, or the database cannot be read.
    pub async fn export_records(&self, user: &UserId, table: &TableSpec, form: TextForm) -> Result<String, AppError> {
        let (table, modules) = (table.clone(), self.modules().clone());
        let look = move |log: &dyn UserLog| {
            let mut writer = FormWriter::new(form, &table);
            log.visit(&table, false, &mut |_, record| {
                writer.add(&with_owned(log, &modules, &table, record.clone()));
                writer.len() <= EXPORT_BYTES
            });
            (writer.len() <= EXPORT_BYTES).then(|| writer.finish())
        };
        let too_long = || AppError::Wrong(WrongValue::ExportTooLarge { megabytes: EXPORT_BYTES as u64 >> 20 });
        self.store.look(user, self.now(), look).await?.ok_or_else(too_long)
    }

    async fn write_own(
        &self,
        user: &UserId,
        decide: impl FnOnce(&OwnHand<'_>) -> Result<Vec<Admitted>, (usize, Obstacle)> + Send + 'static,
    ) -> Result<u64, NotWritten> {
        let (executors, now, user_id): (_, Timestamp, _) = (self.reviews.executors().clone(), self.now(), user.to_owned());
        let rows = move |log: &dyn UserLog| {
            let hand = OwnHand { modules: executors.modules(), user: &user_id, client: WORKBENCH_CLIENT, zone: executors.zone(), now, log };
            decide(&hand).map_err(|(n, obstacle)| NotWritten::Obstacle(n, obstacle))
        };
        self.store.append_decided(user, self.ceilings, rows).await
    }
}

impl From<NotWritten> for AppError {
    fn from(error: NotWritten) -> Self {
        match error {
            NotWritten::Obstacle(_, Obstacle::NoRecord { .. }) => AppError::NotFound,
            NotWritten::Obstacle(_, obstacle) => AppError::Obstacle { record: None, obstacle },
            NotWritten::Store(error) => AppError::Store(error),
        }
    }
}

/// The columns of a table, by what they are called in each language.
fn columns(table: &TableSpec) -> TextColumns<'_> {
    let called = |language| table.fields.iter().map(move |field| (module::field(Words::of(language), field), field));
    TextColumns::new(table, Language::ALL.into_iter().flat_map(called))
}

fn new_id() -> String {
    Uuid::new_v4().to_string()
}

/// A record with the fields of what belongs to it, where it has none of that name.
fn with_owned(log: &dyn UserLog, modules: &Modules, table: &TableSpec, mut record: Record) -> Record {
    for owned in &table.owns {
        let id = record.get(&owned.field).and_then(Value::as_str).map(str::to_owned);
        let other = id.zip(modules.table(&owned.table)).and_then(|(id, table)| log.record(table, &id));
        for (name, value) in other.into_iter().flatten() {
            record.entry(name).or_insert(value);
        }
    }
    record
}
