//! The records that a mission links, as texts for its prompt (docs/design.md, section 8).
//!
//! This room replays records through the store, opens the encrypted ones under the mission's grant, and writes each
//! attempt down before it uses what it read. It must not know the model or how a prompt looks.
//!
//! A record may name others that belong to it: an event its time block, a task its project. Their plain fields are shown
//! with it. Encrypted ones are opened only where the grant names that record itself (`timeBlocks:<id>`). Where it does not,
//! nothing is tried and the record is shown without them: the user linked the event and not its block, so there is no
//! attempt to tell of.

mod replay;

use std::fmt;

use jiff::Timestamp;

use crate::domain::fields::is_ciphertext;
use crate::domain::ids::{IterationId, UserId};
use crate::domain::merge::Record;
use crate::domain::mission::{InputRef, Mission};
use crate::domain::record_kind::Kinds;
use crate::domain::record_text;
use crate::grants::{Opened, PrivateKey, Skip, Undecryptable};
use crate::store::{ReadAttempt, ReadFor, ReadStatus, Store, StoreResult};
use replay::{Belonging, Replayed};

/// A linked record that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    pub module: String,
    pub id: String,
    pub title: String,
    pub content: String,
    /// When it was last written, as far as its fields tell.
    pub updated_at: Option<Timestamp>,
}

/// What came of a mission's inputs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    pub inputs: Vec<Input>,
    pub left_out: Vec<LeftOut>,
    /// Attempts to read encrypted records, as they were written down.
    pub attempts: Vec<ReadAttempt>,
    /// Why the mission's grant was not used, where it has one and needed it.
    pub skip: Option<Skip>,
}

/// An input that the prompt goes without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub input: InputRef,
    pub why: Why,
}

/// Why an input is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    TooMany,
    UnknownModule,
    /// It does not exist, is deleted, or is another user's, which looks the same.
    Gone,
    Empty,
    /// It holds more than a prompt could take a part of.
    TooLarge,
    /// It changed so often that reading its history would hold up others.
    TooLong,
    /// It is encrypted, and the mission has no grant.
    NoGrant,
    Skipped(Skip),
    OutsideGrant,
    Unreadable(Undecryptable),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::TooMany => write!(f, "a prompt takes {MAX_INPUTS} inputs"),
            Why::UnknownModule => f.write_str("its module is unknown"),
            Why::Gone => f.write_str("there is no such record"),
            Why::Empty => f.write_str("it is empty"),
            Why::TooLarge => f.write_str("it is too large"),
            Why::TooLong => f.write_str("its history is too long to read"),
            Why::NoGrant => f.write_str("it is encrypted, and the mission has no grant"),
            Why::Skipped(skip) => skip.fmt(f),
            Why::OutsideGrant => f.write_str("it is outside of the grant"),
            Why::Unreadable(unreadable) => unreadable.fmt(f),
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Both come from a client, and may be of any length.
        let short = |name: &str| name.chars().take(80).collect::<String>();
        write!(f, "{} {}: {}", short(&self.input.module), short(&self.input.id), self.why)
    }
}

/// Inputs that a note names.
pub const NAMED: usize = 5;

impl Resolved {
    /// A sentence about what was left out and why, where something was.
    pub fn note(&self) -> Option<String> {
        let count = match self.left_out.len() {
            0 => return None,
            1 => "1 linked input was left out".to_owned(),
            n => format!("{n} linked inputs were left out"),
        };
        let mut named: Vec<String> = self.left_out.iter().take(NAMED).map(ToString::to_string).collect();
        if self.left_out.len() > NAMED {
            named.push("…".into());
        }
        Some(format!("{count} ({})", named.join("; ")))
    }
}

/// More inputs than this are left out: no prompt has room for them.
const MAX_INPUTS: usize = 50;

/// On whose behalf inputs are read.
#[derive(Debug, Clone, Copy)]
pub struct InputReader<'a> {
    pub user_id: &'a UserId,
    pub mission: &'a Mission,
    pub iteration_id: &'a IterationId,
    /// This server's key, where it has one.
    pub private_key: Option<&'a PrivateKey>,
    /// How records read.
    pub kinds: &'a Kinds,
    /// The last row of the log that is seen.
    pub upto: i64,
    pub now: Timestamp,
}

/// Reads each input of a mission. The attempts to read encrypted ones are on disk when this returns.
///
/// # Errors
/// When the database fails; an input that cannot be read is left out instead.
pub async fn resolve(store: &Store, reader: &InputReader<'_>) -> StoreResult<Resolved> {
    let mut resolved = Resolved::default();
    let ends_at = match &reader.mission.grant {
        Some(grant) => store.grant_end(reader.user_id, grant).await?,
        None => None,
    };
    let mut grant = LazyGrant { ends_at, state: InputState::Closed };
    // All records are at hand before the first is decrypted, so that no failure comes between a read and its record.
    let first = &reader.mission.inputs[..reader.mission.inputs.len().min(MAX_INPUTS)];
    let replayed = replay::all(store, reader.user_id, first, reader.kinds, reader.upto).await?;
    let mut replayed = replayed.into_iter();
    for input in &reader.mission.inputs {
        let read = match replayed.next() {
            Some(record) => record.and_then(|record| read(reader, input, record, &mut grant, &mut resolved.attempts)),
            None => Err(Why::TooMany),
        };
        match read {
            Ok(read) => resolved.inputs.push(read),
            Err(why) => resolved.left_out.push(LeftOut { input: input.clone(), why }),
        }
    }
    resolved.skip = grant.skip();
    if !resolved.attempts.is_empty() {
        let mission_id = reader.mission.id.clone();
        let reader_id = ReadFor { user_id: reader.user_id.clone(), mission_id, iteration_id: reader.iteration_id.clone() };
        store.record_reads(reader_id, resolved.attempts.clone(), reader.now).await?;
    }
    Ok(resolved)
}

fn read(
    reader: &InputReader<'_>,
    input: &InputRef,
    replayed: Replayed,
    grant: &mut LazyGrant,
    attempts: &mut Vec<ReadAttempt>,
) -> Result<Input, Why> {
    let Replayed { kind, table, record, updated_at, belongings } = replayed;
    let sealed = sealed(&record);
    let record = if sealed.is_empty() {
        record
    } else {
        // A grant may name the table as the input does, or as it is called in the log.
        let outcome = grant.open(reader).and_then(|opened| {
            let covered = [&table, &input.table].iter().any(|name| opened.covers(name, &input.id));
            if covered { unseal(opened, record, &sealed).map_err(Why::Unreadable) } else { Err(Why::OutsideGrant) }
        });
        attempts.extend(attempt(&table, &input.id, &outcome));
        outcome?
    };
    let facts: Vec<String> = belongings.into_iter().flat_map(|belonging| facts(reader, belonging, grant, attempts)).collect();
    let (title, content) = record_text::text(&kind, &record, &facts).ok_or(Why::Empty)?;
    Ok(Input { module: input.module.clone(), id: input.id.clone(), title, content, updated_at })
}

/// What a record that belongs to an input adds to it.
fn facts(reader: &InputReader<'_>, belonging: Belonging, grant: &mut LazyGrant, attempts: &mut Vec<ReadAttempt>) -> Vec<String> {
    let Belonging { link, id, record } = belonging;
    let sealed = sealed(&record);
    if sealed.is_empty() {
        return record_text::facts(&link.fields, &record);
    }
    let opened = grant.open(reader).ok().filter(|opened| opened.covers(&link.table, &id));
    let Some(opened) = opened else { return record_text::facts(&link.fields, &record) };
    let outcome = unseal(opened, record, &sealed).map_err(Why::Unreadable);
    attempts.extend(attempt(&link.table, &id, &outcome));
    outcome.map(|record| record_text::facts(&link.fields, &record)).unwrap_or_default()
}

/// The fields of a record that are encrypted.
fn sealed(record: &Record) -> Vec<String> {
    record.iter().filter(|(_, value)| value.as_str().is_some_and(is_ciphertext)).map(|(field, _)| field.clone()).collect()
}

/// The record with its sealed fields open: all of them, or none.
fn unseal(opened: &Opened, mut record: Record, sealed: &[String]) -> Result<Record, Undecryptable> {
    for field in sealed {
        if let Some(value) = record.get_mut(field) {
            *value = opened.key().decrypt(value.as_str().unwrap_or_default().trim_start())?;
        }
    }
    Ok(record)
}

/// What the user is told of an attempt; without a grant there was none.
fn attempt(table: &str, id: &str, outcome: &Result<Record, Why>) -> Option<ReadAttempt> {
    let (status, reason) = match outcome {
        Ok(_) => (ReadStatus::Ok, None),
        Err(Why::OutsideGrant) => (ReadStatus::ScopeViolation, Some("not-in-grant")),
        Err(Why::Skipped(skip)) => (ReadStatus::Failed, Some(skip.as_str())),
        Err(Why::Unreadable(unreadable)) => (ReadStatus::Failed, Some(unreadable.as_str())),
        Err(_) => return None,
    };
    Some(ReadAttempt { table: table.to_owned(), record_id: id.to_owned(), status, reason })
}

/// A mission's grant, opened when the first encrypted input asks for it.
struct LazyGrant {
    /// The earliest expiry that its key ever had.
    ends_at: Option<Timestamp>,
    state: InputState,
}

enum InputState {
    Closed,
    Open(Box<Opened>),
    Skipped(Skip),
}

impl LazyGrant {
    fn open(&mut self, reader: &InputReader<'_>) -> Result<&Opened, Why> {
        let Some(grant) = &reader.mission.grant else { return Err(Why::NoGrant) };
        if matches!(self.state, InputState::Closed) {
            self.state = match Opened::open(grant, &reader.mission.id, reader.private_key, self.ends_at, reader.now) {
                Ok(opened) => InputState::Open(Box::new(opened)),
                Err(skip) => InputState::Skipped(skip),
            };
        }
        match &self.state {
            InputState::Open(opened) => Ok(opened),
            InputState::Skipped(skip) => Err(Why::Skipped(*skip)),
            InputState::Closed => Err(Why::NoGrant),
        }
    }

    fn skip(&self) -> Option<Skip> {
        match self.state {
            InputState::Skipped(skip) => Some(skip),
            _ => None,
        }
    }
}
