//! Sentences with times in them.

use std::fmt;

use jiff::Timestamp;

use super::saying::Saying;
use crate::domain::time::iso_millis;

/// A part of a sentence: text, or what stands between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<T> {
    Text(String),
    Slot(T),
}

/// A sentence whose times each reader spells in its own way: a page in the zone of whoever looks, and [`fmt::Display`] in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Phrase {
    pieces: Vec<Piece<Timestamp>>,
    /// The message that it is, where it is one and nothing else.
    said: Option<Saying>,
}

impl Phrase {
    /// A message.
    pub fn of(pieces: Vec<Piece<Timestamp>>, said: Saying) -> Self {
        Phrase { pieces, said: Some(said) }
    }

    /// With more text at its end.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.pieces.push(Piece::Text(text.into()));
        self.said = None;
        self
    }

    /// With a time at its end.
    pub fn time(mut self, at: Timestamp) -> Self {
        self.pieces.push(Piece::Slot(at));
        self.said = None;
        self
    }

    pub fn pieces(&self) -> &[Piece<Timestamp>] {
        &self.pieces
    }

    pub fn said(&self) -> Option<&Saying> {
        self.said.as_ref()
    }
}

impl<T: Into<String>> From<T> for Phrase {
    fn from(text: T) -> Self {
        Phrase::default().text(text)
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Slot(at) => f.write_str(&iso_millis(*at)),
        })
    }
}
