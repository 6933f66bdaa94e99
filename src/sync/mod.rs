//! The sync protocol of local-first clients: what a push says, what a client is told, and who hears of it (docs/design.md,
//! section 9).
//!
//! A client continues from a cursor, the `sync_at` of the last row that it was told of. Rows get theirs in the order in
//! which they are committed, so whoever continues from a cursor misses nothing. This room must not know routes or SQL.

mod cursor;
mod follow;
mod hub;
mod push;
mod wire;

pub use cursor::Cursor;
pub use follow::follow;
pub use hub::{Hub, Mailbox, PendingTables, TooMany};
pub use push::{BadPush, ChangeIn, FieldIn, MAX_CHANGES, Push, Pushed, Sender};
pub use wire::{Answer, ChangeOut, FieldOut};
