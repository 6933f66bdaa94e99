//! The snapshots equal the fold of the whole log, however it is cut (DESIGN, sections 3 and 4).

mod common;

use std::sync::atomic::{AtomicU32, Ordering};

use common::{append, change, store, vectors};
use mana_ai::domain::change::{Change, Op};
use mana_ai::domain::merge::Fold;
use mana_ai::domain::time;
use mana_ai::projection::{catch_up, refresh};
use mana_ai::store::{Store, Table};
use proptest::prelude::*;
use serde_json::{Value, json};

#[tokio::test]
async fn merges_as_other_implementations_merge() {
    let (_dir, store) = store();
    let cases = vectors("lww");
    assert_eq!(cases.len(), 60);
    for (n, case) in cases.iter().enumerate() {
        let user = format!("user of case {n}");
        let changes: Vec<Change> =
            case["changes"].as_array().unwrap().iter().map(|line| Change { user_id: user.clone(), ..change(line) }).collect();
        let first = changes[0].clone();
        append(&store, changes).await;
        let replayed = store.replay(&user, &first.app_id, &first.table, &first.record_id).await.unwrap();
        let found = replayed.live().map(|(record, stamps)| json!({"record": record, "fieldMeta": stamps}));
        assert_eq!(found.unwrap_or_default(), case["expected"], "{}", case["id"]);
    }
}

#[tokio::test]
async fn finds_the_same_due_missions_as_other_implementations() {
    for case in vectors("due") {
        let (_dir, store) = store();
        append(&store, case["changes"].as_array().unwrap().iter().map(change)).await;
        refresh(&store).await.unwrap();
        let mut found = Vec::new();
        for due in store.due(case["now"].as_str().unwrap().parse().unwrap()).await.unwrap() {
            let mission = store.snapshot(Table::Missions, &due.user_id, &due.mission_id).await.unwrap().unwrap();
            found.push(json!({
                "id": due.mission_id, "agentId": due.agent_id, "title": mission.record["title"],
                "nextRunAt": time::iso_millis(due.scheduled_for),
            }));
        }
        let sorted = |mut list: Vec<Value>| {
            list.sort_by_key(|mission| mission["id"].as_str().unwrap().to_owned());
            list
        };
        assert_eq!(sorted(found), sorted(case["expectedDue"].as_array().unwrap().clone()), "{}", case["id"]);
    }
}

/// One random row of one of three records, and whether a refresh comes after it and in which steps.
fn row() -> impl Strategy<Value = (Change, Option<u32>)> {
    let field = prop_oneof![Just("title"), Just("state"), Just("nextRunAt"), Just("iterations"), Just("deletedAt"), Just("x")];
    let value = prop_oneof![
        Just(Value::Null),
        Just(json!("")),
        Just(json!("active")),
        Just(json!("2026-04-15T08:00:00.000Z")),
        Just(json!([1])),
        any::<i32>().prop_map(Value::from)
    ];
    let stamp = prop_oneof![
        4 => (0_i64..20).prop_map(|n| time::iso_millis(time::from_micros(1_776_240_000_000_000 + n * 1_000))),
        1 => (0_i64..20).prop_map(|n| format!("2026-04-15T10:00:00.{n:03}+02:00")),
        1 => "[a-z0-9]{0,3}",
    ];
    let data = prop::option::weighted(0.9, prop::collection::vec((field, value, prop::option::of(stamp)), 0..4));
    let op = prop_oneof![4 => Just(Op::Insert), 10 => Just(Op::Update), 1 => Just(Op::Delete)];
    (op, 0..3, data, 0_i64..20, prop::option::of(1_u32..5)).prop_map(|(op, record, data, created, refresh)| {
        let mut change = change(&json!({
            "appId": "ai", "table": "aiMissions", "recordId": format!("m{record}"), "userId": "u", "op": "update",
            "createdAt": time::iso_millis(time::from_micros(1_776_240_000_000_000 + created * 1_000)),
        }));
        change.op = op;
        change.data = data.map(|fields| {
            fields
                .into_iter()
                .map(|(field, value, stamp)| {
                    if let Some(stamp) = stamp {
                        change.field_meta.insert(field.into(), stamp);
                    }
                    (field.to_owned(), value)
                })
                .collect()
        });
        (change, refresh)
    })
}

/// The live records of a user as the fold of the whole log gives them.
fn whole_fold(changes: &[Change]) -> Vec<Value> {
    let mut ids: Vec<&str> = changes.iter().map(|c| c.record_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let fold = |id: &str| {
        let mut fold = Fold::default();
        for change in changes.iter().filter(|c| c.record_id == id) {
            fold.apply(id, change.delta(time::from_micros(0)));
        }
        fold.live().map(|(record, stamps)| json!([id, record, stamps]))
    };
    ids.into_iter().filter_map(fold).collect()
}

async fn snapshots(store: &Store, user: &str) -> Vec<Value> {
    let rows = store.snapshots(Table::Missions, Some(user.to_owned())).await.unwrap();
    rows.into_iter().map(|row| json!([row.id, row.record, row.field_meta])).collect()
}

#[test]
fn a_snapshot_equals_the_fold_of_the_whole_log_however_it_is_cut() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (_dir, store) = store();
    let users = AtomicU32::new(0);
    let config = ProptestConfig { cases: 3_000, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(rows in prop::collection::vec(row(), 1..12))| {
        let user = format!("u{}", users.fetch_add(1, Ordering::Relaxed));
        let mut log = Vec::new();
        runtime.block_on(async {
            for (change, cut) in rows {
                let change = Change { user_id: user.clone(), event_id: uuid::Uuid::new_v4().to_string(), ..change };
                log.push(change.clone());
                append(&store, [change]).await;
                if let Some(step) = cut {
                    catch_up(&store, Table::Missions, step).await.unwrap();
                }
            }
            refresh(&store).await.unwrap();
        });
        prop_assert_eq!(runtime.block_on(snapshots(&store, &user)), whole_fold(&log));
    });
}

#[tokio::test]
async fn a_refresh_costs_what_is_new_and_reports_it() {
    let (_dir, store) = store();
    let line = |user: &str, table: &str, id: &str, data: Value| {
        change(
            &json!({"appId": "ai", "table": table, "recordId": id, "userId": user, "op": "insert", "data": data, "createdAt": "2026-04-15T08:00:00Z"}),
        )
    };
    append(
        &store,
        [
            line("a", "agents", "x", json!({"name": 5})),
            line("b", "aiMissions", "m", json!({"state": "active"})),
            line("b", "notes", "n", json!({})),
        ],
    )
    .await;
    let first = refresh(&store).await.unwrap();
    assert_eq!(first.to_json(), json!({"users": 2, "newSnapshots": 2, "updatedSnapshots": 0, "rowsApplied": 2, "fieldProblems": 1}));
    append(&store, [line("b", "aiMissions", "m", json!({"title": "t"})), line("b", "aiMissions", "m", json!({"title": "u"}))]).await;
    let second = refresh(&store).await.unwrap();
    assert_eq!(second.to_json(), json!({"users": 1, "newSnapshots": 0, "updatedSnapshots": 1, "rowsApplied": 2, "fieldProblems": 0}));
    let third = refresh(&store).await.unwrap();
    assert_eq!(third.rows, 0);
}
