//! A part of a file, which knows its place, so that what is wrong can be told.

use serde_json::{Map, Value};

use super::Wording;
use crate::domain::change::Found;

/// Characters of one text.
const MAX_TEXT: usize = 20_000;

/// What is wrong with a template: in which file, where, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {}{what}", if place.is_empty() { String::new() } else { format!("`{place}` ") })]
pub struct BadTemplate {
    pub file: String,
    pub place: String,
    pub what: String,
}

/// A value of a file and the path to it.
#[derive(Clone)]
pub(super) struct FilePart<'a> {
    pub file: &'a str,
    pub place: String,
    pub value: &'a Value,
}

impl<'a> FilePart<'a> {
    pub fn wrong(&self, what: impl Into<String>) -> BadTemplate {
        BadTemplate { file: self.file.to_owned(), place: self.place.clone(), what: what.into() }
    }

    fn must_be(&self, allowed: &str) -> BadTemplate {
        self.wrong(format!("is {}, but must be {allowed}", Found::value(self.value)))
    }

    /// An object without fields that nobody knows.
    pub fn object(&self, known: &[&str]) -> Result<&'a Map<String, Value>, BadTemplate> {
        let object = self.value.as_object().ok_or_else(|| self.must_be("an object"))?;
        match object.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(self.wrong(format!("has {name:?}, which is no field of it; there are {}", known.join(", ")))),
            None => Ok(object),
        }
    }

    /// A field, `None` where it is missing or null.
    pub fn get(&self, name: &str) -> Option<FilePart<'a>> {
        let place = if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) };
        self.value.get(name).filter(|value| !value.is_null()).map(|value| FilePart { file: self.file, place, value })
    }

    pub fn need(&self, name: &str) -> Result<FilePart<'a>, BadTemplate> {
        self.get(name).ok_or_else(|| self.wrong(format!("lacks {name:?}")))
    }

    /// The items of a list that may be missing.
    pub fn list(&self, name: &str, most: usize) -> Result<Vec<FilePart<'a>>, BadTemplate> {
        let Some(list) = self.get(name) else { return Ok(Vec::new()) };
        let items = list.value.as_array().ok_or_else(|| list.must_be("a list"))?;
        if items.len() > most {
            return Err(list.wrong(format!("has {} items, but at most {most} are allowed", items.len())));
        }
        let item = |(n, value)| FilePart { file: self.file, place: format!("{}[{n}]", list.place), value };
        Ok(items.iter().enumerate().map(item).collect())
    }

    pub fn text(&self) -> Result<String, BadTemplate> {
        let text = self.value.as_str().ok_or_else(|| self.must_be("a text"))?;
        match text.chars().count() <= MAX_TEXT {
            true => Ok(text.to_owned()),
            false => Err(self.wrong(format!("is longer than {MAX_TEXT} characters"))),
        }
    }

    /// A text that says something.
    pub fn line(&self) -> Result<String, BadTemplate> {
        let text = self.text()?;
        match text.trim() {
            "" => Err(self.wrong("is empty")),
            line if line.chars().count() > 200 || line.contains('\n') => Err(self.wrong("must be one line of at most 200 characters")),
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
            return Err(self.must_be("a text, or an object with one as en and one as de"));
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
            false => Err(self.wrong("must be one line of 1 to 200 characters in each language")),
        }
    }
}
