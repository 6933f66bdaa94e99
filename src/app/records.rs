//! The records of other apps that a mission can link.

use std::sync::Arc;

use super::App;
use crate::domain::ids::UserId;
use crate::domain::merge::Stamps;
use crate::domain::raw::RawRecord;
use crate::domain::record_text;
use crate::store::{Bounds, Linked, StoreResult, Wanted};

/// Records of each table that are offered.
const OFFERED: u32 = 100;
/// Characters of a heading.
const HEADING: usize = 200;
/// What finding out the titles of one table's records may cost.
const OFFERED_BOUNDS: Bounds = Bounds { rows: 10_000, bytes: 16 << 20 };

/// What a record is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heading {
    Text(String),
    Encrypted,
    /// It was not looked into.
    TooLong,
}

/// A record that a mission can link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linkable {
    pub module: String,
    pub table: String,
    pub id: String,
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
                let wanted = ids.iter().map(|id| Wanted { app: kind.app.clone(), tables: vec![table.clone()], id: id.clone() });
                let read = Arc::clone(kind);
                let heading = move |_: usize, _: &str, record: &RawRecord, _: &Stamps| {
                    Some(record_text::heading(&read, &record.read()).map(|text| text.chars().take(HEADING).collect::<String>()))
                };
                let found = self.store.linked(user, wanted.collect(), OFFERED_BOUNDS, heading).await?;
                offered.extend(ids.into_iter().zip(found).filter_map(|(id, found)| {
                    let heading = match found {
                        Linked::Live(Some(text)) => Heading::Text(text),
                        Linked::Live(None) => Heading::Encrypted,
                        Linked::TooLong => Heading::TooLong,
                        Linked::Absent | Linked::Refused => return None,
                    };
                    Some(Linkable { module: kind.module().to_owned(), table: table.clone(), id, heading })
                }));
            }
        }
        Ok(offered)
    }
}
