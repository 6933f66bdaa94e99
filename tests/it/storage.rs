//! Directories, disks and databases that are not as they should be: one clear message, and nothing lost.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::common::{Mana, append, change, insert};
use mana_ai::domain::change::Change;
use mana_ai::store::Store;
use rusqlite::Connection;
use serde_json::json;

fn filled() -> Mana {
    let mana = Mana::new().with("BUSY_TIMEOUT_MS", 200);
    mana.import(&[insert("u", "agents", "a", json!({"name": "A"}))]);
    mana
}

fn database(mana: &Mana) -> std::path::PathBuf {
    mana.dir.path().join(Store::FILE_NAME)
}

fn many_lines() -> String {
    (0..20_000).map(|n| format!("{}\n", insert("u", "notes", &format!("n{n}"), json!({"text": "x".repeat(200)})))).collect()
}

#[test]
fn a_locked_database_says_so_and_loses_nothing() {
    let mana = filled();
    let holder = Connection::open(database(&mana)).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let line = insert("u", "agents", "b", json!({})).to_string();
    mana.run_with(&["import", "-"], &line).fails(1, "is locked by another process");
    assert_eq!(mana.run(&["export"]).json().len(), 1, "reading goes on");
    holder.execute_batch("ROLLBACK").unwrap();
    assert_eq!(mana.run_with(&["import", "-"], &line).code, Some(0));
}

#[test]
fn a_newer_database_is_refused_untouched() {
    let mana = filled();
    Connection::open(database(&mana)).unwrap().pragma_update(None, "user_version", 1_000).unwrap();
    for command in ["missions", "tick", "export"] {
        mana.run(&[command]).fails(1, "has schema version 1000, but this program knows only up to");
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_untouched() {
    let mana = Mana::new();
    std::fs::write(database(&mana), "dear diary, ".repeat(200)).unwrap();
    mana.run(&["missions"]).fails(1, "is not a database of mana-ai");
    assert!(std::fs::read_to_string(database(&mana)).unwrap().starts_with("dear diary"));
}

#[test]
fn a_data_directory_that_cannot_be_is_named() {
    let mana = Mana::new();
    std::fs::write(mana.dir.path().join("file"), "").unwrap();
    mana.run(&["missions", "--data-dir", "file/below"]).fails(1, "cannot use the data directory file/below");
}

#[test]
fn a_link_in_the_place_of_a_lock_leads_nowhere() {
    let mana = Mana::new();
    std::fs::write(mana.dir.path().join("victim"), "").unwrap();
    std::os::unix::fs::symlink("victim", mana.dir.path().join("mana-ai.db.lock")).unwrap();
    mana.run(&["tick"]).fails(1, "cannot use the data directory");
}

#[test]
fn the_database_is_for_its_owner_only() {
    let mana = Mana::new();
    mana.run(&["tick", "--data-dir", "new"]);
    let mode = |name: &str| std::fs::metadata(mana.dir.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("new"), mode("new/mana-ai.db")), (0o700, 0o600));
}

/// Root may write everywhere, so the command runs as nobody where the tests run as root.
#[test]
fn a_read_only_database_says_so() {
    let mana = filled();
    let root = String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap().trim() == "0";
    let dir = mana.dir.path();
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o555)).unwrap();
    for entry in std::fs::read_dir(dir).unwrap() {
        std::fs::set_permissions(entry.unwrap().path(), std::fs::Permissions::from_mode(0o444)).unwrap();
    }
    // The directory above, and that of the program, may be closed to others.
    let program = std::env::temp_dir().join(format!("mana-ai-{}", std::process::id()));
    std::fs::copy(env!("CARGO_BIN_EXE_mana-ai"), &program).unwrap();
    let shell = format!("printf '%s' '{}' | {} import - --data-dir {}", insert("u", "t", "r", json!({})), program.display(), dir.display());
    let mut command = Command::new("sh");
    if root {
        use std::os::unix::process::CommandExt;
        command.uid(65_534).gid(65_534);
    }
    let output = command.args(["-c", &shell]).current_dir("/").env_clear().env("PATH", "/usr/bin:/bin").output().unwrap();
    std::fs::remove_file(program).unwrap();
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    for entry in std::fs::read_dir(dir).unwrap() {
        std::fs::set_permissions(entry.unwrap().path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && stderr.contains("cannot be written; check the permissions"), "{stderr}");
    assert_eq!(mana.run(&["export"]).json().len(), 1);
}

/// Imports many lines in a shell that is prepared in some way, and gives what the program said.
fn import_many(mana: &Mana, prepare: &str) -> (Option<i32>, String) {
    let lines = mana.dir.path().join("lines.jsonl");
    std::fs::write(&lines, many_lines()).unwrap();
    let shell = format!("{prepare}; {} import -", env!("CARGO_BIN_EXE_mana-ai"));
    let input = std::fs::File::open(&lines).unwrap();
    let output = Command::new("bash").args(["-c", &shell]).env("MANA_AI_DATA_DIR", mana.dir.path()).stdin(input).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_file_at_its_size_limit_says_so_and_keeps_what_was_there() {
    let mana = filled();
    let (code, stderr) = import_many(&mana, "trap '' XFSZ; ulimit -f 400");
    assert!(code == Some(1) && stderr.contains("nothing of this write was kept, check its free space"), "{stderr}");
    assert_eq!((mana.run(&["export"]).json().len(), mana.integrity().as_str()), (1, "ok"));
    assert_eq!(import_many(&mana, "true").0, Some(0), "without the limit, it works");
}

/// A small disk in a namespace of its own.
#[test]
fn a_full_disk_says_so_and_keeps_what_was_there() {
    let mana = Mana::new();
    let dir = mana.dir.path().display();
    let lines = mana.dir.path().join("lines.jsonl");
    std::fs::write(&lines, many_lines()).unwrap();
    let program = env!("CARGO_BIN_EXE_mana-ai");
    let shell = format!(
        "mount -t tmpfs -o size=2m tmpfs /mnt 2>/dev/null || exit 77; cd {dir}; export MANA_AI_DATA_DIR=/mnt/data
         head -5 lines.jsonl | {program} import - || exit 1
         {program} import lines.jsonl; echo \"exit $?\"
         {program} export | wc -l"
    );
    let output = Command::new("unshare").args(["-rm", "bash", "-c", &shell]).output().unwrap();
    let refused = output.status.code() == Some(77) || String::from_utf8_lossy(&output.stderr).starts_with("unshare:");
    assert!(!refused, "no mount is allowed here: run as root, allow user namespaces, or skip it with `-- --skip a_full_disk`");
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(stderr.contains("is full; nothing of this write was kept"), "{stderr}");
    assert_eq!(stdout, "exit 1\n5\n");
}

#[test]
fn the_write_ahead_log_does_not_grow_without_bound() {
    let mana = filled();
    let store = mana.store();
    let wal = mana.dir.path().join("mana-ai.db-wal");
    let (mut most, mut written) = (0, 0);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let row = change(&insert("u", "notes", "n", json!({"text": "x".repeat(1 << 20)})));
    for _ in 0..24 {
        // Each commit writes more than 8 MB.
        runtime.block_on(append(&store, (0..8).map(|_| Change { event_id: uuid::Uuid::new_v4().to_string(), ..row.clone() })));
        written += 8 << 20;
        most = most.max(std::fs::metadata(&wal).map_or(0, |about| about.len()));
    }
    // A checkpoint comes after 16 MB, so the log holds little more than that and one commit.
    assert!(most > 0 && most < 32 << 20 && written > 4 * most, "{most} of {written} bytes");
}
