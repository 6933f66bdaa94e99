-- The change log: one row per change of one record, append-only (docs/design.md, section 2).
CREATE TABLE sync_changes (
    seq            INTEGER PRIMARY KEY,          -- position in the log, in commit order
    id             TEXT    NOT NULL UNIQUE,      -- event id, a UUID
    app_id         TEXT    NOT NULL CHECK (app_id <> ''),
    table_name     TEXT    NOT NULL CHECK (table_name <> ''),
    record_id      TEXT    NOT NULL CHECK (record_id <> ''),
    user_id        TEXT    NOT NULL CHECK (user_id <> ''),
    space_id       TEXT,
    op             TEXT    NOT NULL CHECK (op IN ('insert', 'update', 'delete')),
    data           TEXT,                         -- JSON object or null
    field_meta     TEXT    NOT NULL DEFAULT '{}',-- JSON object: field -> ISO time of the client's write
    client_id      TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,             -- microseconds since the epoch, UTC; an import keeps it
    sync_at        INTEGER NOT NULL,             -- microseconds, strictly increasing with seq
    schema_version INTEGER NOT NULL DEFAULT 1,
    actor          TEXT,                         -- JSON object or null
    origin         TEXT CHECK (origin IN ('user', 'agent', 'system', 'migration'))
) STRICT;

CREATE INDEX sync_changes_user_app ON sync_changes (user_id, app_id, created_at);
CREATE INDEX sync_changes_record ON sync_changes (table_name, record_id, created_at);
CREATE INDEX sync_changes_user_app_table ON sync_changes (user_id, app_id, table_name, created_at);
CREATE INDEX sync_changes_space ON sync_changes (user_id, space_id, app_id, created_at) WHERE space_id IS NOT NULL;

-- Pulls continue from sync_at: one for a whole app, one for a single table.
CREATE INDEX sync_changes_pull_app ON sync_changes (user_id, app_id, sync_at);
CREATE INDEX sync_changes_pull_table ON sync_changes (user_id, app_id, table_name, sync_at);

-- Projections read only new rows of the tables that they project.
CREATE INDEX sync_changes_projected ON sync_changes (table_name, seq)
    WHERE app_id = 'ai' AND table_name IN ('agents', 'aiMissions');

CREATE TRIGGER sync_changes_no_update BEFORE UPDATE ON sync_changes
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no update'); END;

CREATE TRIGGER sync_changes_no_delete BEFORE DELETE ON sync_changes
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no delete'); END;

-- REPLACE would delete the old row without asking the trigger above.
CREATE TRIGGER sync_changes_no_replace BEFORE INSERT ON sync_changes
WHEN EXISTS (SELECT 1 FROM sync_changes WHERE seq = NEW.seq OR id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no replace'); END;

-- Small facts about this database, such as which fixtures it was made from.
CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
