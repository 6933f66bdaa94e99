//! Why a use case came to nothing.

use crate::modules::effects::Obstacle;
use crate::modules::forms::BadText;
use crate::store::StoreError;
use crate::text::catalog::Words;
use crate::text::obstacle::{bad_text, told};

/// What somebody may not do to the people of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeopleRefusal {
    #[error("only an administrator may do this")]
    NotAdmin,
    #[error("somebody has to administer the server")]
    LastAdmin,
    #[error("somebody of this name is here already")]
    Taken,
    #[error("the id of the person was not typed as it is")]
    Unconfirmed,
}

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// There is none, it was deleted, or it is somebody else's; nobody is told which.
    #[error("there is no such record")]
    NotFound,
    /// A parameter of a step that its tool does not take, and why.
    #[error("{0}")]
    Parameter(String),
    /// What a form says cannot be written: its record, where there are several, and why.
    #[error("{}", told_of(Words::ENGLISH, *.record, .obstacle))]
    Obstacle { record: Option<usize>, obstacle: Obstacle },
    /// A text that cannot be taken in.
    #[error(transparent)]
    Text(#[from] BadText),
    /// What went wrong between the program and the model: the name of the failure, and what the program says.
    #[error("{why}")]
    Model { name: &'static str, why: String },
    #[error(transparent)]
    People(#[from] PeopleRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AppError {
    /// What its user did wrong, in words; `None`: it is not the user's fault.
    pub fn refusal(&self, words: Words) -> Option<String> {
        match self {
            AppError::Parameter(what) => Some(what.clone()),
            AppError::Obstacle { record, obstacle } => Some(told_of(words, *record, obstacle)),
            AppError::Text(bad) => Some(bad_text(words, bad)),
            AppError::Model { why, .. } => Some(why.clone()),
            AppError::NotFound | AppError::People(_) | AppError::Store(_) => None,
        }
    }
}

fn told_of(words: Words, record: Option<usize>, obstacle: &Obstacle) -> String {
    match record {
        None => told(words, obstacle),
        Some(n) => words.with("obstacle-in-record", [("n", n.into()), ("why", told(words, obstacle).into())]),
    }
}
