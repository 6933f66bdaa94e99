-- Sign-in to the workbench. Codes and session keys are kept as SHA-256 only.
CREATE TABLE sign_in_links (
    code_hash  BLOB PRIMARY KEY,
    user_id    TEXT,                             -- null: whoever comes may choose
    expires_at INTEGER NOT NULL,
    used       INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    key_hash   BLOB PRIMARY KEY,
    user_id    TEXT,                             -- null until a user was chosen
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What became of due missions, by user and hour: why nothing was done is worth as much as what was.
CREATE TABLE decision_counts (
    user_id  TEXT    NOT NULL,
    hour     INTEGER NOT NULL,                   -- its start, microseconds
    decision TEXT    NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (user_id, hour, decision)
) STRICT, WITHOUT ROWID;

-- What a user waits for next, and what a day of that user took.
CREATE INDEX mission_snapshots_next ON mission_snapshots (user_id, next_run_at)
    WHERE state = 'active' AND liveness = 'live' AND next_run_at IS NOT NULL;
CREATE INDEX run_attempts_user ON run_attempts (user_id, finished_at, total_tokens);
CREATE INDEX runs_by_user ON runs (user_id, claimed_at);
