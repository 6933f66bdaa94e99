-- For the list of agents by their last change.
CREATE INDEX agent_snapshots_by_change ON agent_snapshots (user_id, last_applied_at, agent_id, name_key, state) WHERE liveness = 'live';
