//! Rows that other programs take out of the log: some of a user's, or all when an account is deleted.

use mana_ai::domain::ids::UserId;
use mana_ai::projection;
use mana_ai::store::{RowFilter, Store, Table};
use postgres::Client;

use super::engine::{Server, foreign, pulled, run};
use super::*;
use crate::common::{append, change, edit};

const AT: &str = "2026-04-15T08:00:00.000Z";

fn filled(store: &Store) {
    let missions = ["m1", "m2"].map(|id| hourly("anna", id, None, AT));
    let others = [
        edit("anna", "m1", json!({"title": "Another title"}), AT),
        insert("anna", "agents", "a", json!({"name": "A", "role": "r"})),
        hourly("berta", "m1", None, AT),
    ];
    run(append(store, missions.iter().chain(&others).map(change)));
    run(projection::refresh(store)).unwrap();
}

/// Titles of the live missions of a user.
fn titles(store: &Store, user: &str) -> Vec<String> {
    let missions = run(store.snapshots::<mana_ai::domain::mission::Mission>(Some(user.into()))).unwrap();
    missions.into_iter().map(|mission| mission.read().title).collect()
}

fn rows(store: &Store, user: &str) -> usize {
    let filter = RowFilter { user: Some(user.into()), ..RowFilter::default() };
    run(store.export_after(filter, 0, 1_000)).unwrap().len()
}

#[track_caller]
fn sound(store: &Store) {
    let check = run(async { store.check_projection(store.check_log().await?).await }).unwrap();
    assert!(check.findings.is_empty(), "{check:?}");
    assert_eq!(run(store.stats()).unwrap().log_rows, check.rows);
}

/// Does what a running server does about removals.
fn follow_removals(store: &Store) {
    while let Some(user) = run(store.removals(1)).unwrap().pop() {
        run(store.remove_batch(&user)).unwrap();
    }
}

fn left_of(client: &mut Client, user: &str) -> Vec<String> {
    let tables = "SELECT table_name::text FROM information_schema.columns WHERE table_schema = 'mana_ai_rs' AND column_name = 'user_id'";
    let tables: Vec<String> = client.query(tables, &[]).unwrap().iter().map(|row| row.get(0)).collect();
    assert!(tables.len() > 20, "{tables:?}");
    let mut is_there = |table: &String| {
        let query = format!("SELECT EXISTS (SELECT 1 FROM mana_ai_rs.{table} WHERE user_id = $1)");
        client.query_one(&query, &[&user]).unwrap().get::<_, bool>(0)
    };
    tables.into_iter().filter(|table| is_there(table)).collect()
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn what_follows_from_rows_goes_with_them() {
    let server = Server::new();
    let store = server.instance();
    filled(&store);
    let mut other = server.client();
    other.batch_execute("DELETE FROM public.sync_changes WHERE user_id = 'anna' AND data->>'title' = 'Another title'").unwrap();
    // Until somebody takes note, nothing breaks either.
    assert_eq!(rows(&store, "anna"), 3);
    other.batch_execute("DELETE FROM public.sync_changes WHERE user_id = 'berta'").unwrap();
    run(append(&store, [change(&hourly("berta", "m1", None, AT))]));
    run(projection::refresh(&store)).unwrap();
    run(store.take_in_arrivals()).unwrap();
    assert_eq!(titles(&store, "anna"), ["Mission m1", "Mission m2"]);
    sound(&store);
    other.batch_execute("DELETE FROM public.sync_changes WHERE user_id = 'anna' AND record_id = 'm2'").unwrap();
    run(store.take_in_arrivals()).unwrap();
    assert_eq!((titles(&store, "anna").len(), titles(&store, "berta").len()), (1, 1));
    assert!(run(store.removals(1)).unwrap().is_empty());
    sound(&store);
    // Rows that come later have later places, also where the last ones went.
    let before = run(store.last_seq()).unwrap();
    other.batch_execute("DELETE FROM public.sync_changes WHERE user_id = 'berta'").unwrap();
    run(store.take_in_arrivals()).unwrap();
    run(append(&store, [change(&edit("anna", "m1", json!({"title": "Late"}), "2026-04-16T08:00:00.000Z"))]));
    assert!(run(store.last_seq()).unwrap() > before);
    run(projection::refresh(&store)).unwrap();
    assert_eq!(titles(&store, "anna"), ["Late"]);
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_user_whose_last_row_goes_is_removed_with_everything_and_may_come_again() {
    let server = Server::new();
    let store = server.instance();
    filled(&store);
    let user = UserId::from("anna");
    run(store.add_person(&user, mana_ai::domain::person::PersonRole::Member)).unwrap();
    let mut other = server.client();
    // More rows than one look takes.
    let many = "INSERT INTO public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id) \
                SELECT 'notes', 'notes', 'n' || n, 'anna', 'insert', '{}', 'service' FROM generate_series(1, 2500) n";
    other.batch_execute(many).unwrap();
    let mut since = 0;
    while !pulled(&store, &mut since).is_empty() {}
    assert_eq!(rows(&store, "anna"), 1_000);
    assert!(!left_of(&mut other, "anna").is_empty());

    other.batch_execute("DELETE FROM public.sync_changes WHERE user_id = 'anna'").unwrap();
    run(store.take_in_arrivals()).unwrap();
    assert_eq!(run(store.removals(9)).unwrap(), std::slice::from_ref(&user));
    // What the product writes of them before that is done waits, and holds up nobody.
    other.batch_execute(&foreign(1)).unwrap();
    other.batch_execute(&foreign(2).replace("'anna'", "'berta'")).unwrap();
    assert!(pulled(&store, &mut 0).is_empty());
    assert_eq!(rows(&store, "berta"), 2);
    follow_removals(&store);
    assert_eq!(left_of(&mut other, "anna"), Vec::<String>::new());
    assert_eq!((titles(&store, "anna").len(), titles(&store, "berta").len()), (0, 1));
    // Then it comes in, and so does what their devices push.
    assert_eq!(pulled(&store, &mut since), ["n1"]);
    run(append(&store, [change(&hourly("anna", "m1", None, AT))]));
    run(projection::refresh(&store)).unwrap();
    assert_eq!((rows(&store, "anna"), titles(&store, "anna").len()), (2, 1));
    sound(&store);
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn who_is_removed_here_stays_away_whatever_others_write_and_delete() {
    let server = Server::new();
    let store = server.instance();
    filled(&store);
    let user = UserId::from("anna");
    run(store.begin_removal(&user)).unwrap();
    let mut other = server.client();
    other.batch_execute("DELETE FROM public.sync_changes WHERE user_id = 'anna'").unwrap();
    run(store.take_in_arrivals()).unwrap();
    run(store.begin_removal(&user)).unwrap();
    follow_removals(&store);
    other.batch_execute(&foreign(1)).unwrap();
    assert!(pulled(&store, &mut 0).is_empty());
    assert_eq!(left_of(&mut other, "anna"), ["removals"]);
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_log_that_others_empty_leaves_nothing_but_its_end() {
    let server = Server::new();
    let store = server.instance();
    filled(&store);
    let end = run(store.last_seq()).unwrap();
    server.client().batch_execute("TRUNCATE public.sync_changes").unwrap();
    run(store.take_in_arrivals()).unwrap();
    follow_removals(&store);
    assert_eq!(run(store.projected(Table::Missions)).unwrap(), (end, end));
    sound(&store);
    filled(&store);
    assert_eq!(titles(&store, "berta").len(), 1);
    assert!(run(store.last_seq()).unwrap() > end);
    sound(&store);
}
