-- What is asked of one mission, one agent or one user reads no others, nor the records of all missions of a user: the columns
-- that would tell them apart stand behind a record that may be large (docs/design.md, section 9).
DROP INDEX runs_by_mission;
CREATE INDEX runs_by_mission ON runs (mission_id, user_id, claimed_at);
CREATE INDEX mission_snapshots_by_id ON mission_snapshots (mission_id, user_id);
CREATE INDEX mission_snapshots_of_agent ON mission_snapshots (user_id, agent_id, mission_id) WHERE liveness = 'live';
CREATE INDEX mission_snapshots_to_review ON mission_snapshots (user_id, mission_id) WHERE awaiting_review > 0 AND liveness = 'live';
