//! Sentences with times in them.

use std::fmt;

use jiff::Timestamp;

use crate::domain::time::iso_millis;

/// A part of a sentence: text, or what stands between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<T> {
    Text(String),
    Slot(T),
}

/// A sentence whose times each reader spells in its own way: a page in the zone of whoever looks, and [`fmt::Display`] in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Phrase(Vec<Piece<Timestamp>>);

impl Phrase {
    pub fn of(pieces: Vec<Piece<Timestamp>>) -> Self {
        Phrase(pieces)
    }

    /// With more text at its end.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Text(text.into()));
        self
    }

    /// With a time at its end.
    pub fn time(mut self, at: Timestamp) -> Self {
        self.0.push(Piece::Slot(at));
        self
    }

    pub fn pieces(&self) -> &[Piece<Timestamp>] {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Phrase {
    fn from(text: T) -> Self {
        Phrase::default().text(text)
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Slot(at) => f.write_str(&iso_millis(*at)),
        })
    }
}
