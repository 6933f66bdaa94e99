-- Tokens of a user by the quarter of an hour (in UTC, counted from 1970) in which the model answered: the days of every zone begin with
-- one. Those of trials count too, here and in the days of agents. It follows from run_attempts and trials.
CREATE TABLE user_quarters (
    user_id TEXT    NOT NULL,
    quarter INTEGER NOT NULL,
    tokens  INTEGER NOT NULL,
    PRIMARY KEY (user_id, quarter)
) STRICT, WITHOUT ROWID;
INSERT INTO user_quarters (user_id, quarter, tokens)
SELECT user_id, finished_at / 900000000, sum(min(max(total_tokens, 0), 1000000000))
FROM (SELECT user_id, finished_at, total_tokens FROM run_attempts UNION ALL SELECT user_id, finished_at, total_tokens FROM trials)
WHERE total_tokens > 0 GROUP BY 1, 2;
CREATE TRIGGER user_quarters_of_removed BEFORE INSERT ON user_quarters
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;

INSERT INTO agent_days (user_id, day, agent_id, tokens)
SELECT user_id, finished_at / 86400000000, agent_id, sum(min(max(total_tokens, 0), 1000000000)) FROM trials WHERE total_tokens > 0 GROUP BY 1, 2, 3
ON CONFLICT (user_id, day, agent_id) DO UPDATE SET tokens = tokens + excluded.tokens;
