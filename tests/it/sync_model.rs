//! Clients that push, pull, lose answers and come back end with the state of the log, whatever the schedule.
//!
//! Each schedule has a user of its own, and is made from its number alone: `MANA_SYNC_SEED=17` runs number 17 again.
//! The clients keep their records by a merge written here from the rules, not by that of the program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use mana_ai::app::{App, AppParts, FixedParts, ModelKeeper, Outbox, Reviews};
use mana_ai::auth::{LocalKey, ServiceKey, Users};
use mana_ai::domain::backoff::Backoff;
use mana_ai::domain::breaker::Limits;
use mana_ai::domain::ceilings::LogCeilings;
use mana_ai::domain::decision::Ceilings;
use mana_ai::domain::step::StepStatus;
use mana_ai::http::{Api, router};
use mana_ai::metrics::Metrics;
use mana_ai::planner::{Planner, provider, tools::Catalog};
use mana_ai::runner::{Clock, Rules, Runner, RunnerSettings};
use mana_ai::steps::Executors;
use mana_ai::store::{RowFilter, Store};
use mana_ai::turns::Turns;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use crate::common::rounds;

const BREAKER: Limits = Limits { failures: 1, cooldown: SignedDuration::from_secs(1) };
const NO_CEILINGS: Ceilings =
    Ceilings { unreviewed_plans: 0, calls_per_day: 0, tokens_per_day: 0, longest_wait: SignedDuration::from_secs(1) };
const APP: &str = "notes";
const TABLES: [&str; 3] = ["notes", "folders", "tags"];

/// The server without its sockets, on a store that can be closed and opened again.
struct Server {
    dir: tempfile::TempDir,
    app: Router,
    store: Store,
}

impl Server {
    fn new() -> Self {
        Self::with(Arc::default())
    }

    fn with(turns: Arc<Turns>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (app, store) = start(dir.path(), turns);
        Server { dir, app, store }
    }

    /// Another process takes over, and whoever waited hears nothing.
    async fn restart(&mut self) {
        // A push whose client went away may still wait for the old writer, and what enters the log after the last pull
        // cannot have been heard of.
        self.store.set_fact("the last write", String::new()).await.unwrap();
        (self.app, self.store) = start(self.dir.path(), Arc::default());
    }

    async fn send(&self, method: &str, path: &str, token: &str, client: Option<&str>, body: Value) -> Value {
        let mut request =
            Request::builder().method(method).uri(path).header("host", "localhost").header("authorization", format!("Bearer {token}"));
        if let Some(client) = client {
            request = request.header("x-client-id", client);
        }
        let response = self.app.clone().oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
        let status = response.status();
        let body: Value = serde_json::from_slice(&axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap();
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }
}

fn start(dir: &Path, turns: Arc<Turns>) -> (Router, Store) {
    let store = crate::common::open(dir);
    let metrics = Arc::new(Metrics::new().unwrap());
    let model = provider::ProviderSettings {
        url: "http://127.0.0.1:9".parse().unwrap(),
        api_key: None,
        model: "none".into(),
        timeout: Duration::from_secs(1),
        dialect: Default::default(),
        headers: Default::default(),
    };
    let rules = RunnerSettings {
        max_parallel: 1,
        max_attempts: 1,
        iterations_kept: 1,
        first_step_status: StepStatus::Staged,
        backoff: Backoff { base: SignedDuration::from_secs(1), max: SignedDuration::from_secs(1) },
        breaker: BREAKER,
        ceilings: NO_CEILINGS,
        zone: TimeZone::UTC,
        executors: Executors::none(TimeZone::UTC),
        private_key: None,
    };
    let keeper = ModelKeeper::new(model.clone(), None, FixedParts::default(), dir.join("model.toml"));
    let planner = Planner::new(model, Catalog::builtin(), 16_384).unwrap();
    let runner = Runner::new(store.clone(), planner, metrics, rules, Arc::new(Timestamp::now)).unwrap();
    let users = Users::local(LocalKey::load(dir).unwrap());
    let told = Rules { zone: TimeZone::UTC, ceilings: NO_CEILINGS, breaker: BREAKER, provider: "none".into() };
    let clock: Clock = Arc::new(Timestamp::now);
    let executors = Executors::none(TimeZone::UTC);
    let reviews =
        Arc::new(Reviews::new(store.clone(), executors, Catalog::builtin(), Arc::new(Metrics::new().unwrap()), Arc::clone(&clock)));
    let outbox = Outbox::new(store.clone(), Arc::clone(&reviews), BTreeMap::new(), Arc::clone(&clock)).unwrap();
    let parts = AppParts {
        runner,
        users: users.into(),
        reviews,
        outbox,
        rules: told,
        ceilings: LogCeilings::default(),
        data_dir: dir.to_owned(),
        model: keeper,
    };
    let app = App::new(store.clone(), parts, clock);
    let api = Api {
        address: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        public_urls: Vec::new(),
        max_body_bytes: 32 << 20,
        app,
        service_key: ServiceKey::new("service key of the model"),
        turns,
        pages: axum::Router::new(),
        no_page: mana_ai::workbench::no_page,
        cors_origins: vec![],
    };
    (router(api), store)
}

/// A record as the rules of docs/design.md, section 3, keep it: each field with its stamp, where it has one.
#[derive(Debug, Clone, PartialEq, Default)]
struct Record {
    fields: BTreeMap<String, (Value, Option<String>)>,
    dead: bool,
}

type State = BTreeMap<(String, String), Record>;

/// Takes a change in. `stamp` tells the time of a field; the first change of a record takes what is given, and all
/// others win with a later or equal time.
fn take(
    state: &mut State,
    table: &str,
    id: &str,
    op: &str,
    data: &Map<String, Value>,
    stamp: impl Fn(&str) -> Option<String>,
    fallback: &str,
) {
    let key = (table.to_owned(), id.to_owned());
    let first = !state.contains_key(&key);
    let record = state.entry(key).or_default();
    record.dead |= op == "delete";
    for (name, value) in data {
        let given = stamp(name);
        if first {
            record.fields.insert(name.clone(), (value.clone(), given));
            continue;
        }
        let given = given.unwrap_or_else(|| fallback.to_owned());
        let wins = record.fields.get(name).and_then(|(_, has)| has.as_ref()).is_none_or(|has| instant(&given) >= instant(has));
        if wins {
            record.fields.insert(name.clone(), (value.clone(), Some(given)));
        }
    }
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// What counts of a state: the values of the records that are alive.
fn alive(state: &State) -> BTreeMap<(String, String), BTreeMap<String, Value>> {
    let live = state.iter().filter(|(_, record)| !record.dead);
    live.map(|(key, record)| (key.clone(), record.fields.iter().map(|(name, (value, _))| (name.clone(), value.clone())).collect()))
        .collect()
}

struct Client {
    name: String,
    token: String,
    /// Leaves its own rows out, as the clients of the product do; else it reads the whole log like a new device.
    knows_its_own: bool,
    since: String,
    table_since: BTreeMap<&'static str, String>,
    state: State,
    /// Changes that no answer has confirmed.
    pending: Vec<Value>,
    seen: BTreeSet<String>,
    made: u32,
}

impl Client {
    fn new(n: usize, token: &str) -> Self {
        Client {
            name: format!("client-{n}"),
            token: token.to_owned(),
            knows_its_own: n != 0,
            since: String::new(),
            table_since: BTreeMap::new(),
            state: State::new(),
            pending: Vec::new(),
            seen: BTreeSet::new(),
            made: 0,
        }
    }

    /// The user does something. No two clients write at the same microsecond; their clocks are apart by up to a year.
    fn edit(&mut self, rng: &mut StdRng, n: usize) {
        let at = |rng: &mut StdRng| {
            format!(
                "{}-04-{:02}T{:02}:00:00.{:03}{n:03}Z",
                rng.random_range(2026..2028),
                rng.random_range(10..20),
                rng.random_range(0..24),
                rng.random_range(0..1_000)
            )
        };
        let table = TABLES[rng.random_range(0..TABLES.len())];
        let known: Vec<_> = self.state.iter().filter(|(_, record)| !record.dead).map(|(key, _)| key.clone()).collect();
        let change = match rng.random_range(0..10) {
            0..4 => {
                self.made += 1;
                // A client that knows its own rows could not tell whose insert of a shared record was first.
                let shared = !self.knows_its_own && rng.random_bool(0.3);
                let id = if shared { format!("shared-{}", rng.random_range(0..3)) } else { format!("{}-{}", self.name, self.made) };
                json!({"table": table, "id": id, "op": "insert", "data": {"title": format!("{} {}", self.name, self.made), "n": rng.random_range(0..9)}})
            }
            4..9 if !known.is_empty() => {
                let (table, id) = &known[rng.random_range(0..known.len())];
                let name = ["title", "n", "done"][rng.random_range(0..3)];
                let time = ["at", "updatedAt"][rng.random_range(0..2)];
                json!({"table": table, "id": id, "op": "update", "fields": {name: {"value": rng.random_range(0..1_000), time: at(rng)}}})
            }
            _ if !known.is_empty() => {
                let (table, id) = &known[rng.random_range(0..known.len())];
                json!({"table": table, "id": id, "op": "delete", "deletedAt": at(rng)})
            }
            _ => return,
        };
        let data = change.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
        let fields = change.get("fields").and_then(Value::as_object).cloned().unwrap_or_default();
        if self.knows_its_own {
            let (table, id) = (change["table"].as_str().unwrap(), change["id"].as_str().unwrap());
            self.merge(table, id, change["op"].as_str().unwrap(), &data, &fields);
        }
        self.pending.push(change);
    }

    /// More rows than an answer to a pull holds.
    fn bulk(&mut self) {
        for _ in 0..1_100 {
            self.made += 1;
            let (id, data) = (format!("{}-{}", self.name, self.made), json!({"n": self.made}));
            if self.knows_its_own {
                self.merge("notes", &id, "insert", data.as_object().unwrap(), &Map::new());
            }
            self.pending.push(json!({"table": "notes", "id": id, "op": "insert", "data": data}));
        }
    }

    fn merge(&mut self, table: &str, id: &str, op: &str, data: &Map<String, Value>, fields: &Map<String, Value>) {
        let mut values = data.clone();
        values.extend(fields.iter().map(|(name, field)| (name.clone(), field["value"].clone())));
        let stamp = |name: &str| {
            let field = fields.get(name)?;
            field.get("at").or(field.get("updatedAt")).and_then(Value::as_str).map(str::to_owned)
        };
        take(&mut self.state, table, id, op, &values, stamp, "9999-01-01T00:00:00Z");
    }

    fn hear(&mut self, answer: &Value) {
        for change in answer["serverChanges"].as_array().unwrap() {
            if !self.seen.insert(change["eventId"].as_str().unwrap().to_owned()) {
                continue;
            }
            let text = |name: &str| change[name].as_str().unwrap().to_owned();
            let object = |name: &str| change.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
            self.merge(&text("table"), &text("id"), &text("op"), &object("data"), &object("fields"));
        }
    }

    fn body(&self, changes: &[Value]) -> Value {
        json!({"clientId": self.name, "appId": APP, "since": self.since, "changes": changes})
    }

    fn excluded(&self) -> Option<&str> {
        self.knows_its_own.then_some(&self.name)
    }

    async fn push(&mut self, server: &Server) -> bool {
        let answer = server.send("POST", &format!("/sync/{APP}"), &self.token, None, self.body(&self.pending)).await;
        self.pending.clear();
        if !self.knows_its_own {
            // It reads everything by its pulls.
            return false;
        }
        self.hear(&answer);
        self.since = answer["syncedUntil"].as_str().unwrap().to_owned();
        answer["hasMore"] == true
    }

    async fn pull(&mut self, server: &Server, table: &'static str) -> bool {
        let since = self.table_since.get(table).cloned().unwrap_or_default();
        let path = format!("/sync/{APP}/pull?collection={table}&since={since}");
        let answer = server.send("GET", &path, &self.token, self.excluded(), Value::Null).await;
        self.hear(&answer);
        self.table_since.insert(table, answer["syncedUntil"].as_str().unwrap().to_owned());
        answer["hasMore"] == true
    }

    /// The answer never arrives; whether the server took the changes in, nobody knows.
    async fn push_without_hearing(&self, server: &Server, patience: Duration) {
        let path = format!("/sync/{APP}");
        let push = server.send("POST", &path, &self.token, None, self.body(&self.pending));
        let _ = tokio::time::timeout(patience, push).await;
    }

    /// Until nothing is left to tell.
    async fn settle(&mut self, server: &Server) {
        while self.push(server).await {}
        for table in TABLES {
            while self.pull(server, table).await {}
        }
    }
}

async fn schedule(server: &mut Server, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let user = format!("user-{seed}");
    let token = LocalKey::load(server.dir.path()).unwrap().issue(&user, Timestamp::now(), SignedDuration::from_hours(1)).unwrap();
    let mut clients: Vec<Client> = (0..rng.random_range(2..5)).map(|n| Client::new(n, &token)).collect();
    for _ in 0..rng.random_range(10..40) {
        let n = rng.random_range(0..clients.len());
        match rng.random_range(0..100) {
            0..50 => clients[n].edit(&mut rng, n),
            50..70 => drop(clients[n].push(server).await),
            70..82 => drop(clients[n].pull(server, TABLES[rng.random_range(0..TABLES.len())]).await),
            82..92 => clients[n].push_without_hearing(server, Duration::from_micros(rng.random_range(0..2_000))).await,
            // All at once, so that pushes share a commit or overlap with pulls.
            92..99 => drop(futures_util::future::join_all(clients.iter_mut().map(|client| client.push(server))).await),
            _ if rng.random_bool(0.9) => server.restart().await,
            _ => clients[n].bulk(),
        }
    }
    for client in &mut clients {
        client.settle(server).await;
    }
    // Another round, since the last to settle pushed something that the first have not seen.
    for client in &mut clients {
        client.settle(server).await;
    }
    let filter = RowFilter { user: Some(user.into()), ..RowFilter::default() };
    let log = server.store.rows_after(filter, 0, 100_000).await.unwrap();
    let mut truth = State::new();
    for row in &log {
        let change = &row.change;
        let at = change.created_at.unwrap().to_string();
        let data = change.data.clone().unwrap_or_default();
        let op = change.op.as_str();
        take(&mut truth, &change.table, &change.record_id, op, &data.read(), |name| change.field_meta.get(name).cloned(), &at);
    }
    for client in &clients {
        let others = log.iter().filter(|row| Some(row.change.client_id.as_str()) != client.excluded());
        let expected: BTreeSet<String> = others.map(|row| row.change.event_id.clone()).collect();
        assert_eq!(client.seen, expected, "seed {seed}: {} missed a change or heard of one that is not there", client.name);
        assert_eq!(alive(&client.state), alive(&truth), "seed {seed}: {} ends with another state than the log", client.name);
    }
}

#[tokio::test]
async fn a_push_that_is_kept_says_so_also_where_its_answer_would_have_to_wait() {
    let turns = Arc::new(Turns::new(Duration::from_millis(1)));
    let server = Server::with(Arc::clone(&turns));
    let token = LocalKey::load(server.dir.path()).unwrap().issue("ada", Timestamp::now(), SignedDuration::from_hours(1)).unwrap();
    let push = async |client: &str, since: &str| {
        let change = json!({"table": "notes", "id": client, "op": "insert", "data": {}});
        server.send("POST", "/sync/notes", &token, Some(client), json!({"since": since, "changes": [change]})).await
    };
    push("phone", "").await;
    let busy = (turns.take("ada").await.unwrap(), turns.take("ada").await.unwrap());
    let since = "2026-04-15T08:00:00.000000Z";
    let answer = push("laptop", since).await;
    assert_eq!(answer, json!({"serverChanges": [], "conflicts": [], "syncedUntil": since, "hasMore": true}));
    drop(busy);
    let answer = server.send("GET", &format!("/sync/notes/pull?collection=notes&since={since}"), &token, None, Value::Null).await;
    let ids: Vec<_> = answer["serverChanges"].as_array().unwrap().iter().map(|change| &change["id"]).collect();
    assert_eq!(ids, ["phone", "laptop"], "both are in the log, and nothing was missed");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_ends_with_the_state_of_the_log() {
    let seeds = match std::env::var("MANA_SYNC_SEED") {
        Ok(seed) => seed.parse().map(|seed: u64| seed..seed + 1).unwrap(),
        Err(_) => 0..rounds(300, 2_000) as u64,
    };
    // Two at a time, one for each processor of a small machine.
    let halves = [0, 1].map(|half| {
        let seeds = seeds.clone().filter(move |seed| seed % 2 == half);
        tokio::spawn(async move {
            let mut server = Server::new();
            for seed in seeds {
                schedule(&mut server, seed).await;
            }
        })
    });
    for half in halves {
        half.await.unwrap();
    }
}
