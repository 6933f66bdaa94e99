//! The log of a Postgres in parts by the hash of the user, as it could be for more users than one table serves; and rows that are
//! in it already.

use postgres::Client;

/// Puts the log, which has no rows yet, into so many parts. Everything of it stays, but for keys that do not have the user in them:
/// Postgres wants that.
pub fn divide(client: &mut Client, parts: u64) {
    let texts = |client: &mut Client, query: &str| -> Vec<String> {
        client.query(query, &[]).expect("the catalog").iter().map(|row| row.get(0)).collect()
    };
    client.batch_execute("SET search_path TO mana_ai_rs, public").expect("the schema");
    let tables = ["mana_ai_rs.log_order", "public.sync_changes"];
    let of_both = tables.map(|table| format!("'{table}'::regclass")).join(", ");
    let more = texts(
        client,
        &format!(
            "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid IN ({of_both}) AND NOT indisunique \
             UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid IN ({of_both}) AND NOT tgisinternal \
             UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'mana_ai_rs.sync_changes'::regclass"
        ),
    );
    let view = texts(client, "SELECT pg_get_viewdef('mana_ai_rs.sync_changes'::regclass)").remove(0);
    let view = view.replace("c.id = o.row_id", "c.id = o.row_id AND c.user_id = o.user_id");
    assert!(view.contains("c.user_id = o.user_id"), "the view of the log is another: {view}");
    client.batch_execute("DROP VIEW mana_ai_rs.sync_changes").expect("no view");
    for (table, keys) in
        tables.into_iter().zip(["PRIMARY KEY (seq, user_id), UNIQUE (row_id, user_id), UNIQUE (user_id, id)", "PRIMARY KEY (user_id, id)"])
    {
        client
            .batch_execute(&format!(
                "ALTER TABLE {table} RENAME TO whole; CREATE TABLE {table} (LIKE whole INCLUDING DEFAULTS, {keys}) PARTITION BY HASH (user_id); \
                 DROP TABLE whole"
            ))
            .expect("a table in parts");
        for part in 0..parts {
            client
                .batch_execute(&format!(
                    "CREATE TABLE {table}_{part} PARTITION OF {table} FOR VALUES WITH (MODULUS {parts}, REMAINDER {part})"
                ))
                .expect("a part");
        }
    }
    client.batch_execute(&format!("CREATE VIEW mana_ai_rs.sync_changes AS {view}")).expect("the view");
    client.batch_execute(&more.join("; ")).expect("indexes and triggers");
}

/// Puts notes of so many users into the log.
pub fn fill(client: &mut Client, users: u64, changes: u64) {
    let (first, last) = (1, users * changes);
    client
        .batch_execute(&format!(
            "SET search_path TO mana_ai_rs; SET mana_ai_rs.writes TO 'on'; SET synchronous_commit TO off; \
             INSERT INTO public.sync_changes (id, app_id, table_name, record_id, user_id, op, data, client_id, created_at) \
             SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'notes', 'notes', 'n' || n, 'u' || n % {users}, 'insert', \
             jsonb_build_object('title', 'a note', 'body', repeat('x', 100)), 'bench', '2026-02-01' \
             FROM generate_series({first}::bigint, {last}) AS n; \
             INSERT INTO log_order (seq, sync_at, row_id, id, user_id, app_id, table_name, record_id, bytes) \
             SELECT n, 1770000000000000 + n, ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, \
             '00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'), 'u' || n % {users}, 'notes', 'notes', 'n' || n, 150 \
             FROM generate_series({first}::bigint, {last}) AS n; ANALYZE"
        ))
        .expect("rows");
}
