-- How many rows and bytes of the log are of whom, so that a ceiling costs no scan (docs/design.md, section 9). A trigger counts,
-- since rows come in by many ways; whatever replaces the table sync_changes has to make it again.
CREATE TABLE user_log (
    user_id TEXT PRIMARY KEY,
    rows    INTEGER NOT NULL,
    bytes   INTEGER NOT NULL                     -- of data, field_meta and actor
) STRICT, WITHOUT ROWID;

INSERT INTO user_log (user_id, rows, bytes)
SELECT user_id, count(*), sum(coalesce(octet_length(data), 0) + octet_length(field_meta) + coalesce(octet_length(actor), 0))
FROM sync_changes GROUP BY user_id;

CREATE TRIGGER sync_changes_counted AFTER INSERT ON sync_changes
BEGIN
    INSERT INTO user_log (user_id, rows, bytes)
    VALUES (NEW.user_id, 1, coalesce(octet_length(NEW.data), 0) + octet_length(NEW.field_meta) + coalesce(octet_length(NEW.actor), 0))
    ON CONFLICT (user_id) DO UPDATE SET rows = rows + 1, bytes = bytes + excluded.bytes;
END;
