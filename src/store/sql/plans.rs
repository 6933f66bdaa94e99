//! Shows that the queries that run all day use their index.

use rusqlite::Connection;
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::agent_list::{AgentSort, agents_where};
use super::audit::{BY_MISSION, BY_USER};
use super::cards::{AGENT as AGENT_CARD, AGENTS, MISSION, MISSIONS, MISSIONS_OF, NEXT, ROWS_OF, TO_REVIEW, TO_REVIEW_COUNT};
use super::changes::RECORD;
use super::disorder::DISORDER;
use super::insights::{
    AGAINST, AGENT_DAYS, DECISIONS, EARLIER_OF_AGENTS, EARLIER_OF_MISSIONS, MISSION_DAYS, TOKENS_OF_MISSION, USER_QUARTERS,
};
use super::loads::{AGENT, OPEN_OF, TOKENS_OF_AGENT, USED};
use super::log_rows::EVENT;
use super::mission_list::{BAD_SCHEDULE, MissionSort, TOO_MANY_PLANS, WhichMissions, agent_held, few_where, missions_where};
use super::parts::{COUNTS, ITERATION, ITERATIONS, PLACES, WAITING, fields_query};
use super::pull::{HEADS, new_of_app_query, newest_of_app_query, pull_query};
use super::record_list::{DELETED_AGENTS, DELETED_MISSIONS, DELETED_RECORDS, NEW_RECORDS, OWNERS, RecordSort, records_where};
use super::refresh::{NEW_ROWS_OF_FILE, NEW_ROWS_OF_RECORD};
use super::runs::latest;
use super::schedule::{RAN_AHEAD, UNSCHEDULED};
use super::snapshots::{DUE, WITH_ID, all_query};
use super::views::{OUTCOMES, RECORDS, RUN, RUNS, RUNS_OF, TOKENS, WhichRuns, runs_where};
use super::{Options, Store, Table};

/// The plan of a query, one step a line.
fn plan(query: &str, parameters: usize) -> String {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path(), &Options::default()).unwrap());
    let connection = Connection::open(dir.path().join(Store::FILE_NAME)).unwrap();
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
    let rows = statement.query_map(params_from_iter(vec![Value::Integer(1); parameters]), |row| row.get::<_, String>(3)).unwrap();
    rows.map(|row| row.unwrap()).collect::<Vec<_>>().join("\n")
}

fn check(query: &str, parameters: usize, expected: &str) {
    assert_eq!(plan(query, parameters), expected, "{query}");
}

#[test]
fn the_due_scan_is_one_range_of_its_index() {
    check(
        DUE,
        5,
        "SEARCH mission_snapshots USING COVERING INDEX mission_snapshots_due ((next_run_at,user_id,mission_id)>(?,?,?) AND next_run_at<?)",
    );
}

/// However many agents, runs and attempts a user has, a decision reads those that it needs.
#[test]
fn what_decides_about_a_user_is_read_by_its_keys() {
    check(AGENT, 2, "SEARCH agent_snapshots USING INDEX sqlite_autoindex_agent_snapshots_1 (user_id=? AND agent_id=?)");
    check(&OPEN_OF.replace("{}", "*"), 1, "SEARCH runs USING INDEX runs_one_open_per_mission (user_id=?)");
    let found = plan(TOKENS_OF_AGENT, 4);
    for (table, index) in [("run_attempts", "run_attempts_budget"), ("trials", "trials_of_agent")] {
        let budget = format!("SEARCH {table} USING COVERING INDEX {index} (user_id=? AND agent_id=? AND finished_at>? AND finished_at<?)");
        assert!(found.contains(&budget), "{found}");
    }
    let found = plan(USED, 3);
    for (table, index) in [("run_attempts", "run_attempts_user"), ("trials", "trials_of_user")] {
        let used = format!("SEARCH {table} USING COVERING INDEX {index} (user_id=? AND finished_at>? AND finished_at<?)");
        assert!(found.contains(&used), "{found}");
    }
}

#[test]
fn times_that_are_to_be_set_are_found_without_a_look_at_all_missions() {
    let unscheduled = "SEARCH mission_snapshots USING INDEX mission_snapshots_unscheduled ((user_id,mission_id)>(?,?))";
    check(UNSCHEDULED, 3, &unscheduled.replace("USING INDEX", "USING COVERING INDEX"));
    let ahead = "SEARCH r USING INDEX runs_by_end ((finished_at,id)>(?,?))\n\
                 CORRELATED SCALAR SUBQUERY 1\n\
                 SEARCH m USING INDEX sqlite_autoindex_mission_snapshots_1 (user_id=? AND mission_id=?)";
    check(RAN_AHEAD, 4, ahead);
}

/// Each part stops at its first row, in an index that holds no others.
#[test]
fn a_tick_that_finds_nothing_to_put_in_order_reads_nothing() {
    let found = plan(DISORDER, 1);
    let reads: Vec<&str> = found.lines().filter(|line| line.starts_with("SEARCH") || line.starts_with("SCAN")).collect();
    let expected = [
        "SCAN CONSTANT ROW",
        "SCAN lost_iterations",
        "SEARCH runs USING INDEX runs_open (owner>?)",
        "SEARCH runs USING INDEX runs_open (owner=?)",
        "SCAN mission_snapshots USING COVERING INDEX mission_snapshots_unscheduled",
        "SEARCH runs USING COVERING INDEX runs_by_end (finished_at>?)",
    ];
    assert_eq!(reads, expected);
}

/// Checks how rows of the log are found; the names that they show are looked up by their numbers.
fn check_log(query: &str, parameters: usize, expected: &[&str]) {
    let found = plan(query, parameters);
    let by_number = |step: &&str| {
        let is_name =
            ["SEARCH t USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN", "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)"].contains(step);
        is_name || step.contains("SCALAR SUBQUERY")
    };
    let steps: Vec<&str> = found.lines().filter(|step| !by_number(step)).collect();
    assert_eq!(steps, expected, "{query}");
}

/// How a table of a user is found.
const TABLE: &str = "SEARCH t USING COVERING INDEX sqlite_autoindex_log_tables_1 (user_id=? AND app_id=? AND table_name=?)";

#[test]
fn a_refresh_reads_only_new_rows_of_its_table() {
    check_log(NEW_ROWS_OF_FILE, 3, &["SEARCH r USING INDEX log_rows_projected (projection=? AND rowid>?)"]);
    check_log(NEW_ROWS_OF_RECORD, 4, &[TABLE, "SEARCH r USING INDEX log_rows_of_record (table_no=? AND record_id=? AND rowid>?)"]);
}

#[test]
fn pulls_read_only_new_rows_of_their_user() {
    let app = "SEARCH log_tables USING INDEX sqlite_autoindex_log_tables_1 (user_id=? AND app_id=?)";
    check_log(&pull_query(true, false), 4, &["SEARCH r USING INDEX log_rows_of_app (app_no=? AND sync_at>?)", app]);
    check_log(&pull_query(true, true), 5, &[TABLE, "SEARCH r USING INDEX log_rows_of_table (table_no=? AND sync_at>?)"]);
    check_log(&newest_of_app_query(true), 2, &["SEARCH log_rows USING COVERING INDEX log_rows_of_app (app_no=?)", app]);
    check_log(
        &new_of_app_query(),
        3,
        &["CO-ROUTINE (subquery-2)", "SEARCH log_rows USING INDEX log_rows_of_app (app_no=? AND sync_at>?)", app, "SCAN (subquery-2)"],
    );
    check_log(HEADS, 2, &["SEARCH r USING INTEGER PRIMARY KEY (rowid>?)"]);
    let user = "SEARCH log_tables USING INDEX sqlite_autoindex_log_tables_1 (user_id=?)";
    check_log(EVENT, 2, &["SEARCH log_rows USING COVERING INDEX log_rows_event (user_no=? AND id=?)", user]);
}

#[test]
fn an_audit_reads_only_rows_of_its_user() {
    check(BY_USER, 3, "SEARCH decrypt_audit USING INDEX decrypt_audit_user (user_id=? AND id<?)");
    check(BY_MISSION, 4, "SEARCH decrypt_audit USING INDEX decrypt_audit_mission (user_id=? AND mission_id=? AND id<?)");
}

#[test]
fn a_record_is_read_without_those_of_other_users() {
    check_log(&RECORD.replace("{}", "*"), 4, &[TABLE, "SEARCH r USING INDEX log_rows_of_record (table_no=? AND record_id=?)"]);
}

/// No page reads more for a longer log: each query is a range of the index that gives its order.
#[test]
fn pages_read_only_what_they_show() {
    check(NEXT, 2, "SEARCH mission_snapshots USING INDEX mission_snapshots_next (user_id=? AND next_run_at>?)");
    let waiting = "mission_snapshots_to_review (user_id=?";
    check(TO_REVIEW, 4, &format!("SEARCH mission_snapshots USING INDEX {waiting} AND (waiting_since,mission_id)>(?,?))"));
    let found = plan(TO_REVIEW_COUNT, 2);
    assert!(found.contains(&format!("SEARCH mission_snapshots USING COVERING INDEX {waiting})")), "{found}");
    check(MISSIONS_OF, 3, "SEARCH mission_snapshots USING INDEX mission_snapshots_of_agent (user_id=? AND agent_id=?)");
    for (query, parameters) in [(MISSIONS, 3), (MISSION, 2)] {
        let found = plan(query, parameters);
        assert!(found.starts_with("SEARCH mission_snapshots USING INDEX sqlite_autoindex_mission_snapshots_1 (user_id=?"), "{found}");
    }
    for (query, parameters) in [(AGENTS, 3), (AGENT_CARD, 2)] {
        assert!(plan(query, parameters).starts_with("SEARCH agent_snapshots USING INDEX sqlite_autoindex_agent_snapshots_1 (user_id=?"));
    }
    check_log(ROWS_OF, 6, &[TABLE, "SEARCH r USING INDEX log_rows_of_record (table_no=? AND record_id=? AND rowid<?)"]);
    check(&RUNS_OF.replace("{}", "*"), 4, "SEARCH runs USING INDEX runs_by_mission (mission_id=? AND user_id=? AND claimed_at<?)");
    check(&RUNS.replace("{}", "*"), 4, "SEARCH runs USING INDEX runs_by_user (user_id=? AND claimed_at<?)");
    for (of_mission, of_agent, which, index) in [
        (true, false, WhichRuns::All, "runs_by_mission (mission_id=? AND user_id=?"),
        (false, true, WhichRuns::All, "runs_by_agent (user_id=? AND agent_id=?"),
        (false, false, WhichRuns::Failed, "runs_by_outcome (user_id=? AND outcome=?"),
        (false, false, WhichRuns::Open, "runs_by_outcome (user_id=? AND outcome=?"),
        (false, false, WhichRuns::All, "runs_by_user (user_id=?"),
    ] {
        for oldest_first in [false, true] {
            let query = runs_where(of_mission, of_agent, which, oldest_first).replace("{}", "*");
            // Those of one moment are sorted by their ids, and no more.
            let found = plan(&query, 7);
            assert!(found.starts_with(&format!("SEARCH runs USING INDEX {index} AND claimed_at")), "{query}: {found}");
            assert!(!found.contains("TEMP B-TREE FOR ORDER BY"), "{query}: {found}");
        }
    }
    check(&RUN.replace("{}", "*"), 2, "SEARCH runs USING INDEX sqlite_autoindex_runs_1 (id=?)");
    let limited_agents = "agent_snapshots_limited (user_id=?)";
    for (sort, index) in [
        (MissionSort::Title, "mission_snapshots_by_title (user_id=? AND (title_key,mission_id)>(?,?))"),
        (MissionSort::Next, "mission_snapshots_by_time (user_id=? AND (next_key,mission_id)>(?,?))"),
        (MissionSort::Changed, "mission_snapshots_by_change (user_id=? AND (last_applied_at,mission_id)<(?,?))"),
    ] {
        for which in [WhichMissions::All, WhichMissions::ToReview, WhichMissions::Blocked] {
            let found = plan(&missions_where(sort, which), if which == WhichMissions::Blocked { 11 } else { 7 });
            assert!(found.starts_with(&format!("SEARCH mission_snapshots USING COVERING INDEX {index}")), "{found}");
            let limited = format!("SEARCH s USING COVERING INDEX {limited_agents}");
            let agents = "SEARCH agent_snapshots USING COVERING INDEX agent_snapshots_by_state (user_id=? AND state=?)";
            assert_eq!(found.contains(agents), which == WhichMissions::Blocked, "{found}");
            assert_eq!(found.contains(&limited), which == WhichMissions::Blocked, "{found}");
            assert!(!found.contains("TEMP B-TREE FOR ORDER"), "{found}");
        }
    }
    for sort in [MissionSort::Title, MissionSort::Next, MissionSort::Changed] {
        let found = plan(&few_where(sort), 12);
        assert!(
            found.starts_with("SEARCH mission_snapshots USING INDEX sqlite_autoindex_mission_snapshots_1 (user_id=? AND mission_id=?)"),
            "{found}"
        );
    }
    let found = plan(TOO_MANY_PLANS, 3);
    assert!(found.starts_with("SEARCH mission_snapshots USING COVERING INDEX mission_snapshots_to_review (user_id=?)"), "{found}");
    check(BAD_SCHEDULE, 2, "SEARCH mission_snapshots USING COVERING INDEX mission_snapshots_bad_schedule (user_id=?)");
    let found = plan(&agent_held(), 4);
    assert!(found.contains(&format!("SEARCH s USING COVERING INDEX {limited_agents}")), "{found}");
    assert!(found.contains("SEARCH m USING COVERING INDEX mission_snapshots_of_agent (user_id=? AND agent_id=?)"), "{found}");
    let found = plan(OUTCOMES, 2);
    assert!(found.starts_with("SEARCH runs USING COVERING INDEX runs_by_user (user_id=? AND claimed_at>?)"), "{found}");
    let found = plan(TOKENS, 2);
    assert!(found.starts_with("SEARCH run_attempts USING COVERING INDEX run_attempts_user (user_id=? AND finished_at>?)"), "{found}");
    check_log(RECORDS, 4, &[TABLE, "SEARCH r USING COVERING INDEX log_rows_of_record (table_no=?)"]);
}

#[test]
fn insights_read_days_and_decisions_of_their_user() {
    check(USER_QUARTERS, 3, "SEARCH user_quarters USING PRIMARY KEY (user_id=? AND quarter>? AND quarter<?)");
    check(AGENT_DAYS, 2, "SEARCH agent_days USING PRIMARY KEY (user_id=? AND day>?)");
    let found = plan(EARLIER_OF_AGENTS, 3);
    for index in ["run_attempts USING INDEX run_attempts_user", "trials USING INDEX trials_of_user"] {
        assert!(found.contains(&format!("SEARCH {index} (user_id=? AND finished_at>? AND finished_at<?)")), "{found}");
    }
    let found = plan(EARLIER_OF_MISSIONS, 3);
    let range = "SEARCH a USING COVERING INDEX run_attempts_user (user_id=? AND finished_at>? AND finished_at<?)";
    assert!(found.contains(range) && found.contains("SEARCH r USING INDEX sqlite_autoindex_runs_1 (id=?)"), "{found}");
    check(MISSION_DAYS, 3, "SEARCH mission_days USING COVERING INDEX mission_days_by_day (user_id=? AND day>?)");
    check(TOKENS_OF_MISSION, 3, "SEARCH mission_days USING PRIMARY KEY (user_id=? AND mission_id=? AND day>?)");
    check(DECISIONS, 4, "SEARCH decided_steps USING COVERING INDEX decided_steps_by_time (user_id=? AND at>? AND at<?)");
    let found = plan(AGAINST, 3);
    assert!(found.starts_with("SEARCH d USING INDEX decided_steps_against (user_id=? AND at<?)"), "{found}");
    assert!(found.contains("SEARCH r USING INDEX runs_by_iteration (iteration_id=?)"), "{found}");
}

#[test]
fn lists_of_records_and_deleted_things_are_ranges_of_indexes() {
    check_log(NEW_RECORDS, 5, &[TABLE, "SEARCH r USING INDEX log_rows_of_table (table_no=? AND sync_at>?)"]);
    let owned = "record_cards_owned (user_id=? AND app_id=? AND table_name=? AND owned_id=?)";
    check(OWNERS, 4, &format!("SEARCH record_cards USING INDEX {owned}"));
    check(DELETED_RECORDS, 3, "SEARCH record_cards USING INDEX record_cards_deleted (user_id=? AND changed_at<?)");
    check(DELETED_MISSIONS, 3, "SEARCH mission_snapshots USING INDEX mission_snapshots_deleted (user_id=? AND last_applied_at<?)");
    check(DELETED_AGENTS, 3, "SEARCH agent_snapshots USING INDEX agent_snapshots_deleted (user_id=? AND last_applied_at<?)");
    let by_name = "SEARCH agent_snapshots USING INDEX agent_snapshots_by_name (user_id=? AND (name_key,agent_id)>(?,?))";
    check(&agents_where(AgentSort::Name), 6, by_name);
    let by_change = "SEARCH agent_snapshots USING INDEX agent_snapshots_by_change (user_id=? AND (last_applied_at,agent_id)<(?,?))";
    check(&agents_where(AgentSort::Changed), 6, by_change);
    for (sort, index) in [
        (RecordSort::Changed, "record_cards_by_change"),
        (RecordSort::Title, "record_cards_by_title"),
        (RecordSort::NewestDay, "record_cards_by_day"),
        (RecordSort::OldestDay, "record_cards_by_day"),
    ] {
        for (without_day, facets) in [(false, 0), (true, 2)] {
            let found = plan(&records_where(sort, without_day, facets), 7 + facets);
            assert!(
                found.starts_with(&format!("SEARCH record_cards USING INDEX {index} (user_id=? AND app_id=? AND table_name=? AND ")),
                "{found}"
            );
            assert!(!found.contains("TEMP B-TREE"), "{found}");
        }
    }
}

/// Commands about one mission or one user read nothing of others.
#[test]
fn commands_read_what_they_name() {
    let by_user = "USING INDEX sqlite_autoindex_mission_snapshots_1 (user_id=?)";
    check(&all_query(Table::Missions, true), 1, &format!("SEARCH mission_snapshots {by_user}"));
    check(&all_query(Table::Agents, true), 1, "SEARCH agent_snapshots USING INDEX sqlite_autoindex_agent_snapshots_1 (user_id=?)");
    check(WITH_ID, 1, "SEARCH mission_snapshots USING INDEX mission_snapshots_by_id (mission_id=?)");
    for (of_user, of_mission, expected) in [
        (true, false, "runs_by_user (user_id=?)"),
        (true, true, "runs_by_mission (mission_id=? AND user_id=?)"),
        (false, true, "runs_by_mission (mission_id=?)"),
    ] {
        let parameters = 1 + usize::from(of_user) + usize::from(of_mission);
        let found = plan(&latest("*", of_user, of_mission), parameters);
        assert!(found.starts_with(&format!("SEARCH runs USING INDEX {expected}")), "{found}");
    }
}

#[test]
fn the_page_of_a_record_reads_that_record() {
    let key = "USING INDEX sqlite_autoindex_mission_snapshots_1 (user_id=? AND mission_id=?)";
    check(COUNTS, 2, &format!("SEARCH mission_snapshots {key}"));
    let of_plans = [(PLACES, 4), (ITERATIONS, 3), (WAITING, 3), (ITERATION, 3)].map(|(query, parameters)| (query.to_owned(), parameters));
    for (query, parameters) in [(fields_query(Table::Missions), 5)].into_iter().chain(of_plans) {
        let found = plan(&query, parameters);
        assert!(found.starts_with(&format!("SEARCH mission_snapshots {key}\nSCAN ")), "{found}");
    }
}
