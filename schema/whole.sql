-- What all migrations make together. It is written by a test: MANA_WRITE_README=1 cargo test --lib a_new_database

CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE projection_cursors (
    table_name TEXT PRIMARY KEY,
    seq        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE mission_counts (
    state    TEXT PRIMARY KEY,
    missions INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE runs (
    id              TEXT PRIMARY KEY,            -- also the event id of the row that its write-back appends
    user_id         TEXT    NOT NULL,
    mission_id      TEXT    NOT NULL,
    agent_id        TEXT,
    iteration_id    TEXT    NOT NULL,
    scheduled_for   INTEGER NOT NULL,            -- the mission's nextRunAt, microseconds
    missed_times    INTEGER NOT NULL DEFAULT 0,  -- due times that passed unserved and are covered by this run
    owner           TEXT,                        -- the process that holds the claim
    claimed_at      INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,  -- attempts that failed so far
    interruptions   INTEGER NOT NULL DEFAULT 0,  -- times the claiming process ended before the run did
    next_attempt_at INTEGER,                     -- while it waits
    finished_at     INTEGER,
    outcome         TEXT CHECK (outcome IN ('planned', 'failed', 'dropped')),
    reason          TEXT,                        -- why it waits, failed or was dropped
    note            TEXT,                        -- what else the user should know, such as a broken cadence
    iteration       TEXT                         -- the iteration as written, kept beyond the mission's own list
, superseded_at INTEGER, restored INTEGER NOT NULL DEFAULT 0, asked_at INTEGER, said TEXT) STRICT;
CREATE UNIQUE INDEX runs_one_open_per_mission ON runs (user_id, mission_id) WHERE outcome IS NULL;
CREATE INDEX runs_open ON runs (owner, user_id, agent_id) WHERE outcome IS NULL;
CREATE INDEX runs_by_time ON runs (claimed_at);
CREATE INDEX runs_by_iteration ON runs (iteration_id);
CREATE INDEX runs_by_end ON runs (finished_at, id) WHERE finished_at IS NOT NULL;
CREATE INDEX runs_by_mission ON runs (mission_id, user_id, claimed_at);
CREATE INDEX runs_by_agent ON runs (user_id, agent_id, claimed_at);
CREATE INDEX runs_by_outcome ON runs (user_id, outcome, claimed_at);
CREATE INDEX runs_by_user ON runs (user_id, claimed_at, outcome);
CREATE TRIGGER runs_of_removed BEFORE INSERT ON runs
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TABLE run_attempts (
    run_id            TEXT    NOT NULL REFERENCES runs (id),
    attempt           INTEGER NOT NULL,
    user_id           TEXT    NOT NULL,
    agent_id          TEXT,
    started_at        INTEGER NOT NULL,
    finished_at       INTEGER NOT NULL,
    latency_ms        INTEGER NOT NULL,
    model             TEXT    NOT NULL,
    prompt_version    TEXT    NOT NULL,
    prompt_tokens     INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    total_tokens      INTEGER NOT NULL DEFAULT 0,
    error             TEXT, prompt_chars INTEGER NOT NULL DEFAULT 0, calls INTEGER NOT NULL DEFAULT 1, error_name TEXT, rounds TEXT, inputs INTEGER, log_seq INTEGER,                      -- null: the attempt gave a plan
    PRIMARY KEY (run_id, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_attempts_budget ON run_attempts (user_id, agent_id, finished_at, total_tokens);
CREATE INDEX run_attempts_user ON run_attempts (user_id, finished_at, total_tokens, calls);
CREATE TRIGGER run_attempts_of_removed BEFORE INSERT ON run_attempts
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TABLE decrypt_audit (
    id           INTEGER PRIMARY KEY,
    user_id      TEXT    NOT NULL,
    mission_id   TEXT    NOT NULL,
    iteration_id TEXT    NOT NULL,
    table_name   TEXT    NOT NULL,
    record_id    TEXT    NOT NULL,
    status       TEXT    NOT NULL CHECK (status IN ('ok', 'failed', 'scope-violation')),
    reason       TEXT,                                 -- why it was not read
    ts           INTEGER NOT NULL                      -- microseconds
) STRICT;
CREATE INDEX decrypt_audit_user ON decrypt_audit (user_id, id);
CREATE INDEX decrypt_audit_mission ON decrypt_audit (user_id, mission_id, id);
CREATE TRIGGER decrypt_audit_no_update BEFORE UPDATE ON decrypt_audit
BEGIN SELECT RAISE(ABORT, 'decrypt_audit is append-only'); END;
CREATE TRIGGER decrypt_audit_no_replace BEFORE INSERT ON decrypt_audit
WHEN EXISTS (SELECT 1 FROM decrypt_audit WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'decrypt_audit is append-only'); END;
CREATE TRIGGER decrypt_audit_no_delete BEFORE DELETE ON decrypt_audit
WHEN NOT EXISTS (SELECT 1 FROM removals WHERE user_id = OLD.user_id AND done_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'decrypt_audit is append-only'); END;
CREATE TRIGGER decrypt_audit_of_removed BEFORE INSERT ON decrypt_audit
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TABLE sign_in_links (
    code_hash  BLOB PRIMARY KEY,
    user_id    TEXT,                             -- null: whoever comes may choose
    expires_at INTEGER NOT NULL,
    used       INTEGER NOT NULL DEFAULT 0
, signing_key TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;
CREATE TABLE sessions (
    key_hash   BLOB PRIMARY KEY,
    user_id    TEXT,                             -- null until a user was chosen
    expires_at INTEGER NOT NULL
, signing_key TEXT NOT NULL DEFAULT '', created_at INTEGER NOT NULL DEFAULT 0, browser TEXT NOT NULL DEFAULT '', system TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;
CREATE TABLE lost_iterations (
    user_id      TEXT NOT NULL,
    mission_id   TEXT NOT NULL,
    iteration_id TEXT NOT NULL,
    iteration    TEXT NOT NULL,
    PRIMARY KEY (user_id, mission_id, iteration_id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER lost_iterations_of_removed BEFORE INSERT ON lost_iterations
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TABLE user_log (
    user_id TEXT PRIMARY KEY,
    rows    INTEGER NOT NULL,
    bytes   INTEGER NOT NULL                     -- of data, field_meta and actor
) STRICT, WITHOUT ROWID;
CREATE TABLE grant_ends (
    user_id     TEXT    NOT NULL,
    wrapped_key BLOB    NOT NULL,
    ends_at     INTEGER NOT NULL,   -- microseconds
    PRIMARY KEY (user_id, wrapped_key)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER grant_ends_of_removed BEFORE INSERT ON grant_ends
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
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
CREATE TRIGGER outbox_of_removed BEFORE INSERT ON outbox
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TABLE automatic_steps (
    user_id  TEXT    NOT NULL,
    agent_id TEXT    NOT NULL,
    tool     TEXT    NOT NULL,
    at       INTEGER NOT NULL                   -- microseconds
) STRICT;
CREATE INDEX automatic_steps_of_tool ON automatic_steps (user_id, agent_id, tool, at);
CREATE TRIGGER automatic_steps_of_removed BEFORE INSERT ON automatic_steps
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TABLE agent_snapshots (
    user_id         TEXT    NOT NULL,
    agent_id        TEXT    NOT NULL,
    last_seq        INTEGER NOT NULL,            -- the last log row folded in
    last_applied_at INTEGER NOT NULL,            -- its sync_at
    updated_at      INTEGER NOT NULL,            -- when it was folded in
    liveness        TEXT    NOT NULL CHECK (liveness IN ('live', 'deleted', 'ended')),
    state           TEXT    NOT NULL,
    name            TEXT    NOT NULL,            -- the starts of texts that lists show
    role            TEXT    NOT NULL,
    avatar          TEXT    NOT NULL,
    field_meta      TEXT    NOT NULL,
    record          TEXT    NOT NULL, name_key TEXT NOT NULL DEFAULT '', max_tokens INTEGER,
    PRIMARY KEY (user_id, agent_id)
) STRICT;
CREATE INDEX agent_snapshots_by_state ON agent_snapshots (user_id, state, agent_id) WHERE liveness = 'live';
CREATE INDEX agent_snapshots_by_name ON agent_snapshots (user_id, name_key, agent_id, state) WHERE liveness = 'live';
CREATE INDEX agent_snapshots_deleted ON agent_snapshots (user_id, last_applied_at, agent_id) WHERE liveness = 'deleted';
CREATE INDEX agent_snapshots_limited ON agent_snapshots (user_id, agent_id, max_tokens) WHERE liveness = 'live' AND max_tokens IS NOT NULL;
CREATE INDEX agent_snapshots_by_change ON agent_snapshots (user_id, last_applied_at, agent_id, name_key, state) WHERE liveness = 'live';
CREATE TABLE mission_snapshots (
    user_id          TEXT    NOT NULL,
    mission_id       TEXT    NOT NULL,
    last_seq         INTEGER NOT NULL,
    last_applied_at  INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    liveness         TEXT    NOT NULL CHECK (liveness IN ('live', 'deleted', 'ended')),
    state            TEXT    NOT NULL,
    agent_id         TEXT,
    next_run_at      INTEGER,                    -- microseconds; null: not scheduled
    awaiting_review  INTEGER NOT NULL,           -- plans that await review
    client_active_at INTEGER,                    -- when a client that runs it itself was last heard of
    unscheduled      INTEGER NOT NULL,           -- 1: its schedule has times, it has none
    waiting_since    INTEGER,                    -- when its oldest plan began to await review
    title_key        TEXT    NOT NULL,           -- the start of its title, in lower case
    next_key         INTEGER NOT NULL,           -- its next time; the last of all where there is none
    title            TEXT    NOT NULL,
    objective        TEXT    NOT NULL,
    field_meta       TEXT    NOT NULL,
    record           TEXT    NOT NULL, bad_schedule INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, mission_id)
) STRICT;
CREATE INDEX mission_snapshots_due
    ON mission_snapshots (next_run_at, user_id, mission_id, agent_id, awaiting_review, client_active_at, state, liveness)
    WHERE state = 'active' AND liveness = 'live' AND next_run_at IS NOT NULL;
CREATE INDEX mission_snapshots_next ON mission_snapshots (user_id, next_run_at)
    WHERE state = 'active' AND liveness = 'live' AND next_run_at IS NOT NULL;
CREATE INDEX mission_snapshots_unscheduled ON mission_snapshots (user_id, mission_id) WHERE unscheduled = 1;
CREATE INDEX mission_snapshots_by_id ON mission_snapshots (mission_id, user_id);
CREATE INDEX mission_snapshots_to_review ON mission_snapshots (user_id, waiting_since, mission_id, awaiting_review)
    WHERE awaiting_review > 0 AND liveness = 'live';
CREATE INDEX mission_snapshots_deleted ON mission_snapshots (user_id, last_applied_at, mission_id) WHERE liveness = 'deleted';
CREATE INDEX mission_snapshots_bad_schedule ON mission_snapshots (user_id, mission_id) WHERE bad_schedule = 1;
CREATE INDEX mission_snapshots_of_agent ON mission_snapshots (user_id, agent_id, mission_id, state) WHERE liveness = 'live';
CREATE INDEX mission_snapshots_by_title
    ON mission_snapshots (user_id, title_key, mission_id, state, agent_id, awaiting_review, bad_schedule) WHERE liveness = 'live';
CREATE INDEX mission_snapshots_by_time
    ON mission_snapshots (user_id, next_key, mission_id, title_key, state, agent_id, awaiting_review, bad_schedule) WHERE liveness = 'live';
CREATE INDEX mission_snapshots_by_change
    ON mission_snapshots (user_id, last_applied_at, mission_id, title_key, state, agent_id, awaiting_review, bad_schedule)
    WHERE liveness = 'live';
CREATE TABLE people (
    user_id   TEXT PRIMARY KEY,
    role      TEXT    NOT NULL CHECK (role IN ('admin', 'member')),
    added_at  INTEGER NOT NULL,
    joined_at INTEGER                            -- null: invited, and never signed in
) STRICT, WITHOUT ROWID;
CREATE TABLE preferences (
    user_id   TEXT PRIMARY KEY,
    language  TEXT,
    time_zone TEXT
) STRICT, WITHOUT ROWID;
CREATE TRIGGER preferences_of_removed BEFORE INSERT ON preferences
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TABLE removals (
    user_id  TEXT PRIMARY KEY,
    asked_at INTEGER NOT NULL,                   -- microseconds
    done_at  INTEGER                             -- null: it is under way
) STRICT, WITHOUT ROWID;
CREATE TABLE log_end (
    seq     INTEGER NOT NULL,
    sync_at INTEGER NOT NULL
) STRICT;
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
CREATE TABLE decided_steps (
    user_id      TEXT    NOT NULL,
    mission_id   TEXT    NOT NULL,
    iteration_id TEXT    NOT NULL,
    step_id      TEXT    NOT NULL,
    at           INTEGER NOT NULL,               -- when the row was written that decided it, microseconds
    verdict      TEXT    NOT NULL CHECK (verdict IN ('approved', 'rejected', 'taken back')),
    agent_id     TEXT    NOT NULL,               -- the agent of the mission then; empty: none
    tool         TEXT    NOT NULL,
    summary      TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    PRIMARY KEY (user_id, mission_id, iteration_id, step_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX decided_steps_by_time ON decided_steps (user_id, at, verdict, agent_id);
CREATE INDEX decided_steps_against ON decided_steps (user_id, at) WHERE verdict <> 'approved';
CREATE TRIGGER decided_steps_of_removed BEFORE INSERT ON decided_steps
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TABLE agent_days (
    user_id  TEXT    NOT NULL,
    day      INTEGER NOT NULL,
    agent_id TEXT    NOT NULL,                   -- empty: none
    tokens   INTEGER NOT NULL,
    PRIMARY KEY (user_id, day, agent_id)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER agent_days_of_removed BEFORE INSERT ON agent_days
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TABLE mission_days (
    user_id    TEXT    NOT NULL,
    mission_id TEXT    NOT NULL,
    day        INTEGER NOT NULL,
    tokens     INTEGER NOT NULL,
    PRIMARY KEY (user_id, mission_id, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX mission_days_by_day ON mission_days (user_id, day, tokens);
CREATE TRIGGER mission_days_of_removed BEFORE INSERT ON mission_days
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TABLE record_lists (
    user_id    TEXT    NOT NULL,
    app_id     TEXT    NOT NULL,
    table_name TEXT    NOT NULL,
    shape      TEXT    NOT NULL,                 -- what cards are made of
    read_to    INTEGER NOT NULL,
    PRIMARY KEY (user_id, app_id, table_name)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER record_lists_of_removed BEFORE INSERT ON record_lists
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TABLE record_cards (
    user_id    TEXT    NOT NULL,
    app_id     TEXT    NOT NULL,
    table_name TEXT    NOT NULL,
    record_id  TEXT    NOT NULL,
    changed_at INTEGER NOT NULL,                 -- the sync_at of its last row
    deleted    INTEGER NOT NULL,                 -- 1: it can be brought back
    owned_id   TEXT,                             -- the record that belongs to it
    title_key  TEXT    NOT NULL,                 -- the start of its title, in lower case
    day_key    TEXT    NOT NULL,                 -- its day or time; empty: none
    facets     TEXT    NOT NULL,                 -- its choices and flags, as `|field=value|…|`
    shown      TEXT    NOT NULL,                 -- JSON: the fields that a list shows, cut
    search     TEXT    NOT NULL,                 -- the start of its title and text, in lower case
    PRIMARY KEY (user_id, app_id, table_name, record_id)
) STRICT;
CREATE INDEX record_cards_by_change ON record_cards (user_id, app_id, table_name, changed_at, record_id, facets) WHERE deleted = 0;
CREATE INDEX record_cards_by_title ON record_cards (user_id, app_id, table_name, title_key, record_id, facets) WHERE deleted = 0;
CREATE INDEX record_cards_by_day ON record_cards (user_id, app_id, table_name, day_key, record_id, facets) WHERE deleted = 0;
CREATE INDEX record_cards_deleted ON record_cards (user_id, changed_at, app_id, table_name, record_id) WHERE deleted = 1;
CREATE INDEX record_cards_owned ON record_cards (user_id, app_id, table_name, owned_id) WHERE owned_id IS NOT NULL;
CREATE TRIGGER record_cards_of_removed BEFORE INSERT ON record_cards
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TABLE user_quarters (
    user_id TEXT    NOT NULL,
    quarter INTEGER NOT NULL,
    tokens  INTEGER NOT NULL,
    PRIMARY KEY (user_id, quarter)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER user_quarters_of_removed BEFORE INSERT ON user_quarters
WHEN EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) BEGIN SELECT RAISE(IGNORE); END;
CREATE TABLE log_tables (
    no         INTEGER PRIMARY KEY,
    user_no    INTEGER NOT NULL,
    app_no     INTEGER NOT NULL,
    user_id    TEXT    NOT NULL CHECK (user_id <> ''),
    app_id     TEXT    NOT NULL CHECK (app_id <> ''),
    table_name TEXT    NOT NULL CHECK (table_name <> ''),
    UNIQUE (user_id, app_id, table_name)
) STRICT;
CREATE TRIGGER log_tables_no_update BEFORE UPDATE ON log_tables
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no update'); END;
CREATE TRIGGER log_tables_no_replace BEFORE INSERT ON log_tables
WHEN EXISTS (SELECT 1 FROM log_tables WHERE no = NEW.no OR (user_id = NEW.user_id AND app_id = NEW.app_id AND table_name = NEW.table_name))
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no replace'); END;
CREATE TRIGGER log_tables_no_delete BEFORE DELETE ON log_tables
WHEN NOT EXISTS (SELECT 1 FROM removals WHERE user_id = OLD.user_id AND done_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no delete'); END;
CREATE TABLE log_clients (
    no        INTEGER PRIMARY KEY,
    user_no   INTEGER NOT NULL,
    client_id TEXT    NOT NULL,
    UNIQUE (user_no, client_id)
) STRICT;
CREATE TRIGGER log_clients_no_update BEFORE UPDATE ON log_clients
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no update'); END;
CREATE TRIGGER log_clients_no_replace BEFORE INSERT ON log_clients
WHEN EXISTS (SELECT 1 FROM log_clients WHERE no = NEW.no OR (user_no = NEW.user_no AND client_id = NEW.client_id))
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no replace'); END;
CREATE TRIGGER log_clients_no_delete BEFORE DELETE ON log_clients
WHEN NOT EXISTS (SELECT 1 FROM log_tables t JOIN removals r ON r.user_id = t.user_id WHERE t.no = OLD.user_no AND r.done_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no delete'); END;
CREATE TABLE log_rows (
    seq            INTEGER PRIMARY KEY,          -- position in the log, in commit order
    user_no        INTEGER NOT NULL,
    app_no         INTEGER NOT NULL,
    table_no       INTEGER NOT NULL,
    client_no      INTEGER NOT NULL,
    projection     INTEGER,                      -- 1: agents, 2: missions; null: there are no snapshots of it
    sync_at        INTEGER NOT NULL,             -- microseconds, strictly increasing with seq
    created_at     INTEGER,                      -- microseconds; null: it is sync_at. An import keeps it
    schema_version INTEGER NOT NULL,
    op             TEXT    NOT NULL CHECK (op IN ('insert', 'update', 'delete')),
    id             TEXT    NOT NULL,             -- event id, a UUID, unique per user
    record_id      TEXT    NOT NULL CHECK (record_id <> ''),
    space_id       TEXT,
    origin         TEXT,
    actor          TEXT,                         -- JSON object or null
    field_meta     TEXT    NOT NULL,             -- JSON object: field -> ISO time of the client's write
    data           TEXT                          -- JSON object or null
) STRICT;
CREATE UNIQUE INDEX log_rows_event ON log_rows (user_no, id);
CREATE INDEX log_rows_of_app ON log_rows (app_no, sync_at);
CREATE INDEX log_rows_of_table ON log_rows (table_no, sync_at);
CREATE INDEX log_rows_of_record ON log_rows (table_no, record_id);
CREATE INDEX log_rows_projected ON log_rows (projection) WHERE projection IS NOT NULL;
CREATE TRIGGER log_rows_no_update BEFORE UPDATE ON log_rows
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no update'); END;
CREATE TRIGGER log_rows_no_replace BEFORE INSERT ON log_rows
WHEN EXISTS (SELECT 1 FROM log_rows WHERE seq = NEW.seq OR (user_no = NEW.user_no AND id = NEW.id))
BEGIN SELECT RAISE(FAIL, 'the change log is append-only: no replace'); END;
CREATE TRIGGER log_rows_no_delete BEFORE DELETE ON log_rows
WHEN NOT EXISTS (SELECT 1 FROM log_tables t JOIN removals r ON r.user_id = t.user_id WHERE t.no = OLD.table_no AND r.done_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no delete'); END;
CREATE VIEW log_entries AS
SELECT r.seq, r.id, t.app_id, t.table_name, r.record_id, t.user_id, r.space_id, r.op, r.data, r.field_meta,
       (SELECT c.client_id FROM log_clients c WHERE c.no = r.client_no) AS client_id, coalesce(r.created_at, r.sync_at) AS created_at,
       r.sync_at, r.schema_version, r.actor, r.origin, r.app_no, r.projection
FROM log_rows r LEFT JOIN log_tables t ON t.no = r.table_no;
CREATE VIEW sync_changes AS
SELECT seq, id, app_id, table_name, record_id, user_id, space_id, op, data, field_meta, client_id, created_at, sync_at, schema_version, actor,
       origin
FROM log_entries;
CREATE TRIGGER sync_changes_no_update INSTEAD OF UPDATE ON sync_changes
BEGIN SELECT RAISE(ABORT, 'the change log is append-only: no update'); END;
CREATE TRIGGER sync_changes_delete INSTEAD OF DELETE ON sync_changes
BEGIN DELETE FROM log_rows WHERE seq = OLD.seq; END;
CREATE TRIGGER sync_changes_insert INSTEAD OF INSERT ON sync_changes
BEGIN
    SELECT RAISE(ABORT, 'the change log is append-only: no replace') WHERE EXISTS (
        SELECT 1 FROM log_rows WHERE seq = NEW.seq
        UNION ALL SELECT 1 FROM log_tables t JOIN log_rows r ON r.user_no = t.user_no AND r.id = NEW.id WHERE t.user_id = NEW.user_id);
    INSERT INTO log_tables (no, user_no, app_no, user_id, app_id, table_name)
    SELECT n, coalesce((SELECT user_no FROM log_tables WHERE user_id = NEW.user_id LIMIT 1), n),
           coalesce((SELECT app_no FROM log_tables WHERE user_id = NEW.user_id AND app_id = NEW.app_id LIMIT 1), n),
           NEW.user_id, NEW.app_id, NEW.table_name
    FROM (SELECT coalesce((SELECT max(no) FROM log_tables), 0) + 1 AS n)
    WHERE NOT EXISTS (SELECT 1 FROM log_tables WHERE user_id = NEW.user_id AND app_id = NEW.app_id AND table_name = NEW.table_name);
    INSERT INTO log_clients (user_no, client_id)
    SELECT user_no, NEW.client_id FROM log_tables t WHERE user_id = NEW.user_id AND app_id = NEW.app_id AND table_name = NEW.table_name
    AND NOT EXISTS (SELECT 1 FROM log_clients c WHERE c.user_no = t.user_no AND c.client_id = NEW.client_id);
    INSERT INTO log_rows (seq, user_no, app_no, table_no, client_no, projection, sync_at, created_at, schema_version, op, id, record_id, space_id,
                          origin, actor, field_meta, data)
    SELECT NEW.seq, t.user_no, t.app_no, t.no, c.no,
           CASE WHEN NEW.app_id = 'ai' THEN CASE NEW.table_name WHEN 'agents' THEN 1 WHEN 'aiMissions' THEN 2 END END,
           NEW.sync_at, nullif(NEW.created_at, NEW.sync_at), coalesce(NEW.schema_version, 1), NEW.op, NEW.id, NEW.record_id, NEW.space_id,
           NEW.origin, NEW.actor, coalesce(NEW.field_meta, '{}'), NEW.data
    FROM log_tables t JOIN log_clients c ON c.user_no = t.user_no AND c.client_id = NEW.client_id
    WHERE t.user_id = NEW.user_id AND t.app_id = NEW.app_id AND t.table_name = NEW.table_name;
    INSERT INTO user_log (user_id, rows, bytes)
    SELECT NEW.user_id, 1, coalesce(octet_length(NEW.data), 0) + octet_length(coalesce(NEW.field_meta, '{}')) + coalesce(octet_length(NEW.actor), 0)
    WHERE changes() = 1
    ON CONFLICT (user_id) DO UPDATE SET rows = rows + 1, bytes = bytes + excluded.bytes;
END;
INSERT INTO facts (name, value) VALUES ('iterations come back after row', '0');
INSERT INTO projection_cursors (table_name, seq) VALUES ('agents', 0), ('aiMissions', 0);
INSERT INTO mission_counts (state, missions) VALUES ('active', 0), ('archived', 0), ('done', 0), ('paused', 0), ('unknown', 0);
INSERT INTO log_end (seq, sync_at) VALUES (0, 0);
