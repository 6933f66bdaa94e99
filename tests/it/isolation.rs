//! One user never sees another's data: in the log, in prompts, and on every route and page. `store_story` tells the same of every
//! method of the store.
//!
//! Both users have records, missions and agents of the same ids, so that any query that forgets the user shows it.

use std::time::Duration;

use crate::common::pages::sign_in;
use crate::common::{Mana, Model, Reply, append, change, get, hourly, insert, request, store};
use mana_ai::projection;
use mana_ai::store::{Bounds, Linked, Pull, RowFilter, Store, Wanted};
use regex::Regex;
use serde_json::{Value, json};

const DUE: &str = "2026-04-15T08:00:00.000Z";
/// Neither name can stand in an id, which has hexadecimal digits only.
const USERS: [&str; 2] = ["zora", "ben"];

/// The same world for a user, with the user's name in each text; and one note that only this user has.
fn world(user: &str) -> Vec<Value> {
    let note = |id: &str| {
        let mut line = insert(user, "notes", id, json!({"title": format!("note of {user}"), "content": format!("{user} only")}));
        line["appId"] = "notes".into();
        line
    };
    let mut mission = hourly(user, "m", Some("a"), DUE);
    mission["data"]["title"] = format!("mission of {user}").into();
    let inputs = ["n", private("zora"), private("ben")].map(|id| json!({"module": "notes", "table": "notes", "id": id}));
    mission["data"]["inputs"] = json!(inputs);
    vec![note("n"), note(private(user)), insert(user, "agents", "a", json!({"name": format!("agent of {user}")})), mission]
}

/// The note that only this user has.
fn private(user: &str) -> &'static str {
    if user == "zora" { "private-1" } else { "private-2" }
}

fn other(user: &str) -> &'static str {
    if user == "zora" { "ben" } else { "zora" }
}

#[track_caller]
fn is_of(user: &str, what: &str, shown: &str) {
    assert!(shown.contains(user), "{what} shows nothing of {user}: {shown}");
    assert!(!shown.contains(other(user)), "{what} for {user} shows data of {}: {shown}", other(user));
}

async fn filled() -> (tempfile::TempDir, Store) {
    let (dir, store) = store();
    append(&store, USERS.iter().flat_map(|user| world(user)).map(|line| change(&line))).await;
    projection::refresh(&store).await.unwrap();
    (dir, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_read_by_user() {
    let (_dir, store) = filled().await;
    for user in USERS {
        let filter = RowFilter { user: Some(user.into()), ..RowFilter::default() };
        is_of(user, "rows_after", &format!("{:?}", store.rows_after(filter, 0, 100).await.unwrap()));
        for tables in [&[][..], &["notes"], &["notes", "folders"]] {
            let tables = tables.iter().map(|&table| table.to_owned()).collect();
            let pull = Pull { user_id: user.into(), app_id: "notes".into(), tables, limit: 100, ..Pull::default() };
            is_of(user, "pull", &format!("{:?}", store.pull(pull).await.unwrap().rows));
        }
        is_of(user, "replay", &format!("{:?}", store.replay(&user.into(), "notes", "notes", "n").await.unwrap()));
        assert!(store.replay(&user.into(), "notes", "notes", private(other(user))).await.unwrap().live().is_none());
        let wanted = ["n", private(other(user))].map(|id| Wanted { app: "notes".into(), tables: vec!["notes".into()], id: id.into() });
        let bounds = Bounds { rows: 100, bytes: 1 << 20, upto: i64::MAX };
        let linked = store.linked(&user.into(), wanted.to_vec(), bounds, |_, _, record, _| Some(record.clone())).await.unwrap();
        is_of(user, "linked", &format!("{:?}", linked[0]));
        assert_eq!(linked[1], Linked::Absent);
        let ids = store.records(&user.into(), "notes", "notes", 100).await.unwrap();
        assert!(!ids.iter().any(|id| id == private(other(user))), "{ids:?}");
    }
}

#[test]
fn plans_budgets_runs_and_audits_of_two_users_stay_apart() {
    let model = Model::start(Duration::ZERO, |_| Reply::task("x"));
    let vectors: Value = serde_json::from_str(include_str!("../vectors/grants.json")).unwrap();
    let mana = Mana::new().with("MANA_LLM_URL", model.url()).with("TICK_ENABLED", "false");
    let mana = mana.with("MANA_AI_PRIVATE_KEY_PEM", vectors["privateKeyPem"].as_str().unwrap());
    mana.import(&USERS.iter().flat_map(|user| world(user)).collect::<Vec<_>>());
    // Ben links Ada's encrypted note, and brings a grant for it that is good in itself.
    let case = &vectors["cases"][0];
    let mut note = insert("zora", "notes", "n0", case["encrypted"].clone());
    note["appId"] = "notes".into();
    let mut thief = hourly("ben", "dev-m-0", None, DUE);
    thief["data"]["inputs"] = json!([{"module": "notes", "table": "notes", "id": "n0"}]);
    let grant =
        json!({"wrappedKey": case["wrappedKey"], "derivation": case["derivation"], "issuedAt": DUE, "expiresAt": "2099-01-01T00:00:00Z"});
    thief["data"]["grant"] = grant;
    mana.import(&[note, thief]);
    let served = mana.serve();
    let key = std::fs::read_to_string(mana.dir.path().join("service-key")).unwrap();
    assert_eq!(request("POST", &served.url("/internal/tick"), &[("x-service-key", key.trim())]).0, 200);
    let requests = model.requests();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        let prompt = request["messages"].to_string();
        let user = if prompt.contains("mission of zora") { "zora" } else { "ben" };
        assert!(!prompt.contains(&format!("of {}", other(user))) && !prompt.contains(&format!("{} only", other(user))), "{prompt}");
        assert!(!prompt.contains("Einkauf"), "{prompt}");
    }
    for user in USERS {
        let runs = mana.run(&["runs", "--user", user, "--json"]).json();
        assert!(runs.iter().all(|run| run["userId"] == user) && !runs.is_empty(), "{runs:?}");
        let missions = mana.run(&["missions", "--user", user, "--json"]).json();
        assert!(missions.iter().all(|mission| mission["userId"] == user), "{missions:?}");
        let exported = mana.run(&["export", "--user", user]).json();
        assert!(exported.iter().all(|row| row["userId"] == user) && exported.len() >= 5, "{exported:?}");
        let token = mana.run(&["token", "create", "--user", user]).stdout;
        let bearer = format!("Bearer {}", token.trim());
        for query in ["", "?missionId=m", "?missionId=dev-m-0"] {
            let (status, body) = request("GET", &served.url(&format!("/api/v1/me/ai-audit{query}")), &[("authorization", &bearer)]);
            assert_eq!((status, body.as_str()), (200, "{\"rows\":[]}"), "there was nothing to decrypt for {user}");
        }
    }
    // Routes without a caller show figures, never data.
    for path in ["/health", "/metrics", "/.well-known/jwks.json"] {
        let (_, body) = get(&served.url(path));
        assert!(USERS.iter().all(|user| !body.contains(user)), "{path}: {body}");
    }
    assert!(mana.run(&["explain", "m", "--user", "zora", "--json"]).stdout.contains("mission of zora"));
}

/// Routes that anybody may call; the socket asks after it was opened.
const PUBLIC: [&str; 5] = ["/health", "/metrics", "/.well-known/jwks.json", "/openapi.json", "/ws"];

/// A route that is new is asked too: it answers nobody whom it does not know, unless it is named above.
#[test]
fn every_route_asks_who_calls() {
    let mana = Mana::new().with("TICK_ENABLED", "false");
    let served = mana.serve();
    let described: Value = serde_json::from_str(&get(&served.url("/openapi.json")).1).unwrap();
    let parameter = Regex::new(r"\{[^}]+\}").unwrap();
    let mut asked = 0;
    for (path, methods) in described["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|_| !PUBLIC.iter().any(|public| path.starts_with(public))) {
            let (status, body) = request(&method.to_uppercase(), &served.url(&parameter.replace_all(path, "m")), &[]);
            assert_eq!(status, 401, "{method} {path} answers strangers: {body}");
            asked += 1;
        }
    }
    assert!(asked >= 8, "{asked}");
}

#[test]
fn no_page_shows_anything_of_another_user() {
    let mana = Mana::new().with("TICK_ENABLED", "false");
    mana.import(&USERS.iter().flat_map(|user| world(user)).collect::<Vec<_>>());
    let served = mana.serve();
    let token = mana.run(&["token", "create", "--user", "ben"]).stdout;
    let cookie = sign_in(&served, token.trim());
    let route = Regex::new(r#"\.route\("([^"]+)", get\("#).unwrap();
    let pages: Vec<String> = route.captures_iter(include_str!("../../src/workbench/mod.rs")).map(|found| found[1].to_owned()).collect();
    let mut shown = 0;
    for page in pages.iter().filter(|page| !page.starts_with("/assets") && *page != "/live") {
        for id in ["m", "a", "n", private("zora"), private("ben")] {
            let path = page.replace("{app}", "notes").replace("{table}", "notes").replace("{form}", "csv").replace("{id}", id);
            let (status, body) = request("GET", &served.url(&path), &[("cookie", &cookie)]);
            assert!([200, 303, 400, 403, 404].contains(&status), "{path}: {status} {body}");
            assert!(!body.contains("of zora") && !body.contains("zora only"), "{path} shows ben what is zora's: {body}");
            shown += usize::from(body.contains("of ben"));
            let stranger = request("GET", &served.url(&path), &[]);
            assert!(!USERS.iter().any(|user| stranger.1.contains(&format!("of {user}"))), "{path}: {}", stranger.1);
        }
    }
    assert!(pages.len() > 15 && shown > 10, "{shown} of {pages:?}");
}
