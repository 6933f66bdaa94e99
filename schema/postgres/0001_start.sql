-- Everything of this program in a schema of its own; the log itself is public.sync_changes, as the product that it joins has it
-- (docs/design.md, section 18). Texts compare by their bytes, as they do in SQLite.

DO $$ BEGIN
    -- Where it is there, no right to make one is needed.
    IF NOT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE n.nspname = 'public' AND c.relname = 'sync_changes') THEN
        CREATE TABLE public.sync_changes (
            id             UUID        PRIMARY KEY DEFAULT gen_random_uuid(),
            app_id         TEXT        NOT NULL,
            table_name     TEXT        NOT NULL,
            record_id      TEXT        NOT NULL,
            user_id        TEXT        NOT NULL,
            op             TEXT        NOT NULL,
            data           JSONB,
            field_meta     JSONB       DEFAULT '{}',
            client_id      TEXT        NOT NULL,
            created_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
            schema_version INTEGER     NOT NULL DEFAULT 1,
            actor          JSONB,
            origin         TEXT,
            space_id       TEXT
        );
    END IF;
END $$;

-- The order of the log. Numbers are given under one lock that is held until the commit, so that they follow the commits.
CREATE TABLE log_order (
    seq        BIGINT           PRIMARY KEY,            -- without gaps
    sync_at    BIGINT           NOT NULL,
    row_id     UUID             NOT NULL UNIQUE,        -- the row of public.sync_changes
    id         TEXT COLLATE "C" NOT NULL,               -- the event id, unique per user
    user_id    TEXT COLLATE "C" NOT NULL,
    app_id     TEXT COLLATE "C" NOT NULL,
    table_name TEXT COLLATE "C" NOT NULL,
    record_id  TEXT COLLATE "C" NOT NULL,
    bytes      BIGINT           NOT NULL,               -- of data, field_meta and actor
    UNIQUE (user_id, id)
);
CREATE INDEX log_order_by_time ON log_order (sync_at);
CREATE INDEX log_order_pull_app ON log_order (user_id, app_id, sync_at);
CREATE INDEX log_order_pull_table ON log_order (user_id, app_id, table_name, sync_at);
CREATE INDEX log_order_projected ON log_order (table_name, seq) WHERE app_id = 'ai' AND table_name IN ('agents', 'aiMissions');
CREATE INDEX log_order_user_record ON log_order (user_id, app_id, table_name, record_id, seq);

-- Instances that listen look at the log; messages of one transaction are one.
CREATE FUNCTION tell_of_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('mana_ai_rs', '');
    RETURN NULL;
END $$;
CREATE TRIGGER log_order_told AFTER INSERT ON log_order FOR EACH STATEMENT EXECUTE FUNCTION tell_of_rows();

CREATE VIEW sync_changes AS
SELECT o.seq, o.id, o.app_id, o.table_name, o.record_id, o.user_id, c.space_id, c.op, c.data::text AS data,
       coalesce(c.field_meta::text, '') AS field_meta, c.client_id, (extract(epoch FROM c.created_at) * 1000000)::bigint AS created_at,
       o.sync_at, c.schema_version::bigint AS schema_version, c.actor::text AS actor, c.origin
FROM log_order o JOIN public.sync_changes c ON c.id = o.row_id;

-- Rows that others wrote and that have no place in the order yet.
CREATE TABLE arrivals (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    row_id UUID   NOT NULL
);
CREATE FUNCTION note_arrival() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO arrivals (row_id) VALUES (NEW.id);
    PERFORM pg_notify('mana_ai_rs', '');
    RETURN NULL;
END $$;
CREATE TRIGGER mana_ai_rs_arrival AFTER INSERT ON public.sync_changes FOR EACH ROW
WHEN (current_setting('mana_ai_rs.writes', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION note_arrival();
INSERT INTO arrivals (row_id) SELECT id FROM public.sync_changes ORDER BY created_at, id;

-- Those of users whose removal is under way since all their rows went; they come in when it is done.
CREATE TABLE held_arrivals (
    number  BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    row_id  UUID             NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL
);
CREATE INDEX held_arrivals_of_user ON held_arrivals (user_id, number);

-- Rows that others took out, and that still have a place in the order.
CREATE TABLE departures (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    row_id UUID   NOT NULL
);
CREATE FUNCTION note_departures() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO departures (row_id) SELECT row_id FROM log_order ORDER BY seq;
    ELSE
        INSERT INTO departures (row_id) SELECT id FROM gone;
    END IF;
    PERFORM pg_notify('mana_ai_rs', '');
    RETURN NULL;
END $$;
CREATE TRIGGER mana_ai_rs_departure AFTER DELETE ON public.sync_changes REFERENCING OLD TABLE AS gone FOR EACH STATEMENT
WHEN (current_setting('mana_ai_rs.writes', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION note_departures();
CREATE TRIGGER mana_ai_rs_emptied AFTER TRUNCATE ON public.sync_changes FOR EACH STATEMENT EXECUTE FUNCTION note_departures();

CREATE TABLE user_log (
    user_id TEXT COLLATE "C" PRIMARY KEY,
    rows    BIGINT NOT NULL,
    bytes   BIGINT NOT NULL
);
CREATE FUNCTION count_rows() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO user_log AS u (user_id, rows, bytes) SELECT user_id, count(*), sum(bytes) FROM placed GROUP BY user_id
    ON CONFLICT (user_id) DO UPDATE SET rows = u.rows + excluded.rows, bytes = u.bytes + excluded.bytes;
    RETURN NULL;
END $$;
CREATE TRIGGER log_order_counted AFTER INSERT ON log_order REFERENCING NEW TABLE AS placed
FOR EACH STATEMENT EXECUTE FUNCTION count_rows();

-- People who were removed, or are being removed: nothing of theirs comes in any more, and only theirs leaves the log.
CREATE TABLE removals (
    user_id  TEXT COLLATE "C" PRIMARY KEY,
    asked_at BIGINT NOT NULL,
    done_at  BIGINT
);
-- Users of whom others took the last row out: their removal ends with an open door.
CREATE TABLE gone_users (
    user_id TEXT COLLATE "C" PRIMARY KEY
);
-- How far the log had come when rows of it went.
CREATE TABLE log_end (
    seq     BIGINT NOT NULL,
    sync_at BIGINT NOT NULL
);
INSERT INTO log_end (seq, sync_at) VALUES (0, 0);

CREATE FUNCTION guard_rows() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'DELETE' AND EXISTS (SELECT 1 FROM removals WHERE user_id = OLD.user_id AND done_at IS NULL) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER log_order_unchanged BEFORE UPDATE ON log_order FOR EACH ROW EXECUTE FUNCTION guard_rows();
-- A place goes with its row.
CREATE FUNCTION guard_places() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM public.sync_changes WHERE id = OLD.row_id) THEN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER log_order_append_only BEFORE DELETE ON log_order FOR EACH ROW EXECUTE FUNCTION guard_places();
CREATE FUNCTION remove_row() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM removals WHERE user_id = OLD.user_id AND done_at IS NULL) THEN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
    END IF;
    DELETE FROM public.sync_changes c USING log_order o WHERE o.seq = OLD.seq AND c.id = o.row_id;
    DELETE FROM log_order WHERE seq = OLD.seq;
    RETURN OLD;
END $$;
CREATE TRIGGER sync_changes_removed INSTEAD OF DELETE ON sync_changes FOR EACH ROW EXECUTE FUNCTION remove_row();
-- What a run under way still tells of somebody who was removed has no place any more.
CREATE FUNCTION pass_over_removed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM removals WHERE user_id = NEW.user_id) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END $$;

CREATE TABLE facts (
    name  TEXT COLLATE "C" PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO facts (name, value) VALUES ('iterations come back after row', '0');

CREATE TABLE projection_cursors (
    table_name TEXT COLLATE "C" PRIMARY KEY,
    seq        BIGINT NOT NULL
);
INSERT INTO projection_cursors (table_name, seq) VALUES ('agents', 0), ('aiMissions', 0);

CREATE TABLE agent_snapshots (
    user_id         TEXT COLLATE "C" NOT NULL,
    agent_id        TEXT COLLATE "C" NOT NULL,
    last_seq        BIGINT NOT NULL,
    last_applied_at BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    liveness        TEXT COLLATE "C" NOT NULL CHECK (liveness IN ('live', 'deleted', 'ended')),
    state           TEXT COLLATE "C" NOT NULL,
    name            TEXT COLLATE "C" NOT NULL,
    role            TEXT COLLATE "C" NOT NULL,
    avatar          TEXT COLLATE "C" NOT NULL,
    name_key        TEXT COLLATE "C" NOT NULL,
    max_tokens      BIGINT,
    field_meta      TEXT NOT NULL,
    record          TEXT NOT NULL,
    PRIMARY KEY (user_id, agent_id)
);
CREATE INDEX agent_snapshots_by_name ON agent_snapshots (user_id, name_key, agent_id, state) WHERE liveness = 'live';
CREATE INDEX agent_snapshots_by_change ON agent_snapshots (user_id, last_applied_at, agent_id, name_key, state) WHERE liveness = 'live';
CREATE INDEX agent_snapshots_deleted ON agent_snapshots (user_id, last_applied_at, agent_id) WHERE liveness = 'deleted';
CREATE INDEX agent_snapshots_by_state ON agent_snapshots (user_id, state, agent_id) WHERE liveness = 'live';
CREATE INDEX agent_snapshots_limited ON agent_snapshots (user_id, agent_id, max_tokens) WHERE liveness = 'live' AND max_tokens IS NOT NULL;

CREATE TABLE mission_snapshots (
    user_id          TEXT COLLATE "C" NOT NULL,
    mission_id       TEXT COLLATE "C" NOT NULL,
    last_seq         BIGINT NOT NULL,
    last_applied_at  BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    liveness         TEXT COLLATE "C" NOT NULL CHECK (liveness IN ('live', 'deleted', 'ended')),
    state            TEXT COLLATE "C" NOT NULL,
    agent_id         TEXT COLLATE "C",
    next_run_at      BIGINT,
    awaiting_review  BIGINT NOT NULL,
    client_active_at BIGINT,
    unscheduled      BIGINT NOT NULL,
    bad_schedule     BIGINT NOT NULL,
    waiting_since    BIGINT,
    title_key        TEXT COLLATE "C" NOT NULL,
    next_key         BIGINT NOT NULL,
    title            TEXT COLLATE "C" NOT NULL,
    objective        TEXT COLLATE "C" NOT NULL,
    field_meta       TEXT NOT NULL,
    record           TEXT NOT NULL,
    PRIMARY KEY (user_id, mission_id)
);
CREATE INDEX mission_snapshots_due ON mission_snapshots (next_run_at, user_id, mission_id)
    WHERE state = 'active' AND liveness = 'live' AND next_run_at IS NOT NULL;
CREATE INDEX mission_snapshots_next ON mission_snapshots (user_id, next_run_at)
    WHERE state = 'active' AND liveness = 'live' AND next_run_at IS NOT NULL;
CREATE INDEX mission_snapshots_unscheduled ON mission_snapshots (user_id, mission_id) WHERE unscheduled = 1;
CREATE INDEX mission_snapshots_bad_schedule ON mission_snapshots (user_id, mission_id) WHERE bad_schedule = 1;
CREATE INDEX mission_snapshots_by_id ON mission_snapshots (mission_id, user_id);
CREATE INDEX mission_snapshots_of_agent ON mission_snapshots (user_id, agent_id, mission_id, state) WHERE liveness = 'live';
CREATE INDEX mission_snapshots_to_review ON mission_snapshots (user_id, waiting_since, mission_id)
    WHERE awaiting_review > 0 AND liveness = 'live';
CREATE INDEX mission_snapshots_by_title ON mission_snapshots (user_id, title_key, mission_id) WHERE liveness = 'live';
CREATE INDEX mission_snapshots_by_time ON mission_snapshots (user_id, next_key, mission_id) WHERE liveness = 'live';
CREATE INDEX mission_snapshots_by_change ON mission_snapshots (user_id, last_applied_at, mission_id) WHERE liveness = 'live';
CREATE INDEX mission_snapshots_deleted ON mission_snapshots (user_id, last_applied_at, mission_id) WHERE liveness = 'deleted';

CREATE TABLE mission_counts (
    state    TEXT COLLATE "C" PRIMARY KEY,
    missions BIGINT NOT NULL
);
INSERT INTO mission_counts (state, missions) VALUES ('active', 0), ('paused', 0), ('done', 0), ('archived', 0), ('unknown', 0);

CREATE TABLE runs (
    id              TEXT COLLATE "C" PRIMARY KEY,
    user_id         TEXT COLLATE "C" NOT NULL,
    mission_id      TEXT COLLATE "C" NOT NULL,
    agent_id        TEXT COLLATE "C",
    iteration_id    TEXT COLLATE "C" NOT NULL,
    scheduled_for   BIGINT NOT NULL,
    missed_times    BIGINT NOT NULL DEFAULT 0,
    owner           TEXT COLLATE "C",
    claimed_at      BIGINT NOT NULL,
    attempts        BIGINT NOT NULL DEFAULT 0,
    interruptions   BIGINT NOT NULL DEFAULT 0,
    next_attempt_at BIGINT,
    finished_at     BIGINT,
    outcome         TEXT COLLATE "C" CHECK (outcome IN ('planned', 'failed', 'dropped')),
    reason          TEXT,
    note            TEXT,
    iteration       TEXT,
    superseded_at   BIGINT,
    restored        BIGINT NOT NULL DEFAULT 0,
    asked_at        BIGINT,
    said            TEXT
);
CREATE UNIQUE INDEX runs_one_open_per_mission ON runs (user_id, mission_id) WHERE outcome IS NULL;
CREATE INDEX runs_open ON runs (owner, user_id, agent_id) WHERE outcome IS NULL;
CREATE INDEX runs_by_mission ON runs (mission_id, user_id, claimed_at);
CREATE INDEX runs_by_time ON runs (claimed_at);
CREATE INDEX runs_by_user ON runs (user_id, claimed_at, outcome);
CREATE INDEX runs_by_agent ON runs (user_id, agent_id, claimed_at);
CREATE INDEX runs_by_outcome ON runs (user_id, outcome, claimed_at);
CREATE INDEX runs_by_iteration ON runs (iteration_id);
CREATE INDEX runs_by_end ON runs (finished_at, id) WHERE finished_at IS NOT NULL;

CREATE TABLE run_attempts (
    run_id            TEXT COLLATE "C" NOT NULL REFERENCES runs (id),
    attempt           BIGINT NOT NULL,
    user_id           TEXT COLLATE "C" NOT NULL,
    agent_id          TEXT COLLATE "C",
    started_at        BIGINT NOT NULL,
    finished_at       BIGINT NOT NULL,
    latency_ms        BIGINT NOT NULL,
    model             TEXT NOT NULL,
    prompt_version    TEXT NOT NULL,
    prompt_tokens     BIGINT NOT NULL DEFAULT 0,
    completion_tokens BIGINT NOT NULL DEFAULT 0,
    total_tokens      BIGINT NOT NULL DEFAULT 0,
    error             TEXT,
    prompt_chars      BIGINT NOT NULL DEFAULT 0,
    calls             BIGINT NOT NULL DEFAULT 1,
    error_name        TEXT,
    rounds            TEXT,
    inputs            BIGINT,
    log_seq           BIGINT,
    PRIMARY KEY (run_id, attempt)
);
CREATE INDEX run_attempts_budget ON run_attempts (user_id, agent_id, finished_at, total_tokens);
CREATE INDEX run_attempts_user ON run_attempts (user_id, finished_at, total_tokens, calls);

CREATE TABLE decrypt_audit (
    id           BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    user_id      TEXT COLLATE "C" NOT NULL,
    mission_id   TEXT COLLATE "C" NOT NULL,
    iteration_id TEXT COLLATE "C" NOT NULL,
    table_name   TEXT COLLATE "C" NOT NULL,
    record_id    TEXT COLLATE "C" NOT NULL,
    status       TEXT COLLATE "C" NOT NULL CHECK (status IN ('ok', 'failed', 'scope-violation')),
    reason       TEXT,
    ts           BIGINT NOT NULL
);
CREATE INDEX decrypt_audit_user ON decrypt_audit (user_id, id);
CREATE INDEX decrypt_audit_mission ON decrypt_audit (user_id, mission_id, id);
CREATE TRIGGER decrypt_audit_append_only BEFORE UPDATE OR DELETE ON decrypt_audit FOR EACH ROW EXECUTE FUNCTION guard_rows();

CREATE TABLE lost_iterations (
    user_id      TEXT COLLATE "C" NOT NULL,
    mission_id   TEXT COLLATE "C" NOT NULL,
    iteration_id TEXT COLLATE "C" NOT NULL,
    iteration    TEXT NOT NULL,
    PRIMARY KEY (user_id, mission_id, iteration_id)
);

CREATE TABLE sign_in_links (
    code_hash   BYTEA PRIMARY KEY,
    user_id     TEXT COLLATE "C",
    expires_at  BIGINT NOT NULL,
    used        BIGINT NOT NULL DEFAULT 0,
    signing_key TEXT COLLATE "C" NOT NULL DEFAULT ''
);
CREATE TABLE sessions (
    key_hash    BYTEA PRIMARY KEY,
    user_id     TEXT COLLATE "C",
    expires_at  BIGINT NOT NULL,
    signing_key TEXT COLLATE "C" NOT NULL DEFAULT '',
    created_at  BIGINT NOT NULL DEFAULT 0,
    browser     TEXT COLLATE "C" NOT NULL DEFAULT '',
    system      TEXT COLLATE "C" NOT NULL DEFAULT ''
);
CREATE TABLE people (
    user_id   TEXT COLLATE "C" PRIMARY KEY,
    role      TEXT COLLATE "C" NOT NULL CHECK (role IN ('admin', 'member')),
    added_at  BIGINT NOT NULL,
    joined_at BIGINT
);
CREATE TABLE preferences (
    user_id   TEXT COLLATE "C" PRIMARY KEY,
    language  TEXT,
    time_zone TEXT
);

CREATE TABLE grant_ends (
    user_id     TEXT COLLATE "C" NOT NULL,
    wrapped_key BYTEA NOT NULL,
    ends_at     BIGINT NOT NULL,
    PRIMARY KEY (user_id, wrapped_key)
);
CREATE TABLE outbox (
    user_id      TEXT COLLATE "C" NOT NULL,
    mission_id   TEXT COLLATE "C" NOT NULL,
    iteration_id TEXT COLLATE "C" NOT NULL,
    step_id      TEXT COLLATE "C" NOT NULL,
    tool         TEXT NOT NULL,
    body         TEXT NOT NULL,
    tries        TEXT NOT NULL DEFAULT '[]',
    tried        BIGINT NOT NULL DEFAULT 0,
    next_at      BIGINT,
    owner        TEXT COLLATE "C",
    PRIMARY KEY (user_id, mission_id, iteration_id, step_id)
);
CREATE INDEX outbox_waiting ON outbox (next_at) WHERE next_at IS NOT NULL AND owner IS NULL;
CREATE INDEX outbox_held ON outbox (owner) WHERE owner IS NOT NULL;
CREATE TABLE automatic_steps (
    user_id  TEXT COLLATE "C" NOT NULL,
    agent_id TEXT COLLATE "C" NOT NULL,
    tool     TEXT COLLATE "C" NOT NULL,
    at       BIGINT NOT NULL
);
CREATE INDEX automatic_steps_of_tool ON automatic_steps (user_id, agent_id, tool, at);

CREATE TABLE trials (
    user_id      TEXT COLLATE "C" NOT NULL,
    agent_id     TEXT COLLATE "C" NOT NULL,
    finished_at  BIGINT NOT NULL,
    total_tokens BIGINT NOT NULL,
    calls        BIGINT NOT NULL
);
CREATE INDEX trials_of_agent ON trials (user_id, agent_id, finished_at, total_tokens);
CREATE INDEX trials_of_user ON trials (user_id, finished_at, total_tokens, calls);

-- What pages tell of months, and lists of records, without a look at every row.
CREATE TABLE decided_steps (
    user_id      TEXT COLLATE "C" NOT NULL,
    mission_id   TEXT COLLATE "C" NOT NULL,
    iteration_id TEXT COLLATE "C" NOT NULL,
    step_id      TEXT COLLATE "C" NOT NULL,
    at           BIGINT NOT NULL,
    verdict      TEXT COLLATE "C" NOT NULL CHECK (verdict IN ('approved', 'rejected', 'taken back')),
    agent_id     TEXT COLLATE "C" NOT NULL,
    tool         TEXT NOT NULL,
    summary      TEXT NOT NULL,
    reason       TEXT NOT NULL,
    PRIMARY KEY (user_id, mission_id, iteration_id, step_id)
);
CREATE INDEX decided_steps_by_time ON decided_steps (user_id, at, verdict, agent_id);
CREATE INDEX decided_steps_against ON decided_steps (user_id, at) WHERE verdict <> 'approved';
CREATE TABLE agent_days (
    user_id  TEXT COLLATE "C" NOT NULL,
    day      BIGINT NOT NULL,
    agent_id TEXT COLLATE "C" NOT NULL,
    tokens   BIGINT NOT NULL,
    PRIMARY KEY (user_id, day, agent_id)
);
CREATE TABLE user_quarters (
    user_id  TEXT COLLATE "C" NOT NULL,
    quarter  BIGINT NOT NULL,
    tokens   BIGINT NOT NULL,
    PRIMARY KEY (user_id, quarter)
);
CREATE TABLE mission_days (
    user_id    TEXT COLLATE "C" NOT NULL,
    mission_id TEXT COLLATE "C" NOT NULL,
    day        BIGINT NOT NULL,
    tokens     BIGINT NOT NULL,
    PRIMARY KEY (user_id, mission_id, day)
);
CREATE INDEX mission_days_by_day ON mission_days (user_id, day, tokens);

CREATE TABLE record_lists (
    user_id    TEXT COLLATE "C" NOT NULL,
    app_id     TEXT COLLATE "C" NOT NULL,
    table_name TEXT COLLATE "C" NOT NULL,
    shape      TEXT NOT NULL,
    read_to    BIGINT NOT NULL,
    PRIMARY KEY (user_id, app_id, table_name)
);
CREATE TABLE record_cards (
    user_id    TEXT COLLATE "C" NOT NULL,
    app_id     TEXT COLLATE "C" NOT NULL,
    table_name TEXT COLLATE "C" NOT NULL,
    record_id  TEXT COLLATE "C" NOT NULL,
    changed_at BIGINT NOT NULL,
    deleted    BIGINT NOT NULL,
    owned_id   TEXT COLLATE "C",
    title_key  TEXT COLLATE "C" NOT NULL,
    day_key    TEXT COLLATE "C" NOT NULL,
    facets     TEXT NOT NULL,
    shown      TEXT NOT NULL,
    search     TEXT NOT NULL,
    PRIMARY KEY (user_id, app_id, table_name, record_id)
);
CREATE INDEX record_cards_by_change ON record_cards (user_id, app_id, table_name, changed_at, record_id) WHERE deleted = 0;
CREATE INDEX record_cards_by_title ON record_cards (user_id, app_id, table_name, title_key, record_id) WHERE deleted = 0;
CREATE INDEX record_cards_by_day ON record_cards (user_id, app_id, table_name, day_key, record_id) WHERE deleted = 0;
CREATE INDEX record_cards_deleted ON record_cards (user_id, changed_at, app_id, table_name, record_id) WHERE deleted = 1;
CREATE INDEX record_cards_owned ON record_cards (user_id, app_id, table_name, owned_id) WHERE owned_id IS NOT NULL;

CREATE TRIGGER runs_of_removed BEFORE INSERT ON runs FOR EACH ROW EXECUTE FUNCTION pass_over_removed();
CREATE TRIGGER run_attempts_of_removed BEFORE INSERT ON run_attempts FOR EACH ROW EXECUTE FUNCTION pass_over_removed();
CREATE TRIGGER decrypt_audit_of_removed BEFORE INSERT ON decrypt_audit FOR EACH ROW EXECUTE FUNCTION pass_over_removed();
CREATE TRIGGER lost_iterations_of_removed BEFORE INSERT ON lost_iterations FOR EACH ROW EXECUTE FUNCTION pass_over_removed();
CREATE TRIGGER grant_ends_of_removed BEFORE INSERT ON grant_ends FOR EACH ROW EXECUTE FUNCTION pass_over_removed();
CREATE TRIGGER outbox_of_removed BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION pass_over_removed();
CREATE TRIGGER automatic_steps_of_removed BEFORE INSERT ON automatic_steps FOR EACH ROW EXECUTE FUNCTION pass_over_removed();
CREATE TRIGGER preferences_of_removed BEFORE INSERT ON preferences FOR EACH ROW EXECUTE FUNCTION pass_over_removed();
CREATE TRIGGER trials_of_removed BEFORE INSERT ON trials FOR EACH ROW EXECUTE FUNCTION pass_over_removed();
CREATE TRIGGER decided_steps_of_removed BEFORE INSERT ON decided_steps FOR EACH ROW EXECUTE FUNCTION pass_over_removed();
CREATE TRIGGER agent_days_of_removed BEFORE INSERT ON agent_days FOR EACH ROW EXECUTE FUNCTION pass_over_removed();
CREATE TRIGGER user_quarters_of_removed BEFORE INSERT ON user_quarters FOR EACH ROW EXECUTE FUNCTION pass_over_removed();
CREATE TRIGGER mission_days_of_removed BEFORE INSERT ON mission_days FOR EACH ROW EXECUTE FUNCTION pass_over_removed();
CREATE TRIGGER record_lists_of_removed BEFORE INSERT ON record_lists FOR EACH ROW EXECUTE FUNCTION pass_over_removed();
CREATE TRIGGER record_cards_of_removed BEFORE INSERT ON record_cards FOR EACH ROW EXECUTE FUNCTION pass_over_removed();

-- Functions of SQLite that queries use.
CREATE FUNCTION instr(TEXT, TEXT) RETURNS INTEGER LANGUAGE sql IMMUTABLE AS 'SELECT strpos($1, $2)';
CREATE FUNCTION json_each(TEXT) RETURNS TABLE (value TEXT) LANGUAGE sql IMMUTABLE AS 'SELECT json_array_elements_text($1::json)';
CREATE FUNCTION hex(BYTEA) RETURNS TEXT LANGUAGE sql IMMUTABLE AS 'SELECT upper(encode($1, ''hex''))';
CREATE FUNCTION min(BIGINT, BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS 'SELECT least($1, $2)';
CREATE FUNCTION max(BIGINT, BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS 'SELECT greatest($1, $2)';
