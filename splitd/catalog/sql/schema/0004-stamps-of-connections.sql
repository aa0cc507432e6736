-- It serves no older program: one that does not count must not change names beside one that relies on it.
-- Each connection that changes names counts its transactions, and says what the last ones have touched: so a front that
-- remembers a look-up can ask with little effort whether it still holds.  A ring: `place` is `number` modulo its length.
CREATE TABLE stamp (
    slot   smallint PRIMARY KEY,
    number bigint   NOT NULL
) WITH (fillfactor = 10);
CREATE TABLE touched (
    slot   smallint NOT NULL,
    place  smallint NOT NULL,
    number bigint   NOT NULL,
    groups smallint[],                     -- of paths; null for all
    PRIMARY KEY (slot, place)
) WITH (fillfactor = 50);
