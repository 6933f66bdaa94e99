-- Event ids are unique per user, so that one user's id never hides another user's row; an origin is any text
-- (docs/design.md, section 2). SQLite takes neither away from a table, so the log is written anew.
CREATE TABLE sync_changes_anew (
    seq            INTEGER PRIMARY KEY,          -- position in the log, in commit order
    id             TEXT    NOT NULL,             -- event id, a UUID, unique per user
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
    origin         TEXT,
    UNIQUE (user_id, id)
) STRICT;

INSERT INTO sync_changes_anew (seq, id, app_id, table_name, record_id, user_id, space_id, op, data, field_meta, client_id,
    created_at, sync_at, schema_version, actor, origin)
SELECT seq, id, app_id, table_name, record_id, user_id, space_id, op, data, field_meta, client_id,
    created_at, sync_at, schema_version, actor, origin FROM sync_changes ORDER BY seq;

-- Its indexes and triggers go with it.
DROP TABLE sync_changes;
ALTER TABLE sync_changes_anew RENAME TO sync_changes;

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

-- A record of one user is read without a look at other users' records of the same id.
CREATE INDEX sync_changes_user_record ON sync_changes (user_id, app_id, table_name, record_id);

CREATE TRIGGER sync_changes_no_update BEFORE UPDATE ON sync_changes
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no update'); END;

CREATE TRIGGER sync_changes_no_delete BEFORE DELETE ON sync_changes
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no delete'); END;

-- REPLACE would delete the old row without asking the trigger above.
CREATE TRIGGER sync_changes_no_replace BEFORE INSERT ON sync_changes
WHEN EXISTS (SELECT 1 FROM sync_changes WHERE seq = NEW.seq OR (user_id = NEW.user_id AND id = NEW.id))
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no replace'); END;
