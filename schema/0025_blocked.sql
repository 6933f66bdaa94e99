-- Which missions are blocked, also by a limit of the day or a schedule that cannot be followed, is told by indexes
-- (docs/design.md, section 9).
-- Agents and missions are folded again from the log, as in 0017.
UPDATE facts SET value = max(CAST(value AS INTEGER), coalesce((SELECT seq FROM projection_cursors WHERE table_name = 'aiMissions'), 0))
WHERE name = 'iterations come back after row';
DELETE FROM agent_snapshots;
DELETE FROM mission_snapshots;
UPDATE mission_counts SET missions = 0;
UPDATE projection_cursors SET seq = 0;

ALTER TABLE agent_snapshots ADD COLUMN max_tokens INTEGER;           -- of a day; null: no limit
CREATE INDEX agent_snapshots_limited ON agent_snapshots (user_id, agent_id, max_tokens) WHERE liveness = 'live' AND max_tokens IS NOT NULL;

ALTER TABLE mission_snapshots ADD COLUMN bad_schedule INTEGER NOT NULL DEFAULT 0;    -- 1: its schedule cannot be followed, it has no time
CREATE INDEX mission_snapshots_bad_schedule ON mission_snapshots (user_id, mission_id) WHERE bad_schedule = 1;
DROP INDEX mission_snapshots_of_agent;
CREATE INDEX mission_snapshots_of_agent ON mission_snapshots (user_id, agent_id, mission_id, state) WHERE liveness = 'live';
DROP INDEX mission_snapshots_by_title;
CREATE INDEX mission_snapshots_by_title
    ON mission_snapshots (user_id, title_key, mission_id, state, agent_id, awaiting_review, bad_schedule) WHERE liveness = 'live';
DROP INDEX mission_snapshots_by_time;
CREATE INDEX mission_snapshots_by_time
    ON mission_snapshots (user_id, next_key, mission_id, title_key, state, agent_id, awaiting_review, bad_schedule) WHERE liveness = 'live';
DROP INDEX mission_snapshots_by_change;
CREATE INDEX mission_snapshots_by_change
    ON mission_snapshots (user_id, last_applied_at, mission_id, title_key, state, agent_id, awaiting_review, bad_schedule)
    WHERE liveness = 'live';
