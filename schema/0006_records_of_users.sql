-- A record of one user is read without a look at other users' records of the same id.
CREATE INDEX sync_changes_user_record ON sync_changes (user_id, app_id, table_name, record_id);
