//! What the integration tests share.
#![allow(dead_code)]

use mana_ai::domain::change::{self, Change};
use mana_ai::store::{Options, Store, StoreError};
use serde_json::Value;

/// A store in a directory of its own, without waiting for the disk.
pub fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &Options { durable: false, ..Options::default() }).unwrap();
    (dir, store)
}

/// The change that a line of JSONL stands for.
pub fn change(line: &Value) -> Change {
    change::from_json(line.as_object().unwrap().clone(), || uuid::Uuid::new_v4().to_string()).unwrap()
}

pub async fn append(store: &Store, changes: impl IntoIterator<Item = Change>) {
    let changes: Vec<Result<Change, StoreError>> = changes.into_iter().map(Ok).collect();
    store.append(changes).await.unwrap();
}

/// The cases of a vector file.
pub fn vectors(name: &str) -> Vec<Value> {
    let path = format!("{}/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
