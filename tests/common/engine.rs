//! The engine under the tests: SQLite, or the Postgres server that `MANA_STORE_URL` names, with a database for each data directory.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use mana_ai::store::{Options, Store};

/// The address of the database for a data directory, made where it is missing; `None`: its file.
pub fn address(dir: &Path) -> Option<String> {
    let server = std::env::var("MANA_STORE_URL").ok()?;
    let mut hasher = DefaultHasher::new();
    dir.canonicalize().unwrap_or_else(|_| dir.to_owned()).hash(&mut hasher);
    let name = format!("test_{:016x}", hasher.finish());
    // The client blocks, which a test that runs tasks may not.
    let made = std::thread::scope(|scope| {
        let make = || {
            let mut client = postgres::Client::connect(&format!("{server}/postgres"), postgres::NoTls)?;
            client.batch_execute(&format!("CREATE DATABASE {name}"))
        };
        scope.spawn(make).join().unwrap()
    });
    if let Err(error) = made {
        assert_eq!(error.code(), Some(&postgres::error::SqlState::DUPLICATE_DATABASE), "{error}");
    }
    Some(format!("{server}/{name}"))
}

/// Opens the database of a data directory.
pub fn open(dir: &Path, options: &Options) -> Store {
    match address(dir) {
        None => Store::open(dir, options).unwrap(),
        Some(address) => std::thread::scope(|scope| scope.spawn(|| Store::connect(&address, dir, options)).join().unwrap()).unwrap(),
    }
}
