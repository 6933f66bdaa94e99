//! A person is removed with everything, and nobody else is touched (docs/design.md, section 12; docs/privacy.md).

use crate::common::pages::{post, sign_in};
use crate::common::{Mana, Model, Reply, append, change, hourly, insert, open, request, send, store, wait_for};
use mana_ai::domain::limits::admit;
use mana_ai::store::RemovalStart;
use rusqlite::Connection;
use serde_json::{Value, json};

const DUE: &str = "2026-04-15T08:00:00.000Z";
const GONE: &str = "leaving-lea";

fn world(user: &str) -> Vec<Value> {
    let mut note = insert(user, "notes", "n", json!({"title": format!("note of {user}")}));
    note["appId"] = "notes".into();
    let mut mission = hourly(user, "m", Some("a"), DUE);
    mission["data"]["title"] = format!("mission of {user}").into();
    vec![note, insert(user, "agents", "a", json!({"name": format!("agent of {user}")})), mission]
}

/// Every row of every table as text, by its table.
fn rows(mana: &Mana) -> Vec<(String, String)> {
    let c = Connection::open(mana.dir.path().join("mana-ai.db")).unwrap();
    let query = "SELECT name FROM sqlite_schema WHERE type = 'table' OR name = 'sync_changes'";
    let tables: Vec<String> = c.prepare(query).unwrap().query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let mut all = Vec::new();
    for table in tables {
        let mut statement = c.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let mut found = statement.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let cells: Vec<String> = (0..columns).map(|n| format!("{:?}", row.get::<_, rusqlite::types::Value>(n).unwrap())).collect();
            all.push((table.clone(), cells.join(" | ")));
        }
    }
    all
}

fn of(rows: &[(String, String)], user: &str) -> Vec<(String, String)> {
    let quoted = format!("\"{user}\"");
    rows.iter().filter(|(table, row)| row.contains(&quoted) && table != "sessions").cloned().collect()
}

#[test]
fn a_person_goes_with_everything_while_a_plan_of_theirs_is_made() {
    let model = Model::held(|_| Reply::task("Do this"));
    let mana = Mana::new().with("MANA_LLM_URL", model.url()).with("TICK_ENABLED", "false");
    mana.import(&[world("anna"), world(GONE)].concat());
    // What lea wrote last ends the log.
    mana.import(&(0..1200).map(|n| insert(GONE, "things", &n.to_string(), json!({"text": "secret ".repeat(20)}))).collect::<Vec<_>>());
    let served = mana.serve();
    let token = |user: &str| mana.run(&["token", "create", "--user", user]).stdout.trim().to_owned();
    let (anna, lea) = (sign_in(&served, &token("anna")), sign_in(&served, &token(GONE)));
    let key = std::fs::read_to_string(mana.dir.path().join("service-key")).unwrap();
    let ticking = std::thread::spawn({
        let url = served.url("/internal/tick");
        move || request("POST", &url, &[("x-service-key", key.trim())])
    });
    wait_for("both plans are being made", || (model.requests().len() == 2).then_some(()));
    let before = rows(&mana);
    assert!(of(&before, GONE).len() > 1200 && of(&before, "anna").len() > 5);

    let asks = request("GET", &served.url(&format!("/settings/people/remove?person={GONE}")), &[("cookie", &anna)]).1;
    assert!(asks.contains("for good") && asks.contains(GONE), "{asks}");
    let csrf = asks.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let remove = |person: &str, typed: &str| {
        let fields = [("csrf", csrf), ("person", person), ("typed", typed)].map(|(name, value)| (name.to_owned(), value.to_owned()));
        post(&served.url("/settings/people/remove"), &anna, &fields)
    };
    assert_eq!(remove(GONE, "lea").status, 422);
    assert_eq!(remove("anna", "anna").status, 422, "the last administrator stays");
    assert_eq!(remove("nobody", "nobody").status, 404);
    assert_eq!(remove(GONE, GONE).status, 303);
    wait_for("nothing is left", || of(&rows(&mana), GONE).iter().all(|(table, _)| table == "removals").then_some(()));
    model.release();
    assert_eq!(ticking.join().unwrap().0, 200);

    let after = rows(&mana);
    assert_eq!(of(&after, GONE).iter().map(|(table, _)| table.as_str()).collect::<Vec<_>>(), ["removals"]);
    // Of anna there is what was there, and the plan that was made meanwhile.
    let kept = ["sync_changes", "agent_snapshots", "people", "user_log"];
    let log = |rows: &[(String, String)]| {
        of(rows, "anna").into_iter().filter(|(table, _)| kept[..2].contains(&table.as_str())).collect::<Vec<_>>()
    };
    assert!(log(&before).iter().all(|row| log(&after).contains(row)));
    assert_eq!(mana.mission("m")["iterations"].as_array().unwrap().len(), 1);

    // She is out, and her apps cannot bring anything back.
    assert!(request("GET", &served.url("/"), &[("cookie", &lea)]).1.contains("<h1>Sign in</h1>"));
    let refused = post(&served.url("/login"), "", &[("token".into(), token(GONE))]);
    assert!(refused.status == 403 && refused.body.contains("You were removed"), "{}", refused.body);
    let bearer = format!("Bearer {}", token(GONE));
    let push = json!({"clientId": "c", "changes": [{"eventId": "5f0c8c3e-6a52-4b52-9d0e-3c1d2f9f1a11", "table": "notes", "id": "n2", "op": "insert", "data": {"title": "again"}}]});
    let (status, said) =
        send("POST", &served.url("/sync/notes"), &[("authorization", &bearer), ("content-type", "application/json")], push.to_string());
    assert_eq!(status, 403, "{said}");
    assert!(!request("GET", &served.url("/sync/notes"), &[("authorization", &bearer)]).1.contains("note of"));
    // What comes next is seen, though the last rows of the log are gone.
    mana.import(&[hourly("anna", "later", None, DUE)]);
    assert!(mana.run(&["missions", "--user", "anna"]).stdout.contains("later"));
    assert_eq!(mana.run(&["check"]).code, Some(0));
    assert_eq!(mana.run(&["import", "-"]).code, Some(0));
    // A link lets her in again, to nothing.
    assert_eq!(mana.run(&["link", "--user", GONE]).code, Some(0));
    assert!(of(&rows(&mana), GONE).iter().all(|(table, _)| table == "sign_in_links"));
    drop(served);
    let c = Connection::open(mana.dir.path().join("mana-ai.db")).unwrap();
    c.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let file = std::fs::read(mana.dir.path().join("mana-ai.db")).unwrap();
    // A page that others share may hold a remainder until it is written again.
    let left = file.windows(6).filter(|bytes| *bytes == b"secret").count();
    assert!(left < 1200 * 20 / 50, "{left} of {} are still in the file", 1200 * 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_is_cut_short_goes_on() {
    let (dir, store) = store();
    append(&store, [world("anna"), world(GONE)].concat().iter().map(change)).await;
    append(&store, (0..2000).map(|n| change(&insert(GONE, "things", &n.to_string(), json!({"n": n}))))).await;
    // Names are hers as well.
    let named = |n: u32| {
        let mut line = insert(GONE, &format!("table {n}"), "r", json!({}));
        line["clientId"] = format!("client {n}").into();
        change(&line)
    };
    append(&store, (0..700).map(named)).await;
    mana_ai::projection::refresh(&store).await.unwrap();
    let gone = GONE.into();
    assert_eq!(store.begin_removal(&"nobody".into()).await.unwrap(), RemovalStart::NoPerson);
    assert_eq!(store.begin_removal(&gone).await.unwrap(), RemovalStart::Begun);
    let first = store.remove_batch(&gone).await.unwrap();
    assert!(!first.done && first.rows <= 500, "{first:?}");
    // Nothing of hers is saved meanwhile, nor brought in.
    let refused = store.append_staged(
        {
            let mut staging = store.stage("2026-04-15T08:00:00Z".parse().unwrap()).unwrap();
            let line = change(&insert(GONE, "things", "new", json!({})));
            staging.add(&admit(line).unwrap()).unwrap();
            staging
        },
        |_| {},
    );
    assert!(refused.await.unwrap_err().to_string().contains("removed"));
    drop(store);
    let mut mana = Mana::new();
    mana.dir = dir;
    mana.run(&["people", "remove", GONE]).fails(1, "--yes");
    let ran = mana.run(&["people", "remove", GONE, "--yes"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    mana.run(&["people", "remove", GONE, "--yes"]).fails(1, "no such person");
    let store = open(mana.dir.path());
    assert_eq!(store.stats().await.unwrap().log_rows, 3);
    assert!(store.check_projection(store.check_log().await.unwrap()).await.unwrap().findings.is_empty());
    // A file names users and clients in tables of their own.
    if store.is_file() {
        let c = Connection::open(store.path()).unwrap();
        let users = "SELECT group_concat(DISTINCT user_id) || ' ' || (SELECT count(*) FROM log_clients WHERE client_id LIKE 'client %') FROM log_tables";
        assert_eq!(c.query_row(users, [], |row| row.get::<_, String>(0)).unwrap(), "anna 0");
    }
}
