-- A row of the log names its collection and its client by numbers, and so do its indexes: on the disk it takes about half
-- (docs/design.md, section 2). `sync_changes` is a view of the same columns.

-- The old log, whose rows move over in batches. Its indexes make room for those of the new.
DROP TRIGGER sync_changes_no_update;
DROP TRIGGER sync_changes_counted;
DROP TRIGGER sync_changes_no_replace;
DROP TRIGGER sync_changes_no_delete;
DROP INDEX sync_changes_pull_app;
DROP INDEX sync_changes_pull_table;
DROP INDEX sync_changes_projected;
DROP INDEX sync_changes_user_record;
ALTER TABLE sync_changes RENAME TO old_sync_changes;
-- Rows are counted again as they move.
DELETE FROM user_log;

-- The tables of users that have rows. The rows of a user, and those of an app of a user, have one number in common: that of
-- the first table.
CREATE TABLE log_tables (
    no         INTEGER PRIMARY KEY,
    user_no    INTEGER NOT NULL,
    app_no     INTEGER NOT NULL,
    user_id    TEXT    NOT NULL CHECK (user_id <> ''),
    app_id     TEXT    NOT NULL CHECK (app_id <> ''),
    table_name TEXT    NOT NULL CHECK (table_name <> ''),
    UNIQUE (user_id, app_id, table_name)
) STRICT;

-- The clients of users that have rows.
CREATE TABLE log_clients (
    no        INTEGER PRIMARY KEY,
    user_no   INTEGER NOT NULL,
    client_id TEXT    NOT NULL,
    UNIQUE (user_no, client_id)
) STRICT;

CREATE TABLE log_rows (
    seq            INTEGER PRIMARY KEY,          -- position in the log, in commit order
    user_no        INTEGER NOT NULL,
    app_no         INTEGER NOT NULL,
    table_no       INTEGER NOT NULL,
    client_no      INTEGER NOT NULL,
    projection     INTEGER,                      -- 1: agents, 2: missions; null: there are no snapshots of it
    sync_at        INTEGER NOT NULL,             -- microseconds, strictly increasing with seq
    created_at     INTEGER,                      -- microseconds; null: it is sync_at. An import keeps it
    schema_version INTEGER NOT NULL,
    op             TEXT    NOT NULL CHECK (op IN ('insert', 'update', 'delete')),
    id             TEXT    NOT NULL,             -- event id, a UUID, unique per user
    record_id      TEXT    NOT NULL CHECK (record_id <> ''),
    space_id       TEXT,
    origin         TEXT,
    actor          TEXT,                         -- JSON object or null
    field_meta     TEXT    NOT NULL,             -- JSON object: field -> ISO time of the client's write
    data           TEXT                          -- JSON object or null
) STRICT;
CREATE UNIQUE INDEX log_rows_event ON log_rows (user_no, id);
CREATE INDEX log_rows_of_app ON log_rows (app_no, sync_at);
CREATE INDEX log_rows_of_table ON log_rows (table_no, sync_at);
CREATE INDEX log_rows_of_record ON log_rows (table_no, record_id);
CREATE INDEX log_rows_projected ON log_rows (projection) WHERE projection IS NOT NULL;

CREATE TRIGGER log_rows_no_update BEFORE UPDATE ON log_rows
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no update'); END;
CREATE TRIGGER log_rows_no_replace BEFORE INSERT ON log_rows
WHEN EXISTS (SELECT 1 FROM log_rows WHERE seq = NEW.seq OR (user_no = NEW.user_no AND id = NEW.id))
BEGIN SELECT RAISE(FAIL, 'the change log is append-only: no replace'); END;
CREATE TRIGGER log_rows_no_delete BEFORE DELETE ON log_rows
WHEN NOT EXISTS (SELECT 1 FROM log_tables t JOIN removals r ON r.user_id = t.user_id WHERE t.no = OLD.table_no AND r.done_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no delete'); END;

-- What a row is named by stays as it is.
CREATE TRIGGER log_tables_no_update BEFORE UPDATE ON log_tables
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no update'); END;
CREATE TRIGGER log_tables_no_replace BEFORE INSERT ON log_tables
WHEN EXISTS (SELECT 1 FROM log_tables WHERE no = NEW.no OR (user_id = NEW.user_id AND app_id = NEW.app_id AND table_name = NEW.table_name))
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no replace'); END;
CREATE TRIGGER log_tables_no_delete BEFORE DELETE ON log_tables
WHEN NOT EXISTS (SELECT 1 FROM removals WHERE user_id = OLD.user_id AND done_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no delete'); END;
CREATE TRIGGER log_clients_no_update BEFORE UPDATE ON log_clients
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no update'); END;
CREATE TRIGGER log_clients_no_replace BEFORE INSERT ON log_clients
WHEN EXISTS (SELECT 1 FROM log_clients WHERE no = NEW.no OR (user_no = NEW.user_no AND client_id = NEW.client_id))
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no replace'); END;
CREATE TRIGGER log_clients_no_delete BEFORE DELETE ON log_clients
WHEN NOT EXISTS (SELECT 1 FROM log_tables t JOIN removals r ON r.user_id = t.user_id WHERE t.no = OLD.user_no AND r.done_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no delete'); END;

-- Rows with their names, and with the numbers by which some are found.
CREATE VIEW log_entries AS
SELECT r.seq, r.id, t.app_id, t.table_name, r.record_id, t.user_id, r.space_id, r.op, r.data, r.field_meta,
       (SELECT c.client_id FROM log_clients c WHERE c.no = r.client_no) AS client_id, coalesce(r.created_at, r.sync_at) AS created_at,
       r.sync_at, r.schema_version, r.actor, r.origin, r.app_no, r.projection
FROM log_rows r LEFT JOIN log_tables t ON t.no = r.table_no;

CREATE VIEW sync_changes AS
SELECT seq, id, app_id, table_name, record_id, user_id, space_id, op, data, field_meta, client_id, created_at, sync_at, schema_version, actor,
       origin
FROM log_entries;

CREATE TRIGGER sync_changes_no_update INSTEAD OF UPDATE ON sync_changes
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no update'); END;
CREATE TRIGGER sync_changes_delete INSTEAD OF DELETE ON sync_changes
BEGIN DELETE FROM log_rows WHERE seq = OLD.seq; END;
-- Until all rows have moved, nothing else comes in by the view: an older program that still runs would number its rows by what it
-- sees there.
CREATE TRIGGER sync_changes_moving INSTEAD OF INSERT ON sync_changes
WHEN NOT EXISTS (SELECT 1 FROM old_sync_changes WHERE seq = NEW.seq AND user_id = NEW.user_id AND id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the change log moves into a newer form; stop older programs, and try again later'); END;
-- What no program of ours needs, which writes the numbers itself.
CREATE TRIGGER sync_changes_insert INSTEAD OF INSERT ON sync_changes
BEGIN
    SELECT RAISE(ABORT, 'the change log is append-only: no replace') WHERE EXISTS (
        SELECT 1 FROM log_rows WHERE seq = NEW.seq
        UNION ALL SELECT 1 FROM log_tables t JOIN log_rows r ON r.user_no = t.user_no AND r.id = NEW.id WHERE t.user_id = NEW.user_id);
    INSERT INTO log_tables (no, user_no, app_no, user_id, app_id, table_name)
    SELECT n, coalesce((SELECT user_no FROM log_tables WHERE user_id = NEW.user_id LIMIT 1), n),
           coalesce((SELECT app_no FROM log_tables WHERE user_id = NEW.user_id AND app_id = NEW.app_id LIMIT 1), n),
           NEW.user_id, NEW.app_id, NEW.table_name
    FROM (SELECT coalesce(max(no), 0) + 1 AS n FROM log_tables)
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
