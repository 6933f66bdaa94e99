//! Backups of a database in use and their way back (docs/design.md, section 12): whatever is killed and when, and whatever file
//! is given, the database in the directory is the old one or the new one, and the copy is never touched.

mod common;

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

use common::{Mana, Model, Ran, Reply, Served, copy_program, hourly, insert, metric, wait_for};
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

// What a restore does.

#[test]
fn a_restored_database_is_the_one_that_was_copied() {
    let mana = world("new", 50);
    let copy = backup(&mana);
    let into = quiet();
    let ran = restores(&into, &copy.file, &[]);
    // The time at which the log took it in, which an import does not bring.
    let connection = Connection::open(database(&mana)).unwrap();
    let at: i64 = connection.query_row("SELECT max(sync_at) FROM sync_changes", [], |row| row.get(0)).unwrap();
    let minute = jiff::Timestamp::from_microsecond(at).unwrap().strftime("%Y-%m-%dT%H:%M:").to_string();
    assert!(ran.stderr.contains("53 rows") && ran.stderr.contains(&minute), "{minute}: {ran:?}");
    assert_eq!(export(&into), export(&mana));
    assert_eq!(into.run(&["missions", "--json"]).stdout, mana.run(&["missions", "--json"]).stdout);
    assert_sound(&into);
}

#[test]
fn a_restore_makes_a_missing_directory_for_its_owner_alone() {
    let copy = backup(&world("new", 5));
    std::fs::set_permissions(&copy.file, Permissions::from_mode(0o644)).unwrap();
    let mana = quiet();
    let dir = mana.dir.path().join("not/yet");
    let command = mana.command(&["restore", copy.file.to_str().unwrap(), "--data-dir", dir.to_str().unwrap()]);
    let mut open = Command::new("sh");
    open.args(["-c", "umask 0; exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
    assert!(open.status().unwrap().success());
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join(Store::FILE_NAME))), (0o700, 0o600));
    assert_eq!(mana.run(&["export", "--data-dir", dir.to_str().unwrap()]).stdout.lines().count(), 8);
}

#[test]
fn a_database_is_not_replaced_unless_that_is_said() {
    let (old, new) = (world("old", 5), world("new", 7));
    let copy = backup(&new);
    let before = files(old.dir.path());
    let refused = restore(&old, &copy.file, &[]);
    refused.fails(1, "--replace");
    assert!(refused.stderr.contains(database(&old).to_str().unwrap()), "{refused:?}");
    assert!(files(old.dir.path()) == before);

    let (log, replaced) = (export(&old), restores(&old, &copy.file, &["--replace"]));
    let [there] = kept(&old).try_into().unwrap();
    assert!(replaced.stderr.contains(there.to_str().unwrap()), "{replaced:?}");
    assert_eq!(export(&old), export(&new));
    assert_sound(&old);
    assert_eq!(export(&restored(&there)), log);
}

#[test]
fn every_database_that_was_replaced_is_kept_under_a_name_of_its_own() {
    let mana = world("0", 1);
    let mut logs = BTreeSet::from([export(&mana)]);
    // Several within one second.
    for n in 1..5 {
        let other = world(&n.to_string(), n);
        restores(&mana, &backup(&other).file, &["--replace"]);
        logs.insert(export(&other));
    }
    logs.remove(&export(&mana));
    assert_eq!(kept(&mana).len(), 4);
    assert_eq!(kept(&mana).iter().map(|file| export(&restored(file))).collect::<BTreeSet<_>>(), logs);
}

#[test]
fn a_copy_may_be_read_only_and_lie_where_nobody_writes() {
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let new = world("new", 7);
    let copy = backup(&new);
    let into = quiet();
    let program = into.dir.path().join("program");
    copy_program(&program);
    let mut command = Command::new(&program);
    if root {
        // Root may write everywhere, so the command runs as nobody.
        use std::os::unix::process::CommandExt;
        for path in [copy.dir.path(), &copy.file, into.dir.path()] {
            std::os::unix::fs::chown(path, Some(65_534), Some(65_534)).unwrap();
        }
        command.uid(65_534).gid(65_534);
    }
    std::fs::set_permissions(&copy.file, Permissions::from_mode(0o400)).unwrap();
    std::fs::set_permissions(copy.dir.path(), Permissions::from_mode(0o500)).unwrap();
    let (before, touched) = (files(copy.dir.path()), copy.file.metadata().unwrap().modified().unwrap());
    command.env_clear().args(["restore", copy.file.to_str().unwrap(), "--data-dir"]).arg(into.dir.path()).current_dir("/");
    let output = command.output().unwrap();
    std::fs::set_permissions(copy.dir.path(), Permissions::from_mode(0o700)).unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(files(copy.dir.path()) == before);
    assert_eq!(copy.file.metadata().unwrap().modified().unwrap(), touched);
    assert_eq!(export(&into), export(&new));
}

#[test]
fn a_raw_copy_of_a_database_brings_its_write_ahead_log() {
    let (mana, _) = killed_server(30);
    let raw = tempfile::tempdir().unwrap();
    for suffix in ["", "-wal"] {
        std::fs::copy(beside(&database(&mana), suffix), raw.path().join(format!("raw{suffix}"))).unwrap();
    }
    let before = files(raw.path());
    let into = restored(&raw.path().join("raw"));
    assert!(files(raw.path()) == before, "the copy is as it was");
    assert_eq!(export(&into), export(&mana));
    assert_sound(&into);
}

/// A directory as an older program left it: with the schema of that version.
fn of_version(version: i64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let connection = Connection::open(dir.path().join("copy.db")).unwrap();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    let mut scripts: Vec<_> = std::fs::read_dir(schema).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    for script in &scripts[..usize::try_from(version).unwrap()] {
        connection.execute_batch(&std::fs::read_to_string(script).unwrap()).unwrap();
    }
    connection.pragma_update(None, "user_version", version).unwrap();
    connection.pragma_update(None, "application_id", 0x4d41_4e41).unwrap();
    let row = "INSERT INTO sync_changes (id, app_id, table_name, record_id, user_id, op, data, client_id, created_at, sync_at) \
         VALUES ('b3dd6b24-6f0c-4d0c-8b36-1f8f8f7f6a01', 'ai', 'aiMissions', 'm', 'ada', 'insert', '{\"title\": \"old\"}', 'phone', 1, 1)";
    connection.execute(row, []).unwrap();
    dir
}

#[test]
fn a_copy_of_every_older_version_is_brought_up_to_date() {
    for version in 1..=SCHEMA_VERSION {
        // Snapshots came with the second version; the first has none to be sound.
        let dir = of_version(version);
        let file = dir.path().join("copy.db");
        let before = files(dir.path());
        let mana = restored(&file);
        assert!(files(dir.path()) == before, "version {version}: the copy is as it was");
        assert_eq!(mana.mission("m")["title"], "old", "version {version}");
        assert_sound(&mana);
        let connection = Connection::open(database(&mana)).unwrap();
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(found, SCHEMA_VERSION);
    }
}

// Backups under load.

/// A server that takes pushes of three changes each from several clients, as fast as they come back.
struct Load {
    mana: Mana,
    served: Served,
    stop: Arc<AtomicBool>,
    /// Pushes that were answered, in the order of the answers.
    answered: Arc<std::sync::Mutex<Vec<String>>>,
    runtime: tokio::runtime::Runtime,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(clients: usize) -> Self {
        let (served, mana) = quiet().serve_kept();
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(std::sync::Mutex::new(Vec::new())));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let http = reqwest::Client::new();
        let tokens: Vec<String> =
            (0..4).map(|user| mana.run(&["token", "create", "--user", &format!("user-{user}")]).stdout.trim().to_owned()).collect();
        let clients = (0..clients)
            .map(|client| {
                let request = http.post(served.url("/sync/ai")).bearer_auth(&tokens[client % 4]);
                runtime.spawn(push_on(client, request, Arc::clone(&stop), Arc::clone(&answered)))
            })
            .collect();
        Load { mana, served, stop, answered, runtime, clients }
    }

    fn answered(&self) -> usize {
        self.answered.lock().unwrap().len()
    }

    /// Ends the load and its server, and tells what was answered.
    fn end(self) -> (Mana, Vec<String>) {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            self.runtime.block_on(client).unwrap();
        }
        assert_eq!(self.served.terminate(), Some(0));
        let answered = self.answered.lock().unwrap().clone();
        (self.mana, answered)
    }
}

async fn push_on(client: usize, request: reqwest::RequestBuilder, stop: Arc<AtomicBool>, answered: Arc<std::sync::Mutex<Vec<String>>>) {
    let mut n = 0;
    while !stop.load(Ordering::SeqCst) {
        let name = format!("{client}-{n}");
        let body = json!({"clientId": format!("device-{client}"), "since": "2100-01-01T00:00:00.000Z", "changes": [
            {"table": "aiMissions", "id": format!("{name}/0"), "op": "insert", "data": {"title": "a mission", "state": "active"}},
            {"table": "notes", "id": format!("{name}/1"), "op": "insert", "data": {"title": "a note", "body": "x".repeat(200)}},
            {"table": "aiMissions", "id": format!("{name}/0"), "op": "update", "fields": {"title": {"value": n, "at": "2100-01-01T00:00:00.000Z"}}},
        ]});
        let answer = request.try_clone().unwrap().json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answered.lock().unwrap().push(name);
        n += 1;
    }
}

fn push_of(line: &str) -> String {
    let row: Value = serde_json::from_str(line).unwrap();
    row["recordId"].as_str().unwrap().split('/').next().unwrap().to_owned()
}

#[test]
fn backups_of_a_server_under_load_are_its_log_up_to_a_moment() {
    let load = Load::start(24);
    wait_for("the load to begin", || (load.answered() > 100).then_some(()));
    let started = (Instant::now(), load.answered());
    let (mut copies, mut meanwhile) = (Vec::new(), 0);
    for _ in 0..6 {
        let before = load.answered();
        let copy = backup(&load.mana);
        meanwhile += load.answered() - before;
        copies.push((before, copy));
        // The next one has more.
        let grown = load.answered() + 50;
        wait_for("more pushes", || (load.answered() > grown).then_some(()));
    }
    println!("{:.0} pushes/s beside the backups", (load.answered() - started.1) as f64 / started.0.elapsed().as_secs_f64());
    let (mana, answered) = load.end();
    assert!(meanwhile > 0, "the server took no push during six backups");

    let log = export(&mana);
    let log: Vec<&str> = log.lines().collect();
    let mut lengths = Vec::new();
    for (before, copy) in &copies {
        assert_eq!(names(copy.dir.path(), ""), std::slice::from_ref(&copy.file), "nothing but the copy is left");
        let there = restored(&copy.file);
        assert_sound(&there);
        let rows = export(&there);
        let rows: Vec<&str> = rows.lines().collect();
        assert!(log.starts_with(&rows), "a copy of {} rows is not the begin of the log", rows.len());
        let mut parts: BTreeMap<String, usize> = BTreeMap::new();
        for row in &rows {
            *parts.entry(push_of(row)).or_default() += 1;
        }
        assert!(parts.values().all(|parts| *parts == 3), "a push is there in part");
        assert!(answered[..*before].iter().all(|push| parts.contains_key(push)), "what was answered before the backup is in it");
        lengths.push(rows.len());
    }
    assert!(lengths.is_sorted() && lengths[0] < lengths[5], "{lengths:?}");
    assert_sound(&mana);
}

#[test]
fn a_backup_of_an_import_that_is_not_done_has_nothing_of_it() {
    let mana = world("old", 5);
    let log = export(&mana);
    let mut importing = held_import(&mana, "during");
    let copy = backup(&mana);
    drop(importing.stdin.take());
    assert!(importing.wait().unwrap().success());
    assert_eq!(export(&restored(&copy.file)), log);
    assert_eq!(export(&mana).lines().count(), log.lines().count() + 1);
}

#[test]
fn a_backup_has_the_name_that_was_asked_for() {
    let mana = world("new", 5);
    let log = export(&mana);
    // SQLite reads some of these as addresses, and the second is no UTF-8.
    let names: [&[u8]; 5] = [b"file:copy.db", b"copie-\xe9t\xe9.db", b"file:copy.db?mode=memory", b":memory:", b"a'b\"c %41 ?x#y"];
    let mut wrong = Vec::new();
    for name in names {
        let dir = tempfile::tempdir().unwrap();
        let output = mana.command(&["backup"]).arg(OsStr::from_bytes(name)).current_dir(dir.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("panicked"), "{said}");
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        // A name may be refused, but not taken for another one.
        let expected = if output.status.success() { vec![OsStr::from_bytes(name).to_owned()] } else { Vec::new() };
        if left != expected {
            wrong.push(format!("{:?} gives {left:?} and says: {said}", OsStr::from_bytes(name)));
            continue;
        }
        if output.status.success() {
            let plain = dir.path().join("plain.db");
            std::fs::rename(dir.path().join(OsStr::from_bytes(name)), &plain).unwrap();
            let size = plain.metadata().unwrap().len();
            if size == 0 {
                wrong.push(format!("{:?} is an empty file, but it said: {said}", OsStr::from_bytes(name)));
                continue;
            }
            assert_eq!(export(&restored(&plain)), log, "{said}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_with_any_name_can_be_restored() {
    let mana = world("new", 5);
    let (log, copy) = (export(&mana), backup(&mana));
    let names: [&[u8]; 4] = [b"file:copy.db", b"copie-\xe9t\xe9.db", b":memory:", b"a'b\"c %41 ?x#y"];
    for name in names {
        let file = copy.dir.path().join(OsStr::from_bytes(name));
        std::fs::copy(&copy.file, &file).unwrap();
        let into = quiet();
        let output = into.command(&["restore"]).arg(OsStr::from_bytes(name)).current_dir(copy.dir.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(export(&into), log);
    }
}

// Kills.

#[test]
fn a_killed_backup_leaves_a_whole_file_or_none() {
    let mana = world("big", 5);
    enlarge(&mana, "big", 20_000, 200);
    let (log, before) = (export(&mana), files(mana.dir.path()));
    let started = Instant::now();
    backup(&mana);
    let step = started.elapsed() / 25;
    let (mut killed, mut whole) = (0, 0);
    for n in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("copy.db");
        let early = kill_after(start(mana.command(&["backup", file.to_str().unwrap()])), step * n);
        if file.exists() {
            assert_eq!(export(&restored(&file)), log, "killed after {:?}", step * n);
            whole += 1;
        }
        for path in names(dir.path(), "") {
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_draft = name.starts_with("copy.db.") && (name.ends_with(".part") || name.ends_with(".part-journal"));
            assert!(path == file || is_draft, "{name}");
        }
        assert!(files(mana.dir.path())[Store::FILE_NAME] == before[Store::FILE_NAME], "the source is untouched");
        killed += usize::from(early);
        // A next one does not mind what a killed one left.
        if !early {
            break;
        }
        if !file.exists() && n % 8 == 0 {
            assert_eq!(mana.run(&["backup", file.to_str().unwrap()]).code, Some(0));
        }
    }
    println!("{killed} kills, {whole} whole files");
    assert!(killed > 5 && whole > 0);
    assert_eq!(export(&mana), log);
    assert_sound(&mana);
}

#[test]
fn a_backup_that_is_stopped_leaves_nothing() {
    let mana = world("big", 5);
    enlarge(&mana, "big", 20_000, 200);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("copy.db");
    let mut stopped = 0;
    for signal in ["-INT", "-TERM"].repeat(10) {
        let child = start(mana.command(&["backup", file.to_str().unwrap()]));
        wait_for("the draft to grow", || {
            names(dir.path(), "").iter().any(|path| path.metadata().is_ok_and(|file| file.len() > 0)).then_some(())
        });
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        let code = child.wait_with_output().unwrap().status.code();
        if code == Some(0) {
            std::fs::remove_file(&file).unwrap();
        } else {
            assert_eq!((code, names(dir.path(), "")), (Some(1), vec![]), "after {signal}");
            stopped += 1;
        }
    }
    assert!(stopped > 0);
}

#[test]
fn a_killed_restore_leaves_the_old_database_or_the_new_one() {
    let mana = world("old", 5);
    enlarge(&mana, "old", 3_000, 200);
    let new = world("new", 5);
    enlarge(&new, "new", 12_000, 400);
    let (old_copy, new_copy) = (backup(&mana), backup(&new));
    let (old_log, new_log) = (export(&mana), export(&new));
    let started = Instant::now();
    drop(restored(&new_copy.file));
    let step = started.elapsed() / 25;
    let (mut killed, mut became_new) = (0, 0);
    for n in 0.. {
        let early = kill_after(start(mana.command(&["restore", new_copy.file.to_str().unwrap(), "--replace"])), step * n);
        killed += usize::from(early);
        assert!(database(&mana).exists(), "killed after {:?}", step * n);
        let there = export(&mana);
        assert!(there == old_log || there == new_log, "killed after {:?}: a mix of {} rows", step * n, there.lines().count());
        assert_sound(&mana);
        if there == new_log {
            became_new += 1;
            let kept = kept(&mana);
            assert!(kept.iter().any(|file| export(&restored(file)) == old_log), "{kept:?}");
            // And back again for the next kill.
            restores(&mana, &old_copy.file, &["--replace"]);
            assert_eq!(export(&mana), old_log);
            assert!(drafts(&mana).is_empty(), "{:?}", drafts(&mana));
        }
        for file in self::kept(&mana) {
            std::fs::remove_file(file).unwrap();
        }
        if !early {
            break;
        }
    }
    println!("{killed} kills, {became_new} times the new one was there");
    assert!(killed > 5 && became_new > 0);
    restores(&mana, &new_copy.file, &["--replace"]);
    assert!(drafts(&mana).is_empty(), "{:?}", drafts(&mana));
    assert_eq!((export(&mana), export(&restored(&kept(&mana)[0]))), (new_log, old_log));
}

/// Put before the C library: kills the program before its n-th change of a file in a directory.
const KILLER: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int steps;

static void step(const char *path) {
    const char *dir = getenv("MANA_KILL_IN"), *at = getenv("MANA_KILL_AT");
    if (!dir || !at || !path || !strstr(path, dir) || strstr(path, ".lock")) return;
    if (__sync_add_and_fetch(&steps, 1) == atoi(at)) kill(getpid(), SIGKILL);
}

static void step_of(int fd) {
    char link[40], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return;
    path[n] = 0;
    step(path);
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = (mode_t)va_arg(more, int); \
        va_end(more); \
        if (flags & (O_CREAT | O_TRUNC)) step(path); \
        return REAL(name)(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *bytes, size_t length) { step_of(fd); return REAL(write)(fd, bytes, length); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { step_of(fd); return REAL(pwrite)(fd, bytes, length, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) { step_of(fd); return REAL(pwrite64)(fd, bytes, length, at); }
int ftruncate(int fd, off_t length) { step_of(fd); return REAL(ftruncate)(fd, length); }
int ftruncate64(int fd, off64_t length) { step_of(fd); return REAL(ftruncate64)(fd, length); }
int fsync(int fd) { step_of(fd); return REAL(fsync)(fd); }
int fdatasync(int fd) { step_of(fd); return REAL(fdatasync)(fd); }
int unlink(const char *path) { step(path); return REAL(unlink)(path); }
int rename(const char *from, const char *to) { step(to); return REAL(rename)(from, to); }
int link(const char *from, const char *to) { step(to); return REAL(link)(from, to); }
int linkat(int a, const char *from, int b, const char *to, int flags) { step(to); return REAL(linkat)(a, from, b, to, flags); }
"#;

struct Killer {
    dir: tempfile::TempDir,
}

impl Killer {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("killer.c");
        std::fs::write(&source, KILLER).unwrap();
        let made =
            Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(dir.path().join("killer.so")).arg(source).arg("-ldl").status();
        assert!(made.expect("a C compiler").success());
        Killer { dir }
    }

    /// Runs a command and kills it before its n-th change of a file in `dir`; `false` where it was done before.
    fn kills(&self, mut command: Command, dir: &Path, n: usize) -> bool {
        command.env("LD_PRELOAD", self.dir.path().join("killer.so"));
        command.env("MANA_KILL_IN", dir).env("MANA_KILL_AT", n.to_string());
        let output = command.stdin(Stdio::null()).output().unwrap();
        match output.status.code() {
            None => true,
            Some(0) => false,
            Some(_) => panic!("{output:?}"),
        }
    }
}

/// Puts files into an empty directory.
fn lay(files: &BTreeMap<String, Vec<u8>>) -> Mana {
    let mana = quiet();
    for (name, bytes) in files {
        std::fs::write(mana.dir.path().join(name), bytes).unwrap();
    }
    mana
}

#[test]
fn a_backup_that_is_killed_at_any_change_of_a_file_leaves_a_whole_file_or_none() {
    let killer = Killer::new();
    let mana = world("old", 5);
    let log = export(&mana);
    let mut whole = 0;
    for n in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("copy.db");
        let killed = killer.kills(mana.command(&["backup", file.to_str().unwrap()]), dir.path(), n);
        if file.exists() {
            assert_eq!(export(&restored(&file)), log, "killed at change {n}");
            whole += 1;
        }
        if !killed {
            assert!(n > 10 && whole > 1, "{n} changes, {whole} whole files");
            break;
        }
    }
    assert_eq!(export(&mana), log);
}

#[test]
fn a_restore_that_is_killed_at_any_change_of_a_file_leaves_the_old_database_or_the_new_one() {
    let killer = Killer::new();
    // The old one has rows in its write-ahead log, the new one is signed in to.
    let (killed_old, _) = killed_server(2);
    let old_files = files(killed_old.dir.path());
    assert!(old_files.contains_key("mana-ai.db-wal"));
    let old_log = export(&killed_old);
    let new = world("new", 5);
    assert_eq!(new.run(&["link"]).code, Some(0));
    let (new_log, copy) = (export(&new), backup(&new));
    let is_one_of_both = |mana: &Mana, n: usize| {
        let there = export(mana);
        assert!(there == old_log || there == new_log, "killed at change {n}: {} rows", there.lines().count());
        there == new_log
    };
    let (mut olds, mut news) = (0, 0);
    for n in 1.. {
        let mana = lay(&old_files);
        let killed = killer.kills(mana.command(&["restore", copy.file.to_str().unwrap(), "--replace"]), mana.dir.path(), n);
        let is_new = is_one_of_both(&mana, n);
        if is_new {
            assert_eq!(links(&mana), 0, "killed at change {n}");
            assert!(kept(&mana).iter().any(|file| export(&restored(file)) == old_log), "killed at change {n}: the old one is kept");
        }
        assert_sound(&mana);
        if !killed {
            break;
        }
        restores(&mana, &copy.file, &["--replace"]);
        assert!(drafts(&mana).is_empty(), "killed at change {n}: {:?}", drafts(&mana));
        assert_eq!(export(&mana), new_log);
        assert_eq!(kept(&mana).len(), 1 + usize::from(is_new), "killed at change {n}: {:?}", kept(&mana));
        let logs: Vec<String> = kept(&mana).iter().map(|file| export(&restored(file))).collect();
        assert!(logs.contains(&old_log), "killed at change {n}: the old one is kept");
        if is_new { news += 1 } else { olds += 1 }
    }
    println!("killed at {olds} changes before and {news} after the old one was replaced");
    assert!(olds > 10 && news > 0);
}

fn links(mana: &Mana) -> i64 {
    let connection = Connection::open(database(mana)).unwrap();
    let query = "SELECT (SELECT count(*) FROM sign_in_links) + (SELECT count(*) FROM sessions)";
    connection.query_row(query, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_restore_into_an_empty_directory_that_is_killed_at_any_change_of_a_file_can_be_done_again() {
    let killer = Killer::new();
    let new = world("new", 5);
    let (log, copy) = (export(&new), backup(&new));
    for n in 1.. {
        let mana = quiet();
        let killed = killer.kills(mana.command(&["restore", copy.file.to_str().unwrap()]), mana.dir.path(), n);
        if database(&mana).exists() {
            assert_eq!(export(&mana), log, "killed at change {n}");
            assert_sound(&mana);
            if !killed {
                break;
            }
        } else {
            restores(&mana, &copy.file, &[]);
            assert_eq!(export(&mana), log, "killed at change {n}");
        }
        restores(&mana, &copy.file, &["--replace"]);
        assert!(drafts(&mana).is_empty(), "killed at change {n}: {:?}", drafts(&mana));
    }
}

// Who has the directory open.

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

#[test]
fn a_database_in_use_is_not_replaced() {
    let mana = world("old", 5);
    let new = world("new", 7);
    let copy = backup(&new);
    let says_in_use = || {
        for more in [&["--replace"][..], &[]] {
            let refused = restore(&mana, &copy.file, more);
            refused.fails(1, "in use");
            assert!(refused.stderr.contains("stop"), "says what to do: {refused:?}");
        }
        assert!(kept(&mana).is_empty() && drafts(&mana).is_empty());
    };
    let log = export(&mana);
    let served = mana.serve();
    says_in_use();
    assert_eq!(common::get(&served.url("/health")).0, 200);
    assert_eq!(served.terminate(), Some(0));
    assert_eq!(export(&mana), log);

    let mut importing = held_import(&mana, "during");
    says_in_use();
    drop(importing.stdin.take());
    assert!(importing.wait().unwrap().success());
    assert_eq!(export(&mana).lines().count(), log.lines().count() + 1, "the import went on");

    restores(&mana, &copy.file, &["--replace"]);
    assert_eq!(export(&mana), export(&new));
}

#[test]
fn a_server_that_died_does_not_keep_its_database_in_use() {
    let mana = world("old", 5);
    let copy = backup(&world("new", 7));
    kill(mana.serve());
    restores(&mana, &copy.file, &["--replace"]);
}

#[test]
fn an_empty_directory_in_use_takes_no_copy() {
    let mana = quiet();
    let copy = backup(&world("new", 7));
    let mut importing = held_import(&mana, "during");
    restore(&mana, &copy.file, &[]).fails(1, "in use");
    drop(importing.stdin.take());
    assert!(importing.wait().unwrap().success());
    assert_eq!(export(&mana).lines().count(), 1);
}

#[test]
fn the_database_of_a_running_server_is_no_copy() {
    let (served, source) = quiet().serve_kept();
    let into = quiet();
    restore(&into, &database(&source), &[]).fails(1, "in use");
    assert_eq!(files(into.dir.path()).len(), 0);
    drop(served);
}

#[test]
fn the_database_of_a_running_server_is_no_copy_under_another_name_either() {
    let (served, source) = quiet().serve_kept();
    source.import(&[insert("ada", "notes", "new", json!({"title": "x"}))]);
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("copy.db");
    std::os::unix::fs::symlink(database(&source), &other).unwrap();
    let into = quiet();
    let ran = restore(&into, &other, &[]);
    // Whatever is taken must be whole.
    assert!(ran.code != Some(0) || export(&into) == export(&source), "rows are missing: {ran:?}");
    drop(served);
}

#[test]
fn a_database_does_not_take_its_own_place() {
    let mana = world("old", 5);
    let before = files(mana.dir.path());
    restore(&mana, &database(&mana), &["--replace"]).fails(1, "mana-ai.db");
    assert!(files(mana.dir.path()) == before, "{:?}", names(mana.dir.path(), ""));
}

#[test]
fn a_database_that_another_program_reads_is_not_replaced() {
    let mana = world("old", 5);
    let (log, copy) = (export(&mana), backup(&world("new", 7)));
    let other = Connection::open(database(&mana)).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM sync_changes").unwrap();
    restore(&mana, &copy.file, &["--replace"]).fails(1, "in use");
    assert!(kept(&mana).is_empty() && drafts(&mana).is_empty());
    drop(other);
    assert_eq!(export(&mana), log);
    restores(&mana, &copy.file, &["--replace"]);
}

#[test]
fn whoever_looks_while_a_database_is_replaced_sees_the_old_one_or_the_new_one() {
    let mana = world("a", 5);
    let other = world("b", 300);
    let copies = [backup(&other), backup(&mana)];
    let logs = [export(&mana), export(&other)];
    let (done, looked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let replaced = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let log = export(&mana);
                    assert!(logs.contains(&log), "{} rows", log.lines().count());
                    looked.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let mut replaced = 0;
        while replaced < 6 || looked.load(Ordering::SeqCst) < 20 {
            let ran = restore(&mana, &copies[replaced % 2].file, &["--replace"]);
            match ran.code {
                Some(0) => replaced += 1,
                _ => ran.fails(1, "in use"),
            }
        }
        done.store(true, Ordering::SeqCst);
        replaced
    });
    assert_eq!(export(&mana), logs[replaced % 2]);
    assert_eq!(kept(&mana).len(), replaced);
    assert_sound(&mana);
}

#[test]
fn commands_that_meet_a_restored_database_together_all_open_it() {
    let copy = backup(&world("new", 5));
    for round in 0..40 {
        let mana = restored(&copy.file);
        std::thread::scope(|scope| {
            let looking: Vec<_> = (0..4).map(|_| scope.spawn(|| mana.run(&["tick", "--json"]))).collect();
            for ran in looking.into_iter().map(|looking| looking.join().unwrap()) {
                assert_eq!(ran.code, Some(0), "round {round}: {}", ran.stderr);
            }
        });
    }
}

#[test]
fn a_restored_database_that_another_process_writes_is_waited_for() {
    let mana = restored(&backup(&world("new", 5)).file);
    let other = Connection::open(database(&mana)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut export = mana.command(&["export"]);
    export.env("BUSY_TIMEOUT_MS", "600000");
    let mut looking = start(export);
    let started = Instant::now();
    // Well within the time that the command waits for another.
    while started.elapsed() < Duration::from_millis(700) && looking.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(10));
    }
    other.execute_batch("COMMIT").unwrap();
    assert!(looking.wait().unwrap().success(), "it gave up after {:?}", started.elapsed());
}

#[test]
fn commands_that_make_a_database_together_all_open_it() {
    for round in 0..40 {
        let mana = quiet();
        std::thread::scope(|scope| {
            let looking: Vec<_> = (0..4).map(|_| scope.spawn(|| mana.run(&["tick", "--json"]))).collect();
            for ran in looking.into_iter().map(|looking| looking.join().unwrap()) {
                assert_eq!(ran.code, Some(0), "round {round}: {}", ran.stderr);
            }
        });
    }
}

#[test]
fn of_two_restores_at_the_same_time_one_says_why_not() {
    let new = world("new", 5);
    enlarge(&new, "new", 2_000, 200);
    let (log, copy) = (export(&new), backup(&new));
    for _ in 0..5 {
        let mana = quiet();
        let ran = std::thread::scope(|scope| {
            [(); 3].map(|()| scope.spawn(|| restore(&mana, &copy.file, &[]))).map(|restoring| restoring.join().unwrap())
        });
        assert_eq!(ran.iter().filter(|ran| ran.code == Some(0)).count(), 1, "{ran:?}");
        for refused in ran.iter().filter(|ran| ran.code != Some(0)) {
            assert!(refused.stderr.contains("in use") || refused.stderr.contains("--replace"), "{refused:?}");
        }
        assert_eq!(export(&mana), log);
        assert!(kept(&mana).is_empty() && drafts(&mana).is_empty());
    }
}

// Files that are no copies.

#[test]
fn a_file_that_is_no_database_of_this_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    refuses(&dir.path().join("missing"), "No such file");
    refuses(dir.path(), "directory");
    refuses(&file("empty", b""), "no database of mana-ai");
    refuses(&file("text", b"just a text\n"), "no database of mana-ai");
    refuses(&file("long text", "just a text\n".repeat(2_000).as_bytes()), "no database of mana-ai");
    refuses(&file("zeros", &[0; 64 * 1024]), "no database of mana-ai");
    refuses(&file("magic", b"SQLite format 3\0"), "no database of mana-ai");

    let foreign = dir.path().join("foreign");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO notes VALUES (1, 'x')")
        .unwrap();
    refuses(&foreign, "no database of mana-ai");
    Connection::open(&foreign).unwrap().execute_batch("PRAGMA application_id = 0x4d414e41; PRAGMA user_version = 1").unwrap();
    refuses(&foreign, "of mana-ai");
}

#[test]
fn a_copy_that_was_cut_off_is_refused() {
    let new = world("new", 300);
    let copy = backup(&new);
    let whole = std::fs::read(&copy.file).unwrap();
    let pages = whole.len() / PAGE;
    for length in
        [1, 16, 99, 100, 511, 512, PAGE - 1, PAGE, PAGE + 1, pages / 2 * PAGE, pages / 2 * PAGE + 100, whole.len() - PAGE, whole.len() - 1]
    {
        std::fs::write(&copy.file, &whole[..length]).unwrap();
        refuses(&copy.file, "cannot restore");
    }
}

#[test]
fn a_copy_with_a_damaged_page_is_refused() {
    let copy = backup(&world("new", 300));
    let whole = std::fs::read(&copy.file).unwrap();
    let pages = whole.len() / PAGE;
    assert!(pages > 20);
    for fill in [0, 0x5a, 0xff] {
        for page in (0..pages).step_by(pages / 8) {
            let mut bytes = whole.clone();
            bytes[page * PAGE..][..PAGE].fill(fill);
            std::fs::write(&copy.file, bytes).unwrap();
            refuses(&copy.file, "cannot restore");
        }
    }
}

#[test]
fn a_copy_with_a_flipped_byte_is_refused_or_its_log_can_be_read() {
    let copy = backup(&world("new", 100));
    let whole = std::fs::read(&copy.file).unwrap();
    let mut taken = 0;
    // The same places each time.
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let places: Vec<usize> = (0..100).chain((0..300).map(|_| random(whole.len()))).collect();
    let mut wrong = Vec::new();
    for place in places {
        let flip = 1 << random(8);
        let mut bytes = whole.clone();
        bytes[place] ^= flip;
        std::fs::write(&copy.file, bytes).unwrap();
        let mana = quiet();
        let ran = restore(&mana, &copy.file, &[]);
        if ran.code != Some(0) {
            ran.fails(1, "cannot restore");
            assert_eq!(files(mana.dir.path()).len(), 0);
            continue;
        }
        taken += 1;
        // What was made out of the log can be made again; the log itself has to be sound.
        let [repaired, exported] = [mana.run(&["check", "--repair"]), mana.run(&["export"])];
        if repaired.code != Some(0) || exported.code != Some(0) || exported.stdout.lines().count() != 103 {
            wrong.push(format!("byte {place} with {flip:#x}: {}{}", repaired.stderr, exported.stderr));
        }
    }
    assert!(wrong.is_empty(), "taken, but not sound:\n{}", wrong.join(""));
    println!("{taken} of 400 were taken");
}

#[test]
fn a_copy_of_a_newer_program_is_refused() {
    let copy = forged(&format!("PRAGMA user_version = {}", SCHEMA_VERSION + 1));
    refuses(&copy.file, "newer");
    let copy = forged("PRAGMA user_version = 1000; CREATE TABLE more (x)");
    refuses(&copy.file, "newer");
}

#[test]
fn a_copy_with_a_schema_of_its_own_is_refused() {
    for sql in [
        // What would run when the program reads or writes.
        "CREATE TRIGGER more AFTER DELETE ON sessions BEGIN DELETE FROM facts; END",
        "CREATE TRIGGER more AFTER INSERT ON sync_changes BEGIN UPDATE mission_counts SET missions = 0; END",
        "CREATE VIEW more AS SELECT * FROM sync_changes",
        "ALTER TABLE facts RENAME TO other; CREATE VIEW facts AS SELECT * FROM other",
        "CREATE VIRTUAL TABLE more USING fts5(x)",
        "CREATE INDEX more ON sync_changes (upper(actor))",
        "CREATE UNIQUE INDEX more ON runs (mission_id)",
        "CREATE TABLE more (x, y GENERATED ALWAYS AS (upper(x)))",
        "ALTER TABLE runs ADD COLUMN more TEXT",
        "ALTER TABLE runs ADD COLUMN more TEXT GENERATED ALWAYS AS (upper(note))",
        "ALTER TABLE runs DROP COLUMN note",
        "ALTER TABLE runs RENAME COLUMN note TO more",
        // What would be missing.
        "DROP TRIGGER sync_changes_no_delete",
        "DROP INDEX runs_one_open_per_mission",
        "DROP TABLE decision_counts",
        "DROP TRIGGER sync_changes_no_update; CREATE TRIGGER sync_changes_no_update BEFORE UPDATE ON sync_changes BEGIN SELECT 1; END",
        // Versions whose schema is another.
        "PRAGMA user_version = 1",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = -1",
        "PRAGMA application_id = 0",
    ] {
        let copy = forged(sql);
        println!("{sql}");
        refuses(&copy.file, "of mana-ai");
    }
}

#[test]
fn what_a_replicator_or_an_operator_added_does_no_harm_and_is_left_behind() {
    let copy = forged(
        "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER); CREATE TABLE _litestream_lock (id INTEGER); \
         CREATE INDEX by_actor ON sync_changes (actor); ANALYZE",
    );
    let mana = quiet();
    restores(&mana, &copy.file, &[]);
    assert_sound(&mana);
    let names = Connection::open(mana.dir.path().join(Store::FILE_NAME))
        .unwrap()
        .prepare("SELECT name FROM sqlite_schema")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<Vec<String>, _>>()
        .unwrap();
    assert!(names.len() > 20 && !names.iter().any(|name| name.starts_with('_') || name == "by_actor"), "{names:?}");
}

#[test]
fn a_copy_whose_catalog_was_forged_is_refused() {
    let copy = backup(&world("new", 5));
    let whole = std::fs::read(&copy.file).unwrap();
    for sql in [
        // Two names for one table.
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'sync_changes') WHERE name = 'facts'",
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'facts') WHERE name = 'sessions'",
        "UPDATE sqlite_schema SET rootpage = 100000 WHERE name = 'runs'",
        "UPDATE sqlite_schema SET rootpage = 0 WHERE name = 'runs'",
        "UPDATE sqlite_schema SET tbl_name = 'runs' WHERE name = 'sync_changes_no_delete'",
        "UPDATE sqlite_schema SET sql = NULL WHERE name = 'runs'",
        "DELETE FROM sqlite_schema WHERE name = 'mission_snapshots_due'",
        "INSERT INTO sqlite_schema SELECT * FROM sqlite_schema WHERE name = 'runs_by_time'",
    ] {
        std::fs::write(&copy.file, &whole).unwrap();
        let connection = Connection::open(&copy.file).unwrap();
        connection.execute_batch("PRAGMA writable_schema = on").unwrap();
        connection.execute(sql, []).unwrap_or_else(|error| panic!("{sql}: {error}"));
        drop(connection);
        println!("{sql}");
        refuses(&copy.file, "cannot restore");
    }
}

#[test]
fn a_copy_whose_log_is_out_of_order_is_refused() {
    let order = "SELECT sql FROM sqlite_schema WHERE name = 'sync_changes_no_update'";
    let copy = backup(&world("new", 5));
    let connection = Connection::open(&copy.file).unwrap();
    let trigger: String = connection.query_row(order, [], |row| row.get(0)).unwrap();
    connection.execute_batch("DROP TRIGGER sync_changes_no_update; UPDATE sync_changes SET sync_at = 1 WHERE seq = 4").unwrap();
    connection.execute_batch(&trigger).unwrap();
    drop(connection);
    refuses(&copy.file, "row 4 of the log");
}

#[test]
fn a_copy_with_rows_at_the_ends_of_numbers_is_refused_or_goes_on() {
    let row = |seq: i64, sync_at: i64| {
        format!(
            "INSERT INTO sync_changes (seq, id, app_id, table_name, record_id, user_id, op, data, client_id, created_at, sync_at) \
             VALUES ({seq}, '{}', 'ai', 'aiMissions', 'edge', 'ada', 'insert', '{{}}', 'phone', {sync_at}, {sync_at})",
            uuid::Uuid::new_v4()
        )
    };
    let mut wrong = Vec::new();
    let far = 4_000_000_000_000_000;
    for (seq, sync_at) in [(1_000, i64::MAX), (i64::MAX, far), (i64::MAX, i64::MAX), (-1, -1), (0, i64::MIN), (1_000, far)] {
        let copy = forged(&row(seq, sync_at));
        let mana = world("old", 5);
        let before = files(mana.dir.path());
        let ran = restore(&mana, &copy.file, &["--replace"]);
        if ran.code != Some(0) {
            ran.fails(1, "cannot restore");
            assert!(files(mana.dir.path()) == before);
            continue;
        }
        let line = insert("ada", "notes", "after", json!({"title": "x"})).to_string();
        let ran = mana.run_with(&["import", "-"], &line);
        let log = mana.run(&["export"]);
        if ran.code != Some(0) || log.code != Some(0) || !log.stdout.lines().last().unwrap().contains("\"after\"") {
            wrong.push(format!("seq {seq}, sync_at {sync_at}: {}{}", ran.stderr, log.stderr));
            continue;
        }
        assert_sound(&mana);
    }
    assert!(wrong.is_empty(), "the log of a copy that was taken does not go on:\n{}", wrong.join("\n"));
}

#[test]
fn a_copy_with_a_text_that_is_no_text_is_refused_or_its_log_can_be_read() {
    let copy = backup(&world("new", 100));
    let whole = std::fs::read(&copy.file).unwrap();
    let place = |text: &str| whole.windows(text.len()).position(|window| window == text.as_bytes()).expect("the text is in the file");
    // A bit of a row that no index holds.
    let mut wrong = Vec::new();
    for place in [place("new note 50"), place("title\":\"new note 50")] {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x80;
        std::fs::write(&copy.file, bytes).unwrap();
        let mana = quiet();
        let ran = restore(&mana, &copy.file, &[]);
        if ran.code == Some(0) {
            let [check, export] = [mana.run(&["check"]), mana.run(&["export"])];
            if export.code != Some(0) {
                wrong.push(format!("check says {:?} {}, export {:?} {}", check.code, check.stdout, export.code, export.stderr));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs a command under a bound on the size of files, in blocks of 512 bytes, which stands for a full disk.
fn bounded(mana: &Mana, args: &[&str], blocks: u64) -> std::process::Output {
    let command = mana.command(args);
    let mut bounded = Command::new("sh");
    bounded.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""));
    bounded.arg(command.get_program()).args(command.get_args()).env("MANA_AI_DATA_DIR", mana.dir.path());
    bounded.output().unwrap()
}

#[test]
fn a_disk_that_is_full_leaves_the_old_database() {
    let mana = world("old", 5);
    let new = world("new", 5);
    enlarge(&new, "new", 500, 200);
    let (copy, before) = (backup(&new), files(mana.dir.path()));
    let size = copy.file.metadata().unwrap().len();
    for blocks in [0, 1, 100, size / 512 - 1] {
        let output = bounded(&mana, &["restore", copy.file.to_str().unwrap(), "--replace"], blocks);
        assert_eq!(output.status.code(), Some(1), "{blocks}: {output:?}");
        assert!(files(mana.dir.path()) == before, "{blocks}: {:?}", names(mana.dir.path(), ""));
    }
    restores(&mana, &copy.file, &["--replace"]);
    assert_eq!(export(&mana), export(&new));
}

#[test]
fn a_disk_that_is_full_leaves_no_backup_in_part() {
    let mana = world("old", 5);
    enlarge(&mana, "old", 500, 200);
    let log = export(&mana);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("copy.db");
    for blocks in [0, 1, 100, 300] {
        let output = bounded(&mana, &["backup", file.to_str().unwrap()], blocks);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && !said.contains("panicked"), "{blocks}: {said}");
        assert_eq!(names(dir.path(), "").len(), 0, "{blocks}: {:?}", names(dir.path(), ""));
    }
    assert_eq!(mana.run(&["backup", file.to_str().unwrap()]).code, Some(0));
    assert_eq!(export(&restored(&file)), log);
}

#[test]
fn a_copy_that_looks_like_litter_is_not_cleared_away() {
    let new = world("new", 5);
    let log = export(&new);
    let mana = world("old", 5);
    for name in ["mana-ai.db.mine.part", &format!("mana-ai.db.{}.part", uuid::Uuid::new_v4().simple())] {
        let file = mana.dir.path().join(name);
        std::fs::copy(backup(&new).file, &file).unwrap();
        restores(&mana, &file, &["--replace"]);
        assert_eq!(export(&mana), log);
        assert_eq!(export(&restored(&file)), log, "the copy is still there");
    }
}

// What becomes of the old one.

/// A directory whose server was killed after its pushes, of one note each, with its write-ahead log.
fn killed_server(pushes: usize) -> (Mana, Vec<String>) {
    let mana = world("killed", 5);
    let served = mana.serve();
    let token = mana.run(&["token", "create", "--user", "ada"]).stdout.trim().to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let http = reqwest::Client::new();
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

#[test]
fn the_write_ahead_log_of_a_killed_server_goes_with_the_old_database() {
    for with_index in [true, false] {
        let (mana, ids) = killed_server(40);
        if !with_index {
            std::fs::remove_file(beside(&database(&mana), "-shm")).unwrap();
        }
        let new = world("new", 7);
        let copy = backup(&new);
        restores(&mana, &copy.file, &["--replace"]);
        assert_eq!(export(&mana), export(&new), "nothing of the old log gets into the new database");
        let [old] = kept(&mana).try_into().expect("one file");
        has_all(&export(&restored(&old)), &ids);
        restores(&mana, &old, &["--replace"]);
        has_all(&export(&mana), &ids);
        assert_sound(&mana);
    }
}

#[test]
fn a_write_ahead_log_without_its_database_does_not_get_into_the_new_one() {
    let new = world("new", 7);
    enlarge(&new, "new", 200, 200);
    let copy = backup(&new);
    // Somebody moved a database away, or emptied it, and left what was beside it.
    for emptied in [false, true] {
        let (mana, _) = killed_server(40);
        if emptied {
            std::fs::write(database(&mana), b"").unwrap();
        } else {
            std::fs::remove_file(database(&mana)).unwrap();
        }
        restores(&mana, &copy.file, &[]);
        assert_eq!(export(&mana), export(&new));
        assert_sound(&mana);
    }
}

#[test]
fn a_journal_without_its_database_does_not_get_into_the_new_one() {
    let new = world("new", 7);
    let copy = backup(&new);
    // A journal of another program that was cut short: rolled back, it would bring its pages.
    let victim = tempfile::tempdir().unwrap();
    let path = victim.path().join("db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = delete; PRAGMA cache_size = 1; CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(100000))")
        .unwrap();
    connection.execute_batch("BEGIN; UPDATE t SET x = randomblob(100000); INSERT INTO t VALUES (randomblob(200000))").unwrap();
    let journal = std::fs::read(beside(&path, "-journal")).unwrap();
    assert!(journal.len() > PAGE);
    let mana = quiet();
    std::fs::write(beside(&database(&mana), "-journal"), &journal).unwrap();
    restores(&mana, &copy.file, &[]);
    assert_eq!(export(&mana), export(&new));
    assert_sound(&mana);
}

#[test]
fn a_damaged_database_can_be_replaced_and_is_kept() {
    let new = world("new", 7);
    let (log, copy) = (export(&new), backup(&new));
    let old = world("old", 300);
    let whole = std::fs::read(database(&old)).unwrap();
    let pages = whole.len() / PAGE;
    let cut = |length: usize| whole[..length].to_vec();
    let smashed = |from: usize, length: usize, fill: u8| {
        let mut bytes = whole.clone();
        bytes[from..][..length].fill(fill);
        bytes
    };
    let mut damaged = vec![
        b"just a text\n".to_vec(),
        vec![0; 100],
        vec![0; 10 * PAGE],
        cut(1),
        cut(100),
        cut(PAGE),
        cut(pages / 2 * PAGE + 100),
        cut(whole.len() - 1),
        smashed(0, PAGE, 0x5a),
        smashed(0, PAGE, 0),
        smashed(100, PAGE - 100, 0x5a),
        smashed(PAGE, 4 * PAGE, 0x5a),
        smashed(PAGE, whole.len() - PAGE, 0xff),
    ];
    damaged.extend((0..8).map(|part| smashed(pages * part / 8 * PAGE, PAGE, 0x5a)));
    for (n, bytes) in damaged.iter().enumerate() {
        let mana = lay(&BTreeMap::from([(Store::FILE_NAME.to_owned(), bytes.clone())]));
        restore(&mana, &copy.file, &[]).fails(1, "--replace");
        restores(&mana, &copy.file, &["--replace"]);
        assert_eq!(export(&mana), log, "damage {n}");
        assert_sound(&mana);
        // What SQLite tried to fix it with may be kept beside it.
        let old = kept(&mana).into_iter().min().unwrap();
        let kept = std::fs::read(old).unwrap();
        // Where SQLite could still open it, it may have written its head.
        assert!(kept.len() == bytes.len() && kept.get(100..) == bytes.get(100..), "damage {n} is kept as it was");
    }
}

#[test]
fn a_database_with_any_damage_in_its_head_can_be_replaced() {
    let new = world("new", 7);
    let (log, copy) = (export(&new), backup(&new));
    let whole = std::fs::read(database(&world("old", 10))).unwrap();
    let mut stuck = Vec::new();
    for place in 0..100 {
        for value in [0, whole[place] ^ 1, 0x5a, 0xff] {
            let mut bytes = whole.clone();
            if bytes[place] == value {
                continue;
            }
            bytes[place] = value;
            let mana = lay(&BTreeMap::from([(Store::FILE_NAME.to_owned(), bytes)]));
            let ran = restore(&mana, &copy.file, &["--replace"]);
            if ran.code != Some(0) {
                stuck.push(format!("byte {place} = {value:#x}: {}", ran.stderr));
                continue;
            }
            assert_eq!(export(&mana), log, "byte {place} = {value:#x}");
            assert!(!kept(&mana).is_empty());
        }
    }
    assert!(stuck.is_empty(), "{} databases cannot be replaced:\n{}", stuck.len(), stuck.join(""));
}

#[test]
fn the_rows_in_the_write_ahead_log_of_a_damaged_database_are_kept_too() {
    let (mana, ids) = killed_server(5);
    // A command may close the log when it ends, so it looks at a copy.
    let log = export(&lay(&files(mana.dir.path())));
    let db = std::fs::read(database(&mana)).unwrap();
    let wal = std::fs::read(beside(&database(&mana), "-wal")).unwrap();
    // A part of the catalog that the write-ahead log does not have.
    let pages: Vec<usize> = {
        let look = lay(&files(mana.dir.path()));
        let connection = Connection::open(database(&look)).unwrap();
        let mut statement = connection.prepare("SELECT pageno FROM dbstat WHERE name = 'sqlite_schema' AND pageno > 1").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let logged: BTreeSet<usize> =
        (32..wal.len()).step_by(PAGE + 24).map(|at| u32::from_be_bytes(wal[at..at + 4].try_into().unwrap()) as usize).collect();
    let page = *pages.iter().find(|page| !logged.contains(page)).expect("a page of the catalog");
    let at = (page - 1) * PAGE;
    let mut bytes = db.clone();
    bytes[at..at + PAGE].fill(0x5a);
    let damaged = lay(&BTreeMap::from([("mana-ai.db".to_owned(), bytes), ("mana-ai.db-wal".to_owned(), wal)]));
    assert_eq!(damaged.run(&["export"]).code, Some(1), "it is damaged");

    let new = world("new", 7);
    restores(&damaged, &backup(&new).file, &["--replace"]);
    assert_eq!(export(&damaged), export(&new));
    let old = kept(&damaged).into_iter().find(|path| !path.to_str().unwrap().ends_with("-wal")).unwrap();
    // With the page fixed, everything is there.
    let mut fixed = std::fs::read(&old).unwrap();
    fixed[at..at + PAGE].copy_from_slice(&db[at..at + PAGE]);
    std::fs::write(&old, fixed).unwrap();
    let there = export(&restored(&old));
    assert_eq!(there, log);
    has_all(&there, &ids);
}

#[test]
fn a_database_of_another_program_or_a_newer_one_can_be_replaced_and_is_kept() {
    let new = world("new", 7);
    let copy = backup(&new);
    for sql in ["PRAGMA user_version = 1000", "PRAGMA application_id = 1", "DROP TABLE sessions"] {
        let mana = world("old", 5);
        Connection::open(database(&mana)).unwrap().execute_batch(sql).unwrap();
        settle(&mana);
        restores(&mana, &copy.file, &["--replace"]);
        assert_eq!(export(&mana), export(&new));
        let [old] = kept(&mana).try_into().unwrap();
        let rows = Connection::open(old).unwrap().query_row("SELECT count(*) FROM sync_changes", [], |row| row.get(0));
        assert_eq!(rows, Ok(8), "{sql}");
    }
}

// Who was signed in, and what was under way.

/// One request that follows no redirect: the status, where it leads, and the cookie that is set. A link is redeemed as the
/// form of its page does it.
fn visit(url: &str, cookie: &str) -> (u16, String, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let request = match url.split_once("/link?") {
            Some((server, code)) => {
                client.post(format!("{server}/link")).header("content-type", "application/x-www-form-urlencoded").body(code.to_owned())
            }
            None => client.get(url),
        };
        let answer = request.header("cookie", cookie).send().await.unwrap();
        let header = |name: &str| answer.headers().get(name).map_or(String::new(), |value| value.to_str().unwrap().to_owned());
        let cookie = header("set-cookie").split(';').next().unwrap().to_owned();
        (answer.status().as_u16(), header("location"), cookie)
    })
}

/// The path of a new link that signs in as Ada.
fn link(mana: &Mana) -> String {
    let link = mana.run(&["link", "--user", "ada"]);
    assert_eq!(link.code, Some(0), "{link:?}");
    link.stdout[link.stdout.find("/link?").unwrap()..].trim().to_owned()
}

#[test]
fn nobody_is_signed_in_to_a_restored_database() {
    let mana = world("old", 5);
    let (used, unused) = (link(&mana), link(&mana));
    let served = mana.serve();
    let (status, _, session) = visit(&served.url(&used), "");
    assert!(status == 303 && !session.is_empty(), "{status}");
    assert_eq!(visit(&served.url("/"), &session).0, 200, "the session is good");
    let copy = backup(&mana);
    assert_eq!(visit(&served.url("/"), &session).0, 200, "a backup signs nobody out");
    served.terminate();

    let check = |mana: &Mana| {
        let served = mana.serve();
        let (status, to, _) = visit(&served.url("/"), &session);
        assert!(status == 303 && to.starts_with("/login"), "{status} {to}");
        for link in [&used, &unused] {
            let (status, _, cookie) = visit(&served.url(link), "");
            assert_eq!((status, cookie.as_str()), (403, ""));
        }
        let (status, _, cookie) = visit(&served.url(&link(mana)), "");
        assert_eq!(status, 303, "a new link signs in");
        assert_eq!(visit(&served.url("/"), &cookie).0, 200);
        served.terminate();
    };
    check(&restored(&copy.file));
    // In the same place too, where the browser still has the cookie.
    restores(&mana, &copy.file, &["--replace"]);
    check(&mana);
    // And the one that was kept.
    let [old] = kept(&mana).try_into().unwrap();
    restores(&mana, &old, &["--replace"]);
    check(&mana);
}

#[test]
fn runs_that_were_under_way_are_taken_over_after_a_restore() {
    for backup_while_alive in [true, false] {
        let model = Model::held(|_| Reply::task("x"));
        let serving = |mana: Mana| mana.with("MANA_LLM_URL", model.url()).with("TICK_INTERVAL_MS", 50);
        let mana = serving(Mana::new());
        let mut mission = hourly("ada", "m", None, "2026-04-15T08:00:00.000Z");
        mission["data"]["cadence"] = json!({"kind": "manual"});
        mana.import(&[mission]);
        let served = mana.serve();
        wait_for("the model to be asked", || (model.requests().len() == 1).then_some(()));
        let copy = if backup_while_alive {
            let copy = backup(&mana);
            kill(served);
            copy
        } else {
            kill(served);
            backup(&mana)
        };
        model.release();

        let elsewhere = serving(Mana::new());
        restores(&elsewhere, &copy.file, &[]);
        restores(&mana, &copy.file, &["--replace"]);
        for mana in [&elsewhere, &mana] {
            assert_sound(mana);
            let served = mana.serve();
            wait_for("the plan", || (metric(&served, "mana_ai_plans_written_back_total") == 1.0).then_some(()));
            assert_eq!(served.terminate(), Some(0));
            let runs = mana.run(&["runs", "--json"]).json();
            assert!(runs.len() == 1 && runs[0]["state"] == "planned", "{runs:?}");
            assert_eq!(mana.mission("m")["iterations"].as_array().unwrap().len(), 1);
            assert_sound(mana);
        }
    }
}
