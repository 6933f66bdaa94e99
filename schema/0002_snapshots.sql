-- Snapshots: the folded state of agents and missions (docs/design.md, section 4).
-- liveness: 'live'; 'deleted' by a deletedAt, may come back; 'ended' by a delete, for good.
CREATE TABLE agent_snapshots (
    user_id         TEXT    NOT NULL,
    agent_id        TEXT    NOT NULL,
    record          TEXT    NOT NULL,
    field_meta      TEXT    NOT NULL,
    liveness        TEXT    NOT NULL CHECK (liveness IN ('live', 'deleted', 'ended')),
    state           TEXT    NOT NULL,
    last_seq        INTEGER NOT NULL,            -- the last log row folded in
    last_applied_at INTEGER NOT NULL,            -- its sync_at
    updated_at      INTEGER NOT NULL,            -- when it was folded in
    PRIMARY KEY (user_id, agent_id)
) STRICT;

CREATE INDEX agent_snapshots_applied ON agent_snapshots (user_id, last_applied_at);
CREATE INDEX agent_snapshots_active ON agent_snapshots (user_id, state)
    WHERE state = 'active' AND liveness = 'live';

CREATE TABLE mission_snapshots (
    user_id         TEXT    NOT NULL,
    mission_id      TEXT    NOT NULL,
    record          TEXT    NOT NULL,
    field_meta      TEXT    NOT NULL,
    liveness        TEXT    NOT NULL CHECK (liveness IN ('live', 'deleted', 'ended')),
    state           TEXT    NOT NULL,
    agent_id        TEXT,
    next_run_at     INTEGER,                     -- microseconds; null: not scheduled
    last_seq        INTEGER NOT NULL,
    last_applied_at INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    PRIMARY KEY (user_id, mission_id)
) STRICT;

CREATE INDEX mission_snapshots_applied ON mission_snapshots (user_id, last_applied_at);
CREATE INDEX mission_snapshots_due ON mission_snapshots (next_run_at, user_id, mission_id, agent_id, state, liveness)
    WHERE state = 'active' AND liveness = 'live' AND next_run_at IS NOT NULL;

-- How far each projection has read the log.
CREATE TABLE projection_cursors (
    table_name TEXT PRIMARY KEY,
    seq        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO projection_cursors (table_name, seq) VALUES ('agents', 0), ('aiMissions', 0);

-- Live missions by state, kept by triggers so that a scrape never counts a million rows.
CREATE TABLE mission_counts (
    state    TEXT PRIMARY KEY,
    missions INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO mission_counts (state, missions) VALUES ('active', 0), ('paused', 0), ('done', 0), ('archived', 0), ('unknown', 0);

CREATE TRIGGER mission_counts_insert AFTER INSERT ON mission_snapshots WHEN NEW.liveness = 'live'
BEGIN UPDATE mission_counts SET missions = missions + 1 WHERE state = NEW.state; END;

CREATE TRIGGER mission_counts_update AFTER UPDATE OF state, liveness ON mission_snapshots
WHEN OLD.state <> NEW.state OR OLD.liveness <> NEW.liveness
BEGIN
    UPDATE mission_counts SET missions = missions - 1 WHERE state = OLD.state AND OLD.liveness = 'live';
    UPDATE mission_counts SET missions = missions + 1 WHERE state = NEW.state AND NEW.liveness = 'live';
END;
