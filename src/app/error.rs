//! Why a use case came to nothing.

use crate::store::StoreError;

/// What somebody may not do to the people of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeopleRefusal {
    #[error("only an administrator may do this")]
    NotAdmin,
    #[error("somebody has to administer the server")]
    LastAdmin,
    #[error("somebody of this name is here already")]
    Taken,
}

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// There is none, it was deleted, or it is somebody else's; nobody is told which.
    #[error("there is no such record")]
    NotFound,
    /// A parameter of a step that its tool does not take, and why.
    #[error("{0}")]
    Parameter(String),
    #[error(transparent)]
    People(#[from] PeopleRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}
