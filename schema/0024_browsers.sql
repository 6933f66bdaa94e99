-- Which browser a session was begun in, by two short names; '' where it is not known. What the browser sent is not kept.
ALTER TABLE sessions ADD COLUMN browser TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN system TEXT NOT NULL DEFAULT '';
