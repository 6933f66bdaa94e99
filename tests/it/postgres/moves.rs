//! `mana-ai move`: everything of one database in another one, of either engine (docs/design.md, section 18).

use std::path::Path;

use mana_ai::store::{Options, RowFilter, Store, StoreError};

use super::engine::{Server, run};
use super::*;
use crate::common::{append, change, wait_for};
use crate::store_story::story;

fn file(dir: &Path) -> Store {
    Store::open(dir, &Options::default()).unwrap()
}

/// What there is, without the JSON of rows, which Postgres spells its own way.
fn told(store: &Store) -> String {
    let runs = run(store.runs(None, None, 1_000)).unwrap();
    let users = run(store.users(100)).unwrap();
    let log: Vec<_> =
        run(store.rows_after(RowFilter::default(), 0, 10_000)).unwrap().into_iter().map(|row| (row.seq, row.sync_at)).collect();
    let people = run(store.people(100)).unwrap();
    format!("{runs:?} {users:?} {log:?} {people:?} {:?}", run(store.fact("event id key")).unwrap())
}

fn is_sound(store: &Store) {
    let check = run(async { store.check_projection(store.check_log().await.unwrap()).await.unwrap() });
    assert!(check.findings.is_empty(), "{:?}", check.findings);
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn everything_moves_to_a_server_and_back_and_goes_on_where_it_stopped() {
    let (server, dirs) = (Server::new(), [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()]);
    let source = file(dirs[0].path());
    run(story(&source));
    let there = server.instance();
    let parts = AtomicU32::new(0);
    let stopped = run(source.move_into(&there, |_| parts.fetch_add(1, Ordering::Relaxed) < 3));
    assert!(matches!(stopped, Err(StoreError::Stopped)), "{stopped:?}");
    assert!(run(there.is_half_moved()).unwrap());
    let first = run(source.move_into(&there, |_| true)).unwrap();
    assert!(!run(there.is_half_moved()).unwrap() && first.set_aside == 0);
    assert_eq!(told(&there), told(&source));
    is_sound(&there);
    // What comes next follows what moved.
    run(append(&there, [change(&hourly("anna", "next", None, "2026-04-15T08:00:00.000Z"))]));
    run(mana_ai::projection::refresh(&there)).unwrap();
    // More than one group of writes takes in, of which nobody has looked at any.
    let foreign = "INSERT INTO public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id) \
                   SELECT 'notes', 'notes', 'f' || n, 'anna', 'insert', '{\"title\": \"foreign\"}', 'service' FROM generate_series(1, 2500) AS n";
    server.client().batch_execute(foreign).unwrap();

    let back = file(dirs[1].path());
    let second = run(there.move_into(&back, |_| true)).unwrap();
    assert_eq!(told(&back), told(&there));
    assert!(second.log == first.log + 2_501, "{first:?} {second:?}");
    is_sound(&back);
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn nothing_moves_into_a_database_with_rows_or_out_of_one_in_use() {
    let (server, dir) = (Server::new(), tempfile::tempdir().unwrap());
    let source = file(dir.path());
    run(append(&source, [change(&insert("anna", "notes", "n", json!({"title": "here"})))]));
    let there = server.instance();
    let other = server.instance();
    run(other.users(1)).unwrap();
    assert!(matches!(run(source.move_into(&there, |_| true)), Err(StoreError::InUse { .. })));
    drop(other);
    run(append(&there, [change(&insert("ben", "notes", "n", json!({"title": "there"})))]));
    let refused = wait_for("the end of the other instance", || {
        Some(run(source.move_into(&there, |_| true))).filter(|moved| !matches!(moved, Err(StoreError::InUse { .. })))
    });
    assert!(matches!(refused, Err(StoreError::NotEmpty { .. })), "{refused:?}");
    assert_eq!(run(there.rows_after(RowFilter::default(), 0, 10)).unwrap().len(), 1);
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn the_command_moves_and_a_database_that_was_left_half_way_is_not_used() {
    let (server, mana) = (Server::new(), Mana::new());
    mana.import(&[hourly("anna", "m1", None, "2026-04-15T08:00:00.000Z"), insert("anna", "notes", "n", json!({"n": 1e2, "t": "ü"}))]);
    let before = mana.run(&["missions", "--json"]).json();
    let half = server.instance();
    let store = mana.store();
    assert!(run(store.move_into(&half, |_| false)).is_err());
    drop((half, store));
    let moved = || Some(mana.run(&["move", "--to", &server.address])).filter(|ran| !ran.stderr.contains("is in use"));
    let there = Mana::new().with("MANA_AI_DATABASE", &server.address);
    there.run(&["missions"]).fails(1, "another database moved only half into");
    let ran = wait_for("the end of the other instances", moved);
    assert!(ran.stderr.contains("2 changes among it"), "{}", ran.stderr);
    assert_eq!(there.run(&["missions", "--json"]).json(), before);
    mana.run(&["move", "--to", mana.dir.path().to_str().unwrap()]).fails(2, "in use already");
}
