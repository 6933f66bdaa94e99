-- Runs of one agent, and of one outcome, without a look at the others.
CREATE INDEX runs_by_agent ON runs (user_id, agent_id, claimed_at);
CREATE INDEX runs_by_outcome ON runs (user_id, outcome, claimed_at);

-- How the runs of a day ended; what was decided in each tick counted the same mission over and over.
DROP INDEX runs_by_user;
CREATE INDEX runs_by_user ON runs (user_id, claimed_at, outcome);
DROP TABLE decision_counts;

-- Missions by their next time, those without one last.
ALTER TABLE mission_snapshots ADD COLUMN next_key INTEGER NOT NULL DEFAULT 9223372036854775807;
UPDATE mission_snapshots SET next_key = next_run_at WHERE next_run_at IS NOT NULL;
DROP INDEX mission_snapshots_by_time;
CREATE INDEX mission_snapshots_by_time ON mission_snapshots (user_id, next_key, mission_id, title_key, state, agent_id, awaiting_review)
    WHERE liveness = 'live';
