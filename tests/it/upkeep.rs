//! Copies and checks of a database that is in use (docs/design.md, section 12).

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{Mana, append, change, fixture, hourly, insert, store};
use mana_ai::projection;
use mana_ai::store::{RowFilter, Store};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_made_while_others_write_is_the_log_up_to_a_moment() {
    let (dir, store) = store();
    let done = std::sync::Arc::new(AtomicBool::new(false));
    let writing = {
        let (store, done) = (store.clone(), std::sync::Arc::clone(&done));
        tokio::spawn(async move {
            let mut n = 0;
            while !done.load(Ordering::SeqCst) {
                append(&store, (0..20).map(|k| change(&hourly("u", &format!("{n}-{k}"), None, "2026-04-15T08:00:00Z")))).await;
                n += 1;
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
    };
    let mut sizes = Vec::new();
    for n in 0..5 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let file = dir.path().join(format!("copy-{n}"));
        store.backup(file.clone(), Box::new(|_, _| true)).await.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let restored = tempfile::tempdir().unwrap();
        std::fs::copy(&file, restored.path().join(Store::FILE_NAME)).unwrap();
        let copy = crate::common::open(restored.path());
        projection::refresh(&copy).await.unwrap();
        assert_eq!(copy.check_projection(copy.check_log().await.unwrap()).await.unwrap().findings, []);
        let rows = copy.rows_after(RowFilter::default(), 0, u32::MAX).await.unwrap();
        assert_eq!(rows.len() % 20, 0, "no append in part");
        assert_eq!(store.rows_after(RowFilter::default(), 0, u32::try_from(rows.len()).unwrap()).await.unwrap(), rows);
        sizes.push(rows.len());
    }
    done.store(true, Ordering::SeqCst);
    writing.await.unwrap();
    assert!(sizes.is_sorted() && sizes[0] < sizes[4], "{sizes:?}");
    let left: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "part"))
        .collect();
    assert!(left.is_empty());
}

#[test]
fn a_copy_never_takes_the_place_of_a_file() {
    let mana = Mana::new();
    mana.import(&[insert("u", "agents", "a", json!({}))]);
    let ran = mana.run(&["backup", "copy.db"]);
    assert!(ran.code == Some(0) && ran.stderr.starts_with("the database as it is now is in copy.db\n"), "{ran:?}");
    let first = std::fs::read(mana.dir.path().join("copy.db")).unwrap();
    mana.run(&["backup", "copy.db"]).fails(1, "copy.db");
    assert_eq!(std::fs::read(mana.dir.path().join("copy.db")).unwrap(), first);
    mana.run(&["backup", "no/such/dir/copy.db"]).fails(1, "choose a new file");
}

#[test]
fn a_check_tells_what_is_sound_and_what_is_not() {
    let mana = Mana::new();
    mana.run(&["import", fixture("fixtures/demo/world.jsonl").to_str().unwrap()]);
    mana.run(&["missions"]);
    let check = mana.run(&["check", "--json"]).json().remove(0);
    assert_eq!(check, json!({"sound": true, "rows": 41, "records": 16, "findings": [], "repaired": [], "setAside": []}));
    let direct = rusqlite::Connection::open(mana.dir.path().join(Store::FILE_NAME)).unwrap();
    direct.execute("UPDATE mission_snapshots SET record = '{\"id\": \"mission-garden\", \"title\": \"forged\"}' WHERE mission_id = 'mission-garden'", []).unwrap();
    let ran = mana.run(&["check"]);
    ran.code.filter(|code| *code == 1).expect("a finding is a failure");
    assert!(ran.stdout.contains("the snapshot of aiMissions mission-garden of user anna is not the fold of its rows"), "{ran:?}");
}
