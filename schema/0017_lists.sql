-- What lists search, filter and sort by stands before the record in an index, since the record may be large (docs/design.md,
-- section 9).
ALTER TABLE mission_snapshots ADD COLUMN waiting_since INTEGER;                -- when its oldest plan began to await review
ALTER TABLE mission_snapshots ADD COLUMN title_key TEXT NOT NULL DEFAULT '';   -- the start of its title, in lower case

DROP INDEX mission_snapshots_to_review;
CREATE INDEX mission_snapshots_to_review ON mission_snapshots (user_id, waiting_since, mission_id, awaiting_review)
    WHERE awaiting_review > 0 AND liveness = 'live';
CREATE INDEX mission_snapshots_by_title ON mission_snapshots (user_id, title_key, mission_id, state, agent_id, awaiting_review)
    WHERE liveness = 'live';
CREATE INDEX mission_snapshots_by_time
    ON mission_snapshots (user_id, coalesce(next_run_at, 9223372036854775807), mission_id, title_key, state, agent_id, awaiting_review)
    WHERE liveness = 'live';
CREATE INDEX mission_snapshots_by_change
    ON mission_snapshots (user_id, last_applied_at, mission_id, title_key, state, agent_id, awaiting_review) WHERE liveness = 'live';
CREATE INDEX agent_snapshots_by_state ON agent_snapshots (user_id, state, agent_id) WHERE liveness = 'live';

-- Every snapshot is made again from the log, in batches by the refreshes that follow.
DELETE FROM agent_snapshots;
DELETE FROM mission_snapshots;
UPDATE mission_counts SET missions = 0;
UPDATE projection_cursors SET seq = 0;
