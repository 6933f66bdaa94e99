//! What a restore does.

use super::*;

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
    // In this version, rows wait there to be moved.
    let log = if version == 30 { "old_sync_changes" } else { "sync_changes" };
    let row = format!(
        "INSERT INTO {log} (id, app_id, table_name, record_id, user_id, op, data, client_id, created_at, sync_at) \
         VALUES ('b3dd6b24-6f0c-4d0c-8b36-1f8f8f7f6a01', 'ai', 'aiMissions', 'm', 'ada', 'insert', '{{\"title\": \"old\"}}', 'phone', 1, 1)"
    );
    connection.execute(&row, []).unwrap();
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

/// While rows move, nothing else comes in; and a copy that was made then is looked at as a whole.
#[test]
fn a_copy_whose_rows_had_not_all_moved_is_checked_with_those_that_had_not() {
    let dir = of_version(30);
    let file = dir.path().join("copy.db");
    let connection = Connection::open(&file).unwrap();
    let row = |log: &str, id: u32, sync_at: i64| {
        let row = format!(
            "INSERT INTO {log} (id, app_id, table_name, record_id, user_id, op, data, client_id, created_at, sync_at) \
             VALUES ('b3dd6b24-6f0c-4d0c-8b36-1f8f8f7f6a{id:02}', 'ai', 'aiMissions', 'm', 'ada', 'update', '{{}}', 'phone', {sync_at}, {sync_at})"
        );
        connection.execute(&row, [])
    };
    let refused = row("sync_changes", 9, 9).unwrap_err().to_string();
    assert!(refused.contains("stop older programs"), "{refused}");
    row("old_sync_changes", 2, 2).unwrap();
    let mana = quiet();
    let said = restores(&mana, &file, &[]);
    assert!(said.stderr.contains("2 rows"), "{said:?}");
    assert_sound(&mana);

    row("old_sync_changes", 3, 1).unwrap();
    drop(connection);
    refuses(&file, "row 3 of the log");
}
