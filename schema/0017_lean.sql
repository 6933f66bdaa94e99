-- Fewer indexes, and snapshots that are laid out for their readers (docs/design.md, sections 2 and 4).

-- What was lost up to here is noted already, and is not to be noted again when the rows are folded again.
UPDATE facts SET value = max(CAST(value AS INTEGER), coalesce((SELECT seq FROM projection_cursors WHERE table_name = 'aiMissions'), 0))
WHERE name = 'iterations come back after row';

-- What lists and decisions need stands before the record, which may be large, and no query looks into its text. Snapshots are
-- made again from the log: the refreshes that follow do it in batches, and go on after a crash where they stopped.
DROP TABLE agent_snapshots;
CREATE TABLE agent_snapshots (
    user_id         TEXT    NOT NULL,
    agent_id        TEXT    NOT NULL,
    last_seq        INTEGER NOT NULL,            -- the last log row folded in
    last_applied_at INTEGER NOT NULL,            -- its sync_at
    updated_at      INTEGER NOT NULL,            -- when it was folded in
    liveness        TEXT    NOT NULL CHECK (liveness IN ('live', 'deleted', 'ended')),
    state           TEXT    NOT NULL,
    name            TEXT    NOT NULL,            -- the starts of texts that lists show
    role            TEXT    NOT NULL,
    avatar          TEXT    NOT NULL,
    field_meta      TEXT    NOT NULL,
    record          TEXT    NOT NULL,
    PRIMARY KEY (user_id, agent_id)
) STRICT;

CREATE INDEX agent_snapshots_applied ON agent_snapshots (user_id, last_applied_at);
CREATE INDEX agent_snapshots_by_state ON agent_snapshots (user_id, state, agent_id) WHERE liveness = 'live';

-- Its indexes and triggers go with it.
DROP TABLE mission_snapshots;
CREATE TABLE mission_snapshots (
    user_id          TEXT    NOT NULL,
    mission_id       TEXT    NOT NULL,
    last_seq         INTEGER NOT NULL,
    last_applied_at  INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    liveness         TEXT    NOT NULL CHECK (liveness IN ('live', 'deleted', 'ended')),
    state            TEXT    NOT NULL,
    agent_id         TEXT,
    next_run_at      INTEGER,                    -- microseconds; null: not scheduled
    awaiting_review  INTEGER NOT NULL,           -- plans that await review
    client_active_at INTEGER,                    -- when a client that runs it itself was last heard of
    unscheduled      INTEGER NOT NULL,           -- 1: its schedule has times, it has none
    waiting_since    INTEGER,                    -- when its oldest plan began to await review
    title_key        TEXT    NOT NULL,           -- the start of its title, in lower case
    next_key         INTEGER NOT NULL,           -- its next time; the last of all where there is none
    title            TEXT    NOT NULL,
    objective        TEXT    NOT NULL,
    field_meta       TEXT    NOT NULL,
    record           TEXT    NOT NULL,
    PRIMARY KEY (user_id, mission_id)
) STRICT;

CREATE INDEX mission_snapshots_due
    ON mission_snapshots (next_run_at, user_id, mission_id, agent_id, awaiting_review, client_active_at, state, liveness)
    WHERE state = 'active' AND liveness = 'live' AND next_run_at IS NOT NULL;
CREATE INDEX mission_snapshots_next ON mission_snapshots (user_id, next_run_at)
    WHERE state = 'active' AND liveness = 'live' AND next_run_at IS NOT NULL;
CREATE INDEX mission_snapshots_unscheduled ON mission_snapshots (user_id, mission_id) WHERE unscheduled = 1;
CREATE INDEX mission_snapshots_by_id ON mission_snapshots (mission_id, user_id);
CREATE INDEX mission_snapshots_of_agent ON mission_snapshots (user_id, agent_id, mission_id) WHERE liveness = 'live';
CREATE INDEX mission_snapshots_to_review ON mission_snapshots (user_id, waiting_since, mission_id, awaiting_review)
    WHERE awaiting_review > 0 AND liveness = 'live';
CREATE INDEX mission_snapshots_by_title ON mission_snapshots (user_id, title_key, mission_id, state, agent_id, awaiting_review)
    WHERE liveness = 'live';
CREATE INDEX mission_snapshots_by_time ON mission_snapshots (user_id, next_key, mission_id, title_key, state, agent_id, awaiting_review)
    WHERE liveness = 'live';
CREATE INDEX mission_snapshots_by_change
    ON mission_snapshots (user_id, last_applied_at, mission_id, title_key, state, agent_id, awaiting_review) WHERE liveness = 'live';

UPDATE mission_counts SET missions = 0;
UPDATE projection_cursors SET seq = 0;

-- The ones by sync_at serve the same questions: for rows that were taken in here, both times are one.
DROP INDEX sync_changes_user_app;
DROP INDEX sync_changes_record;
DROP INDEX sync_changes_user_app_table;
DROP INDEX sync_changes_space;

-- FAIL undoes nothing that a statement did before, so SQLite keeps no journal for it; a single row was not written yet.
DROP TRIGGER sync_changes_no_replace;
CREATE TRIGGER sync_changes_no_replace BEFORE INSERT ON sync_changes
WHEN EXISTS (SELECT 1 FROM sync_changes WHERE seq = NEW.seq OR (user_id = NEW.user_id AND id = NEW.id))
BEGIN SELECT RAISE(FAIL, 'the change log is append-only: no replace'); END;
