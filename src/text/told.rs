//! What is told of a run, as it is stored: in English, as programs and logs read it, and as values, of which a page makes
//! sentences in the language of its reader.

use std::collections::BTreeMap;

use super::catalog::Words;
use super::phrase::Phrase;
pub use super::saying::Saying;

/// Something that is told of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// In English.
    pub text: String,
    /// The same as values; empty where nobody but the text knows.
    pub said: Vec<Saying>,
}

impl Told {
    /// A text, of which a message tells in short.
    pub fn in_short(text: impl Into<String>, id: &'static str) -> Self {
        Told { text: text.into(), said: vec![Saying { id: id.into(), args: BTreeMap::new(), times: BTreeMap::new() }] }
    }

    /// A text, of which a message tells in its own words.
    pub fn said(text: impl Into<String>, phrase: &Phrase) -> Self {
        Told { text: text.into(), said: phrase.said().cloned().into_iter().collect() }
    }

    /// One after the other; `None`: there is nothing to tell.
    pub fn all(parts: impl IntoIterator<Item = Told>) -> Option<Self> {
        let parts: Vec<Told> = parts.into_iter().collect();
        let text = parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join("; ");
        let is_said = parts.iter().all(|part| !part.said.is_empty());
        let said = parts.into_iter().flat_map(|part| part.said).filter(|_| is_said).collect();
        (!text.is_empty()).then_some(Told { text, said })
    }

    /// With what happened before.
    pub fn after(self, before: Option<Told>) -> Self {
        let Some(before) = before else { return self };
        let text = format!("{}; before that: {}", self.text, before.text);
        let said = if self.said.is_empty() || before.said.is_empty() { Vec::new() } else { [self.said, before.said].concat() };
        Told { text, said }
    }

    /// The values as they are stored; `None`: there are none.
    pub fn stored(&self) -> Option<String> {
        (!self.said.is_empty()).then(|| serde_json::to_string(&self.said).unwrap_or_default())
    }
}

/// Sentences of stored values in a language; `None` where one of them is not known any more.
pub fn sentences(words: Words, said: &[Saying]) -> Option<Vec<Phrase>> {
    said.iter().map(|saying| words.retell(saying)).collect()
}

impl From<Phrase> for Told {
    fn from(phrase: Phrase) -> Self {
        Told { text: phrase.to_string(), said: phrase.said().cloned().into_iter().collect() }
    }
}

impl From<String> for Told {
    fn from(text: String) -> Self {
        Told { text, said: Vec::new() }
    }
}

impl From<&str> for Told {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::decision::Condition;
    use crate::domain::language::Language;
    use crate::text::decision::compared;

    #[test]
    fn what_is_stored_is_retold_in_the_language_of_the_reader() {
        let until: Timestamp = "2026-04-15T08:00:00Z".parse().unwrap();
        for condition in [
            Condition::Provider { closed_until: Some(until) },
            Condition::Calls { used: 12_000, allowed: 12_000 },
            Condition::Idle { in_flight: true },
        ] {
            let told = Told::from(compared(Words::ENGLISH, &condition, None));
            let stored: Vec<Saying> = serde_json::from_str(&told.stored().unwrap()).unwrap();
            let retold = |language| sentences(Words::of(language), &stored).unwrap().iter().map(ToString::to_string).collect::<String>();
            assert_eq!(retold(Language::English), told.text);
            assert_eq!(retold(Language::German), compared(Words::of(Language::German), &condition, None).to_string());
            assert_ne!(retold(Language::German), told.text);
        }
    }

    #[test]
    fn a_message_that_is_gone_leaves_the_text() {
        let told = Told::in_short("the old way", "runs-no-such-message");
        assert_eq!(sentences(Words::ENGLISH, &told.said), None);
        assert_eq!(Told::from("plain").stored(), None);
        let both = told.after(Some("x".into()));
        assert_eq!((both.text.as_str(), both.said.len()), ("the old way; before that: x", 0));
    }
}
