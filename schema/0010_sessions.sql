-- A session and a link carry the key by which they were made, and end with it. Those of before carry none, so they end now.
DELETE FROM sessions;
DELETE FROM sign_in_links;
ALTER TABLE sessions ADD COLUMN signing_key TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sign_in_links ADD COLUMN signing_key TEXT NOT NULL DEFAULT '';
