//! Parts of one record, as its page shows them: the fields that the page knows, long texts cut, and a few of the plans. They
//! are cut by the database, so that a page costs what it shows, however large the record is (docs/design.md, section 9).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

use super::changes::from_text;
use super::snapshots::columns_of;
use super::{Store, StoreResult, Table, whole};
use crate::domain::decision::Plans;
use crate::domain::ids::{IterationId, MissionId, UserId};
use crate::domain::iterations::Iteration;
use crate::domain::raw::{Raw, RawRecord};
use crate::domain::time;
use crate::store::db::{OptionalExtension, Row, params};

/// Bytes of plans after which no further one is read; one alone may be larger.
pub(super) const PLANS_BYTES: usize = 1_000_000;

/// Some fields: the first characters of a text, and lists and objects up to a number of bytes. Plans are read by themselves.
pub(super) fn fields_query(table: Table) -> String {
    let (name, key) = columns_of(table);
    format!(
        "SELECT f.key, f.type, octet_length(f.value), CASE WHEN f.type = 'text' THEN substr(f.value, 1, ?4) \
         WHEN f.type IN ('array', 'object') AND octet_length(f.value) > ?5 THEN NULL ELSE record -> f.fullkey END \
         FROM {name}, json_each(record) f WHERE user_id = ?1 AND {key} = ?2 AND liveness = 'live' \
         AND f.key IN (SELECT value FROM json_each(?3)) AND NOT (f.key = 'iterations' AND f.type = 'array')"
    )
}

pub(super) const COUNTS: &str = "SELECT awaiting_review, client_active_at, \
     CASE WHEN json_type(record, '$.iterations') = 'array' THEN json_array_length(record, '$.iterations') ELSE 0 END \
     FROM mission_snapshots WHERE user_id = ?1 AND mission_id = ?2 AND liveness = 'live'";
/// An iteration as an object, whatever stands in the list.
macro_rules! object {
    () => {
        "CASE i.type WHEN 'object' THEN i.value END"
    };
}

macro_rules! iterations {
    ($columns:expr, $rest:expr) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM mission_snapshots, json_each(record, '$.iterations') i WHERE user_id = ?1 AND mission_id = ?2 AND liveness = 'live' ",
            $rest
        )
    };
}

macro_rules! awaits_review {
    () => {
        concat!("json_extract(", object!(), ", '$.overallStatus') = 'awaiting-review'")
    };
}

/// A text of an iteration, cut.
macro_rules! text_of {
    ($field:literal, $chars:literal) => {
        concat!(
            "CASE json_type(",
            object!(),
            ", '$.",
            $field,
            "') WHEN 'text' THEN substr(json_extract(",
            object!(),
            ", '$.",
            $field,
            "'), 1, ",
            $chars,
            ") ELSE '' END"
        )
    };
}

/// The places of some plans with their bytes: those that await review first, then the newest first.
pub(super) const PLACES: &str =
    iterations!("i.key, octet_length(i.value)", concat!("ORDER BY ", awaits_review!(), " IS NOT 1, i.key DESC LIMIT ?3 OFFSET ?4"));
pub(super) const ITERATIONS: &str = iterations!(
    "i.key, CASE WHEN i.type IN ('array', 'object') THEN i.value ELSE json_quote(i.value) END",
    "AND i.key IN (SELECT value FROM json_each(?3))"
);
/// The plans that await review, the oldest first.
pub(super) const WAITING: &str = iterations!(
    concat!(
        text_of!("id", "200"),
        ", ",
        text_of!("startedAt", "40"),
        ", ",
        text_of!("summary", "300"),
        ", coalesce(json_array_length(",
        object!(),
        ", '$.plan'), 0)"
    ),
    concat!("AND ", awaits_review!(), " ORDER BY i.key LIMIT ?3")
);
pub(super) const ITERATION: &str = iterations!("i.value", concat!("AND json_extract(", object!(), ", '$.id') = ?3 LIMIT 1"));

/// How much of a field is read.
#[derive(Debug, Clone, Copy)]
pub struct Longest {
    /// Of a text.
    pub chars: u32,
    /// Of a list or an object, which is left out where it is larger.
    pub bytes: u32,
}

impl Longest {
    /// As much as there is.
    pub const WHOLE: Longest = Longest { chars: u32::MAX, bytes: u32::MAX };
}

/// Some fields of a live record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordPart {
    pub record: RawRecord,
    /// How many bytes are missing of the fields that were cut or left out.
    pub missing: BTreeMap<String, u64>,
}

/// A plan that awaits review, in a list; its texts are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanCard {
    pub id: IterationId,
    pub started_at: Option<Timestamp>,
    pub summary: String,
    pub steps: u64,
}

/// Some plans of a mission: those that await review first, then the newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SomePlans {
    pub iterations: Vec<Iteration>,
    /// How many the record has.
    pub all: usize,
    /// What they all come to.
    pub plans: Plans,
}

impl Store {
    /// Some fields of a live record, as the last refresh left it; `None` where there is no such record.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn part(
        &self,
        table: Table,
        user: &UserId,
        id: &str,
        fields: &'static [&str],
        longest: Longest,
    ) -> StoreResult<Option<RecordPart>> {
        let (user, id) = (user.to_owned(), id.to_owned());
        self.read(move |c| {
            if c.sqlite().is_none() {
                return whole::part(c, (table, &user, &id), fields, longest);
            }
            let (name, key) = columns_of(table);
            let live = format!("SELECT 1 FROM {name} WHERE user_id = ?1 AND {key} = ?2 AND liveness = 'live'");
            if !c.prepare_cached(&live)?.exists(params![user, id])? {
                return Ok(None);
            }
            let mut part = RecordPart::default();
            let mut statement = c.prepare_cached(&fields_query(table))?;
            let mut rows = statement.query(params![user, id, json!(fields).to_string(), longest.chars, longest.bytes])?;
            while let Some(row) = &rows.next()? {
                let (field, all): (String, Option<u64>) = (row.get(0)?, row.get(2)?);
                let found: Option<String> = row.get(3)?;
                let missing = all.unwrap_or(0).saturating_sub(found.as_ref().map_or(0, String::len) as u64);
                let value = match found {
                    Some(text) if row.get_ref(1)?.as_str()? == "text" => {
                        if missing > 0 {
                            part.missing.insert(field.clone(), missing);
                        }
                        Raw::from(text)
                    }
                    Some(text) => from_text(&text, || format!("a snapshot ({id} of user {user})"))?,
                    None => {
                        part.missing.insert(field, missing);
                        continue;
                    }
                };
                part.record.insert(field, value);
            }
            Ok(Some(part))
        })
        .await
    }

    /// Plans of a live mission, those that await review first, then the newest first, after `skip` of them: at most `limit`,
    /// and fewer where they are large.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn some_plans(&self, user: &UserId, id: &str, skip: usize, limit: usize) -> StoreResult<SomePlans> {
        let (user, id) = (user.to_owned(), id.to_owned());
        self.read(move |c| {
            if c.sqlite().is_none() {
                return whole::some_plans(c, &user, &id, skip, limit);
            }
            let counts = |row: &Row<'_>| {
                let client_active_at = row.get::<_, Option<i64>>(1)?.map(time::from_micros);
                Ok((Plans { awaiting_review: row.get(0)?, client_active_at }, row.get::<_, usize>(2)?))
            };
            let Some((plans, all)) = c.prepare_cached(COUNTS)?.query_row(params![user, id], counts).optional()? else {
                return Ok(SomePlans::default());
            };
            let place = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, Option<usize>>(1)?.unwrap_or(0)));
            let mut statement = c.prepare_cached(PLACES)?;
            let found = statement.query_map(params![user, id, limit, skip], place)?.collect::<Result<Vec<(i64, usize)>, _>>()?;
            let mut before = 0;
            let fits = |(_, bytes): &&(i64, usize)| {
                let fits = before < PLANS_BYTES;
                before += bytes;
                fits
            };
            let places: Vec<i64> = found.iter().take_while(fits).map(|(key, _)| *key).collect();
            let mut read = BTreeMap::new();
            let mut statement = c.prepare_cached(ITERATIONS)?;
            let mut rows = statement.query(params![user, id, json!(places).to_string()])?;
            while let Some(row) = &rows.next()? {
                let value: Raw = from_text(row.get_ref(1)?.as_str()?, || format!("a snapshot ({id} of user {user})"))?;
                read.insert(row.get::<_, i64>(0)?, Iteration::from(value));
            }
            Ok(SomePlans { iterations: places.iter().filter_map(|key| read.remove(key)).collect(), all, plans })
        })
        .await
    }

    /// The plans of a live mission that await review, the oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn waiting_plans(&self, user: &UserId, id: &MissionId, limit: u32) -> StoreResult<Vec<PlanCard>> {
        let (user, id) = (user.to_owned(), id.to_owned());
        let card = |row: &Row<'_>| {
            Ok(PlanCard {
                id: row.get(0)?,
                started_at: time::parse_rfc3339(row.get_ref(1)?.as_str()?),
                summary: row.get(2)?,
                steps: row.get(3)?,
            })
        };
        self.read(move |c| match c.sqlite() {
            Some(_) => c.prepare_cached(WAITING)?.query_map(params![user, id, limit], card)?.collect(),
            None => whole::waiting(c, &user, &id, limit),
        })
        .await
    }

    /// One plan of a live mission.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn plan(&self, user: &UserId, id: &MissionId, iteration: &IterationId) -> StoreResult<Option<Iteration>> {
        let (user, id, iteration) = (user.to_owned(), id.to_owned(), iteration.to_owned());
        self.read(move |c| {
            if c.sqlite().is_none() {
                return whole::plan(c, &user, &id, &iteration);
            }
            let mut statement = c.prepare_cached(ITERATION)?;
            let mut rows = statement.query(params![user, id, iteration])?;
            let Some(row) = &rows.next()? else { return Ok(None) };
            let value: Raw = from_text(row.get_ref(0)?.as_str()?, || format!("a snapshot ({id} of user {user})"))?;
            Ok(Some(Iteration::from(value)))
        })
        .await
    }
}
