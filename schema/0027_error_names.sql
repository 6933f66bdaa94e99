-- What kind of failure an attempt had, of which pages make a sentence in the language of their reader.
ALTER TABLE run_attempts ADD COLUMN error_name TEXT;
