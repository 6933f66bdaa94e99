//! Why a use case came to nothing.

use super::{WrongValue, bad_template};
use crate::modules::FieldKind;
use crate::modules::effects::Obstacle;
use crate::modules::forms::BadText;
use crate::planner::check::{ParamFault, UnfitParam};
use crate::planner::tools::ParamKind;
use crate::store::StoreError;
use crate::templates::BadTemplate;
use crate::text::catalog::{Words, text_id};
use crate::text::obstacle::{bad_text, for_programs, told};

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

impl PeopleRefusal {
    /// What a page says; `None`: whoever may not see it is not told of it.
    fn text(self) -> Option<&'static str> {
        match self {
            PeopleRefusal::NotAdmin => None,
            PeopleRefusal::LastAdmin => Some(text_id("settings-last-admin")),
            PeopleRefusal::Taken => Some(text_id("settings-taken")),
            PeopleRefusal::Unconfirmed => Some(text_id("settings-remove-mistyped")),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// There is none, it was deleted, or it is somebody else's; nobody is told which.
    #[error("there is no such record")]
    NotFound,
    /// A parameter of a step that its tool does not take, and why.
    #[error("{0}")]
    Parameter(String),
    /// A parameter of a step that does not fit its tool.
    #[error(transparent)]
    Unfit(#[from] UnfitParam),
    /// A value that cannot be taken.
    #[error(transparent)]
    Wrong(#[from] WrongValue),
    /// A file that is no template.
    #[error(transparent)]
    Template(#[from] BadTemplate),
    /// What a form says cannot be written: its record, where there are several, and why.
    #[error("{}", in_record(Words::ENGLISH, *.record, for_programs(.obstacle)))]
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
            AppError::Unfit(unfit) => Some(told(words, &obstacle_of(unfit))),
            AppError::Template(bad) => Some(bad_template::told(words, bad)),
            AppError::Wrong(wrong) => Some(wrong.told(words)),
            AppError::Obstacle { record, obstacle } => Some(in_record(words, *record, told(words, obstacle))),
            AppError::Text(bad) => Some(bad_text(words, bad)),
            AppError::Model { why, .. } => Some(why.clone()),
            AppError::People(refusal) => refusal.text().map(|id| words.say(id).into_owned()),
            AppError::NotFound | AppError::Store(_) => None,
        }
    }
}

/// A parameter that does not fit, as a form says it.
fn obstacle_of(unfit: &UnfitParam) -> Obstacle {
    let param = unfit.param.clone();
    let kind = match &unfit.fault {
        ParamFault::Missing | ParamFault::Empty => return Obstacle::Missing { param },
        ParamFault::Choice { .. } => FieldKind::Choice,
        ParamFault::Kind { kind: ParamKind::Boolean, .. } => FieldKind::Flag,
        ParamFault::Kind { kind: ParamKind::Number | ParamKind::Integer, .. } => FieldKind::Number,
        ParamFault::Kind { kind: ParamKind::String, .. } => FieldKind::Text,
    };
    Obstacle::Wrong { param, kind }
}

/// With the record that it is about, where there are several.
fn in_record(words: Words, record: Option<usize>, why: String) -> String {
    match record {
        None => why,
        Some(n) => words.with("obstacle-in-record", [("n", n.into()), ("why", why.into())]),
    }
}
