//! Every query of the store as it is sent, recorded by the server while the story of the store is told: none reads a table from end
//! to end (docs/design.md, section 18).

use std::collections::BTreeSet;

use super::POSTGRES;
use super::engine::{Server, run};
use crate::queries::LARGE;
use crate::store_story::story;

#[test]
#[ignore = "needs the Postgres server programs"]
fn no_query_reads_a_large_table_from_end_to_end() {
    let server = Server::new();
    let store = server.instance();
    let mut client = server.client();
    let name = server.address.rsplit('/').next().unwrap();
    client.batch_execute(&format!("ALTER DATABASE {name} SET log_statement = 'all'; SET search_path TO mana_ai_rs")).unwrap();
    run(story(&store));
    // Without statistics, and with as much reluctance as there can be: what is still read whole has no index.
    client.batch_execute("SET log_statement = 'none'; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan").unwrap();
    let sent = sent(&std::fs::read_to_string(format!("{}/log", POSTGRES.socket)).unwrap());
    assert!(sent.len() > 150, "only {} queries were recorded", sent.len());
    let mut whole = Vec::new();
    for (n, query) in sent.iter().enumerate() {
        client.batch_execute(&format!("PREPARE q{n} AS {query}")).unwrap();
        let parameters: i32 = client
            .query_one(&format!("SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'q{n}'"), &[])
            .unwrap()
            .get(0);
        let given = vec!["NULL"; parameters as usize].join(", ");
        let given = if given.is_empty() { given } else { format!("({given})") };
        let plan = client.query(&format!("EXPLAIN (COSTS OFF) EXECUTE q{n}{given}"), &[]).unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        if reads_whole(&plan) && !WHOLE.iter().any(|known| query.contains(known)) {
            whole.push(format!("{query}\n{}", plan.join("\n")));
        }
    }
    assert!(whole.is_empty(), "{} queries read a table from end to end:\n\n{}", whole.len(), whole.join("\n\n"));
}

/// Whether a part of a plan reads one of the large tables, or one of its indexes, from end to end, and no limit ends it.
fn reads_whole(plan: &[String]) -> bool {
    let is_limited = plan.iter().any(|line| line.trim_start_matches([' ', '-', '>']).starts_with("Limit"));
    plan.iter().enumerate().any(|(at, line)| {
        let Some((scan, on)) = line.split_once(" on ") else { return false };
        let table = on.split(' ').next().unwrap_or_default();
        let bounded = plan.get(at + 1).is_some_and(|next| next.contains("Index Cond"));
        let whole = scan.ends_with("Seq Scan") || (scan.contains("Scan using") && !bounded && !is_limited);
        whole && (LARGE.contains(&table) || OF_SERVER.contains(&table))
    })
}

/// The statements of prepared queries, out of the server's log.
fn sent(log: &str) -> BTreeSet<String> {
    let (mut sent, mut open) = (BTreeSet::new(), None::<String>);
    for line in log.lines() {
        match (line.strip_prefix('\t'), &mut open) {
            (Some(more), Some(query)) => *query += &format!(" {more}"),
            _ => {
                sent.extend(open.take());
                open = line.split_once("LOG:  execute ").and_then(|(_, told)| Some(told.split_once(": ")?.1.to_owned()));
            }
        }
    }
    sent.extend(open);
    let is_query = |query: &String| ["WITH", "SELECT", "INSERT", "UPDATE", "DELETE"].iter().any(|verb| query.starts_with(verb));
    sent.into_iter().filter(is_query).collect()
}

/// Large tables that a file has no need of.
const OF_SERVER: [&str; 2] = ["log_order", "arrivals"];

/// What reads all on purpose: checks of everything.
const WHOLE: [&str; 6] = [
    "EXCEPT",
    "FROM held_arrivals h",
    "FROM departures d WHERE d.row_id = o.row_id",
    "FROM mission_counts WHERE state",
    "NOT EXISTS (SELECT 1 FROM sync_changes WHERE user_id =",
    "origin FROM sync_changes ORDER BY seq",
];
