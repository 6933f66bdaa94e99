-- Runs of one agent, and of one outcome, without a look at the others.
CREATE INDEX runs_by_agent ON runs (user_id, agent_id, claimed_at);
CREATE INDEX runs_by_outcome ON runs (user_id, outcome, claimed_at);

-- How the runs of a day ended; what was decided in each tick counted the same mission over and over.
DROP INDEX runs_by_user;
CREATE INDEX runs_by_user ON runs (user_id, claimed_at, outcome);
DROP TABLE decision_counts;
