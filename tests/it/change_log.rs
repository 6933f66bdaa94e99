//! The log keeps what it was given, in order, and nothing takes it away (docs/design.md, section 2).

use std::collections::BTreeSet;

use crate::common::{append, change, store};
use futures_util::future::join_all;
use mana_ai::domain::ceilings::LogCeilings;
use mana_ai::domain::limits::admit;
use mana_ai::store::{Appended, Options, Pull, RowFilter, Store, StoreError};
use rusqlite::Connection;
use serde_json::json;

fn line(id: u32) -> serde_json::Value {
    json!({
        "eventId": format!("00000000-0000-4000-8000-{id:012}"), "appId": "ai", "table": "t", "recordId": "r", "userId": "u",
        "op": "insert", "data": {"n": id}, "createdAt": "2026-04-15T08:00:00.000001Z",
    })
}

#[tokio::test]
async fn appending_is_idempotent_by_event_id_and_keeps_the_time_of_origin() {
    let (_dir, store) = store();
    append(&store, [change(&line(1)), change(&line(2)), change(&line(1))]).await;
    append(&store, [change(&line(2))]).await;
    let rows = store.rows_after(RowFilter::default(), 0, 10).await.unwrap();
    let kept: Vec<_> = rows.iter().map(|row| json!(row.change)["createdAt"].clone()).collect();
    assert_eq!(kept, ["2026-04-15T08:00:00.000001Z", "2026-04-15T08:00:00.000001Z"]);
}

/// Rows that were there already, and jobs that failed beside others, leave no gap behind.
pub async fn places_follow_each_other(store: &Store) {
    let row = |n: u32| Ok::<_, StoreError>(admit(change(&line(n))).unwrap());
    let jobs = (0..40).map(|n| {
        let last = if n % 3 == 0 { Err(StoreError::Stopped) } else { row(1) };
        store.append([row(1), row(10 + n), last])
    });
    let kept = join_all(jobs).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(kept, 26);
    let places: Vec<i64> = store.heads_after(0, 100).await.unwrap().into_iter().map(|head| head.seq).collect();
    assert_eq!(places, (1..=27).collect::<Vec<_>>());
}

#[tokio::test]
async fn places_in_a_file_have_no_gaps() {
    places_follow_each_other(&store().1).await;
}

/// A push that is refused costs those that went in with it nothing, and each counts from those before it.
#[tokio::test]
async fn pushes_that_wait_together_have_outcomes_of_their_own() {
    let (_dir, store) = store();
    let pushed = |user: &str, event: u32, record: &str| {
        let mut line = line(event);
        line["userId"] = user.into();
        line["recordId"] = record.into();
        admit(change(&line)).unwrap()
    };
    // Of three devices of each of ten users, where one of the users may have nothing.
    let pushes = (0..30).map(|n| {
        let (user, device) = (format!("u{}", n % 10), n / 10);
        let changes = vec![pushed(&user, device, "made by each"), pushed(&user, 9, "made by one")];
        let rows = (user == "u0").then_some(0);
        let then = Pull { user_id: user.into(), ..Pull::default() };
        store.push(changes, LogCeilings { rows, ..LogCeilings::default() }, then)
    });
    let outcomes = join_all(pushes).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        match n % 10 {
            0 => assert!(matches!(outcome, Err(StoreError::OverCeiling(_))), "{n}: {outcome:?}"),
            _ => assert_eq!(
                outcome.as_ref().ok().map(|taken| taken.appended),
                Some(Appended { added: if n < 10 { 2 } else { 1 }, known: u64::from(n >= 10) }),
                "{n}: {outcome:?}"
            ),
        }
    }
    let rows = store.rows_after(RowFilter::default(), 0, 100).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), (1..=36).collect::<Vec<_>>());
    for user in 1..10 {
        let of_each = rows.iter().filter(|row| row.change.user_id.as_str() == format!("u{user}") && row.change.record_id == "made by each");
        let stamped: Vec<bool> = of_each.map(|row| !row.change.field_meta.is_empty()).collect();
        assert_eq!(stamped, [false, true, true], "a later insert that says no time counts from the time of its row");
    }
}

/// A client that was here a moment ago gets what others wrote with the answer to its push, as a pull would tell it.
#[tokio::test]
async fn what_is_new_is_read_with_a_push_where_it_is_short() {
    let dir = tempfile::tempdir().unwrap();
    let now = || "2026-04-15T09:00:00Z".parse().unwrap();
    let store = Store::open(dir.path(), &Options { clock: now, ..Options::default() }).unwrap();
    let of = |client: &str, event: u32| {
        let mut line = line(event);
        line["clientId"] = client.into();
        admit(change(&line)).unwrap()
    };
    let (recent, long_ago) = (mana_ai::domain::time::to_micros(now()) - 1_000_000, 0);
    let pull = |since: i64| Pull {
        user_id: "u".into(),
        app_id: "ai".into(),
        tables: BTreeSet::new(),
        since,
        limit: 5_000,
        not_client: Some("phone".into()),
    };
    let push = |events: Vec<(&'static str, u32)>, since: i64| {
        let changes = events.into_iter().map(|(client, event)| of(client, event)).collect();
        store.push(changes, LogCeilings::default(), pull(since))
    };
    let taken = push(vec![("desk", 1), ("phone", 2), ("desk", 3)], recent).await.unwrap();
    let page = taken.page.unwrap();
    assert_eq!(page.rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(page, store.pull(pull(recent)).await.unwrap());
    // One that comes after a while, and one for which there is much, ask again.
    assert_eq!(push(vec![("phone", 4)], long_ago).await.unwrap().page, None);
    push((5..205).map(|n| ("desk", n)).collect(), recent).await.unwrap();
    assert_eq!(push(vec![("phone", 300)], recent).await.unwrap().page, None);
    assert_eq!(store.pull(pull(recent)).await.unwrap().rows.len(), 202);
    // So does one for which there is a large row, which the writer does not keep for it.
    let end = store.pull(pull(recent)).await.unwrap().synced_until;
    let mut large = line(301);
    large["data"]["text"] = "x".repeat(70_000).into();
    append(&store, [change(&large)]).await;
    assert_eq!(push(vec![("phone", 302)], end).await.unwrap().page, None);
    assert_eq!(store.pull(pull(end)).await.unwrap().rows.len(), 1);
}

#[tokio::test]
async fn sync_at_rises_with_the_log_even_when_the_clock_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let clock = || "2026-04-15T08:00:00Z".parse().unwrap();
    let ahead = Store::open(dir.path(), &Options { clock, ..Options::default() }).unwrap();
    append(&ahead, (1..4).map(|n| change(&line(n)))).await;
    let clock = || "2020-01-01T00:00:00Z".parse().unwrap();
    let behind = Store::open(dir.path(), &Options { clock, ..Options::default() }).unwrap();
    append(&behind, (4..6).map(|n| change(&line(n)))).await;
    let rows = behind.rows_after(RowFilter::default(), 0, 10).await.unwrap();
    let first = rows[0].sync_at;
    assert_eq!(rows.iter().map(|row| row.sync_at - first).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let pull = Pull {
        user_id: "u".into(),
        app_id: "ai".into(),
        tables: BTreeSet::from(["t".into()]),
        since: first + 2,
        limit: 10,
        not_client: None,
    };
    assert_eq!(behind.pull(pull).await.unwrap().rows.len(), 2);
}

#[tokio::test]
async fn no_statement_changes_or_removes_a_row() {
    let (_dir, store) = store();
    append(&store, [change(&line(1))]).await;
    let direct = Connection::open(store.path()).unwrap();
    for statement in [
        "UPDATE sync_changes SET data = NULL",
        "UPDATE log_rows SET data = NULL",
        "UPDATE log_tables SET user_id = 'eve'",
        "UPDATE log_clients SET client_id = 'other'",
        "DELETE FROM sync_changes",
        "DELETE FROM log_rows",
        "DELETE FROM log_tables",
        "DELETE FROM log_clients",
        "INSERT OR REPLACE INTO log_rows SELECT * FROM log_rows",
        "INSERT OR REPLACE INTO log_tables SELECT * FROM log_tables",
        "INSERT OR REPLACE INTO log_clients SELECT * FROM log_clients",
        "INSERT OR REPLACE INTO sync_changes SELECT * FROM sync_changes",
        "INSERT OR REPLACE INTO sync_changes SELECT 9, id, app_id, table_name, record_id, user_id, space_id, op, data, field_meta, client_id, created_at, sync_at + 1, schema_version, actor, origin FROM sync_changes",
    ] {
        let error = direct.execute(statement, []).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{statement}: {error}");
    }
}

#[tokio::test]
async fn a_failed_append_keeps_nothing_and_spoils_no_other() {
    let (_dir, store) = store();
    let admitted = |id: u32| admit(change(&line(id))).unwrap();
    let bad = vec![Ok(admitted(1)), Err(StoreError::Stopped)];
    let good = vec![Ok::<_, StoreError>(admitted(2))];
    let (bad, good) = tokio::join!(store.append(bad), store.append(good));
    assert!(bad.is_err() && good.is_ok());
    assert_eq!(store.rows_after(RowFilter::default(), 0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn many_writers_from_two_processes_lose_nothing() {
    let (dir, first) = store();
    let second = Store::open(dir.path(), &Options { durable: false, ..Options::default() }).unwrap();
    let tasks: Vec<_> = (0..200_u32)
        .map(|n| {
            let store = if n % 2 == 0 { first.clone() } else { second.clone() };
            tokio::spawn(async move { append(&store, [change(&line(n))]).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let rows = first.rows_after(RowFilter::default(), 0, 1_000).await.unwrap();
    assert_eq!(rows.len(), 200);
    assert!(rows.is_sorted_by(|a, b| a.seq < b.seq && a.sync_at < b.sync_at));
}

#[test]
fn a_file_that_is_not_ours_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(Store::FILE_NAME);
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(Store::open(dir.path(), &Options::default()), Err(StoreError::NotOurs { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    std::fs::write(&path, "no database at all, but long enough to have a header of its own, and then some more text").unwrap();
    assert!(matches!(Store::open(dir.path(), &Options::default()), Err(StoreError::NotOurs { .. })));
}

#[test]
fn a_newer_database_is_refused() {
    let (dir, _store) = store();
    Connection::open(dir.path().join(Store::FILE_NAME)).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = Store::open(dir.path(), &Options::default()).err().unwrap();
    assert!(error.to_string().contains("schema version 99"), "{error}");
}

#[tokio::test]
async fn a_full_disk_keeps_what_was_there() {
    let (_dir, store) = store();
    append(&store, [change(&line(1))]).await;
    let full = tempfile::tempdir().unwrap();
    let small = Store::open(full.path(), &Options::default()).unwrap();
    append(&small, [change(&line(1))]).await;
    let pages: i64 = Connection::open(small.path()).unwrap().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    drop(small);
    let small = Store::open(full.path(), &Options { max_pages: Some(pages as u32), ..Options::default() }).unwrap();
    let long: Vec<_> = (2..500).map(|n| Ok::<_, StoreError>(admit(change(&line(n))).unwrap())).collect();
    let error = small.append(long).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert_eq!(small.rows_after(RowFilter::default(), 0, 10).await.unwrap().len(), 1);
}
