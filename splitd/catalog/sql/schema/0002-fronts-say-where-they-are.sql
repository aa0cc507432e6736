-- serves 1
-- For operators: the name and port of each front, and the version of its program.
ALTER TABLE front ADD address text NOT NULL DEFAULT '', ADD version text NOT NULL DEFAULT '';
