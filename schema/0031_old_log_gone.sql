-- Its rows have moved (docs/design.md, section 2).
DROP TRIGGER sync_changes_moving;
DROP TABLE old_sync_changes;
