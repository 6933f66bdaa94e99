//! Devices that push and follow, and programs that write into the log beside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use postgres::NoTls;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use super::instances::Doors;
use super::{CALM, Faults, Phase};

pub const APP: &str = "notes";
pub const TABLES: [&str; 2] = ["notes", "tags"];
/// A client waits this long for an answer.
const PATIENCE: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(30);
/// Between two pushes of a client, at most.
const THINKING: Duration = Duration::from_millis(200);
/// Who follows a stream has seen all when nothing came for so long.
const SILENCE: Duration = Duration::from_secs(5);

/// A device.
pub struct Client {
    pub id: String,
    pub user: String,
    token: String,
    http: reqwest::Client,
    doors: Arc<Doors>,
    phases: watch::Receiver<Phase>,
    pub faults: Arc<Faults>,
    started: Instant,
    since: String,
}

/// What a client knows in the end. Every change has a mark of its own.
#[derive(Default)]
pub struct Seen {
    pub client: String,
    pub user: String,
    /// Only rows of these tables are told.
    pub tables: Vec<&'static str>,
    /// Marks of changes that were acknowledged.
    pub pushed: Vec<String>,
    /// Marks of changes of others, as they came.
    pub told: Vec<String>,
    /// How long each push took, with all its tries.
    pub times: Vec<Duration>,
    /// When each was acknowledged.
    pub acknowledged: Vec<Duration>,
    pub repeated: usize,
}

impl Client {
    pub fn new(n: usize, user: &str, token: &str, doors: &Arc<Doors>, phases: watch::Receiver<Phase>, faults: &Arc<Faults>) -> Self {
        let http = reqwest::Client::builder().timeout(PATIENCE).build().expect("a client");
        Client {
            id: format!("client-{n}"),
            user: user.to_owned(),
            token: token.to_owned(),
            http,
            doors: Arc::clone(doors),
            phases,
            faults: Arc::clone(faults),
            started: Instant::now(),
            since: String::new(),
        }
    }

    pub fn phase(&self) -> Phase {
        *self.phases.borrow()
    }

    /// Lives as one of a user's clients: one only pulls, one follows a stream, the others push and take in.
    pub async fn run(mut self, role: usize) -> Seen {
        let tables = if role == 0 { vec![TABLES[0]] } else { TABLES.to_vec() };
        let mut seen = Seen { client: self.id.clone(), user: self.user.clone(), tables, ..Seen::default() };
        match role {
            0 => self.pull_only(&mut seen).await,
            1 => self.follow(&mut seen).await,
            _ => self.push_and_take_in(&mut seen).await,
        }
        seen
    }

    async fn push_and_take_in(&mut self, seen: &mut Seen) {
        let mut n = 0;
        while self.phase() == Phase::Run {
            let mut changes = Vec::new();
            for _ in 0..rand::random_range(1..=4) {
                n += 1;
                changes.push((format!("{}-{n}", self.id), self.change(n)));
            }
            let (marks, changes): (Vec<String>, Vec<Value>) = changes.into_iter().unzip();
            let began = Instant::now();
            let Some(answer) = self.push(APP, &changes, &mut seen.repeated).await else { return };
            seen.times.push(began.elapsed());
            seen.acknowledged.push(self.started.elapsed());
            seen.pushed.extend(marks);
            self.take_in(&answer, seen);
            tokio::time::sleep(rand::random_range(Duration::ZERO..THINKING)).await;
        }
        self.wait_for_the_end().await;
        loop {
            let Some(answer) = self.push(APP, &[], &mut 0).await else { return };
            if !self.take_in(&answer, seen) && answer["hasMore"] != true {
                return;
            }
        }
    }

    /// A new record; or, every third time, an edit of one, which needs an id of its own to be repeated without harm.
    fn change(&self, n: usize) -> Value {
        let (mark, table) = (format!("{}-{n}", self.id), TABLES[n % 2]);
        if n.is_multiple_of(3) {
            let fields = json!({"mark": {"value": mark, "at": Timestamp::now().to_string()}});
            json!({"eventId": Uuid::new_v4().to_string(), "table": table, "id": format!("{}-{}", self.id, n - 2), "op": "update", "fields": fields})
        } else {
            json!({"table": table, "id": mark, "op": "insert", "data": {"mark": mark, "body": "x".repeat(200)}})
        }
    }

    /// Pushes until it is acknowledged; `None`, and a fault, where it never is.
    pub async fn push(&mut self, app: &str, changes: &[Value], repeated: &mut usize) -> Option<Value> {
        let body = json!({"clientId": self.id, "appId": app, "since": self.since, "changes": changes});
        let path = format!("/sync/{app}");
        let began = Instant::now();
        while began.elapsed() < CALM {
            if let Some(answer) = self.send(|http, door| http.post(format!("{door}{path}")).json(&body)).await
                && let Ok(answer) = answer.json::<Value>().await
            {
                return Some(answer);
            }
            *repeated += 1;
            tokio::time::sleep(AGAIN).await;
        }
        self.faults.add(format!("{}: a push was not acknowledged for {CALM:?}", self.id));
        None
    }

    /// Asks one of the instances. What it may answer is that it was done, or that it cannot be done now.
    async fn send(&self, request: impl FnOnce(&reqwest::Client, String) -> RequestBuilder) -> Option<Response> {
        let door = self.doors.any()?;
        let answer = request(&self.http, door).bearer_auth(&self.token).header("x-client-id", &self.id).send().await.ok()?;
        let status = answer.status();
        if status == StatusCode::OK {
            return Some(answer);
        }
        if status != StatusCode::SERVICE_UNAVAILABLE {
            self.faults.add(format!("{}: {status}: {}", self.id, answer.text().await.unwrap_or_default()));
        } else if !answer.headers().contains_key("retry-after") {
            self.faults.add(format!("{}: {status} without a Retry-After", self.id));
        }
        None
    }

    /// Notes what an answer tells, and continues from there. Whether it told something.
    fn take_in(&mut self, answer: &Value, seen: &mut Seen) -> bool {
        let Some(until) = answer["syncedUntil"].as_str().map(str::to_owned) else {
            self.faults.add(format!("{}: no cursor in {answer}", self.id));
            return false;
        };
        self.continue_from(&until);
        let changes = answer["serverChanges"].as_array().or(answer["changes"].as_array());
        let told: Vec<String> = changes.into_iter().flatten().map(mark).collect();
        let any = !told.is_empty();
        seen.told.extend(told);
        any
    }

    async fn pull_only(&mut self, seen: &mut Seen) {
        let mut phase = self.phase();
        loop {
            let (collection, since) = (TABLES[0], self.since.clone());
            let answer = self.send(|http, door| http.get(format!("{door}/sync/{APP}/pull?collection={collection}&since={since}"))).await;
            if let Some(answer) = answer
                && let Ok(answer) = answer.json::<Value>().await
                && !self.take_in(&answer, seen)
                && answer["hasMore"] != true
                && phase == Phase::TakeIn
            {
                return;
            }
            tokio::time::sleep(AGAIN).await;
            phase = self.phase();
        }
    }

    async fn follow(&mut self, seen: &mut Seen) {
        loop {
            let phase = self.phase();
            let since = self.since.clone();
            let answer = self.send(|http, door| http.get(format!("{door}/sync/{APP}/stream?since={since}"))).await;
            if let Some(mut answer) = answer
                && !self.hear(&mut answer, seen).await
                && phase == Phase::TakeIn
            {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Takes in the events of a stream until it ends or nothing comes any more. Whether anything came.
    async fn hear(&mut self, answer: &mut Response, seen: &mut Seen) -> bool {
        let (mut text, mut any) = (String::new(), false);
        while let Ok(Ok(Some(chunk))) = tokio::time::timeout(SILENCE, answer.chunk()).await {
            text += std::str::from_utf8(&chunk).unwrap_or_else(|_| {
                self.faults.add(format!("{}: an event is cut within a character", self.id));
                ""
            });
            while let Some((event, rest)) = text.split_once("\n\n") {
                if let Some(data) = event.strip_prefix("event: changes\ndata: ") {
                    any |= self.take_in(&serde_json::from_str(data).unwrap_or_default(), seen);
                }
                text = rest.to_owned();
            }
        }
        any
    }

    pub fn continue_from(&mut self, until: &str) {
        until.clone_into(&mut self.since);
    }

    /// Waits until nobody writes any more.
    async fn wait_for_the_end(&mut self) {
        let _ = self.phases.wait_for(|phase| *phase == Phase::TakeIn).await;
    }
}

fn mark(change: &Value) -> String {
    let mark = change["data"]["mark"].as_str().or(change["fields"]["mark"]["value"].as_str());
    mark.map_or_else(|| change.to_string(), str::to_owned)
}

/// What another program wrote.
#[derive(Default)]
pub struct Foreign {
    pub committed: Vec<String>,
    /// Their commit was not answered.
    pub unknown: Vec<String>,
    pub rolled_back: Vec<String>,
}

/// Writes rows into the log's table, in transactions that stay open for up to a second.
pub fn write_beside(n: usize, address: &str, users: &[String], writing: &AtomicBool) -> Foreign {
    let (mut wrote, mut number) = (Foreign::default(), 0);
    while writing.load(Ordering::SeqCst) {
        // While the server is away, there is nothing to write to.
        if let Ok(mut client) = postgres::Client::connect(address, NoTls) {
            while writing.load(Ordering::SeqCst) && write_some(&mut client, n, &mut number, users, &mut wrote).is_ok() {}
        }
        std::thread::sleep(AGAIN);
    }
    wrote
}

fn write_some(
    client: &mut postgres::Client,
    n: usize,
    number: &mut usize,
    users: &[String],
    wrote: &mut Foreign,
) -> Result<(), postgres::Error> {
    let insert = "INSERT INTO public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id) \
                  VALUES ($1, $2, $3, $4, 'insert', jsonb_build_object('mark', $3::text), 'beside')";
    let marks: Vec<String> = (0..rand::random_range(1..=3))
        .map(|_| {
            *number += 1;
            format!("beside-{n}-{number}")
        })
        .collect();
    let written = client.transaction().and_then(|mut transaction| {
        for mark in &marks {
            let (table, user) = (TABLES[rand::random_range(0..2)], &users[rand::random_range(0..users.len())]);
            transaction.execute(insert, &[&APP, &table, mark, user])?;
            std::thread::sleep(rand::random_range(Duration::ZERO..Duration::from_millis(400)));
        }
        Ok(transaction)
    });
    match written {
        Err(error) => {
            assert!(error.code().is_none_or(|code| code.code().starts_with("57")), "another program cannot write: {error:?}");
            wrote.rolled_back.extend(marks);
            Err(error)
        }
        Ok(transaction) if rand::random_range(0..10) == 0 => {
            wrote.rolled_back.extend(marks);
            transaction.rollback()
        }
        Ok(transaction) => {
            let committed = transaction.commit();
            if committed.is_ok() {
                wrote.committed.extend(marks)
            } else {
                wrote.unknown.extend(marks)
            }
            committed
        }
    }
}
