-- What decides about a mission without a look into its record (docs/design.md, section 6).
ALTER TABLE mission_snapshots ADD COLUMN awaiting_review INTEGER NOT NULL DEFAULT 0;  -- plans that await review
ALTER TABLE mission_snapshots ADD COLUMN client_active_at INTEGER;   -- when a client that runs it itself was last heard of
ALTER TABLE mission_snapshots ADD COLUMN unscheduled INTEGER NOT NULL DEFAULT 0;      -- 1: its schedule has times, it has none

DROP INDEX mission_snapshots_due;
CREATE INDEX mission_snapshots_due
    ON mission_snapshots (next_run_at, user_id, mission_id, agent_id, awaiting_review, client_active_at, state, liveness)
    WHERE state = 'active' AND liveness = 'live' AND next_run_at IS NOT NULL;
CREATE INDEX mission_snapshots_unscheduled ON mission_snapshots (user_id, mission_id) WHERE unscheduled = 1;

-- When the model was asked by the process that holds the claim: a claim that ends without a word then counts as an attempt.
ALTER TABLE runs ADD COLUMN asked_at INTEGER;

-- Runs that a clock ended that was ahead are found without a look at the others.
CREATE INDEX runs_by_end ON runs (finished_at, id) WHERE finished_at IS NOT NULL;

-- Calls of the model that an attempt took; a user's day is one range scan.
ALTER TABLE run_attempts ADD COLUMN calls INTEGER NOT NULL DEFAULT 1;
DROP INDEX run_attempts_user;
CREATE INDEX run_attempts_user ON run_attempts (user_id, finished_at, total_tokens, calls);
