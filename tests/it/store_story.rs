//! Every method of the store, told for two users who have the same ids: what one does or asks shows and changes nothing of the
//! other. A method without a case fails the test, so that none is forgotten.
//!
//! `MANA_STORE_URL` names the engine.

use crate::common::{append, change, hourly, insert};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use mana_ai::domain::agent::Agent;
use mana_ai::domain::browser::{BrowserName, BrowserSystem, SignInBrowser};
use mana_ai::domain::ceilings::LogCeilings;
use mana_ai::domain::days::ZoneDays;
use mana_ai::domain::decision::Ceilings;
use mana_ai::domain::ids::UserId;
use mana_ai::domain::iterations::Iteration;
use mana_ai::domain::limits::admit;
use mana_ai::domain::mission::Mission;
use mana_ai::domain::person::{PersonRole, Preferences};
use mana_ai::domain::raw::{Raw, RawRecord};
use mana_ai::domain::retention::{self, RetentionBounds};
use mana_ai::steps::{Effects, OutboxCall, StepKey};
use mana_ai::store::{
    AgentsWanted, Bounds, Candidate, Claim, Claimed, Close, Due, Edit, IterationEnd, ListedTable, LoadQuery, Longest, Lossy, MissionSort,
    MissionsWanted, NewSession, Options, Pull, ReadAttempt, ReadFor, ReadStatus, RecordSort, RecordsWanted, RemovalStart, RowFilter,
    RunsWanted, Store, StoreError, StoreResult, Table, Wanted, WhichMissions, WhichRuns, WhichSessions,
};
use regex::Regex;
use serde_json::{Value, json};

const DUE: &str = "2026-04-15T08:00:00.000Z";
const CEILINGS: Ceilings =
    Ceilings { unreviewed_plans: 5, calls_per_day: 0, tokens_per_day: 0, longest_wait: jiff::SignedDuration::from_hours(1) };
const BOUNDS: RetentionBounds = RetentionBounds { iterations: 50, bytes: retention::MAX_BYTES };
/// Neither name can stand in an id, which has hexadecimal digits only.
const USERS: [&str; 2] = ["zora", "ben"];

fn due() -> Timestamp {
    DUE.parse().unwrap()
}

fn world(user: &str) -> Vec<Value> {
    let mut note = insert(user, "notes", "n", json!({"title": format!("note of {user}")}));
    note["appId"] = "notes".into();
    let mut mission = hourly(user, "m", Some("a"), DUE);
    mission["data"]["title"] = format!("mission of {user}").into();
    mission["data"]["futureField"] = "x".into();
    mission["fieldMeta"] = json!({"futureField": "2099-01-01T00:00:00.000Z"});
    vec![note, insert(user, "agents", "a", json!({"name": format!("agent of {user}")})), mission]
}

fn edit(user: &UserId, table: Table, id: &str) -> Edit {
    Edit {
        table,
        user_id: user.clone(),
        record_id: id.into(),
        event_id: uuid::Uuid::new_v4().to_string(),
        client_id: "c".into(),
        actor: json!({"kind": "user", "principalId": user}),
        origin: "user",
    }
}

fn candidate(user: &UserId) -> Candidate {
    let due =
        Due { user_id: user.clone(), mission_id: "m".into(), agent_id: Some("a".into()), scheduled_for: due(), plans: Default::default() };
    let id = || uuid::Uuid::new_v4().to_string();
    Candidate { due, max_in_flight: Some(1), run_id: id().into(), iteration_id: id().into() }
}

async fn claimed(store: &Store, user: &UserId) -> Claimed {
    match store.claim(vec![candidate(user)], format!("process of {user}"), due()).await.unwrap().remove(0) {
        Claim::Claimed(run) => run,
        other => panic!("{other:?}"),
    }
}

fn key(user: &UserId) -> StepKey {
    StepKey { user_id: user.clone(), mission_id: "m".into(), iteration_id: "it".into(), step_id: "it-0".into() }
}

fn call(user: &UserId) -> OutboxCall {
    OutboxCall { step: key(user), tool: "ring".into(), body: format!("{{\"of\":\"{user}\"}}") }
}

fn session(key: [u8; 32]) -> NewSession {
    let browser = SignInBrowser { name: Some(BrowserName::Firefox), system: Some(BrowserSystem::Linux) };
    NewSession { key, signing_key: "k".into(), expires_at: Timestamp::now() + jiff::Span::new().hours(1), browser }
}

/// Something of each kind for both users.
async fn filled(store: &Store) {
    append(store, USERS.iter().flat_map(|user| world(user)).map(|line| change(&line))).await;
    mana_ai::projection::refresh(store).await.unwrap();
    for (n, user) in USERS.iter().enumerate() {
        let user = UserId::from(*user);
        let key_of = [n as u8; 32];
        store.open_session((user.clone(), PersonRole::Admin), session(key_of)).await.unwrap();
        let made = Effects { calls: vec![call(&user)], ..Effects::default() };
        store.edit_with::<StoreError>(edit(&user, Table::Missions, "m"), move |_, _| Ok((RawRecord::new(), made))).await.unwrap();
    }
}

/// Everything that a user has, as a text.
async fn belongings(store: &Store, user: &UserId) -> String {
    let filter = RowFilter { user: Some(user.clone()), ..RowFilter::default() };
    let rows = store.rows_after(filter, 0, 1_000).await.unwrap();
    let missions = store.snapshots::<Mission>(Some(user.clone())).await.unwrap();
    let agents = store.snapshots::<Agent>(Some(user.clone())).await.unwrap();
    let runs = store.runs(Some(user.clone()), None, 100).await.unwrap();
    let reads = store.reads_of(user, None, None, 100).await.unwrap();
    let tries = store.tries_of_call(key(user)).await.unwrap();
    format!(
        "{rows:?} {missions:?} {agents:?} {runs:?} {reads:?} {tries:?} {:?} {:?}",
        store.day_of(user, Timestamp::MIN).await.unwrap(),
        store.insights(user, ZoneDays::up_to(Timestamp::now(), &TimeZone::UTC, 1_000)).await.unwrap()
    )
}

fn shown<T: std::fmt::Debug>(answer: StoreResult<T>) -> String {
    format!("{:?}", answer.unwrap())
}

/// Calls a method for a user. `None`: it is about no user, and its own tests tell what it does.
#[expect(clippy::too_many_lines)]
async fn told(store: &Store, method: &str, user: &UserId) -> Option<String> {
    let now = due();
    let key_of = [USERS.iter().position(|name| *user == *name).unwrap() as u8; 32];
    let filter = || RowFilter { user: Some(user.clone()), ..RowFilter::default() };
    let note = |id: &str, title: String| {
        let mut line = insert(user, "notes", id, json!({"title": title}));
        line["appId"] = "notes".into();
        admit(change(&line)).unwrap()
    };
    let title = |title: String| RawRecord::from_iter([("title".to_owned(), Raw::from(title))]);
    let load = || LoadQuery { user_id: user.clone(), agents: ["a".into()].into(), ..LoadQuery::default() };
    Some(match method {
        "append" => shown(store.append(vec![Ok::<_, StoreError>(note("n1", format!("appended for {user}")))]).await),
        "push" => {
            let changes = vec![note("n2", format!("pushed by {user}")), note("n3", "x".into())];
            let then = Pull { user_id: user.clone(), app_id: "notes".into(), limit: 10, ..Pull::default() };
            shown(store.push(changes, LogCeilings::default(), then).await.map(|taken| taken.appended))
        }
        "append_decided" => {
            let row = note("n4", "x".into());
            let decided = move |log: &dyn mana_ai::steps::UserLog| {
                assert!(!log.rows("notes", "notes", "n").is_empty());
                Ok::<_, StoreError>(vec![row])
            };
            shown(store.append_decided(user, LogCeilings::default(), decided).await)
        }
        "edit" => {
            let fields = title(format!("edited by {user}"));
            shown(store.edit::<StoreError>(edit(user, Table::Missions, "m"), |_| Ok(fields)).await)
        }
        "edit_with" => {
            let fields = title(format!("edited by {user} too"));
            let decide = |record: Option<&RawRecord>, _: &dyn mana_ai::steps::UserLog| {
                assert!(record.is_some());
                Ok((fields, Effects::default()))
            };
            shown(store.edit_with::<StoreError>(edit(user, Table::Agents, "a"), decide).await)
        }
        "undelete" => shown(store.undelete(edit(user, Table::Missions, "m")).await),
        "claim" | "open_run" | "held_by" | "claim_holders" | "begin_attempt" => {
            let run = claimed(store, user).await;
            let owner = format!("process of {user}");
            assert!(store.begin_attempt(&run, owner.clone(), now).await.unwrap());
            let open = shown(store.open_run(user, &"m".into()).await);
            let held = shown(store.held_by(&owner).await);
            assert!(store.claim_holders().await.unwrap().contains(&owner));
            store.give_all_back(owner, "over").await.unwrap();
            format!("{open} {held} {run:?}")
        }
        "give_back" | "give_all_back" | "release_claims_of" => {
            claimed(store, user).await;
            let owner = format!("process of {user}");
            let held = store.held_by(&owner).await.unwrap().into_iter().map(|run| (run, None)).collect();
            let back = shown(store.give_back(&owner, held, "over").await);
            format!("{back} {}", shown(store.release_claims_of(owner).await))
        }
        "close" => {
            let run = claimed(store, user).await;
            let iteration =
                json!({"id": run.iteration_id, "source": "server", "overallStatus": "approved", "summary": format!("for {user}")});
            let end = IterationEnd {
                iteration: Iteration::from(iteration),
                actor: json!({"kind": "ai", "principalId": "a"}),
                failed: None,
                note: None,
                zone: TimeZone::UTC,
                bounds: BOUNDS,
                go_ahead: None,
            };
            let iteration_id = run.iteration_id.clone();
            let closed = shown(store.close(run, format!("process of {user}"), None, Close::Write(Box::new(end)), now).await);
            let mission = shown(store.mission_of_iteration(user, &iteration_id).await);
            let place = shown(store.place_of_step(user, &iteration_id).await);
            let nobody = shown(store.mission_of_iteration(&"eve".into(), &iteration_id).await);
            // What follows needs a mission that is due again.
            let again = RawRecord::from_iter([("nextRunAt".to_owned(), Raw::from(DUE))]);
            store.edit::<StoreError>(edit(user, Table::Missions, "m"), |_| Ok(again)).await.unwrap();
            assert_eq!(nobody, "None");
            format!("{closed} {mission} {place}")
        }
        "restore_iterations" | "lossy_missions" => {
            let of = Lossy { user_id: user.clone(), mission_id: "m".into() };
            let restored = shown(store.restore_iterations(of, uuid::Uuid::new_v4().to_string(), json!({}), BOUNDS).await);
            format!("{restored} {}", shown(store.lossy_missions(10).await))
        }
        "record_reads" => {
            let reader = ReadFor { user_id: user.clone(), mission_id: "m".into(), iteration_id: format!("iteration of {user}").into() };
            let attempt = ReadAttempt { table: "notes".into(), record_id: "n".into(), status: ReadStatus::Ok, reason: None };
            shown(store.record_reads(reader, vec![attempt], now).await)
        }
        "reads_of" => shown(store.reads_of(user, Some(&"m".into()), None, 100).await),
        "retry_call" | "tries_of_call" | "claim_calls" | "held_calls" => {
            store.retry_call(&call(user), now, format!("refused for {user}")).await.unwrap();
            shown(store.tries_of_call(key(user)).await)
        }
        "mission_cards" => shown(store.mission_cards(user, "", 10).await),
        "missions_where" => {
            let wanted = MissionsWanted {
                search: String::new(),
                state: None,
                agent: None,
                which: WhichMissions::All,
                ceilings: CEILINGS,
                now,
                sort: MissionSort::Title,
                after: None,
            };
            let blocked = MissionsWanted { which: WhichMissions::Blocked, ..wanted.clone() };
            let all_are = MissionsWanted { ceilings: Ceilings { calls_per_day: 1, ..CEILINGS }, ..blocked.clone() };
            let mut told = shown(store.missions_where(user, wanted, 10).await);
            for blocked in [blocked, all_are] {
                told += &shown(store.missions_where(user, blocked, 10).await);
            }
            told
        }
        "mission_cards_of" => shown(store.mission_cards_of(user, vec!["m".into()]).await),
        "next_missions" => shown(store.next_missions(user, 10).await),
        "to_review" => shown(store.to_review(user, None, 10).await),
        "to_review_count" => shown(store.to_review_count(user, 10).await),
        "missions_of" => shown(store.missions_of(user, &"a".into(), 10).await),
        "agent_cards_of" => shown(store.agent_cards_of(user, vec!["a".into()]).await),
        "agent_cards" => shown(store.agent_cards(user, "", 10).await),
        "rows_of" => shown(store.rows_of(user, Table::Missions, "m", i64::MAX, 10).await),
        "log_usage" => shown(store.log_usage(user.clone()).await),
        "rows_after" => shown(store.rows_after(filter(), 0, 100).await),
        "export_after" => shown(store.export_after(filter(), 0, 100).await),
        "export_verbatim_after" => shown(store.export_verbatim_after(filter(), 0, 100).await),
        "replay" => shown(store.replay(user, "notes", "notes", "n").await),
        "grant_end" => shown(store.grant_end(user, &json!({"wrappedKey": "AQID"})).await),
        "linked" => {
            let wanted = Wanted { app: "notes".into(), tables: vec!["notes".into()], id: "n".into() };
            let bounds = Bounds { rows: 100, bytes: 1 << 20, upto: i64::MAX };
            shown(store.linked(user, vec![wanted], bounds, |_, _, record, _| Some(record.clone())).await)
        }
        "load" => shown(store.load(load(), now).await),
        "loads" => format!("{:?}", store.loads(vec![load()], now).await.unwrap().into_iter().map(|(user, _)| user).collect::<Vec<_>>()),
        "tokens_of" => shown(store.tokens_of(user, &"a".into(), now).await),
        "part" => shown(store.part(Table::Missions, user, "m", &["title"], Longest::WHOLE).await),
        "waiting_plans" => shown(store.waiting_plans(user, &"m".into(), 10).await),
        "plan" => shown(store.plan(user, &"m".into(), &"it".into()).await),
        "some_plans" => shown(store.some_plans(user, "m", 0, 10).await),
        "pull" => {
            let pull = Pull { user_id: user.clone(), app_id: "notes".into(), limit: 100, ..Pull::default() };
            shown(store.pull(pull).await)
        }
        "runs" => shown(store.runs(Some(user.clone()), Some("m".into()), 100).await),
        "runs_before" => shown(store.runs_before(user, None, Timestamp::MAX, 100).await),
        "runs_where" => {
            let before = Timestamp::MAX;
            let wanted = RunsWanted { missions: None, agent: None, which: WhichRuns::All, before, oldest_first: false, after: None };
            shown(store.runs_where(user, wanted, 100).await)
        }
        "run" => {
            let id = store.runs(Some(user.clone()), None, 1).await.unwrap().pop().map(|run| run.run.id).unwrap_or_default();
            assert_eq!(shown(store.run(&"eve".into(), &id).await), "None");
            shown(store.run(user, &id).await)
        }
        "mission_of_iteration" => shown(store.mission_of_iteration(user, &"it".into()).await),
        "place_of_step" => shown(store.place_of_step(user, "it-0").await),
        "records" => shown(store.records(user, "notes", "notes", 100).await),
        "agents_where" => shown(store.agents_where(user, AgentsWanted::default(), 10).await),
        "refresh_records" | "records_where" | "records_count" | "deleted_records" => {
            let modules = mana_ai::modules::Modules::builtin();
            let listed = ListedTable { table: modules.table("notes/notes").unwrap().clone(), owned: Vec::new() };
            store.refresh_records(user, &listed).await.unwrap();
            let wanted = RecordsWanted { search: String::new(), facets: Vec::new(), sort: RecordSort::Title, after: None };
            let listed = shown(store.records_where(user, "notes", "notes", wanted, 100).await);
            let count = shown(store.records_count(user, "notes", "notes", 100).await);
            format!("{count} {listed} {}", shown(store.deleted_records(user, Timestamp::MAX, 100).await))
        }
        "deleted_missions" => shown(store.deleted_missions(user, Timestamp::MAX, 100).await),
        "deleted_agents" => shown(store.deleted_agents(user, Timestamp::MAX, 100).await),
        "insights" => shown(store.insights(user, ZoneDays::up_to(Timestamp::now(), &TimeZone::UTC, 1_000)).await),
        "steps_against" => shown(store.steps_against(user, Timestamp::MAX, 100).await),
        "day_of" => shown(store.day_of(user, Timestamp::MIN).await),
        "snapshot" => shown(store.snapshot::<Mission>(user, &"m".into()).await),
        "snapshots" => shown(store.snapshots::<Agent>(Some(user.clone())).await),
        "newest" => shown(store.newest(Table::Missions, user, "m").await),
        "future_fields" => shown(store.future_fields(Table::Missions, user, "m", now).await),
        "look" => shown(store.look(user, now, |log| format!("{:?}", log.rows("notes", "notes", "n"))).await),
        "session" => shown(store.session(key_of, Timestamp::now()).await),
        "sessions" => shown(store.sessions(Some(user.clone()), Timestamp::now(), 10).await),
        "open_session" | "end_session" | "end_sessions" | "choose_user" => {
            let fresh = rand::random::<[u8; 32]>();
            store.open_session((user.clone(), PersonRole::Admin), session(fresh)).await.unwrap();
            assert!(!store.choose_user(fresh, "eve".into()).await.unwrap(), "it has its user");
            let found = store.session(fresh, Timestamp::now()).await;
            assert_eq!(found.as_ref().unwrap().as_ref().unwrap().browser, session(fresh).browser);
            let opened = shown(found);
            store.end_session(fresh).await.unwrap();
            // Signed out, and in again.
            store.end_sessions(WhichSessions::OfUser(user.clone())).await.unwrap();
            store.open_session((user.clone(), PersonRole::Admin), session(key_of)).await.unwrap();
            opened
        }
        "add_link" | "link" | "use_link" => {
            let (code, opened) = (rand::random::<[u8; 32]>(), rand::random::<[u8; 32]>());
            let ends = Timestamp::now() + jiff::Span::new().hours(1);
            store.add_link(code, Some(user.clone()), "k".into(), ends).await.unwrap();
            let link = shown(store.link(code, "k".into(), Timestamp::now()).await);
            let used = shown(store.use_link(code, session(opened)).await);
            store.end_session(opened).await.unwrap();
            format!("{link} {used}")
        }
        "invite" | "uninvite" | "add_person" | "set_role" | "person" => {
            let fresh = UserId::from(format!("friend of {user}"));
            assert!(!store.invite(user, PersonRole::Admin).await.unwrap(), "who has data here is here already");
            assert!(store.invite(&fresh, PersonRole::Member).await.unwrap() && !store.invite(&fresh, PersonRole::Admin).await.unwrap());
            store.add_person(&fresh, PersonRole::Admin).await.unwrap();
            let invited = shown(store.person(&fresh).await);
            assert!(invited.contains("Member"), "{invited}");
            let changed = shown(store.set_role(&fresh, PersonRole::Admin).await);
            assert!(store.uninvite(&fresh).await.unwrap() && !store.uninvite(user).await.unwrap(), "who signed in stays");
            format!("{invited} {changed} {}", shown(store.person(user).await))
        }
        "add_trial" => {
            let (agent, now) = ("a".into(), Timestamp::now());
            let before = store.tokens_of(user, &agent, now).await.unwrap();
            store.add_trial(user, &agent, now, 7, 1).await.unwrap();
            assert_eq!(store.tokens_of(user, &agent, now).await.unwrap(), before + 7);
            shown(store.load(LoadQuery { user_id: user.clone(), agents: [].into(), ..LoadQuery::default() }, now).await)
        }
        "begin_removal" | "remove_batch" => {
            let gone = UserId::from(format!("another of {user}"));
            // A link lets them in again who were removed.
            store.add_link(rand::random(), Some(gone.clone()), "k".into(), Timestamp::now()).await.unwrap();
            append(store, [change(&world(gone.as_str())[0])]).await;
            assert_eq!(store.begin_removal(&gone).await.unwrap(), RemovalStart::Begun);
            assert_eq!(store.removals(10).await.unwrap(), std::slice::from_ref(&gone));
            let batch = shown(store.remove_batch(&gone).await);
            while !store.remove_batch(&gone).await.unwrap().done {}
            assert!(store.removals(10).await.unwrap().is_empty());
            format!("{batch} {}", shown(store.log_usage(gone).await))
        }
        "preferences" | "set_preferences" => {
            let wanted = Preferences { language: Some("de".into()), zone: Some(format!("zone of {user}")) };
            store.set_preferences(user, wanted.clone()).await.unwrap();
            assert_eq!(store.preferences(user).await.unwrap(), wanted);
            shown(store.preferences(user).await)
        }
        // Of all users at once, for the runner, the operator and the sync server.
        "append_staged" | "backup" | "check_log" | "check_projection" | "disorder" | "drop_orphans" | "due" | "event_key" | "fact"
        | "heads_after" | "is_half_moved" | "last_seq" | "missions_with_id" | "move_into" | "people" | "strangers" | "probe"
        | "projected" | "ran_ahead" | "refresh_batch" | "removals" | "repair" | "set_fact" | "stats" | "take_in_arrivals"
        | "unscheduled" | "users" | "was_signed_in" => return None,
        other => {
            panic!("the method {other} of the store has no case here: tell what it does for one user, and that it shows nothing of another")
        }
    })
}

/// The methods of the store, out of its source.
fn methods() -> Vec<String> {
    let method = Regex::new(r"(?m)^    pub async fn (\w+)").unwrap();
    let mut methods = Vec::new();
    let rooms = [concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sql"), concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/sqlite")];
    for file in rooms.into_iter().flat_map(|room| std::fs::read_dir(room).unwrap()) {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        // The writer's queue has methods of its own.
        if !path.ends_with("writer.rs") {
            methods.extend(method.captures_iter(&text).map(|found| found[1].to_owned()));
        }
    }
    methods.sort();
    methods.dedup();
    methods
}

#[tokio::test(flavor = "multi_thread")]
async fn no_method_shows_or_changes_anything_of_another_user() {
    let dir = tempfile::tempdir().unwrap();
    story(&crate::common::engine::open(dir.path(), &Options::default())).await;
}

/// Tells every method for both users.
pub async fn story(store: &Store) {
    filled(store).await;
    let methods = methods();
    assert!(methods.len() > 70, "{methods:?}");
    // What is closed is there for those that read it.
    let first = ["close", "record_reads", "retry_call"].map(str::to_owned);
    for method in first.iter().chain(methods.iter().filter(|method| !first.contains(method))) {
        for (user, other) in [(USERS[0], USERS[1]), (USERS[1], USERS[0])].map(|(user, other)| (UserId::from(user), UserId::from(other))) {
            let before = belongings(store, &other).await;
            let Some(told) = told(store, method, &user).await else { continue };
            assert!(!told.contains(other.as_str()), "{method} for {user} shows something of {other}: {told}");
            assert_eq!(belongings(store, &other).await, before, "{method} for {user} changed something of {other}");
        }
    }
    let check = store.check_projection(store.check_log().await.unwrap()).await.unwrap();
    assert!(check.findings.is_empty(), "{:?}", check.findings);
}
