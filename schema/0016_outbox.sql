-- Calls of tools that leave this machine. A row is committed before its call is made, and closed after it (docs/design.md,
-- section 13.1).
CREATE TABLE outbox (
    user_id      TEXT    NOT NULL,
    mission_id   TEXT    NOT NULL,
    iteration_id TEXT    NOT NULL,
    step_id      TEXT    NOT NULL,
    tool         TEXT    NOT NULL,
    body         TEXT    NOT NULL,              -- JSON; empty once the call has ended
    tries        TEXT    NOT NULL DEFAULT '[]', -- JSON: when each failed, and why
    tried        INTEGER NOT NULL DEFAULT 0,
    next_at      INTEGER,                       -- microseconds; null: it has ended
    owner        TEXT,                          -- the process that makes the call right now
    PRIMARY KEY (user_id, mission_id, iteration_id, step_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_waiting ON outbox (next_at) WHERE next_at IS NOT NULL AND owner IS NULL;
CREATE INDEX outbox_held ON outbox (owner) WHERE owner IS NOT NULL;

-- Steps that were carried out without review, as long as they count.
CREATE TABLE automatic_steps (
    user_id  TEXT    NOT NULL,
    agent_id TEXT    NOT NULL,
    tool     TEXT    NOT NULL,
    at       INTEGER NOT NULL                   -- microseconds
) STRICT;
CREATE INDEX automatic_steps_of_tool ON automatic_steps (user_id, agent_id, tool, at);
