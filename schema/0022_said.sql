-- What the reason of a run says as values, of which pages make sentences in the language of their reader.
ALTER TABLE runs ADD COLUMN said TEXT;
