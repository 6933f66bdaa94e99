//! The records of other apps that a mission can link, and what those are called that something names.

use std::sync::Arc;

use super::App;
use crate::domain::ids::UserId;
use crate::domain::merge::Stamps;
use crate::domain::mission::InputRef;
use crate::domain::raw::RawRecord;
use crate::domain::record_kind::RecordKind;
use crate::domain::record_text::{RecordName, called};
use crate::store::{Bounds, Linked, StoreResult, Wanted};

/// Records of each table that are offered.
const OFFERED: u32 = 100;
/// Characters of a heading.
const HEADING: usize = 200;
/// What finding out the titles of one table's records may cost.
const OFFERED_BOUNDS: Bounds = Bounds { rows: 10_000, bytes: 16 << 20, upto: i64::MAX };
/// What finding out those of records that a page names may cost.
const NAMED_BOUNDS: Bounds = Bounds { rows: 5_000, bytes: 4 << 20, upto: i64::MAX };

/// What a record is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heading {
    Text(String),
    Encrypted,
    Untitled,
    /// It was not looked into.
    TooLong,
}

impl From<RecordName> for Heading {
    fn from(called: RecordName) -> Self {
        match called {
            RecordName::Text(text) => Heading::Text(text.chars().take(HEADING).collect()),
            RecordName::Encrypted => Heading::Encrypted,
            RecordName::Untitled => Heading::Untitled,
        }
    }
}

/// A record that a mission can link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linkable {
    pub module: String,
    pub table: String,
    pub id: String,
    pub heading: Heading,
}

/// A record that is there, and that something names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRecord {
    /// `app/table`
    pub table: String,
    pub heading: Heading,
}

impl App {
    /// A user's records of each kind that can be linked.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn linkable(&self, user: &UserId) -> StoreResult<Vec<Linkable>> {
        let mut offered = Vec::new();
        for kind in self.modules().kinds().all() {
            for table in [&kind.table].into_iter().chain(&kind.aliases) {
                let ids = self.store.records(user, &kind.app, table, OFFERED).await?;
                let wanted = ids.iter().map(|id| (Arc::clone(kind), vec![table.clone()], id.clone())).collect();
                let found = self.headings(user, wanted, OFFERED_BOUNDS).await?;
                offered.extend(ids.into_iter().zip(found).filter_map(|(id, found)| {
                    let (table, heading) = (table.clone(), found?.heading);
                    Some(Linkable { module: kind.module().to_owned(), table, id, heading })
                }));
            }
        }
        Ok(offered)
    }

    /// What the linked records of a mission are called, in their order; `None`: there is none, or its kind is not described.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn named_inputs(&self, user: &UserId, inputs: &[InputRef]) -> StoreResult<Vec<Option<NamedRecord>>> {
        let kinds = self.modules().kinds();
        let kind = |input: &InputRef| Some((Arc::clone(kinds.find(&input.module, &input.table)?), input.table.clone(), input.id.clone()));
        self.named(user, inputs.iter().map(kind).collect()).await
    }

    /// The same of records that are named by their table and their id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn named_records(&self, user: &UserId, records: Vec<(&str, &str)>) -> StoreResult<Vec<Option<NamedRecord>>> {
        let kinds = self.modules().kinds();
        let of_table = |table: &str| {
            let is_of = |kind: &&Arc<RecordKind>| kind.table == table || kind.aliases.iter().any(|alias| alias == table);
            kinds.all().iter().find(is_of).cloned()
        };
        let kind = |(table, id): (&str, &str)| Some((of_table(table)?, table.to_owned(), id.to_owned()));
        self.named(user, records.into_iter().map(kind).collect()).await
    }

    async fn named(&self, user: &UserId, named: Vec<Option<(Arc<RecordKind>, String, String)>>) -> StoreResult<Vec<Option<NamedRecord>>> {
        let known: Vec<bool> = named.iter().map(Option::is_some).collect();
        let wanted = named.into_iter().flatten().map(|(kind, table, id)| (Arc::clone(&kind), kind.tables(&table), id)).collect();
        let mut found = self.headings(user, wanted, NAMED_BOUNDS).await?.into_iter();
        Ok(known.into_iter().map(|is_known| if is_known { found.next().flatten() } else { None }).collect())
    }

    /// What records are called, each looked for in some tables of its kind.
    async fn headings(
        &self,
        user: &UserId,
        wanted: Vec<(Arc<RecordKind>, Vec<String>, String)>,
        bounds: Bounds,
    ) -> StoreResult<Vec<Option<NamedRecord>>> {
        let kinds: Vec<Arc<RecordKind>> = wanted.iter().map(|(kind, ..)| Arc::clone(kind)).collect();
        let place = |(kind, tables, _): &(Arc<RecordKind>, Vec<String>, String)| {
            format!("{}/{}", kind.app, tables.first().map(String::as_str).unwrap_or_default())
        };
        let places: Vec<String> = wanted.iter().map(place).collect();
        let wanted = wanted.into_iter().map(|(kind, tables, id)| Wanted { app: kind.app.clone(), tables, id }).collect();
        let look = move |place: usize, table: &str, record: &RawRecord, _: &Stamps| {
            let kind = kinds.get(place)?;
            Some(NamedRecord { table: format!("{}/{table}", kind.app), heading: called(kind, &record.read()).into() })
        };
        let found = self.store.linked(user, wanted, bounds, look).await?;
        Ok(found
            .into_iter()
            .zip(places)
            .map(|(found, table)| match found {
                Linked::Live(named) => Some(named),
                Linked::TooLong => Some(NamedRecord { table, heading: Heading::TooLong }),
                Linked::Absent | Linked::Refused => None,
            })
            .collect())
    }
}
