-- The tables of a catalog.  Only migrations change them.

CREATE TABLE catalog (
    one        smallint PRIMARY KEY CHECK (one = 1),
    cluster    text     NOT NULL,
    widest     integer  NOT NULL DEFAULT 0,
    revision   bigint   NOT NULL DEFAULT 0, -- the highest one of a document so far
    epoch      bigint   NOT NULL DEFAULT 0  -- that of the journal which the catalog was copied from
);

-- Names.  A member of a collection has its entry name, in UTF-8: that of a collection ends with a slash.  The root is the
-- only member of collection 0, and trees that have no name any more are members of collection -1.
CREATE TABLE entry (
    parent      bigint NOT NULL,
    name        bytea  NOT NULL,
    id          bigint,                    -- of a collection: what its members have as `parent`
    created_ms  bigint,                    -- of a collection
    modified_ms bigint,                    -- of a collection
    implied     boolean NOT NULL DEFAULT false,
    upload      bytea,                     -- of a file, or of the file that a collection itself is
    size        bigint,                    -- of that file
    manifest    bytea,                     -- of that file, where `version` does not say all of it
    properties  bytea,
    PRIMARY KEY (parent, name)
);
CREATE UNIQUE INDEX entry_id ON entry (id) WHERE id IS NOT NULL;
CREATE INDEX entry_folders ON entry (parent, name, id) WHERE id IS NOT NULL;
CREATE SEQUENCE entry_ids START 1000 INCREMENT 1000;  -- of blocks: a front takes the 1,000 numbers from the value on

-- Versions that have parts, by their uploads, with the nodes where the parts lie now; segments among them.
CREATE TABLE node (
    number smallint PRIMARY KEY,           -- 0 stands for no node
    id     text     NOT NULL UNIQUE
);
CREATE TABLE version (
    upload     bytea    PRIMARY KEY,
    size       bigint   NOT NULL,
    created_ms bigint   NOT NULL,
    data       smallint NOT NULL,
    parity     smallint NOT NULL,
    unit       integer  NOT NULL,
    nodes      smallint[] NOT NULL,
    said       bytea,                      -- JSON, where it is not the empty text
    segment_of bytea,
    spare      smallint,                   -- the three are null where no part is missing
    missing    smallint,
    lacking    bigint                      -- the stored bytes of the missing parts
);
CREATE INDEX version_hurt ON version ((spare < 0), (abs(spare)), upload) WHERE spare IS NOT NULL;
CREATE TABLE shared (                      -- versions with more than one name
    upload bytea   PRIMARY KEY,
    names  integer NOT NULL
);

CREATE TABLE upload (                      -- under way
    upload  bytea      PRIMARY KEY,
    path    bytea      NOT NULL,
    nodes   smallint[] NOT NULL,
    time_ms bigint     NOT NULL,
    front   text       NOT NULL
);
CREATE INDEX upload_front ON upload (front);
CREATE TABLE move (                        -- of parts, under way
    upload  bytea    NOT NULL,
    part    smallint NOT NULL,
    node    smallint NOT NULL,
    time_ms bigint   NOT NULL,
    front   text     NOT NULL,
    PRIMARY KEY (upload, part, node)
);
CREATE TABLE doomed (                      -- parts to delete; those of one upload that became doomed together share a serial
    node    smallint NOT NULL,
    serial  bigint   NOT NULL,
    part    smallint NOT NULL,
    upload  bytea    NOT NULL,
    is_copy boolean  NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (node, serial, part)
);
CREATE INDEX doomed_upload ON doomed (upload);
CREATE SEQUENCE doomed_serials START 1000 INCREMENT 1000;

CREATE TABLE continued (
    upload     bytea  PRIMARY KEY,
    path       bytea  NOT NULL,
    place      bytea  NOT NULL,            -- orders the uploads of one path by age
    said       bytea  NOT NULL,
    began_ms   bigint NOT NULL,
    touched_ms bigint NOT NULL,
    size       bigint NOT NULL
);
CREATE UNIQUE INDEX continued_order ON continued (path, place);
CREATE TABLE segment (
    of     bytea   NOT NULL,
    number integer NOT NULL,
    upload bytea   NOT NULL,
    PRIMARY KEY (of, number)
);
CREATE TABLE dropped (                     -- segments that no file and no upload has any more, and that are not doomed yet
    upload bytea PRIMARY KEY
);

CREATE TABLE lock (
    token      text   PRIMARY KEY,
    path       bytea  NOT NULL,
    place      bytea  NOT NULL,
    scope      text   NOT NULL,
    deep       boolean NOT NULL,
    owner      text   NOT NULL,
    taken_ms   bigint NOT NULL,
    expires_ms bigint NOT NULL,
    holder     text   NOT NULL,
    serial     bigint NOT NULL
);
CREATE INDEX lock_place ON lock (place);
CREATE SEQUENCE lock_serials;
CREATE TABLE lock_mark (                   -- where locks were taken, released ones too
    place bytea   NOT NULL,
    deep  boolean NOT NULL,
    taken bigint  NOT NULL,
    PRIMARY KEY (place, deep)
);
CREATE INDEX lock_mark_taken ON lock_mark (taken);

CREATE TABLE document (
    kind       text   NOT NULL,
    key        bytea  NOT NULL,
    owner      bytea  NOT NULL,
    body       bytea  NOT NULL,
    expires_ms bigint NOT NULL,
    revision   bigint NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX document_owner ON document (kind, owner, key);
CREATE INDEX document_end ON document (expires_ms) WHERE expires_ms > 0;

CREATE TABLE lost (
    node   text   PRIMARY KEY,
    serial bigint GENERATED ALWAYS AS IDENTITY
);
CREATE TABLE disk (
    node text PRIMARY KEY,
    disk text NOT NULL
);

-- Each connection adds to rows of its own, so that no change waits for another one to count.
CREATE TABLE tally (
    key   text     NOT NULL,
    slot  smallint NOT NULL,
    value bigint   NOT NULL,
    PRIMARY KEY (key, slot)
) WITH (fillfactor = 50);

CREATE TABLE meter (                       -- what is stored at the paths of quotas and below them
    path  bytea  PRIMARY KEY,
    bytes bigint NOT NULL,
    files bigint NOT NULL
);

CREATE TABLE front (
    id      text        PRIMARY KEY,
    slot    smallint    NOT NULL UNIQUE,
    expires timestamptz NOT NULL,
    began   timestamptz NOT NULL DEFAULT now(),
    reads   timestamptz NOT NULL DEFAULT '-infinity',  -- all its downloads began after this
    meters  bytea[]     NOT NULL DEFAULT '{}'
);
CREATE TABLE lease (
    task    text        PRIMARY KEY,
    front   text        NOT NULL,
    expires timestamptz NOT NULL
);
