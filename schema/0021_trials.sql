-- What trials of agents took: no run stands behind them, and they count in the budgets of a day.
CREATE TABLE trials (
    user_id      TEXT    NOT NULL,
    agent_id     TEXT    NOT NULL,
    finished_at  INTEGER NOT NULL,               -- microseconds
    total_tokens INTEGER NOT NULL,
    calls        INTEGER NOT NULL
) STRICT;
CREATE INDEX trials_of_agent ON trials (user_id, agent_id, finished_at, total_tokens);
CREATE INDEX trials_of_user ON trials (user_id, finished_at, total_tokens, calls);
CREATE TRIGGER trials_of_removed BEFORE INSERT ON trials
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
