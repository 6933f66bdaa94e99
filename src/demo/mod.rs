//! The demo: an example world, a scripted model behind a real HTTP server, and a narrator.
//!
//! This room makes what a demo needs around the program; the program itself runs as it always does.

pub mod model;
pub mod narrator;
pub mod reviewer;

use std::io::Cursor;

use include_dir::{Dir, include_dir};
use zeroize::Zeroizing;

use crate::exchange::{self, ImportError};
use crate::store::{RowFilter, Store};

static FIXTURES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/demo");

/// Marks a database as one that the demo may use again.
const MARK: &str = "demo world";

/// Why the demo does not start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("{} holds data that is not from the demo, which will not touch it; give the demo a directory of its own with --data-dir", .0.display())]
    ForeignData(std::path::PathBuf),
    #[error("the demo's own data cannot be loaded: {0}")]
    Import(#[from] ImportError),
    #[error("{0}")]
    Store(#[from] crate::store::StoreError),
    #[error("the scripted model cannot start: {0}")]
    Model(String),
}

fn fixture(name: &str) -> &'static str {
    FIXTURES.get_file(name).and_then(|file| file.contents_utf8()).unwrap_or_default()
}

/// The key that opens the grant of the example world; it protects nothing.
pub fn private_key_pem() -> Zeroizing<String> {
    Zeroizing::new(fixture("private-key.pem").to_owned())
}

/// Loads the example world into an empty database; one that has it already is left as its user made it.
///
/// # Errors
/// When the database holds anything else.
pub async fn load(store: &Store) -> Result<(), DemoError> {
    if store.fact(MARK).await?.is_none() {
        if !store.rows_after(RowFilter::default(), 0, 1).await?.is_empty() {
            return Err(DemoError::ForeignData(store.path().to_owned()));
        }
        store.set_fact(MARK, "1".into()).await?;
    }
    // Changes that are there already are left out, so a start that was cut short is made whole.
    store.append(exchange::read(Box::new(Cursor::new(fixture("world.jsonl"))))?.changes).await?;
    Ok(())
}
