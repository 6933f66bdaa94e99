-- Its rows have moved (docs/design.md, section 2).
DROP TABLE old_sync_changes;
