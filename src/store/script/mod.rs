//! Transaction scripts: the rules that decide between one operation of the database and the next. They are the same on every
//! engine, and know none.

mod claim;
mod close;
mod edit;
mod fold;
mod lost;
mod push;
mod restore;

pub(super) use claim::claim;
pub(super) use close::close;
pub use edit::Edit;
pub(super) use edit::{append_decided, edit, undelete};
pub(super) use fold::{BatchBounds, Columns, Folded, Save, fold_batch, newest, put, write_batch};
pub use fold::{Refreshed, search_key};
pub use push::ClientPush;
pub(super) use push::{append, push};
pub use restore::Lossy;
pub(super) use restore::restore_iterations;
