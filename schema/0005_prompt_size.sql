-- How large the prompt of an attempt was, beside the tokens that the provider counted.
ALTER TABLE run_attempts ADD COLUMN prompt_chars INTEGER NOT NULL DEFAULT 0;
