-- What pages tell of months, and lists of records, without a look at every row (docs/design.md, section 9).

-- Steps that somebody decided, as the rows of their missions tell; the projection of missions notes them.
CREATE TABLE decided_steps (
    user_id      TEXT    NOT NULL,
    mission_id   TEXT    NOT NULL,
    iteration_id TEXT    NOT NULL,
    step_id      TEXT    NOT NULL,
    at           INTEGER NOT NULL,               -- when the row was written that decided it, microseconds
    verdict      TEXT    NOT NULL CHECK (verdict IN ('approved', 'rejected', 'taken back')),
    agent_id     TEXT    NOT NULL,               -- the agent of the mission then; empty: none
    tool         TEXT    NOT NULL,
    summary      TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    PRIMARY KEY (user_id, mission_id, iteration_id, step_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX decided_steps_by_time ON decided_steps (user_id, at, verdict, agent_id);
CREATE INDEX decided_steps_against ON decided_steps (user_id, at) WHERE verdict <> 'approved';

-- Tokens by the day (in UTC, counted from 1970) in which the model answered; follows from run_attempts.
CREATE TABLE agent_days (
    user_id  TEXT    NOT NULL,
    day      INTEGER NOT NULL,
    agent_id TEXT    NOT NULL,                   -- empty: none
    tokens   INTEGER NOT NULL,
    PRIMARY KEY (user_id, day, agent_id)
) STRICT, WITHOUT ROWID;
INSERT INTO agent_days (user_id, day, agent_id, tokens)
SELECT user_id, finished_at / 86400000000, coalesce(agent_id, ''), sum(min(max(total_tokens, 0), 1000000000)) FROM run_attempts WHERE total_tokens > 0 GROUP BY 1, 2, 3;

CREATE TABLE mission_days (
    user_id    TEXT    NOT NULL,
    mission_id TEXT    NOT NULL,
    day        INTEGER NOT NULL,
    tokens     INTEGER NOT NULL,
    PRIMARY KEY (user_id, mission_id, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX mission_days_by_day ON mission_days (user_id, day, tokens);
INSERT INTO mission_days (user_id, mission_id, day, tokens)
SELECT a.user_id, r.mission_id, a.finished_at / 86400000000, sum(min(max(a.total_tokens, 0), 1000000000))
FROM run_attempts a JOIN runs r ON r.id = a.run_id WHERE a.total_tokens > 0 GROUP BY 1, 2, 3;

-- Agents by name; what was deleted, the last first.
ALTER TABLE agent_snapshots ADD COLUMN name_key TEXT NOT NULL DEFAULT '';  -- its name in lower case
CREATE INDEX agent_snapshots_by_name ON agent_snapshots (user_id, name_key, agent_id, state) WHERE liveness = 'live';
DROP INDEX agent_snapshots_applied;                -- nobody asks for agents by the time of their change but here
CREATE INDEX agent_snapshots_deleted ON agent_snapshots (user_id, last_applied_at, agent_id) WHERE liveness = 'deleted';
CREATE INDEX mission_snapshots_deleted ON mission_snapshots (user_id, last_applied_at, mission_id) WHERE liveness = 'deleted';

-- What lists show of the records of a table, as far as its log was read: up to `read_to`, a sync_at. It is made where somebody
-- looks at the table, and again where the description of the table changed.
CREATE TABLE record_lists (
    user_id    TEXT    NOT NULL,
    app_id     TEXT    NOT NULL,
    table_name TEXT    NOT NULL,
    shape      TEXT    NOT NULL,                 -- what cards are made of
    read_to    INTEGER NOT NULL,
    PRIMARY KEY (user_id, app_id, table_name)
) STRICT, WITHOUT ROWID;

CREATE TABLE record_cards (
    user_id    TEXT    NOT NULL,
    app_id     TEXT    NOT NULL,
    table_name TEXT    NOT NULL,
    record_id  TEXT    NOT NULL,
    changed_at INTEGER NOT NULL,                 -- the sync_at of its last row
    deleted    INTEGER NOT NULL,                 -- 1: it can be brought back
    owned_id   TEXT,                             -- the record that belongs to it
    title_key  TEXT    NOT NULL,                 -- the start of its title, in lower case
    day_key    TEXT    NOT NULL,                 -- its day or time; empty: none
    facets     TEXT    NOT NULL,                 -- its choices and flags, as `|field=value|…|`
    shown      TEXT    NOT NULL,                 -- JSON: the fields that a list shows, cut
    search     TEXT    NOT NULL,                 -- the start of its title and text, in lower case
    PRIMARY KEY (user_id, app_id, table_name, record_id)
) STRICT;
CREATE INDEX record_cards_by_change ON record_cards (user_id, app_id, table_name, changed_at, record_id, facets) WHERE deleted = 0;
CREATE INDEX record_cards_by_title ON record_cards (user_id, app_id, table_name, title_key, record_id, facets) WHERE deleted = 0;
CREATE INDEX record_cards_by_day ON record_cards (user_id, app_id, table_name, day_key, record_id, facets) WHERE deleted = 0;
CREATE INDEX record_cards_deleted ON record_cards (user_id, changed_at, app_id, table_name, record_id) WHERE deleted = 1;
CREATE INDEX record_cards_owned ON record_cards (user_id, app_id, table_name, owned_id) WHERE owned_id IS NOT NULL;

-- Nothing comes in of somebody who was removed.
CREATE TRIGGER decided_steps_of_removed BEFORE INSERT ON decided_steps
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER agent_days_of_removed BEFORE INSERT ON agent_days
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER mission_days_of_removed BEFORE INSERT ON mission_days
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER record_lists_of_removed BEFORE INSERT ON record_lists
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER record_cards_of_removed BEFORE INSERT ON record_cards
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;

-- Agents and missions are folded again from the log, as in 0017.
UPDATE facts SET value = max(CAST(value AS INTEGER), coalesce((SELECT seq FROM projection_cursors WHERE table_name = 'aiMissions'), 0))
WHERE name = 'iterations come back after row';
DELETE FROM agent_snapshots;
DELETE FROM mission_snapshots;
UPDATE mission_counts SET missions = 0;
UPDATE projection_cursors SET seq = 0;
