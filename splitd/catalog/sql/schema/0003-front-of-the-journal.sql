-- serves 1
-- The id of the journal's folder that the catalog was copied from: a journal that is made of it has the same.
ALTER TABLE catalog ADD COLUMN front text NOT NULL DEFAULT '';
