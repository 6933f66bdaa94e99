//! A part of a file, which knows its place, so that what is wrong can be told.

use serde_json::{Map, Value};

use super::Wording;
use crate::domain::cadence::BadCadence;
use crate::domain::change::Found;

/// Characters of one text.
const MAX_TEXT: usize = 20_000;

/// What is wrong with a template: in which file, where, and why.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}{}{what}", if file.is_empty() { String::new() } else { format!("{file}: ") }, if place.is_empty() { String::new() } else { format!("`{place}` ") })]
pub struct BadTemplate {
    /// Empty: there is one alone.
    pub file: String,
    /// Empty: the whole file.
    pub place: String,
    pub what: FileFault,
}

/// What is wrong with a part of a file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FileFault {
    #[error("has {bytes} bytes, but at most {most} are allowed")]
    Size { bytes: usize, most: usize },
    #[error("is no file of at most {most} bytes")]
    NoFile { most: usize },
    /// What the system says.
    #[error("{0}")]
    Unreadable(String),
    /// What the reader says.
    #[error("is no JSON: {0}")]
    NoJson(String),
    #[error("nests too deep")]
    Depth,
    #[error("must be {0}, the only form that this version reads")]
    Format(u64),
    #[error("is {found}, but must be {allowed}")]
    Kind { found: Found, allowed: FilePartKind },
    #[error("has {name:?}, which is no field of it; there are {}", known.join(", "))]
    UnknownField { name: String, known: Vec<String> },
    #[error("lacks {0:?}")]
    Lacks(String),
    #[error("has {n} items, but at most {most} are allowed")]
    Items { n: usize, most: usize },
    #[error("is longer than {most} characters")]
    TooLong { most: usize },
    #[error("is empty")]
    Empty,
    #[error("must be one line of at most 200 characters")]
    NoLine,
    #[error("must be one line of 1 to 200 characters in each language")]
    NoHeading,
    #[error("must be a whole number")]
    NoNumber,
    #[error("must be an object of decisions")]
    NoDecisions,
    #[error("must be auto, propose or deny")]
    NoDecision,
    #[error("must be an object of field values")]
    NoValues,
    #[error("must be $day:N, or $time:N HH:MM, with the days from today, or a text that does not begin with $")]
    NoMoment,
    #[error("is encrypted")]
    Encrypted,
    #[error("has two records of one key")]
    SameKey,
    #[error("has no missions")]
    NoMissions,
    #[error("is {0:?}, but no record has this key")]
    NoKey(String),
    #[error("cannot be read: {0}")]
    Schedule(BadCadence),
    #[error("has {0:?}, which is no tool of this server")]
    NoTool(String),
    #[error("is {0:?}, which is no table of this server")]
    NoTable(String),
    #[error("has {name:?}, which is no field of {table}")]
    NoField { name: String, table: String },
    /// What the reader of modules and tools says.
    #[error("cannot be used: {0}")]
    Description(String),
    #[error("must be 1 to 64 letters, digits, _ or -")]
    NoName,
    #[error("has {0:?} twice")]
    Twice(String),
    #[error("has the records of missions and agents, which no template describes")]
    OwnRecords,
    #[error("is a field that every record has, which no template describes")]
    OwnField,
    #[error("is {0:?}, but a template's table goes no further than its own app")]
    OtherApp(String),
    #[error("is {0:?}, of which other tools are: agents that name it did not mean this one")]
    ModuleTaken(String),
    #[error("must be log: a template brings no tool that a device or an endpoint carries out")]
    Elsewhere,
    #[error("is {0:?}, of which modules.tools does not say what it writes")]
    NotDescribed(String),
    #[error("deletes records, and must be destructive")]
    Deletes,
    #[error("is {0:?}, which this server described otherwise when it started")]
    Otherwise(String),
    #[error("is {0:?}, which this server knows once it is restarted: it reads modules at its start")]
    OnceRestarted(String),
    #[error("is {0:?}, which this server lacks; whoever runs it can put the file into templates/ of the data directory and restart it")]
    ForOperator(String),
}

/// What a part of a file must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilePartKind {
    #[error("an object")]
    Object,
    #[error("a list")]
    List,
    #[error("a text")]
    Text,
    #[error("a text, or an object with one as en and one as de")]
    Wording,
}

/// A value of a file and the path to it.
#[derive(Clone)]
pub(super) struct FilePart<'a> {
    pub file: &'a str,
    pub place: String,
    pub value: &'a Value,
}

impl<'a> FilePart<'a> {
    pub fn wrong(&self, what: FileFault) -> BadTemplate {
        BadTemplate { file: self.file.to_owned(), place: self.place.clone(), what }
    }

    fn must_be(&self, allowed: FilePartKind) -> BadTemplate {
        self.wrong(FileFault::Kind { found: Found::value(self.value), allowed })
    }

    /// An object without fields that nobody knows.
    pub fn object(&self, known: &[&str]) -> Result<&'a Map<String, Value>, BadTemplate> {
        let object = self.value.as_object().ok_or_else(|| self.must_be(FilePartKind::Object))?;
        match object.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => {
                Err(self
                    .wrong(FileFault::UnknownField { name: name.clone(), known: known.iter().map(|name| (*name).to_owned()).collect() }))
            }
            None => Ok(object),
        }
    }

    /// A field, `None` where it is missing or null.
    pub fn get(&self, name: &str) -> Option<FilePart<'a>> {
        let place = if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) };
        self.value.get(name).filter(|value| !value.is_null()).map(|value| FilePart { file: self.file, place, value })
    }

    pub fn need(&self, name: &str) -> Result<FilePart<'a>, BadTemplate> {
        self.get(name).ok_or_else(|| self.wrong(FileFault::Lacks(name.to_owned())))
    }

    /// The items of a list that may be missing.
    pub fn list(&self, name: &str, most: usize) -> Result<Vec<FilePart<'a>>, BadTemplate> {
        let Some(list) = self.get(name) else { return Ok(Vec::new()) };
        let items = list.value.as_array().ok_or_else(|| list.must_be(FilePartKind::List))?;
        if items.len() > most {
            return Err(list.wrong(FileFault::Items { n: items.len(), most }));
        }
        let item = |(n, value)| FilePart { file: self.file, place: format!("{}[{n}]", list.place), value };
        Ok(items.iter().enumerate().map(item).collect())
    }

    pub fn text(&self) -> Result<String, BadTemplate> {
        let text = self.value.as_str().ok_or_else(|| self.must_be(FilePartKind::Text))?;
        match text.chars().count() <= MAX_TEXT {
            true => Ok(text.to_owned()),
            false => Err(self.wrong(FileFault::TooLong { most: MAX_TEXT })),
        }
    }

    /// A text that says something.
    pub fn line(&self) -> Result<String, BadTemplate> {
        let text = self.text()?;
        match text.trim() {
            "" => Err(self.wrong(FileFault::Empty)),
            line if line.chars().count() > 200 || line.contains('\n') => Err(self.wrong(FileFault::NoLine)),
            line => Ok(line.to_owned()),
        }
    }

    /// A text for every language, or one in each.
    pub fn wording(&self) -> Result<Wording, BadTemplate> {
        if self.value.is_string() {
            let text = self.text()?;
            return Ok(Wording { en: text.clone(), de: text });
        }
        if !self.value.is_object() {
            return Err(self.must_be(FilePartKind::Wording));
        }
        self.object(&["en", "de"])?;
        Ok(Wording { en: self.need("en")?.text()?, de: self.need("de")?.text()? })
    }

    /// A wording that says something in both.
    pub fn heading(&self) -> Result<Wording, BadTemplate> {
        let wording = self.wording()?;
        let is_heading = |text: &str| !text.trim().is_empty() && text.chars().count() <= 200 && !text.contains('\n');
        match is_heading(&wording.en) && is_heading(&wording.de) {
            true => Ok(wording),
            false => Err(self.wrong(FileFault::NoHeading)),
        }
    }
}
