//! A call of a tool: what it says, the records that it meets, and what can be in its way.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::spec::{FieldKind, TableSpec};
use crate::domain::ids::UserId;
use crate::domain::merge::Record;

/// The records of the user for whom a step is carried out.
pub trait Records {
    /// A live record.
    fn record(&self, table: &TableSpec, id: &str) -> Option<Record>;
    /// How many live records a table has.
    fn count(&self, table: &TableSpec) -> u64;
    /// Shows live records one after the other, in the order of their creation or the newest first, until `visit` says
    /// `false`.
    fn visit(&self, table: &TableSpec, newest_first: bool, visit: &mut dyn FnMut(&str, &Record) -> bool);
}

/// A call of a tool.
#[derive(Debug, Clone, Copy)]
pub struct ToolCall<'a> {
    pub tool: &'a str,
    pub params: &'a Record,
    pub user: &'a UserId,
    /// The space of the mission; `None`: the user's own.
    pub space: Option<&'a str>,
    pub now: Timestamp,
    pub zone: &'a TimeZone,
}

/// Why a step cannot be carried out on the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// No description says what the tool writes.
    NotDescribed,
    /// A parameter is missing that a field or an id needs.
    Missing { param: String },
    /// A parameter cannot stand in its field.
    Wrong { param: String, kind: FieldKind },
    /// The record that it is about is not there, or somebody else's.
    NoRecord { table: String, id: String },
    /// There is no record to choose, such as a calendar.
    NothingToChoose { table: String },
    /// No record has the text that was looked for.
    NothingMatches { table: String, text: String },
    /// The log does not take it, for its size or form.
    Refused { why: String },
    /// The field holds ciphertext, which only a device of the user may change.
    Encrypted { field: String },
}
