//! The records that a mission links, as texts for its prompt (DESIGN, section 8).
//!
//! This room replays records through the store, opens the encrypted ones under the mission's grant, and writes each
//! attempt down before it uses what it read. It must not know the model or how a prompt looks.

mod module;
pub use module::{heading, modules};

use std::fmt;

use jiff::Timestamp;

use crate::domain::fields::is_ciphertext;
use crate::domain::merge::{Record, Stamps};
use crate::domain::mission::{InputRef, Mission};
use crate::domain::time;
use crate::grants::{Opened, PrivateKey, Skip, Unreadable};
use crate::store::{ReadAttempt, ReadFor, ReadStatus, Store, StoreResult};
use module::Module;

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
    /// It is encrypted, and the mission has no grant.
    NoGrant,
    Skipped(Skip),
    OutsideGrant,
    Unreadable(Unreadable),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::TooMany => write!(f, "a prompt takes {MAX_INPUTS} inputs"),
            Why::UnknownModule => f.write_str("its module is unknown"),
            Why::Gone => f.write_str("there is no such record"),
            Why::Empty => f.write_str("it is empty"),
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

impl Resolved {
    /// A sentence about what was left out and why, where something was.
    pub fn note(&self) -> Option<String> {
        const NAMED: usize = 5;
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
pub struct Reader<'a> {
    pub user_id: &'a str,
    pub mission: &'a Mission,
    pub iteration_id: &'a str,
    /// This server's key, where it has one.
    pub private_key: Option<&'a PrivateKey>,
    pub now: Timestamp,
}

/// Reads each input of a mission. The attempts to read encrypted ones are on disk when this returns.
///
/// # Errors
/// When the database fails; an input that cannot be read is left out instead.
pub async fn resolve(store: &Store, reader: &Reader<'_>) -> StoreResult<Resolved> {
    let mut resolved = Resolved::default();
    let mut grant = LazyGrant::default();
    // All records are at hand before the first is decrypted, so that no failure comes between a read and its record.
    let mut replayed = Vec::new();
    for input in reader.mission.inputs.iter().take(MAX_INPUTS) {
        replayed.push(replay(store, reader, input).await?);
    }
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
        let reader_id = ReadFor { user_id: reader.user_id.into(), mission_id, iteration_id: reader.iteration_id.into() };
        store.record_reads(reader_id, resolved.attempts.clone(), reader.now).await?;
    }
    Ok(resolved)
}

/// A record as it stands, and how it reads.
struct Replayed {
    module: &'static Module,
    record: Record,
    updated_at: Option<Timestamp>,
}

async fn replay(store: &Store, reader: &Reader<'_>, input: &InputRef) -> StoreResult<Result<Replayed, Why>> {
    let Some(module) = Module::find(&input.module) else { return Ok(Err(Why::UnknownModule)) };
    let fold = store.replay(reader.user_id, module.app(), &input.table, &input.id).await?;
    let live = fold.live().map(|(record, stamps)| Replayed { module, record: record.clone(), updated_at: newest(record, stamps) });
    Ok(live.ok_or(Why::Gone))
}

fn read(
    reader: &Reader<'_>,
    input: &InputRef,
    Replayed { module, record, updated_at }: Replayed,
    grant: &mut LazyGrant,
    attempts: &mut Vec<ReadAttempt>,
) -> Result<Input, Why> {
    let sealed = module.fields(&record).into_iter().filter(|field| is_sealed(&record, field)).map(str::to_owned).collect::<Vec<_>>();
    let text = if sealed.is_empty() {
        module.text(&record)
    } else {
        let outcome = unseal(reader, input, record, &sealed, grant);
        attempts.extend(attempt(input, &outcome));
        module.text(&outcome?)
    };
    let (title, content) = text.ok_or(Why::Empty)?;
    Ok(Input { module: input.module.clone(), id: input.id.clone(), title, content, updated_at })
}

fn newest(record: &Record, stamps: &Stamps) -> Option<Timestamp> {
    let told = ["updatedAt", "createdAt"].iter().filter_map(|field| record.get(*field)?.as_str());
    stamps.values().map(String::as_str).chain(told).filter_map(time::parse_rfc3339).max()
}

fn is_sealed(record: &Record, field: &str) -> bool {
    record.get(field).and_then(|value| value.as_str()).is_some_and(is_ciphertext)
}

/// The record with its sealed fields open: all of them, or none.
fn unseal(reader: &Reader<'_>, input: &InputRef, mut record: Record, sealed: &[String], grant: &mut LazyGrant) -> Result<Record, Why> {
    let opened = grant.open(reader)?;
    if !opened.covers(&input.table, &input.id) {
        return Err(Why::OutsideGrant);
    }
    for field in sealed {
        if let Some(value) = record.get_mut(field) {
            *value = opened.key().decrypt(value.as_str().unwrap_or_default().trim_start()).map_err(Why::Unreadable)?;
        }
    }
    Ok(record)
}

/// What the user is told of an attempt; without a grant there was none.
fn attempt(input: &InputRef, outcome: &Result<Record, Why>) -> Option<ReadAttempt> {
    let (status, reason) = match outcome {
        Ok(_) => (ReadStatus::Ok, None),
        Err(Why::OutsideGrant) => (ReadStatus::ScopeViolation, Some("not-in-grant")),
        Err(Why::Skipped(skip)) => (ReadStatus::Failed, Some(skip.as_str())),
        Err(Why::Unreadable(unreadable)) => (ReadStatus::Failed, Some(unreadable.as_str())),
        Err(_) => return None,
    };
    Some(ReadAttempt { table: input.table.clone(), record_id: input.id.clone(), status, reason })
}

/// A mission's grant, opened when the first encrypted input asks for it.
#[derive(Default)]
enum LazyGrant {
    #[default]
    Closed,
    Open(Box<Opened>),
    Skipped(Skip),
}

impl LazyGrant {
    fn open(&mut self, reader: &Reader<'_>) -> Result<&Opened, Why> {
        let Some(grant) = &reader.mission.grant else { return Err(Why::NoGrant) };
        if matches!(self, LazyGrant::Closed) {
            *self = match Opened::open(grant, &reader.mission.id, reader.private_key, reader.now) {
                Ok(opened) => LazyGrant::Open(Box::new(opened)),
                Err(skip) => LazyGrant::Skipped(skip),
            };
        }
        match self {
            LazyGrant::Open(opened) => Ok(opened),
            LazyGrant::Skipped(skip) => Err(Why::Skipped(*skip)),
            LazyGrant::Closed => Err(Why::NoGrant),
        }
    }

    fn skip(&self) -> Option<Skip> {
        match self {
            LazyGrant::Skipped(skip) => Some(*skip),
            _ => None,
        }
    }
}
