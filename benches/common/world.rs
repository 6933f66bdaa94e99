//! Databases of a given size, made by SQL alone, in a directory that is thrown away.

use std::path::Path;

use mana_ai::store::{Options, Store};
use rusqlite::{Connection, params};
use serde_json::json;

/// A log to be made. Ids are `u<n>`, `m<n>`, `a<n>`, `n<n>`; mission `n` belongs to user `n % users`.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    pub users: u64,
    pub agents: u64,
    pub missions: u64,
    /// Updates of missions after their insert, the missions in turn.
    pub updates: u64,
    /// Each `n`th of them writes four plans of three steps; 0: all write a title.
    pub plans_every: u64,
    /// Rows of other apps: notes.
    pub others: u64,
    /// Due time of each `n`th mission is in the past, of the others far away; 0: none is due.
    pub due_every: u64,
}

impl Log {
    pub fn rows(&self) -> u64 {
        self.agents + self.missions + self.updates + self.others
    }

    /// Writes it into a new database in `dir`, without a snapshot.
    pub fn make(&self, dir: &Path) {
        drop(Store::open(dir, &Options { durable: false, ..Options::default() }).expect("a new database"));
        let mut c = Connection::open(dir.join(Store::FILE_NAME)).expect("the database");
        // A database that is thrown away need not survive anything.
        for (pragma, value) in [("journal_mode", "off"), ("synchronous", "off"), ("cache_size", "-1000000")] {
            c.pragma_update(None, pragma, value).expect("a faster mode");
        }
        let tx = c.transaction().expect("a transaction");
        let agent = "json_object('name', 'Agent ' || i, 'role', 'helps', 'state', 'active', 'maxConcurrentMissions', 1000000)";
        insert(&tx, "ai", "agents", "a", agent, "insert", self.agents, self);
        let due = format!("iif({0} > 0 AND i % max({0}, 1) = 0, '2026-01-01T08:00:00.000Z', '2099-01-01T08:00:00.000Z')", self.due_every);
        let mission = format!(
            "json_object('title', 'Mission ' || i, 'objective', 'Keep an eye on number ' || i, 'conceptMarkdown', \
             printf('%.*c', 200, 'x'), 'state', 'active', 'cadence', json('{{\"kind\": \"daily\", \"atHour\": 8}}'), 'nextRunAt', {due}, \
             'inputs', json('[]'), 'iterations', json('[]'), 'agentId', 'a' || (i % {}))",
            self.agents.max(1)
        );
        insert(&tx, "ai", "aiMissions", "m", &mission, "insert", self.missions, self);
        let update = format!(
            "iif({0} > 0 AND k % max({0}, 1) = 0, json_object('iterations', json('{1}')), json_object('title', 'Mission ' || i || ' renamed'))",
            self.plans_every,
            plans()
        );
        insert(&tx, "ai", "aiMissions", "m", &update, "update", self.updates, self);
        insert(&tx, "notes", "notes", "n", "json_object('title', 'a note', 'body', printf('%.*c', 100, 'x'))", "insert", self.others, self);
        tx.commit().expect("a commit");
        c.pragma_update(None, "journal_mode", "wal").expect("the mode of a store");
    }
}

/// Four plans that a user decided about, and one step of the last that waits.
fn plans() -> String {
    let step = |plan: u32, n: u32| {
        json!({
            "id": format!("it-{plan}-{n}"), "status": if plan == 3 { "staged" } else { "approved" }, "summary": "Write a note about it",
            "rationale": "It helps to see it.",
            "intent": {"kind": "toolCall", "toolName": "create_note", "params": {"title": "A note", "content": "What there is to say. ".repeat(8)}},
        })
    };
    let plan = |n: u32| {
        json!({
            "id": format!("it-{n}"), "startedAt": "2026-04-15T08:00:00.000Z", "source": "server", "summary": "Two things stand out",
            "overallStatus": if n == 3 { "awaiting-review" } else { "approved" }, "plan": [step(n, 0), step(n, 1), step(n, 2)],
        })
    };
    json!([plan(0), plan(1), plan(2), plan(3)]).to_string()
}

#[allow(clippy::too_many_arguments)]
fn insert(c: &Connection, app: &str, table: &str, prefix: &str, data: &str, op: &str, count: u64, log: &Log) {
    let records = if op == "update" { log.missions.max(1) } else { count };
    let users = "WITH RECURSIVE u (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM u WHERE i + 1 < min(?1, ?2)), users (id) AS (SELECT 'u' || i FROM u)";
    // By the numbers of users and tables, as the program writes rows; a view of names would take several times as long.
    let tables = format!(
        "{users}, base (n) AS (SELECT coalesce(max(no), 0) FROM log_tables), \
         new (no, id) AS (SELECT n + row_number() OVER (), id FROM users, base \
         WHERE NOT EXISTS (SELECT 1 FROM log_tables WHERE user_id = id AND app_id = ?3 AND table_name = ?4)) \
         INSERT INTO log_tables (no, user_no, app_no, user_id, app_id, table_name) \
         SELECT no, coalesce((SELECT user_no FROM log_tables t WHERE t.user_id = new.id LIMIT 1), no), \
         coalesce((SELECT app_no FROM log_tables t WHERE t.user_id = new.id AND t.app_id = ?3 LIMIT 1), no), id, ?3, ?4 FROM new WHERE ?1 > 0"
    );
    c.execute(&tables, params![count, log.users, app, table]).expect("tables");
    let clients = "INSERT INTO log_clients (user_no, client_id) SELECT DISTINCT user_no, 'bench' FROM log_tables t \
                   WHERE NOT EXISTS (SELECT 1 FROM log_clients c WHERE c.user_no = t.user_no AND c.client_id = 'bench')";
    c.execute(clients, []).expect("clients");
    let before: i64 = c.query_row("SELECT coalesce(max(seq), 0) FROM log_rows", [], |row| row.get(0)).expect("a number");
    let query = format!(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1), \
         base (at) AS (SELECT coalesce(max(sync_at), 1770000000000000) + 1 FROM log_rows), \
         numbered (k, i) AS (SELECT i, i % ?2 FROM n) \
         INSERT OR FAIL INTO log_rows (user_no, app_no, table_no, client_no, projection, sync_at, schema_version, op, id, record_id, field_meta, data) \
         SELECT t.user_no, t.app_no, t.no, c.no, CASE ?3 || '/' || ?4 WHEN 'ai/agents' THEN 1 WHEN 'ai/aiMissions' THEN 2 END, at + k, 1, ?7, \
         lower(hex(randomblob(4)) || '-0000-4000-8000-' || hex(randomblob(6))), ?5 || i, \
         iif(?7 = 'update', json_object('title', strftime('%Y-%m-%dT%H:%M:%fZ', (at + k) / 1000000.0, 'unixepoch')), '{{}}'), {data} \
         FROM numbered, base CROSS JOIN log_tables t ON t.user_id = 'u' || (i % ?6) AND t.app_id = ?3 AND t.table_name = ?4 \
         CROSS JOIN log_clients c ON c.user_no = t.user_no AND c.client_id = 'bench' WHERE ?1 > 0"
    );
    c.execute(&query, params![count, records, app, table, prefix, log.users, op]).expect("rows");
    let counted = "INSERT INTO user_log (user_id, rows, bytes) SELECT t.user_id, count(*), sum(octet_length(data) + octet_length(field_meta)) \
                   FROM log_rows r JOIN log_tables t ON t.no = r.table_no WHERE r.seq > ?1 GROUP BY t.user_id \
                   ON CONFLICT (user_id) DO UPDATE SET rows = rows + excluded.rows, bytes = bytes + excluded.bytes";
    c.execute(counted, [before]).expect("counts");
}
