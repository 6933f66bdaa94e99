-- Iterations of this program that a client's write took out of a mission's record, as they last stood there; the next tick
-- puts them back (docs/design.md, section 6).
CREATE TABLE lost_iterations (
    user_id      TEXT NOT NULL,
    mission_id   TEXT NOT NULL,
    iteration_id TEXT NOT NULL,
    iteration    TEXT NOT NULL,
    PRIMARY KEY (user_id, mission_id, iteration_id)
) STRICT, WITHOUT ROWID;

-- When an iteration left its mission's record by the bounds of section 6, and how often it came back after a client's write.
ALTER TABLE runs ADD COLUMN superseded_at INTEGER;
ALTER TABLE runs ADD COLUMN restored INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_by_iteration ON runs (iteration_id);

-- What was lost before, and what left a record when that was not yet noted, stays where it is.
INSERT INTO facts (name, value) SELECT 'iterations come back after row', coalesce(max(seq), 0) FROM sync_changes;
