-- Runs: one row per claimed due time of a mission (docs/design.md, section 6).
-- An open run has no outcome; it is claimed by a live process (owner) or waits for its next attempt.
CREATE TABLE runs (
    id              TEXT PRIMARY KEY,            -- also the event id of the row that its write-back appends
    user_id         TEXT    NOT NULL,
    mission_id      TEXT    NOT NULL,
    agent_id        TEXT,
    iteration_id    TEXT    NOT NULL,
    scheduled_for   INTEGER NOT NULL,            -- the mission's nextRunAt, microseconds
    missed_times    INTEGER NOT NULL DEFAULT 0,  -- due times that passed unserved and are covered by this run
    owner           TEXT,                        -- the process that holds the claim
    claimed_at      INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,  -- attempts that failed so far
    interruptions   INTEGER NOT NULL DEFAULT 0,  -- times the claiming process ended before the run did
    next_attempt_at INTEGER,                     -- while it waits
    finished_at     INTEGER,
    outcome         TEXT CHECK (outcome IN ('planned', 'failed', 'dropped')),
    reason          TEXT,                        -- why it waits, failed or was dropped
    note            TEXT,                        -- what else the user should know, such as a broken cadence
    iteration       TEXT                         -- the iteration as written, kept beyond the mission's own list
) STRICT;

CREATE UNIQUE INDEX runs_one_open_per_mission ON runs (user_id, mission_id) WHERE outcome IS NULL;
CREATE INDEX runs_open ON runs (owner, user_id, agent_id) WHERE outcome IS NULL;
CREATE INDEX runs_by_mission ON runs (user_id, mission_id, claimed_at);
CREATE INDEX runs_by_time ON runs (claimed_at);

CREATE TABLE run_attempts (
    run_id            TEXT    NOT NULL REFERENCES runs (id),
    attempt           INTEGER NOT NULL,
    user_id           TEXT    NOT NULL,
    agent_id          TEXT,
    started_at        INTEGER NOT NULL,
    finished_at       INTEGER NOT NULL,
    latency_ms        INTEGER NOT NULL,
    model             TEXT    NOT NULL,
    prompt_version    TEXT    NOT NULL,
    prompt_tokens     INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    total_tokens      INTEGER NOT NULL DEFAULT 0,
    error             TEXT,                      -- null: the attempt gave a plan
    PRIMARY KEY (run_id, attempt)
) STRICT, WITHOUT ROWID;

-- The rolling budget of an agent is one range scan.
CREATE INDEX run_attempts_budget ON run_attempts (user_id, agent_id, finished_at, total_tokens);
