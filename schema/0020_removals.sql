-- People who were removed, or are being removed: nothing of theirs comes in any more, and only theirs leaves the log.
CREATE TABLE removals (
    user_id  TEXT PRIMARY KEY,
    asked_at INTEGER NOT NULL,                   -- microseconds
    done_at  INTEGER                             -- null: it is under way
) STRICT, WITHOUT ROWID;

-- How far the log had come when a removal began: its next row comes after, also where the last ones are gone.
CREATE TABLE log_end (
    seq     INTEGER NOT NULL,
    sync_at INTEGER NOT NULL
) STRICT;
INSERT INTO log_end (seq, sync_at) VALUES (0, 0);

DROP TRIGGER sync_changes_no_delete;
CREATE TRIGGER sync_changes_no_delete BEFORE DELETE ON sync_changes
WHEN NOT EXISTS (SELECT 1 FROM removals WHERE user_id = OLD.user_id AND done_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no delete'); END;

DROP TRIGGER decrypt_audit_no_delete;
CREATE TRIGGER decrypt_audit_no_delete BEFORE DELETE ON decrypt_audit
WHEN NOT EXISTS (SELECT 1 FROM removals WHERE user_id = OLD.user_id AND done_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'decrypt_audit is append-only'); END;

-- What a run under way still tells of somebody who was removed has no place any more.
CREATE TRIGGER runs_of_removed BEFORE INSERT ON runs
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER run_attempts_of_removed BEFORE INSERT ON run_attempts
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER decrypt_audit_of_removed BEFORE INSERT ON decrypt_audit
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER lost_iterations_of_removed BEFORE INSERT ON lost_iterations
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER grant_ends_of_removed BEFORE INSERT ON grant_ends
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER outbox_of_removed BEFORE INSERT ON outbox
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER automatic_steps_of_removed BEFORE INSERT ON automatic_steps
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER preferences_of_removed BEFORE INSERT ON preferences
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
