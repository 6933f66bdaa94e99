//! Backups of a database in use and their way back (docs/design.md, section 12): whatever is killed and when, and whatever file
//! is given, the database in the directory is the old one or the new one, and the copy is never touched.

mod in_use;
mod kills;
mod refusals;
mod replaced;
mod replacing;
mod sign_in;
mod under_load;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{File, Permissions, TryLockError};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::{Mana, Model, Ran, Reply, Served, copy_program, hourly, insert, metric, rounds, wait_for};
use mana_ai::store::{SCHEMA_VERSION, Store};
use rusqlite::Connection;
use serde_json::{Value, json};

const PAGE: usize = 4_096;

/// The name of the lock in a data directory, whose content says nothing.
const LOCK: &str = "mana-ai.db.lock";

/// A program that syncs and never plans.
fn quiet() -> Mana {
    Mana::new().with("TICK_ENABLED", "false").with("MANA_LLM_URL", "http://127.0.0.1:9")
}

fn database(mana: &Mana) -> PathBuf {
    mana.dir.path().join(Store::FILE_NAME)
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A directory whose database has this many notes, and missions that are projected.
fn world(tag: &str, notes: usize) -> Mana {
    let mana = quiet();
    let notes = (0..notes).map(|n| insert("ada", "notes", &format!("{tag}-{n}"), json!({"title": format!("{tag} note {n}")})));
    let missions = (0..3).map(|n| hourly("ada", &format!("{tag}-mission-{n}"), None, "2100-01-01T00:00:00.000Z"));
    mana.import(&notes.chain(missions).collect::<Vec<_>>());
    mana.run(&["missions"]);
    settle(&mana);
    mana
}

/// Makes one file of a database that nobody has open.
fn settle(mana: &Mana) {
    let connection = Connection::open(database(mana)).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(connection);
    assert!(!beside(&database(mana), "-wal").exists());
}

/// Adds many notes to the log without the program, which takes a second where the program takes a minute.
fn enlarge(mana: &Mana, tag: &str, rows: u32, bytes: u32) {
    let connection = Connection::open(database(mana)).unwrap();
    let more = format!(
        "INSERT INTO sync_changes (id, app_id, table_name, record_id, user_id, op, data, client_id, created_at, sync_at) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
         SELECT lower(hex(randomblob(16))), 'notes', 'notes', '{tag}-more-' || i, 'ada', 'insert', \
         json_object('body', hex(zeroblob({bytes}))), 'phone', t + i, t + i FROM n, (SELECT max(sync_at) AS t FROM sync_changes)"
    );
    connection.execute_batch(&more).unwrap();
    drop(connection);
    settle(mana);
}

#[track_caller]
fn export(mana: &Mana) -> String {
    let ran = mana.run(&["export"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout
}

#[track_caller]
fn assert_sound(mana: &Mana) {
    let check = mana.run(&["check", "--json"]).json().remove(0);
    assert_eq!(check["sound"], true, "{check}");
}

/// A backup in a directory of its own.
struct Copy {
    dir: tempfile::TempDir,
    file: PathBuf,
}

#[track_caller]
fn backup(mana: &Mana) -> Copy {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("copy.db");
    let ran = mana.run(&["backup", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    Copy { dir, file }
}

fn restore(mana: &Mana, file: &Path, more: &[&str]) -> Ran {
    mana.run(&[&["restore", file.to_str().unwrap()], more].concat())
}

#[track_caller]
fn restores(mana: &Mana, file: &Path, more: &[&str]) -> Ran {
    let ran = restore(mana, file, more);
    assert!(ran.code == Some(0) && ran.stdout.is_empty(), "{ran:?}");
    ran
}

/// A directory of its own with the database of this file.
#[track_caller]
fn restored(file: &Path) -> Mana {
    let mana = quiet();
    restores(&mana, file, &[]);
    mana
}

/// What the files of a directory hold, but for the lock.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let plain = entries.filter(|entry| entry.file_type().unwrap().is_file() && entry.file_name() != LOCK);
    plain.map(|entry| (entry.file_name().to_str().unwrap().to_owned(), std::fs::read(entry.path()).unwrap())).collect()
}

fn names(dir: &Path, with: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.file_name().unwrap().to_string_lossy().contains(with)).collect();
    found.sort();
    found
}

/// The databases that restores keep in a directory.
fn kept(mana: &Mana) -> Vec<PathBuf> {
    names(mana.dir.path(), "mana-ai.db.replaced-")
}

fn drafts(mana: &Mana) -> Vec<PathBuf> {
    names(mana.dir.path(), ".part")
}

/// Checks that a file is refused with a reason, with and without `--replace`, in a directory that has a database and in
/// an empty one, and that every file stays as it is.
#[track_caller]
fn refuses(file: &Path, reason: &str) {
    let mana = world("old", 5);
    let (before, copy) = (files(mana.dir.path()), std::fs::read(file).ok());
    let refused = restore(&mana, file, &["--replace"]);
    refused.fails(1, reason);
    assert!(refused.stderr.contains(file.to_str().unwrap()), "names the file: {refused:?}");
    assert!(files(mana.dir.path()) == before, "{reason}: {:?}", names(mana.dir.path(), ""));
    let empty = quiet();
    restore(&empty, file, &[]).fails(1, reason);
    assert_eq!(files(empty.dir.path()).len(), 0, "{:?}", names(empty.dir.path(), ""));
    assert!(std::fs::read(file).ok() == copy, "{reason}: the file was changed");
}

/// A copy of a database after some SQL.
fn forged(sql: &str) -> Copy {
    let copy = backup(&world("new", 5));
    let connection = Connection::open(&copy.file).unwrap();
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    drop(connection);
    copy
}

fn start(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Lets the program run for a while and kills it; whether it still ran.
fn kill_after(mut child: Child, wait: Duration) -> bool {
    std::thread::sleep(wait);
    let early = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(early || status.success(), "{status}");
    early
}

fn kill(mut served: Served) {
    served.child.kill().unwrap();
    served.child.wait().unwrap();
}

/// Puts files into an empty directory.
fn lay(files: &BTreeMap<String, Vec<u8>>) -> Mana {
    let mana = quiet();
    for (name, bytes) in files {
        std::fs::write(mana.dir.path().join(name), bytes).unwrap();
    }
    mana
}

/// A directory whose server was killed after its pushes, of one note each, with its write-ahead log.
fn killed_server(pushes: usize) -> (Mana, Vec<String>) {
    let mana = world("killed", 5);
    let served = mana.serve();
    let token = mana.run(&["token", "create", "--user", "ada"]).stdout.trim().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let http = crate::common::http_client();
    let ids: Vec<String> = (0..pushes).map(|n| format!("pushed {n}")).collect();
    for id in &ids {
        let body = json!({"clientId": "phone", "changes": [{"table": "notes", "id": id, "op": "insert", "data": {"title": id}}]});
        let status = runtime.block_on(async {
            http.post(served.url("/sync/notes")).bearer_auth(&token).json(&body).send().await.unwrap().status().as_u16()
        });
        assert_eq!(status, 200);
    }
    kill(served);
    assert!(beside(&database(&mana), "-wal").metadata().unwrap().len() > 0);
    (mana, ids)
}

#[track_caller]
fn has_all(log: &str, ids: &[String]) {
    for id in ids {
        assert!(log.contains(&format!("\"recordId\":\"{id}\"")), "{id} is missing");
    }
}

/// An import that waits for more lines, with the database open.
fn held_import(mana: &Mana, record: &str) -> Child {
    let mut command = mana.command(&["import", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let line = insert("ada", "notes", record, json!({"title": "x"}));
    writeln!(child.stdin.as_mut().unwrap(), "{line}").unwrap();
    let lock = mana.dir.path().join(LOCK);
    wait_for("the import to have the database open", || {
        let file = File::open(&lock).ok()?;
        matches!(file.try_lock(), Err(TryLockError::WouldBlock)).then_some(())
    });
    child
}
