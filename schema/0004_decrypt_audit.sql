-- Every attempt to read an encrypted record, for the user to see (docs/design.md, section 8). Append-only.
CREATE TABLE decrypt_audit (
    id           INTEGER PRIMARY KEY,
    user_id      TEXT    NOT NULL,
    mission_id   TEXT    NOT NULL,
    iteration_id TEXT    NOT NULL,
    table_name   TEXT    NOT NULL,
    record_id    TEXT    NOT NULL,
    status       TEXT    NOT NULL CHECK (status IN ('ok', 'failed', 'scope-violation')),
    reason       TEXT,                                 -- why it was not read
    ts           INTEGER NOT NULL                      -- microseconds
) STRICT;

CREATE INDEX decrypt_audit_user ON decrypt_audit (user_id, id);
CREATE INDEX decrypt_audit_mission ON decrypt_audit (user_id, mission_id, id);

CREATE TRIGGER decrypt_audit_no_update BEFORE UPDATE ON decrypt_audit
BEGIN SELECT RAISE(ABORT, 'decrypt_audit is append-only'); END;

CREATE TRIGGER decrypt_audit_no_delete BEFORE DELETE ON decrypt_audit
BEGIN SELECT RAISE(ABORT, 'decrypt_audit is append-only'); END;

-- REPLACE would delete the old row without asking the trigger above.
CREATE TRIGGER decrypt_audit_no_replace BEFORE INSERT ON decrypt_audit
WHEN EXISTS (SELECT 1 FROM decrypt_audit WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'decrypt_audit is append-only'); END;
