-- serves 1
-- Each new file changes the row of its collection: with some room in its page, that needs no new entries in indexes.
ALTER TABLE entry SET (fillfactor = 90);
-- Nothing asks for the uploads of one front by it.
DROP INDEX upload_front;
-- The oldest doomed parts of a node are found without a look at those that fronts may still be reading.
CREATE INDEX doomed_age ON doomed (node, at, serial, part);
