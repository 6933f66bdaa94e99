//! What is wrong with a value that somebody gave: in English as errors are, and in the words of a page.

use crate::domain::cadence::BadCadence;
use crate::text::cadence;
use crate::text::catalog::{Words, text_id};

/// What is wrong with a value of a form.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WrongValue {
    #[error("a name has 1 to 200 characters")]
    Name,
    #[error("a token lasts 1 to {most} days")]
    TokenDays { most: i64 },
    #[error("the language must be en or de")]
    Language,
    #[error("{0}")]
    Zone(BadCadence),
    #[error("a value is too long")]
    TooLong,
    #[error("the address must begin with http:// or https://, such as http://127.0.0.1:11434")]
    Address,
    #[error("the address must not have a password in it; use the key")]
    AddressPassword,
    #[error("the key or headers of the model server are set outside of this page; set its address there, too")]
    KeyOfAnother,
    #[error("a key has letters, digits and signs only, without blanks")]
    Key,
    #[error("the price must be a number and, if you like, a currency, such as 0.60 EUR")]
    Price,
    #[error("a model is needed; its server lists what it has")]
    NoModel,
    /// What the system says.
    #[error("the setting could not be saved: {0}")]
    NotSaved(String),
    #[error("the database is in Postgres, whose own tools copy it")]
    BackupElsewhere,
    #[error("a backup is being made already")]
    BackupUnderWay,
    /// What the system says.
    #[error("the directory of backups cannot be made: {0}")]
    BackupNotMade(String),
    #[error("this is more than {megabytes} MB; `mana-ai export` has no bound")]
    ExportTooLarge { megabytes: u64 },
    #[error("an agent needs a mission to be shared as a template")]
    NothingToShare,
}

impl WrongValue {
    /// The same in the words of a page.
    pub fn told(&self, words: Words) -> String {
        let id = match self {
            WrongValue::TokenDays { most } => return words.with("settings-wrong-days", [("most", (*most).into())]),
            WrongValue::Zone(bad) => return sentence(cadence::told(words, bad)),
            WrongValue::NotSaved(why) => return words.with("settings-wrong-not-saved", [("why", why.into())]),
            WrongValue::BackupNotMade(why) => return words.with("settings-backup-not-made", [("why", why.into())]),
            WrongValue::ExportTooLarge { megabytes } => {
                return words.with("records-export-too-large", [("megabytes", (*megabytes).into())]);
            }
            WrongValue::Name => text_id("settings-wrong-name"),
            WrongValue::Language => text_id("settings-wrong-language"),
            WrongValue::TooLong => text_id("settings-wrong-too-long"),
            WrongValue::Address => text_id("settings-wrong-address"),
            WrongValue::AddressPassword => text_id("settings-wrong-address-password"),
            WrongValue::KeyOfAnother => text_id("settings-wrong-key-of-another"),
            WrongValue::Key => text_id("settings-wrong-key"),
            WrongValue::Price => text_id("settings-wrong-price"),
            WrongValue::NoModel => text_id("settings-wrong-no-model"),
            WrongValue::BackupElsewhere => text_id("settings-backup-elsewhere"),
            WrongValue::BackupUnderWay => text_id("settings-backup-under-way"),
            WrongValue::NothingToShare => text_id("templates-nothing-to-share"),
        };
        words.say(id).into_owned()
    }
}

/// With a full stop, where it has no mark of its own.
fn sentence(text: String) -> String {
    if text.ends_with(['.', '?']) { text } else { text + "." }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::language::Language;

    #[test]
    fn what_is_wrong_is_told_in_the_language_of_the_page() {
        let german = Words::of(Language::German);
        let zone = |name: &str, suggestion: Option<&str>| {
            WrongValue::Zone(BadCadence::Zone { name: name.into(), suggestion: suggestion.map(Into::into) })
        };
        for (wrong, told) in [
            (zone("Berlin", Some("Europe/Berlin")), "„Berlin“ ist keine Zeitzone. Meinst du Europe/Berlin?"),
            (zone("x", None), "„x“ ist keine Zeitzone; gemeint ist etwas wie Europe/Berlin."),
            (WrongValue::TokenDays { most: 365 }, "Ein Token gilt 1 bis 365 Tage."),
            (WrongValue::Price, "Der Preis muss eine Zahl sein, gern mit einer Währung, etwa 0,60 EUR."),
        ] {
            assert_eq!(wrong.told(german), told);
        }
    }
}
