-- The questions of an attempt to the model, one by one, as JSON: how long each took, its tokens, which tools its answer named and what
-- was wrong with it, without the words of the answer. How many linked records were read for it. And the last row of the log that it
-- could know, so that its prompt can be written again.
ALTER TABLE run_attempts ADD COLUMN rounds TEXT;
ALTER TABLE run_attempts ADD COLUMN inputs INTEGER;
ALTER TABLE run_attempts ADD COLUMN log_seq INTEGER;
