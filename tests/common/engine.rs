//! The engine under the tests: SQLite, or the Postgres server that `MANA_STORE_URL` names, with a database for each data directory.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use mana_ai::store::{Options, Store};
use postgres::{Client, NoTls};

/// Databases that this process knows to be there.
static MADE: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// Whether it is a server.
pub fn is_server() -> bool {
    std::env::var_os("MANA_STORE_URL").is_some()
}

/// The address of the database for a data directory, made where it is missing; `None`: its file.
pub fn address(dir: &Path) -> Option<String> {
    let server = std::env::var("MANA_STORE_URL").ok()?;
    let mut hasher = DefaultHasher::new();
    dir.canonicalize().unwrap_or_else(|_| dir.to_owned()).hash(&mut hasher);
    let name = format!("test_{:016x}", hasher.finish());
    let address = format!("{server}/{name}");
    if !MADE.lock().unwrap().contains(&name) {
        // The client blocks, which a test that runs tasks may not.
        let made = std::thread::scope(|scope| scope.spawn(|| make(&server, &name)).join().unwrap());
        if let Err(error) = made {
            assert_eq!(error.code(), Some(&postgres::error::SqlState::DUPLICATE_DATABASE), "{error}");
        }
        MADE.lock().unwrap().insert(name);
    }
    Some(address)
}

fn make(server: &str, name: &str) -> Result<(), postgres::Error> {
    let mut client = Client::connect(&format!("{server}/postgres"), NoTls)?;
    client.batch_execute(&format!("CREATE DATABASE {name}"))
}

/// Opens the database of a data directory.
pub fn open(dir: &Path, options: &Options) -> Store {
    match address(dir) {
        None => Store::open(dir, options).unwrap(),
        Some(address) => std::thread::scope(|scope| scope.spawn(|| Store::connect(&address, dir, options)).join().unwrap()).unwrap(),
    }
}
