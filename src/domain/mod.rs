//! The rules of the program as plain functions and values.
//!
//! This room knows no file, no socket, no clock and no random source: time, ids and jitter come in as
//! arguments. Everything here can be tested with literals, and nothing here can fail on dirty data; it
//! returns a value and a list of problems instead.

pub mod actor;
pub mod agent;
pub mod backoff;
pub mod breaker;
pub mod browser;
pub mod cadence;
pub mod canonical;
pub mod ceilings;
pub mod change;
pub mod days;
pub mod decided;
pub mod decision;
pub mod edits;
pub mod field;
pub mod fields;
pub mod grant;
pub mod ids;
pub mod iteration;
pub mod iterations;
pub mod json;
pub mod language;
pub mod limits;
pub mod lost;
pub mod merge;
pub mod mission;
pub mod op;
pub mod person;
pub mod policy;
pub mod price;
pub mod raw;
pub mod record_kind;
pub mod record_text;
pub mod repetition;
pub mod retention;
pub mod review;
pub mod round;
pub mod schedule;
pub mod standing;
pub mod step;
pub mod time;
pub mod write_back;
pub mod zone;
