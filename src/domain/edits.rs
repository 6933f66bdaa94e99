//! What an edit of a record writes (docs/design.md, section 3; docs/records.md, section 1).

use jiff::Timestamp;
use serde_json::Value;

use super::field;
use super::ids::UserId;
use super::merge::{Record, by_paths};
use super::raw::RawRecord;
use super::time;

/// Keeps those fields that differ from the record, and of objects those paths, so that an edit changes what was edited and
/// nothing else. A field that a record does not have and that stays empty is no edit.
pub fn changed(before: &Record, mut after: Record) -> Record {
    after.retain(|field, value| before.contains_key(field) || !(value.is_null() || *value == "" || *value == Value::Array(Vec::new())));
    by_paths(before, after)
}

/// The same for an edit that asks for a state, whatever the page showed. A record that was deleted meanwhile stays deleted.
pub fn differing(before: Option<&RawRecord>, after: Record) -> RawRecord {
    before.map(|before| changed(&before.read(), after)).unwrap_or_default().into()
}

/// A record of a user at its creation, as clients write it: without fields that hold nothing, with the moment by which they
/// list it, in the space that every client of the user shows.
pub fn created(mut record: Record, user: &UserId, now: Timestamp) -> Record {
    record.retain(|_, value| !value.is_null());
    let mut record = created_in(record, user, None);
    for field in [field::CREATED_AT, field::UPDATED_AT] {
        record.insert(field.into(), time::iso_millis(now).into());
    }
    record
}

/// A record with what every record of a space has; without one, it is in the space that every client of the user shows.
pub fn created_in(mut record: Record, user: &UserId, space: Option<&str>) -> Record {
    let space = space.map_or_else(|| format!("_personal:{user}"), str::to_owned);
    for (field, value) in [(field::SPACE_ID, space), (field::AUTHOR_ID, user.to_string()), (field::VISIBILITY, "space".to_owned())] {
        // Time entries have a visibility of their own.
        record.entry(field).or_insert(value.into());
    }
    record
}
