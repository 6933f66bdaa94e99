//! Push and pull through the server: the wire, its limits, and cursors that miss nothing (docs/design.md, section 9).

use crate::common::{Mana, Served, get, insert, metric};
use serde_json::{Value, json};

/// A server and the callers that it knows.
struct World {
    served: Served,
    mana: Mana,
}

impl World {
    fn new() -> Self {
        Self::on(Mana::new())
    }

    fn on(mana: Mana) -> Self {
        let mana = mana.with("TICK_ENABLED", "false").with("MANA_LLM_URL", "http://127.0.0.1:9");
        World { served: mana.serve(), mana }
    }

    fn user(&self, user: &str) -> Caller<'_> {
        let token = self.mana.run(&["token", "create", "--user", user]).stdout.trim().to_owned();
        Caller { world: self, token }
    }
}

struct Caller<'a> {
    world: &'a World,
    token: String,
}

impl Caller<'_> {
    fn send(
        &self,
        method: &str,
        path: &str,
        client: Option<&str>,
        body: Option<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> (u16, Value, String) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut request =
                crate::common::http_client().request(method.parse().unwrap(), self.world.served.url(path)).bearer_auth(&self.token);
            if let Some(client) = client {
                request = request.header("X-Client-Id", client);
            }
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if let Some(body) = body {
                request = request.body(body);
            }
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let retry = response.headers().get("retry-after").map_or(String::new(), |v| v.to_str().unwrap().to_owned());
            (status, response.json().await.unwrap_or_default(), retry)
        })
    }

    fn push(&self, app: &str, body: &Value) -> (u16, Value) {
        let (status, answer, _) = self.send("POST", &format!("/sync/{app}"), None, Some(body.to_string().into_bytes()), &[]);
        (status, answer)
    }

    /// The same, with what `Retry-After` says.
    fn push_told(&self, app: &str, body: &Value) -> (u16, Value, String) {
        self.send("POST", &format!("/sync/{app}"), None, Some(body.to_string().into_bytes()), &[])
    }

    #[track_caller]
    fn pushed(&self, app: &str, client: &str, since: &str, changes: Value) -> Value {
        let (status, answer) = self.push(app, &json!({"clientId": client, "appId": app, "since": since, "changes": changes}));
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["conflicts"], json!([]));
        answer
    }

    #[track_caller]
    fn pulled(&self, app: &str, table: &str, since: &str, client: Option<&str>) -> Value {
        let since = since.replace('+', "%2B");
        let (status, answer, _) = self.send("GET", &format!("/sync/{app}/pull?collection={table}&since={since}"), client, None, &[]);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    #[track_caller]
    fn refused(&self, app: &str, body: &Value, status: u16, message: &str) {
        let (found, answer) = self.push(app, body);
        assert_eq!(found, status, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(message), "{answer}");
    }
}

fn note(id: &str, title: &str) -> Value {
    json!({"table": "notes", "id": id, "op": "insert", "data": {"title": title}})
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["serverChanges"].as_array().unwrap().iter().map(|change| change["id"].as_str().unwrap()).collect()
}

#[test]
fn what_one_client_pushes_another_is_told() {
    let world = World::new();
    let ada = world.user("ada");
    let actor = json!({"kind": "user", "principalId": "ada", "displayName": "Ada"});
    let first = ada.pushed(
        "notes",
        "phone",
        "",
        json!([
            {"table": "notes", "id": "1", "op": "insert", "data": {"title": "a", "body": "x"}, "spaceId": "s", "actor": actor, "origin": "user"},
            {"table": "notes", "id": "1", "op": "update", "fields": {"title": {"value": "b", "at": "2026-04-15T08:00:00.000Z"}, "body": {"value": null, "updatedAt": "2026-04-15T08:00:01.000Z"}}},
            {"table": "folders", "id": "f", "op": "delete", "deletedAt": "2026-04-15T08:00:02.000Z"},
        ]),
    );
    assert_eq!(first["serverChanges"], json!([]), "its own changes are no news");
    let told = ada.pushed("notes", "laptop", "1970-01-01T00:00:00.000Z", json!([]));
    let mut changes = told["serverChanges"].clone();
    for change in changes.as_array_mut().unwrap() {
        assert!(uuid::Uuid::parse_str(change["eventId"].as_str().unwrap()).is_ok());
        change.as_object_mut().unwrap().remove("eventId");
    }
    let at = |text: &str, value: Value| json!({"value": value, "at": text, "updatedAt": text});
    assert_eq!(
        changes,
        json!([
            {"schemaVersion": 1, "table": "notes", "id": "1", "op": "insert", "data": {"title": "a", "body": "x"}, "spaceId": "s", "actor": actor, "origin": "user"},
            {"schemaVersion": 1, "table": "notes", "id": "1", "op": "update", "fields": {"title": at("2026-04-15T08:00:00.000Z", json!("b")), "body": at("2026-04-15T08:00:01.000Z", Value::Null)}},
            {"schemaVersion": 1, "table": "folders", "id": "f", "op": "delete", "deletedAt": "2026-04-15T08:00:02.000Z"},
        ])
    );
    assert_eq!((&told["syncedUntil"], told.get("hasMore")), (&first["syncedUntil"], None));
    let again = ada.pushed("notes", "laptop", told["syncedUntil"].as_str().unwrap(), json!([]));
    assert_eq!((&again["serverChanges"], &again["syncedUntil"]), (&json!([]), &told["syncedUntil"]));
    assert_eq!(ids(&ada.pulled("notes", "notes", "", None)), ["1", "1"]);
    assert_eq!(ids(&ada.pulled("notes", "notes", "", Some("phone"))), Vec::<&str>::new());
    assert_eq!(ids(&ada.pulled("todo", "notes", "", None)), Vec::<&str>::new());
    assert_eq!(ids(&world.user("ben").pulled("notes", "notes", "", None)), Vec::<&str>::new(), "nothing of another user");
}

#[test]
fn the_header_names_the_client_before_the_body_does() {
    let world = World::new();
    let ada = world.user("ada");
    let body = json!({"clientId": "body", "changes": [note("1", "a")]}).to_string().into_bytes();
    assert_eq!(ada.send("POST", "/sync/notes", Some("header"), Some(body), &[]).0, 200);
    assert_eq!(ids(&ada.pulled("notes", "notes", "", Some("body"))), ["1"]);
    assert_eq!(ids(&ada.pulled("notes", "notes", "", Some("header"))), Vec::<&str>::new());
}

#[test]
fn pages_lead_through_all_rows() {
    let world = World::new();
    let ada = world.user("ada");
    for part in 0..3 {
        let changes: Vec<Value> = (0..2_500).map(|n| note(&format!("{:05}", part * 2_500 + n), "x")).collect();
        ada.pushed("notes", "phone", "", json!(changes));
    }
    // Rows of the asking client in between must not stop it.
    ada.pushed("notes", "laptop", "", json!((0..1_500).map(|n| note(&format!("own {n}"), "x")).collect::<Vec<_>>()));
    ada.pushed("notes", "phone", "", json!([note("07500", "last")]));
    let expected: Vec<String> = (0..=7_500).map(|n| format!("{n:05}")).collect();
    let walk = |next: &dyn Fn(&str) -> Value, most: usize| {
        let (mut since, mut seen) = (String::new(), Vec::new());
        loop {
            let answer = next(&since);
            assert!(ids(&answer).len() <= most);
            seen.extend(ids(&answer).into_iter().map(str::to_owned));
            since = answer["syncedUntil"].as_str().unwrap().to_owned();
            if answer.get("hasMore").is_none() {
                return seen;
            }
            assert_eq!(answer["hasMore"], true);
        }
    };
    assert_eq!(walk(&|since| ada.pulled("notes", "notes", since, Some("laptop")), 1_000), expected);
    assert_eq!(walk(&|since| ada.pushed("notes", "laptop", since, json!([])), 5_000), expected);
}

#[test]
fn a_push_is_kept_whole_or_not_at_all() {
    let world = World::new();
    let ada = world.user("ada");
    let with = |change: Value| json!({"clientId": "c", "changes": [note("1", "a"), change]});
    for (body, message) in [
        (with(json!({"table": "notes", "id": "2", "op": "upsert"})), "change 1: `op`"),
        (with(json!({"table": "", "id": "2", "op": "insert"})), "change 1: `table`"),
        (with(json!({"table": "notes", "id": "", "op": "insert"})), "change 1: `id`"),
        (with(json!({"table": "notes", "op": "insert"})), "missing field `id`"),
        (with(json!({"table": "notes", "id": "2", "op": "insert", "data": [1]})), "changes[1].data"),
        (with(json!({"table": "notes", "id": "2", "op": "update", "fields": {"a": 1}})), "changes[1].fields"),
        (json!({"clientId": "c", "schemaVersion": 2, "changes": [note("1", "a")]}), "version 1"),
        (json!({"clientId": "c", "since": "now", "changes": [note("1", "a")]}), "`since`"),
        (json!({"clientId": "c", "appId": "todo", "changes": [note("1", "a")]}), "another app"),
        (json!({"changes": [note("1", "a")]}), "X-Client-Id"),
        (json!([]), "X-Client-Id"),
        (json!("push"), "Push"),
    ] {
        ada.refused("notes", &body, 400, message);
    }
    let (status, answer, _) = ada.send("POST", "/sync/notes", None, Some(b"{\"clientId\":".to_vec()), &[]);
    assert_eq!(status, 400, "{answer}");
    assert_eq!(ids(&ada.pulled("notes", "notes", "", None)), Vec::<&str>::new());
    assert_eq!(metric(&world.served, "mana_ai_log_rows"), 0.0);
}

#[test]
fn a_body_is_bounded_also_when_it_is_compressed() {
    let world = World::new();
    let ada = world.user("ada");
    let body = |bytes: usize| json!({"clientId": "c", "changes": [note("1", &"x".repeat(bytes))]}).to_string().into_bytes();
    let many = |count: usize| {
        let notes: Vec<_> = (0..count).map(|n| note(&n.to_string(), &"x".repeat(1 << 20))).collect();
        json!({"clientId": "c", "changes": notes}).to_string().into_bytes()
    };
    assert_eq!(ada.send("POST", "/sync/notes", None, Some(many(31)), &[]).0, 200);
    assert_eq!(ada.send("POST", "/sync/notes", None, Some(many(32)), &[]).0, 413);
    let gzip = [("content-encoding", "gzip")];
    let (status, answer, _) = ada.send("POST", "/sync/notes", None, Some(zipped(&body(1 << 20))), &gzip);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(ada.send("POST", "/sync/notes", None, Some(zipped(&body(200 << 20))), &gzip).0, 413, "a bomb");
    let (status, answer, _) = ada.send("POST", "/sync/notes", None, Some(b"not gzip at all".to_vec()), &gzip);
    assert_eq!(status, 400, "{answer}");
    assert_eq!(ada.send("POST", "/sync/notes", None, Some(body(10)), &[("content-encoding", "br")]).0, 415);
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_same_push_twice_undoes_nothing() {
    let world = World::new();
    let ada = world.user("ada");
    let twice = json!([note("1", "first"), {"eventId": "0193e4c0-5c5c-4000-8000-00000000abcd", "table": "notes", "id": "1", "op": "update", "fields": {"done": {"value": true}}}]);
    ada.pushed("notes", "phone", "", twice.clone());
    ada.pushed(
        "notes",
        "laptop",
        "",
        json!([{"table": "notes", "id": "1", "op": "update", "fields": {"title": {"value": "edited", "at": "2020-01-01T00:00:00Z"}}}]),
    );
    ada.pushed("notes", "phone", "", twice);
    let answer = ada.pulled("notes", "notes", "", None);
    let ops: Vec<_> = answer["serverChanges"].as_array().unwrap().iter().map(|change| change["op"].as_str().unwrap()).collect();
    assert_eq!(ops, ["insert", "update", "update"]);
}

#[test]
fn a_later_insert_of_a_record_says_from_when_it_counts() {
    let world = World::new();
    let ada = world.user("ada");
    ada.pushed("notes", "phone", "", json!([note("1", "phone")]));
    ada.pushed("notes", "laptop", "", json!([note("1", "laptop")]));
    let answer = ada.pulled("notes", "notes", "", None);
    let told = answer["serverChanges"].as_array().unwrap();
    assert_eq!(told[0].get("fields"), None);
    assert_eq!((&told[1]["data"]["title"], &told[1]["fields"]["title"]["value"]), (&json!("laptop"), &json!("laptop")));
    assert!(told[1]["fields"]["title"]["at"].as_str().unwrap() <= answer["syncedUntil"].as_str().unwrap());
}

#[test]
fn a_mission_that_a_client_pushes_is_run_and_the_plan_is_pulled() {
    let model = crate::common::Model::start(std::time::Duration::ZERO, |_| crate::common::Reply::task("x"));
    let mana = Mana::new().with("TICK_ENABLED", "false").with("MANA_LLM_URL", model.url());
    let world = World { served: mana.serve(), mana };
    let ada = world.user("ada");
    let mission =
        json!({"title": "m", "objective": "o", "state": "active", "nextRunAt": "2026-04-15T08:00:00Z", "cadence": {"kind": "manual"}});
    let answer = ada.pushed("ai", "phone", "", json!([{"table": "aiMissions", "id": "m", "op": "insert", "data": mission}]));
    assert_eq!(world.mana.run(&["tick", "--json"]).json()[0]["plansWrittenBack"], 1, "by another process, beside the server");
    let told = ada.pulled("ai", "aiMissions", answer["syncedUntil"].as_str().unwrap(), Some("phone"));
    let change = &told["serverChanges"][0];
    assert_eq!((&change["op"], &change["origin"], &change["actor"]["kind"]), (&json!("update"), &json!("agent"), &json!("ai")));
    assert_eq!(change["fields"]["iterations"]["value"][0]["overallStatus"], "awaiting-review");
    assert_eq!(change["fields"]["nextRunAt"]["value"], Value::Null);
}

#[test]
fn a_cursor_from_beyond_the_log_is_brought_back() {
    let world = World::new();
    let ada = world.user("ada");
    let known = ada.pushed("notes", "phone", "", json!([note("1", "a")]))["syncedUntil"].clone();
    let answer = ada.pulled("notes", "notes", "2099-01-01T00:00:00.000000Z", None);
    assert_eq!(answer["syncedUntil"], known);
}

#[test]
fn nothing_is_told_without_a_token() {
    let world = World::new();
    let url = |path: &str| world.served.url(path);
    for path in ["/sync/notes/pull?collection=notes", "/sync/notes/stream"] {
        assert_eq!(get(&url(path)).0, 401, "{path}");
    }
    assert_eq!(crate::common::request("POST", &url("/sync/notes"), &[]).0, 401);
    let nobody = Caller { world: &world, token: "x".into() };
    assert_eq!(nobody.push("notes", &json!({"clientId": "c"})).0, 401);
}

#[test]
fn old_data_is_told_like_new() {
    let world = World::new();
    let mut line = insert("ada", "notes", "old", json!({"title": "t"}));
    line["appId"] = "notes".into();
    line["actor"] = Value::Null;
    world.mana.import(&[line]);
    let told = world.user("ada").pulled("notes", "notes", "", None);
    assert_eq!((&told["serverChanges"][0]["data"]["title"], told["serverChanges"][0].get("actor")), (&json!("t"), None));
    assert!(told["syncedUntil"].as_str().unwrap() > "2026-04-15T08", "the time of the row in this log, not of its making");
}

#[test]
fn the_openapi_document_tells_of_every_route() {
    let world = World::new();
    let (status, body) = get(&world.served.url("/openapi.json"));
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&body).unwrap();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            routes.push(format!("{} {path}", method.to_uppercase()));
            let (status, _) = crate::common::request(&method.to_uppercase(), &world.served.url(&path.replace("{appId}", "notes")), &[]);
            assert!(status != 404 && status != 405, "{method} {path}: {status}");
        }
    }
    insta::assert_snapshot!(routes.join("\n"));
}

#[test]
fn what_was_acknowledged_survives_every_kill_and_is_there_once() {
    let mana = Mana::new().with("TICK_ENABLED", "false").with("MANA_LLM_URL", "http://127.0.0.1:9");
    let token = mana.run(&["token", "create", "--user", "ada"]).stdout.trim().to_owned();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut acknowledged, mut sent) = (Vec::new(), 0_usize);
    let answered = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    for round in 1..=8 {
        let mut served = mana.serve();
        let url = served.url("/sync/notes");
        let tasks: Vec<_> = (0..8)
            .map(|client| {
                let (url, token, first) = (url.clone(), token.clone(), sent + client * 1_000);
                let answered = std::sync::Arc::clone(&answered);
                runtime.spawn(async move {
                    let http = crate::common::http_client();
                    let mut taken = Vec::new();
                    for n in first.. {
                        let changes = json!([note(&n.to_string(), "a"), note(&format!("{n}b"), "b")]);
                        let body = json!({"clientId": format!("c{client}"), "changes": changes});
                        match http.post(&url).bearer_auth(&token).json(&body).send().await {
                            Ok(answer) if answer.status() == 200 => taken.push(n),
                            _ => return taken,
                        }
                        if answered.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 40_000 {
                            return taken;
                        }
                    }
                    taken
                })
            })
            .collect();
        // A different number each round, so that it dies at different places.
        crate::common::wait_for("some answers", || (answered.load(std::sync::atomic::Ordering::SeqCst) > round * 25).then_some(()));
        served.child.kill().unwrap();
        served.child.wait().unwrap();
        acknowledged.extend(tasks.into_iter().flat_map(|task| runtime.block_on(task).unwrap()));
        sent += 8_000;
    }
    assert!(acknowledged.len() >= 200, "{}", acknowledged.len());
    assert_eq!(mana.integrity(), "ok");
    let mut kept: Vec<String> = mana.run(&["export"]).json().iter().map(|row| row["recordId"].as_str().unwrap().to_owned()).collect();
    kept.sort();
    let all = kept.len();
    kept.dedup();
    assert_eq!(kept.len(), all, "no change is there twice");
    for n in acknowledged {
        assert!(kept.binary_search(&n.to_string()).is_ok() && kept.binary_search(&format!("{n}b")).is_ok(), "{n} was acknowledged");
    }
    assert!(kept.iter().filter(|id| !id.ends_with('b')).all(|id| kept.binary_search(&format!("{id}b")).is_ok()), "pushes are whole");
}

#[test]
fn when_it_takes_in_all_it_can_it_says_when_to_come_back() {
    use std::io::Write;
    let world = World::new();
    let ada = world.user("ada");
    let head =
        format!("POST /sync/notes HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-length: 10000000\r\n\r\n", ada.token);
    // All but the last byte of a body. It may be refused itself while a push that is answered holds its room.
    let slow = || {
        let mut socket = std::net::TcpStream::connect(world.served.address).unwrap();
        socket.write_all(head.as_bytes()).unwrap();
        let _ = socket.write_all(&vec![b' '; 9_999_999]);
        socket
    };
    let mut held: Vec<_> = (0..4).map(|_| slow()).collect();
    let body = json!({"clientId": "c", "changes": [note("1", &"x".repeat(7 << 20))]}).to_string().into_bytes();
    let (status, answer, retry) = crate::common::wait_for("the server to be full", || {
        held.push(slow());
        Some(ada.send("POST", "/sync/notes", None, Some(body.clone()), &[])).filter(|(status, ..)| *status != 200)
    });
    assert_eq!((status, &answer["error"]["code"], retry.as_str()), (503, &json!("unavailable"), "2"));
    let small = json!({"clientId": "c", "changes": [note("2", "small")]});
    assert_eq!(ada.push("notes", &small).0, 200, "there is room for a small one");
    drop(held);
    crate::common::wait_for("room", || (ada.send("POST", "/sync/notes", None, Some(body.clone()), &[]).0 == 200).then_some(()));
}

#[test]
fn answers_are_compressed_for_those_who_ask() {
    use std::io::Read;
    let world = World::new();
    let ada = world.user("ada");
    ada.pushed("notes", "phone", "", json!((0..200).map(|n| note(&n.to_string(), "the same words again")).collect::<Vec<_>>()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (encoding, bytes) = runtime.block_on(async {
        let request = crate::common::http_client().get(world.served.url("/sync/notes/pull?collection=notes")).bearer_auth(&ada.token);
        let response = request.header("accept-encoding", "gzip").send().await.unwrap();
        (response.headers()["content-encoding"].to_str().unwrap().to_owned(), response.bytes().await.unwrap())
    });
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes.as_ref()).read_to_string(&mut text).unwrap();
    assert_eq!((encoding.as_str(), ids(&serde_json::from_str(&text).unwrap()).len()), ("gzip", 200));
    assert!(bytes.len() * 4 < text.len());
}

#[test]
fn a_user_stays_below_the_ceilings_of_the_log() {
    let mana = Mana::new().with("USER_MAX_ROWS", 5).with("USER_MAX_BYTES", 2_000);
    // What was there before counts, and an import is never refused.
    let row = |user: &str, id: &str| crate::common::insert(user, "notes", id, json!({"title": id}));
    mana.import(&[row("ada", "1"), row("ada", "2"), row("ben", "3")]);
    mana.import(&(0..10).map(|n| row("eve", &n.to_string())).collect::<Vec<_>>());
    let world = World::on(mana);
    let (ada, ben, eve) = (world.user("ada"), world.user("ben"), world.user("eve"));
    let notes = |ids: &[&str]| json!({"clientId": "c", "changes": ids.iter().map(|id| note(id, "x")).collect::<Vec<_>>()});
    let refused = |user: &Caller<'_>, body: &Value, setting: &str| {
        let (status, answer, retry) = user.push_told("notes", body);
        let message = answer["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(status == 429 && message.contains(setting) && retry.is_empty(), "{status} {answer} {retry}");
    };
    refused(&ada, &notes(&["a", "b", "c", "d"]), "5 rows in the log (USER_MAX_ROWS)");
    let with_id = json!({"clientId": "c", "changes": [
        {"eventId": "0193e4c0-5c5c-4000-8000-00000000abcd", "table": "notes", "id": "a", "op": "insert", "data": {}}, note("b", "x"), note("c", "x"),
    ]});
    assert_eq!(ada.push("notes", &with_id).0, 200, "up to the ceiling");
    refused(&ada, &notes(&["d"]), "USER_MAX_ROWS");
    assert_eq!(ada.push("notes", &with_id).0, 200, "what is there already is no more");
    refused(&eve, &notes(&["d"]), "USER_MAX_ROWS");
    let large = json!({"clientId": "c", "changes": [note("l", &"x".repeat(2_000))]});
    refused(&ben, &large, "2000 bytes in the log (USER_MAX_BYTES)");
    assert_eq!(ben.push("notes", &notes(&["s"])).0, 200, "nobody else is held up");
    assert_eq!(metric(&world.served, "mana_ai_log_rows"), 17.0, "nothing of what was refused was kept");
}

#[test]
fn a_user_pushes_so_many_rows_a_minute_and_hears_when_to_go_on() {
    let world = World::on(Mana::new().with("USER_MAX_ROWS_PER_MINUTE", 3));
    let (ada, ben) = (world.user("ada"), world.user("ben"));
    let (status, answer, retry) = crate::common::wait_for("a minute to be used up", || {
        Some(ada.push_told("notes", &json!({"clientId": "c", "changes": [note("1", "x"), note("2", "x")]})))
            .filter(|(status, ..)| *status != 200)
    });
    assert_eq!((status, &answer["error"]["code"]), (429, &json!("over-ceiling")), "{answer}");
    assert!((1..=60).contains(&retry.parse::<u32>().unwrap()), "{retry}");
    assert_eq!(ada.push("notes", &json!({"clientId": "c", "changes": []})).0, 200, "nothing is no row");
    assert_eq!(ben.push("notes", &json!({"clientId": "c", "changes": [note("1", "x")]})).0, 200);
}
