//! Server-sent events and WebSockets, with real clients over real sockets (docs/design.md, section 9).

use std::time::Duration;

use crate::common::{Mana, Model, Reply, Served, get, hourly, metric};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

struct World {
    served: Served,
    mana: Mana,
    token: String,
}

impl World {
    fn new(mana: Mana) -> Self {
        let mana = mana.with("TICK_ENABLED", "false");
        let token = mana.run(&["token", "create", "--user", "ada"]).stdout.trim().to_owned();
        World { served: mana.serve(), mana, token }
    }

    async fn push(&self, app: &str, client: &str, changes: Value) -> Value {
        let body = json!({"clientId": client, "changes": changes});
        let request = crate::common::http_client().post(self.served.url(&format!("/sync/{app}"))).bearer_auth(&self.token).json(&body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    async fn stream(&self, query: &str, client: Option<&str>) -> Events {
        let mut request = crate::common::http_client().get(self.served.url(&format!("/sync/notes/stream{query}"))).bearer_auth(&self.token);
        if let Some(client) = client {
            request = request.header("X-Client-Id", client);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events { response, text: String::new() }
    }

    async fn socket(&self, path: &str) -> Socket {
        Socket(connect_async(format!("ws://{}{path}", self.served.address)).await.unwrap().0)
    }

    async fn known(&self, path: &str, client: Option<&str>) -> Socket {
        let mut socket = self.socket(path).await;
        socket.say(&json!({"type": "auth", "token": self.token, "clientId": client})).await;
        assert_eq!(socket.hear().await, json!({"type": "auth-ok"}));
        socket
    }
}

/// A client of server-sent events (HTML Living Standard, section 9.2).
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    /// The next event and its data; `None` where the stream ends.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
                let found = (field("event:"), serde_json::from_str(&field("data:")).unwrap());
                self.text = rest.to_owned();
                return Some(found);
            }
            let chunk = tokio::time::timeout(Duration::from_secs(60), self.response.chunk()).await.expect("an event in time").ok()??;
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
    }

    async fn changes(&mut self) -> Value {
        let (event, data) = self.next().await.unwrap();
        assert_eq!(event, "changes");
        data
    }
}

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn next(&mut self) -> Message {
        tokio::time::timeout(Duration::from_secs(60), self.0.next()).await.expect("a message in time").unwrap().unwrap()
    }

    async fn hear(&mut self) -> Value {
        serde_json::from_str(self.next().await.to_text().unwrap()).unwrap()
    }

    async fn is_closed(&mut self, code: u16) {
        loop {
            if let Message::Close(frame) = self.next().await {
                return assert_eq!(u16::from(frame.unwrap().code), code);
            }
        }
    }
}

fn note(id: &str) -> Value {
    json!({"table": "notes", "id": id, "op": "insert", "data": {"title": id}})
}

fn quiet() -> Mana {
    Mana::new().with("MANA_LLM_URL", "http://127.0.0.1:9")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_brings_what_is_there_and_then_what_comes() {
    let world = World::new(quiet());
    world
        .push("notes", "phone", json!([note("1"), note("2"), {"table": "folders", "id": "f", "op": "insert", "data": {}}, note("3")]))
        .await;
    world.push("notes", "laptop", json!([note("own")])).await;
    let mut events = world.stream("?collections=notes,folders", Some("laptop")).await;
    let ids = |data: &Value| data["changes"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let mut last = String::new();
    for (table, expected, more) in [("notes", &["1", "2"][..], true), ("folders", &["f"], true), ("notes", &["3"], false)] {
        let data = events.changes().await;
        assert_eq!(
            (data["table"].as_str().unwrap(), ids(&data), &data["hasMore"]),
            (table, expected.iter().map(|&id| id.into()).collect(), &json!(more))
        );
        let until = data["syncedUntil"].as_str().unwrap().to_owned();
        assert!(until > last, "each cursor accounts for all before it");
        last = until;
    }
    world.push("notes", "laptop", json!([note("own too")])).await;
    world.push("todo", "phone", json!([{"table": "notes", "id": "other app", "op": "insert", "data": {}}])).await;
    world.push("notes", "phone", json!([{"table": "tags", "id": "not asked for", "op": "insert", "data": {}}])).await;
    world.push("notes", "phone", json!([note("4")])).await;
    let data = events.changes().await;
    assert_eq!(ids(&data), ["4"]);
    // Whoever comes back continues where it was.
    let mut again = world.stream(&format!("?since={last}"), Some("laptop")).await;
    assert_eq!(ids(&again.changes().await), ["not asked for"]);
    assert_eq!(ids(&again.changes().await), ["4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_nobody_up_and_gets_all_in_the_end() {
    let world = World::new(quiet());
    let mut events = world.stream("", Some("reader")).await;
    let before = metric_of(&world, "mana_ai_process_resident_memory_bytes").await;
    let big = "x".repeat(100_000);
    for n in 0..300 {
        world.push("notes", "phone", json!([{"table": "notes", "id": n.to_string(), "op": "insert", "data": {"body": big}}])).await;
    }
    let grown = metric_of(&world, "mana_ai_process_resident_memory_bytes").await - before;
    let mut seen = 0;
    while seen < 300 {
        for change in events.changes().await["changes"].as_array().unwrap() {
            assert_eq!(change["id"], seen.to_string());
            seen += 1;
        }
    }
    assert!(grown < 100e6, "30 MB that nobody reads must not pile up: {grown}");
}

async fn metric_of(world: &World, series: &'static str) -> f64 {
    tokio::task::block_in_place(|| metric(&world.served, series))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_hears_of_other_clients_only() {
    let world = World::new(quiet());
    let mut all = world.known("/ws", Some("phone")).await;
    let mut one = world.known("/ws/todo", None).await;
    world.push("notes", "phone", json!([note("1")])).await;
    world.push("notes", "laptop", json!([note("2"), {"table": "folders", "id": "f", "op": "insert", "data": {}}])).await;
    world.push("todo", "laptop", json!([{"table": "tasks", "id": "t", "op": "insert", "data": {}}])).await;
    let told = |app: &str, tables: &[&str]| json!({"type": "sync-available", "appId": app, "tables": tables});
    let mut heard = vec![all.hear().await];
    while heard.last() != Some(&told("todo", &["tasks"])) {
        heard.push(all.hear().await);
    }
    // News of one app may come together or apart.
    let tables: Vec<&str> =
        heard.iter().filter(|n| n["appId"] == "notes").flat_map(|n| n["tables"].as_array().unwrap()).map(|t| t.as_str().unwrap()).collect();
    assert!(tables.contains(&"notes") && tables.contains(&"folders"), "{heard:?}");
    assert_eq!(one.hear().await, told("todo", &["tasks"]));
    one.say(&json!({"type": "ping"})).await;
    assert_eq!(one.hear().await, json!({"type": "pong"}));
    one.0.send(Message::text("ping")).await.unwrap();
    assert_eq!(one.hear().await, json!({"type": "pong"}));
    one.0.send(Message::text("{\"type\": \"something new\"}")).await.unwrap();
    one.0.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    one.say(&json!({"type": "ping"})).await;
    assert_eq!(one.hear().await, json!({"type": "pong"}), "what it does not know does no harm");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runners_own_plans_are_news_also_from_another_process() {
    let model = Model::start(Duration::ZERO, |_| Reply::task("x"));
    let mana = Mana::new().with("MANA_LLM_URL", model.url());
    mana.import(&[hourly("ada", "m", None, "2026-04-15T08:00:00.000Z")]);
    let world = World::new(mana);
    let mut socket = world.known("/ws/ai", Some("phone")).await;
    let ticked = tokio::task::block_in_place(|| world.mana.run(&["tick", "--json"]).json());
    assert_eq!(ticked[0]["plansWrittenBack"], 1);
    assert_eq!(socket.hear().await, json!({"type": "sync-available", "appId": "ai", "tables": ["aiMissions"]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_without_a_good_token_is_closed() {
    let world = World::new(quiet());
    let mut socket = world.socket("/ws").await;
    socket.say(&json!({"type": "auth", "token": "nonsense"})).await;
    let answer = socket.hear().await;
    assert_eq!(answer["type"], "auth-error");
    assert!(!answer.to_string().contains("nonsense"));
    socket.is_closed(4401).await;
    let mut silent = world.socket("/ws").await;
    silent.say(&json!({"type": "ping"})).await;
    assert_eq!(silent.hear().await, json!({"type": "pong"}));
    world.push("notes", "phone", json!([note("1")])).await;
    silent.is_closed(4401).await;
    let mut flood = world.socket("/ws").await;
    // The server hangs up, while this is still being sent or after.
    let _ = flood.0.send(Message::text("x".repeat(100_000))).await;
    assert!(!matches!(tokio::time::timeout(Duration::from_secs(60), flood.0.next()).await.unwrap(), Some(Ok(Message::Text(_)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_their_token_and_with_the_server() {
    let world = World::new(quiet());
    let key = mana_ai::auth::LocalKey::load(world.mana.dir.path()).unwrap();
    let served = world.mana.serve();
    // Long enough to open both streams on a slow machine.
    let short = key.issue("ada", jiff::Timestamp::now(), jiff::SignedDuration::from_secs(10)).unwrap();
    let brief = World { token: short, served, mana: quiet() };
    let mut events = brief.stream("", None).await;
    let mut socket = brief.known("/ws", None).await;
    assert_eq!(events.next().await, None);
    socket.is_closed(4401).await;
    let mut events = world.stream("", None).await;
    // Some have not said yet who they are.
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(world.known("/ws", None).await);
        sockets.push(world.socket("/ws").await);
    }
    let World { served, .. } = world;
    let code = tokio::task::block_in_place(|| served.terminate());
    assert_eq!(code, Some(0));
    assert_eq!(events.next().await, None);
    for mut socket in sockets {
        socket.is_closed(1001).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_so_many_streams_and_no_more() {
    let world = World::new(quiet());
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(world.stream("", None).await);
    }
    let request = crate::common::http_client().get(world.served.url("/sync/notes/stream")).bearer_auth(&world.token);
    assert_eq!(request.send().await.unwrap().status(), 429);
    let mut socket = world.socket("/ws").await;
    socket.say(&json!({"type": "auth", "token": world.token})).await;
    socket.is_closed(4429).await;
    drop(open);
    let (status, _) = tokio::task::block_in_place(|| get(&world.served.url("/health")));
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_open_no_socket() {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    let world = World::new(quiet().with("CORS_ORIGINS", "https://app.example.com"));
    let open = async |origin: &'static str| {
        let mut request = format!("ws://{}/ws", world.served.address).into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        connect_async(request).await.map(|(socket, _)| Socket(socket))
    };
    for origin in ["https://evil.example.com", "null", "https://app.example.com.evil.com"] {
        let refused = open(origin).await.err().map(|error| error.to_string());
        assert!(refused.as_ref().is_some_and(|why| why.contains("403")), "{origin}: {refused:?}");
    }
    for origin in ["https://app.example.com", "http://localhost:5173"] {
        let mut socket = open(origin).await.unwrap();
        socket.say(&json!({"type": "auth", "token": world.token})).await;
        assert_eq!(socket.hear().await, json!({"type": "auth-ok"}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_say_nothing_keep_nobody_out() {
    let world = World::new(quiet());
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(world.socket("/ws").await);
    }
    world.known("/ws", None).await;
    // The first one made room.
    silent[0].is_closed(4429).await;
}
