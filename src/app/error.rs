//! Why a use case came to nothing.

use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// There is none, it was deleted, or it is somebody else's; nobody is told which.
    #[error("there is no such record")]
    NotFound,
    /// A parameter of a step that its tool does not take, and why.
    #[error("{0}")]
    Parameter(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}
