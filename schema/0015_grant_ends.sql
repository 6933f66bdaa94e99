-- When the key of a grant ends: the earliest `expiresAt` that it ever had (docs/design.md, section 8). The projection of
-- missions notes it.
CREATE TABLE grant_ends (
    user_id     TEXT    NOT NULL,
    wrapped_key BLOB    NOT NULL,
    ends_at     INTEGER NOT NULL,   -- microseconds
    PRIMARY KEY (user_id, wrapped_key)
) STRICT, WITHOUT ROWID;
