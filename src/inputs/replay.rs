//! The records that inputs name, and those that belong to them, out of the log and no larger than a text needs.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::Why;
use crate::domain::field;
use crate::domain::fields::is_ciphertext;
use crate::domain::ids::UserId;
use crate::domain::merge::{Record, Stamps};
use crate::domain::mission::InputRef;
use crate::domain::raw::RawRecord;
use crate::domain::record_kind::{Kinds, RecordKind, RecordLink, uses};
use crate::domain::{record_text, time};
use crate::store::{Bounds, Linked, Store, StoreResult, Wanted};

/// What the records of one mission may cost: a few seconds of one reader, and no more memory than a small machine has.
const BOUNDS: Bounds = Bounds { rows: 200_000, bytes: 256 << 20, upto: i64::MAX };
/// The same for the records that belong to them.
const BOUNDS_BELONGING: Bounds = Bounds { rows: 20_000, bytes: 64 << 20, upto: i64::MAX };
/// Records that belong to the inputs of one mission.
const MAX_BELONGING: usize = 100;
/// The largest part of a record that is kept, in bytes; 50 of them fit into memory.
const LARGEST: usize = 1 << 20;

/// A record as it stands, with the fields that its text is made of.
pub(super) struct Replayed {
    pub kind: Arc<RecordKind>,
    /// Where it was found.
    pub table: String,
    pub record: Record,
    pub updated_at: Option<Timestamp>,
    pub belongings: Vec<Belonging>,
}

/// A record that belongs to an input.
pub(super) struct Belonging {
    pub link: Arc<RecordLink>,
    pub id: String,
    pub record: Record,
}

/// What is kept of an input's record.
struct KeptRecord {
    table: String,
    record: Record,
    updated_at: Option<Timestamp>,
    /// Links are followed where the record names them in plain text.
    links: Vec<(Arc<RecordLink>, String)>,
}

/// The records of inputs as they stood after row `upto` of the log, each or why there is none, in their order.
pub(super) async fn all(
    store: &Store,
    user: &UserId,
    inputs: &[InputRef],
    kinds: &Kinds,
    upto: i64,
) -> StoreResult<Vec<Result<Replayed, Why>>> {
    let kinds: Vec<Option<Arc<RecordKind>>> = inputs.iter().map(|input| kinds.find(&input.module, &input.table).cloned()).collect();
    let known: Vec<Arc<RecordKind>> = kinds.iter().flatten().cloned().collect();
    let wanted = inputs.iter().zip(&kinds).filter_map(|(input, kind)| Some(wanted(input, kind.as_deref()?))).collect();
    let keep = move |place: usize, table: &str, record: &RawRecord, stamps: &Stamps| kept(known.get(place)?, table, record, stamps);
    let mut found = store.linked(user, wanted, Bounds { upto, ..BOUNDS }, keep).await?.into_iter();
    let mut replayed: Vec<Result<Replayed, Why>> = Vec::with_capacity(inputs.len());
    let mut links = Vec::new();
    for kind in kinds {
        let Some(kind) = kind else {
            replayed.push(Err(Why::UnknownModule));
            continue;
        };
        replayed.push(match found.next().unwrap_or(Linked::Absent) {
            Linked::Live(KeptRecord { table, record, updated_at, links: named }) => {
                links.extend(named.into_iter().map(|(link, id)| (replayed.len(), link, id)));
                Ok(Replayed { kind, table, record, updated_at, belongings: Vec::new() })
            }
            Linked::Absent => Err(Why::Gone),
            Linked::Refused => Err(Why::TooLarge),
            Linked::TooLong => Err(Why::TooLong),
        });
    }
    links.truncate(MAX_BELONGING);
    for (place, belonging) in belongings(store, user, links, upto).await? {
        if let Some(Ok(input)) = replayed.get_mut(place) {
            input.belongings.push(belonging);
        }
    }
    Ok(replayed)
}

fn wanted(input: &InputRef, kind: &RecordKind) -> Wanted {
    Wanted { app: kind.app.clone(), tables: kind.tables(&input.table), id: input.id.clone() }
}

/// The records of links, each with the place of the input that names it. One that is gone or too large is passed over.
async fn belongings(
    store: &Store,
    user: &UserId,
    links: Vec<(usize, Arc<RecordLink>, String)>,
    upto: i64,
) -> StoreResult<Vec<(usize, Belonging)>> {
    if links.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = links.iter().map(|(_, link, id)| Wanted { app: link.app.clone(), tables: vec![link.table.clone()], id: id.clone() });
    let fields: HashMap<usize, Arc<RecordLink>> = links.iter().enumerate().map(|(n, (_, link, _))| (n, Arc::clone(link))).collect();
    let keep = move |n: usize, _: &str, record: &RawRecord, _: &Stamps| {
        let link = fields.get(&n)?;
        trimmed(record, |field| uses(&link.fields, field), usize::MAX)
    };
    let found = store.linked(user, wanted.collect(), Bounds { upto, ..BOUNDS_BELONGING }, keep).await?;
    let live = links.into_iter().zip(found).filter_map(|((place, link, id), found)| match found {
        Linked::Live(record) => Some((place, Belonging { link, id, record })),
        _ => None,
    });
    Ok(live.collect())
}

fn kept(kind: &RecordKind, table: &str, record: &RawRecord, stamps: &Stamps) -> Option<KeptRecord> {
    let links = kind.links.iter().flat_map(|link| ids(link, record).into_iter().map(move |id| (Arc::new(link.clone()), id)));
    Some(KeptRecord {
        table: table.to_owned(),
        record: trimmed(record, |field| kind.uses(field), kind.limit)?,
        updated_at: newest(record, stamps),
        links: links.collect(),
    })
}

fn ids(link: &RecordLink, record: &RawRecord) -> Vec<String> {
    let field = link.ids.split('.').next().unwrap_or_default();
    let part = Record::from_iter(record.value(field).map(|value| (field.to_owned(), value)));
    let named: Vec<&Value> = match record_text::at(&part, &link.ids) {
        Some(Value::Array(ids)) => ids.iter().collect(),
        Some(id) => vec![id],
        None => Vec::new(),
    };
    let texts = named.into_iter().filter_map(Value::as_str).filter(|id| !id.is_empty() && !is_ciphertext(id));
    texts.take(link.most).map(str::to_owned).collect()
}

/// The used fields of a record; plain texts only as far as they are shown. `None` where that is too large.
fn trimmed(record: &RawRecord, used: impl Fn(&str) -> bool, limit: usize) -> Option<Record> {
    let mut trimmed = Record::new();
    let mut bytes = 0_usize;
    for (field, value) in record.iter().filter(|(field, _)| used(field)) {
        let shown = match value.text() {
            Some(text) if !is_ciphertext(&text) => Some(shown(&text, limit)),
            _ => None,
        };
        bytes = bytes.saturating_add(shown.as_ref().map_or(value.get().len(), String::len));
        if bytes > LARGEST {
            return None;
        }
        trimmed.insert(field.clone(), shown.map_or_else(|| value.read(), Value::String));
    }
    Some(trimmed)
}

/// One character more than the limit, so that the cut is still told.
fn shown(text: &str, limit: usize) -> String {
    let end = text.char_indices().nth(limit.saturating_add(1)).map_or(text.len(), |(end, _)| end);
    text[..end].to_owned()
}

fn newest(record: &RawRecord, stamps: &Stamps) -> Option<Timestamp> {
    let told = [field::UPDATED_AT, field::CREATED_AT].iter().filter_map(|field| time::parse_rfc3339(&record.text(field)?));
    stamps.values().filter_map(|stamp| time::parse_rfc3339(stamp)).chain(told).max()
}
