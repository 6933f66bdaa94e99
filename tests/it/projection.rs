//! The snapshots equal the fold of the whole log, however it is cut (docs/design.md, sections 3 and 4).

use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::{append, change, rounds, store, vectors};
use mana_ai::domain::change::{Change, Op, Verbatim};
use mana_ai::domain::merge::{FieldMeta, Fold};
use mana_ai::domain::mission::Mission;
use mana_ai::domain::time;
use mana_ai::projection::{catch_up, refresh};
use mana_ai::store::{Store, Table};
use proptest::prelude::*;
use serde_json::{Value, json};

#[tokio::test]
async fn merges_as_other_implementations_merge() {
    let (_dir, store) = store();
    let cases = [vectors("lww"), vectors("client-merge")].concat();
    assert_eq!(cases.len(), 117);
    for (n, case) in cases.iter().enumerate() {
        let user = format!("user of case {n}");
        let changes: Vec<Change> =
            case["changes"].as_array().unwrap().iter().map(|line| Change { user_id: user.clone().into(), ..change(line) }).collect();
        let first = changes[0].clone();
        append(&store, changes).await;
        let replayed = store.replay(&user.into(), &first.app_id, &first.table, &first.record_id).await.unwrap();
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
        for due in store.due(case["now"].as_str().unwrap().parse().unwrap(), None, 10_000).await.unwrap() {
            let mission = store.snapshot::<Mission>(&due.user_id, &due.mission_id).await.unwrap().unwrap();
            found.push(json!({
                "id": due.mission_id, "agentId": due.agent_id, "title": mission.record.value("title"),
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

/// A stamp as rows have it: a text, an object, empty, or none that is read.
fn stamp() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        4 => (0_i64..20).prop_map(|n| time::iso_millis(time::from_micros(1_776_240_000_000_000 + n * 1_000))),
        1 => (0_i64..20).prop_map(|n| format!("2026-04-15 10:00:00.{n:03}+02")),
        1 => "[a-z0-9]{0,3}",
    ];
    (text, 0..8).prop_map(|(text, form)| match form {
        0 => json!({"at": text, "origin": "user"}),
        1 => json!({"at": 7}),
        2 => Value::Null,
        _ => text.into(),
    })
}

/// One random row of one of three records, and whether a refresh comes after it and in which steps.
fn row() -> impl Strategy<Value = (Change, Option<u32>)> {
    let field = prop::sample::select(vec![
        "title",
        "state",
        "nextRunAt",
        "iterations",
        "x",
        "x.y",
        "x.y.z",
        "cadence.kind",
        "deletedAt",
        "deletedAt",
        "updatedAt",
        "createdAt",
        "id",
    ]);
    let value = prop_oneof![
        2 => Just(Value::Null),
        1 => Just(json!("")),
        1 => Just(json!("active")),
        2 => (0_i64..20).prop_map(|n| json!(time::iso_millis(time::from_micros(1_776_240_000_000_000 + n * 1_000)))),
        1 => Just(json!([1])),
        1 => Just(json!({"y": {"z": 1}})),
        1 => any::<i32>().prop_map(Value::from)
    ];
    let data = prop::option::weighted(0.9, prop::collection::vec((field, value, prop::option::of(stamp())), 0..4));
    let op = prop_oneof![4 => Just(Op::Insert), 10 => Just(Op::Update), 3 => Just(Op::Delete)];
    // Most deletes have their time, so that something follows them.
    let gone = prop::option::weighted(0.8, 0_i64..20);
    (op, 0..3, data, gone, 0_i64..20, prop::option::of(1_u32..5)).prop_map(|(op, record, data, gone, created, refresh)| {
        let at = |n: i64| time::iso_millis(time::from_micros(1_776_240_000_000_000 + n * 1_000));
        let mut change = change(&json!({
            "appId": "ai", "table": "aiMissions", "recordId": format!("m{record}"), "userId": "u", "op": "update", "createdAt": at(created),
        }));
        let mut raw = serde_json::Map::new();
        change.op = op;
        change.data = data.map(|fields| {
            let field = |(field, value, stamp): (&str, Value, Option<Value>)| {
                raw.extend(stamp.map(|stamp| (field.to_owned(), stamp)));
                (field.to_owned(), value.into())
            };
            fields.into_iter().map(field).collect()
        });
        if let Some(gone) = gone.filter(|_| op == Op::Delete) {
            change.data.get_or_insert_default().insert("deletedAt".into(), at(gone));
        }
        // As a row that another server wrote, to the byte.
        change.field_meta = serde_json::from_value::<FieldMeta>(json!(raw)).unwrap().0;
        change.verbatim = Some(Box::new(Verbatim {
            data: change.data.as_ref().map(|data| json!(data).to_string()),
            field_meta: Some(json!(raw).to_string()),
            actor: None,
        }));
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
    let rows = store.snapshots::<Mission>(Some(user.to_owned().into())).await.unwrap();
    rows.into_iter().map(|row| json!([row.id, row.record, row.field_meta])).collect()
}

#[test]
fn a_snapshot_equals_the_fold_of_the_whole_log_however_it_is_cut() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (_dir, store) = store();
    let users = AtomicU32::new(0);
    let config =
        ProptestConfig { cases: rounds(600, 3_000) as u32, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(rows in prop::collection::vec(row(), 1..12))| {
        let user = format!("u{}", users.fetch_add(1, Ordering::Relaxed));
        let mut log = Vec::new();
        runtime.block_on(async {
            for (change, cut) in rows {
                let change = Change { user_id: user.clone().into(), event_id: uuid::Uuid::new_v4().to_string(), ..change };
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

/// An upgrade to the rules of the existing web client: the snapshots of the version before are made again.
#[tokio::test]
async fn what_an_older_version_folded_is_folded_again() {
    let (dir, store) = store();
    append(&store, [change(&crate::common::hourly("u", "m", None, "2026-04-15T08:00:00Z"))]).await;
    append(&store, [change(&crate::common::edit("u", "m", json!({"cadence.kind": "daily"}), "2026-04-15T09:00:00Z"))]).await;
    refresh(&store).await.unwrap();
    let expected = snapshots(&store, "u").await;
    assert_eq!(expected[0][1]["cadence"]["kind"], "daily");
    drop(store);
    let direct = rusqlite::Connection::open(dir.path().join(Store::FILE_NAME)).unwrap();
    direct.execute_batch("UPDATE mission_snapshots SET state = 'paused', record = '{\"id\": \"m\", \"cadence.kind\": \"daily\"}'").unwrap();
    // What the migration does.
    direct.execute_batch(include_str!("../../schema/0009_refold.sql")).unwrap();
    drop(direct);
    let store = crate::common::open(dir.path());
    assert!(snapshots(&store, "u").await.is_empty());
    // A write that comes before the refresh finds the whole record.
    assert_eq!(store.newest(Table::Missions, &"u".into(), "m").await.unwrap().map(|record| json!(record)).as_ref(), Some(&expected[0][1]));
    assert_eq!(refresh(&store).await.unwrap().new, 1);
    assert_eq!(snapshots(&store, "u").await, expected);
    let direct = rusqlite::Connection::open(dir.path().join(Store::FILE_NAME)).unwrap();
    let counts = "SELECT group_concat(state || missions) FROM (SELECT * FROM mission_counts WHERE missions > 0)";
    assert_eq!(direct.query_row(counts, [], |row| row.get::<_, String>(0)).unwrap(), "active1");
}

/// A page to which nothing is added leads to the newest row of its app, so that a client with an empty table, or with
/// rows of its own alone, does not start from the beginning with every push.
#[tokio::test]
async fn a_page_that_nothing_follows_leads_to_the_newest_row_of_its_app() {
    use mana_ai::store::Pull;
    let (_dir, store) = store();
    let row = |app: &str, table: &str, client: &str| {
        let line = json!({"appId": app, "table": table, "recordId": "r", "userId": "u", "op": "insert", "createdAt": "2026-04-15T08:00:00Z", "clientId": client});
        change(&line)
    };
    let pull = |app: &str, table: Option<&str>, since: i64, limit: usize| Pull {
        user_id: "u".into(),
        app_id: app.into(),
        tables: table.map(str::to_owned).into_iter().collect(),
        since,
        not_client: Some("me".into()),
        limit,
    };
    append(
        &store,
        [row("notes", "notes", "other"), row("notes", "notes", "other"), row("notes", "tags", "me"), row("todo", "tasks", "me")],
    )
    .await;
    let all = store.rows_after(Default::default(), 0, 10).await.unwrap();
    let (notes, newest) = (all[2].sync_at, all[3].sync_at);
    for table in [None, Some("notes"), Some("tags"), Some("empty")] {
        for since in [0, all[0].sync_at, notes] {
            let page = store.pull(pull("notes", table, since, 10)).await.unwrap();
            assert_eq!((page.synced_until, page.has_more), (notes, false), "{table:?} {since}");
        }
    }
    let own = store.pull(pull("todo", None, 0, 10)).await.unwrap();
    assert_eq!((own.rows.len(), own.synced_until), (0, newest));
    let cut = store.pull(pull("notes", None, 0, 1)).await.unwrap();
    assert_eq!((cut.synced_until, cut.has_more), (all[0].sync_at, true));
    // A cursor from beyond the log comes back to it.
    assert_eq!(store.pull(pull("notes", None, i64::MAX, 10)).await.unwrap().synced_until, notes);
    assert_eq!(store.pull(pull("nothing", None, i64::MAX, 10)).await.unwrap().synced_until, newest);
}

/// `tests/fixtures/make-older-version` tells what is in that database.
#[test]
fn a_database_of_an_older_version_opens_folds_and_goes_on() {
    use std::io::Read;
    let model = crate::common::Model::start(std::time::Duration::ZERO, |_| crate::common::Reply::task("Buy soil"));
    let mana = crate::common::Mana::new().with("MANA_LLM_URL", model.url());
    let packed = std::fs::read(crate::common::fixture("tests/fixtures/older-version.db.gz")).unwrap();
    let mut database = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut database).unwrap();
    std::fs::write(mana.dir.path().join(Store::FILE_NAME), database).unwrap();

    let missions: Vec<Value> = mana.run(&["missions", "--json"]).json();
    let ids: Vec<&str> = missions.iter().map(|mission| mission["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["edited", "stale", "undone"]);
    assert_eq!(mana.mission("edited")["cadence"], json!({"kind": "daily", "everyMinutes": 60, "atHour": 8}));
    assert_eq!(mana.mission("stale")["title"], "Mission stale");
    let agents = mana.run(&["agents", "--json"]).json();
    assert_eq!(agents[0]["record"]["policy"]["tools"]["create_task"], "deny");
    assert_eq!(mana.run(&["check"]).code, Some(0));

    let ticked = mana.run(&["tick", "--now", "2026-04-15T08:30:00Z", "--json"]).json();
    assert_eq!(ticked[0]["plansWrittenBack"], 3, "{ticked:?}");
    assert_eq!(mana.mission("edited")["nextRunAt"], "2026-04-16T08:00:00.000Z");
}
