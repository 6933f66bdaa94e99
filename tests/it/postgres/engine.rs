//! Postgres in the place of the file (docs/design.md, section 18): the same story, rows that other programs write, and two
//! instances on one database.

use std::collections::BTreeSet;

use jiff::Timestamp;
use mana_ai::domain::ids::UserId;
use mana_ai::projection;
use mana_ai::store::{Candidate, Claim, Due, Options, Pull, Store};
use postgres::{Client, NoTls};

use super::*;
use crate::change_log::places_follow_each_other;
use crate::common::{append, change};
use crate::store_story::story;

/// A database of one test's own.
pub(super) struct Server {
    pub address: String,
    pub dir: tempfile::TempDir,
}

impl Server {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("engine_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let host = POSTGRES.socket.replace('/', "%2F");
        let address = |database: &str| format!("postgres://postgres@{host}/{database}");
        let mut client = Client::connect(&address("postgres"), NoTls).unwrap();
        client.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
        Server { address: address(&name), dir: tempfile::tempdir().unwrap() }
    }

    /// The address for another role.
    pub fn address_of(&self, role: &str) -> String {
        self.address.replace("postgres@", &format!("{role}@"))
    }

    /// An instance of the program's store.
    pub fn instance(&self) -> Store {
        Store::connect(&self.address, self.dir.path(), &Options::default()).unwrap()
    }

    /// Another program.
    pub fn client(&self) -> Client {
        Client::connect(&self.address, NoTls).unwrap()
    }
}

pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());
    RUNTIME.block_on(future)
}

/// The statement that makes the table of the log.
pub(super) fn log_table() -> &'static str {
    let schema = include_str!("../../../schema/postgres/0001_start.sql");
    let table = &schema[schema.find("CREATE TABLE public.sync_changes").unwrap()..];
    &table[..=table.find(';').unwrap()]
}

/// A row as a service writes it that knows only the table.
pub(super) fn foreign(n: u32) -> String {
    format!(
        "INSERT INTO sync_changes (app_id, table_name, record_id, user_id, op, data, client_id) \
         VALUES ('notes', 'notes', 'n{n}', 'anna', 'insert', '{{\"title\": \"{n}\"}}', 'service')"
    )
}

/// What a client learns that goes on from where it was.
pub(super) fn pulled(store: &Store, since: &mut i64) -> Vec<String> {
    let pull = Pull { user_id: "anna".into(), app_id: "notes".into(), since: *since, limit: 1_000, ..Pull::default() };
    run(store.take_in_arrivals()).unwrap();
    let page = run(store.pull(pull)).unwrap();
    *since = page.synced_until;
    page.rows.into_iter().map(|row| row.change.record_id).collect()
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn every_method_does_on_postgres_what_it_does_on_a_file() {
    let server = Server::new();
    run(story(&server.instance()));
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn places_have_no_gaps() {
    let server = Server::new();
    run(places_follow_each_other(&server.instance()));
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_row_of_another_program_that_is_known_already_holds_nothing_up() {
    let server = Server::new();
    let (store, mut other) = (server.instance(), server.client());
    other.batch_execute(&foreign(1)).unwrap();
    assert_eq!(pulled(&store, &mut 0), ["n1"]);
    other.batch_execute("INSERT INTO mana_ai_rs.arrivals (row_id) SELECT row_id FROM mana_ai_rs.log_order").unwrap();
    other.batch_execute(&foreign(2)).unwrap();
    assert_eq!(pulled(&store, &mut 0), ["n1", "n2"]);
    assert_eq!(run(store.last_seq()).unwrap(), 2);
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn rows_of_others_are_learnt_once_each_in_whatever_order_they_commit() {
    let server = Server::new();
    let store = server.instance();
    // The orders in which three transactions begin, commit and are looked at: each commits after it began.
    let mut orders = Vec::new();
    for order in 0..6_u32 {
        let mut left = vec![0, 1, 2];
        orders.push([left.remove((order / 2) as usize), left.remove((order % 2) as usize), left[0]]);
    }
    let (mut since, mut n, mut known) = (0, 0, BTreeSet::new());
    for commits in orders {
        for looks in 0..8_u32 {
            let mut clients = [server.client(), server.client(), server.client()];
            let mut open = Vec::new();
            for client in &mut clients {
                let mut transaction = client.transaction().unwrap();
                n += 1;
                transaction.batch_execute(&foreign(n)).unwrap();
                open.push(Some((transaction, format!("n{n}"))));
            }
            for (at, which) in commits.into_iter().enumerate() {
                let (transaction, id) = open[which].take().unwrap();
                transaction.commit().unwrap();
                known.insert(id);
                if looks & (1 << at) != 0 {
                    for id in pulled(&store, &mut since) {
                        assert!(known.remove(&id), "{id} was learnt twice, or before it was there");
                    }
                    assert!(known.is_empty(), "{known:?} were not learnt");
                }
            }
        }
    }
    for id in pulled(&store, &mut since) {
        assert!(known.remove(&id), "{id} was learnt twice");
    }
    assert!(known.is_empty(), "{known:?} were not learnt");
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn rows_that_were_there_before_are_taken_in() {
    let server = Server::new();
    let mut other = server.client();
    other.batch_execute(log_table()).unwrap();
    (1..=3).for_each(|n| other.batch_execute(&foreign(n)).unwrap());
    let store = server.instance();
    assert_eq!(pulled(&store, &mut 0), ["n1", "n2", "n3"]);
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_mission_is_claimed_by_one_of_two_instances_and_taken_over_when_it_ends() {
    let server = Server::new();
    let (one, two) = (server.instance(), server.instance());
    let at: Timestamp = "2026-04-15T08:00:00Z".parse().unwrap();
    run(append(&one, [change(&hourly("anna", "m", None, "2026-04-15T08:00:00.000Z"))]));
    run(projection::refresh(&two)).unwrap();
    let user = UserId::from("anna");
    let candidate = || Candidate {
        due: Due { user_id: user.clone(), mission_id: "m".into(), agent_id: None, scheduled_for: at, plans: Default::default() },
        max_in_flight: None,
        run_id: uuid::Uuid::new_v4().to_string().into(),
        iteration_id: uuid::Uuid::new_v4().to_string().into(),
    };
    let (here, there) = (one.show_presence().unwrap(), two.show_presence().unwrap());
    let claims = run(async {
        let first = one.claim(vec![candidate()], here.owner().into(), at);
        let second = two.claim(vec![candidate()], there.owner().into(), at);
        let (first, second) = tokio::join!(first, second);
        [first.unwrap().remove(0), second.unwrap().remove(0)]
    });
    assert_eq!(claims.iter().filter(|claim| matches!(claim, Claim::Claimed(_))).count(), 1, "{claims:?}");
    assert!(!run(there.has_ended(here.owner())).unwrap() && !run(here.has_ended(there.owner())).unwrap());
    let gone = here.owner().to_owned();
    drop(here);
    // The server notices that a session ended when it reads from it next.
    let ended = (0..600).any(|_| {
        run(there.has_ended(&gone)).unwrap() || {
            std::thread::sleep(Duration::from_millis(100));
            false
        }
    });
    assert!(ended, "the end of a process is not seen");
}
