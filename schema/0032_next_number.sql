-- The next number of a table is found at the end of the numbers. Beside a condition SQLite read all of them, those of every user.
DROP TRIGGER sync_changes_insert;
CREATE TRIGGER sync_changes_insert INSTEAD OF INSERT ON sync_changes
BEGIN
    SELECT RAISE(ABORT, 'the change log is append-only: no replace') WHERE EXISTS (
        SELECT 1 FROM log_rows WHERE seq = NEW.seq
        UNION ALL SELECT 1 FROM log_tables t JOIN log_rows r ON r.user_no = t.user_no AND r.id = NEW.id WHERE t.user_id = NEW.user_id);
    INSERT INTO log_tables (no, user_no, app_no, user_id, app_id, table_name)
    SELECT n, coalesce((SELECT user_no FROM log_tables WHERE user_id = NEW.user_id LIMIT 1), n),
           coalesce((SELECT app_no FROM log_tables WHERE user_id = NEW.user_id AND app_id = NEW.app_id LIMIT 1), n),
           NEW.user_id, NEW.app_id, NEW.table_name
    FROM (SELECT coalesce((SELECT max(no) FROM log_tables), 0) + 1 AS n)
    WHERE NOT EXISTS (SELECT 1 FROM log_tables WHERE user_id = NEW.user_id AND app_id = NEW.app_id AND table_name = NEW.table_name);
    INSERT INTO log_clients (user_no, client_id)
    SELECT user_no, NEW.client_id FROM log_tables t WHERE user_id = NEW.user_id AND app_id = NEW.app_id AND table_name = NEW.table_name
    AND NOT EXISTS (SELECT 1 FROM log_clients c WHERE c.user_no = t.user_no AND c.client_id = NEW.client_id);
    INSERT INTO log_rows (seq, user_no, app_no, table_no, client_no, projection, sync_at, created_at, schema_version, op, id, record_id, space_id,
                          origin, actor, field_meta, data)
    SELECT NEW.seq, t.user_no, t.app_no, t.no, c.no,
           CASE WHEN NEW.app_id = 'ai' THEN CASE NEW.table_name WHEN 'agents' THEN 1 WHEN 'aiMissions' THEN 2 END END,
           NEW.sync_at, nullif(NEW.created_at, NEW.sync_at), coalesce(NEW.schema_version, 1), NEW.op, NEW.id, NEW.record_id, NEW.space_id,
           NEW.origin, NEW.actor, coalesce(NEW.field_meta, '{}'), NEW.data
    FROM log_tables t JOIN log_clients c ON c.user_no = t.user_no AND c.client_id = NEW.client_id
    WHERE t.user_id = NEW.user_id AND t.app_id = NEW.app_id AND t.table_name = NEW.table_name;
    INSERT INTO user_log (user_id, rows, bytes)
    SELECT NEW.user_id, 1, coalesce(octet_length(NEW.data), 0) + octet_length(coalesce(NEW.field_meta, '{}')) + coalesce(octet_length(NEW.actor), 0)
    WHERE changes() = 1
    ON CONFLICT (user_id) DO UPDATE SET rows = rows + 1, bytes = bytes + excluded.bytes;
END;
