-- Who uses this server, and who may administer it. Whoever is signed in when this comes is a member; the operator's own link
-- makes an administrator.
CREATE TABLE people (
    user_id   TEXT PRIMARY KEY,
    role      TEXT    NOT NULL CHECK (role IN ('admin', 'member')),
    added_at  INTEGER NOT NULL,
    joined_at INTEGER                            -- null: invited, and never signed in
) STRICT, WITHOUT ROWID;
INSERT INTO people (user_id, role, added_at, joined_at)
    SELECT user_id, 'member', min(created_at), min(created_at) FROM sessions WHERE user_id IS NOT NULL GROUP BY user_id;

-- How each user wants to be spoken to; null: as the browser asks.
CREATE TABLE preferences (
    user_id   TEXT PRIMARY KEY,
    language  TEXT,
    time_zone TEXT
) STRICT, WITHOUT ROWID;
