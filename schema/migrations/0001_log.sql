-- The part of registry.db that is not derived from anything: the log, the openings of people's
-- commitments, and what lineage owes to files outside the database. Released migrations never
-- change; a new need is a new file. Everything else is schema/projections.sql.

-- docs/formats/registry-events.md. `entry` holds the exact canonical bytes, `sha256` their digest;
-- the next entry's `prev` repeats it.
CREATE TABLE event (
    seq    INTEGER PRIMARY KEY,
    entry  BLOB NOT NULL,
    sha256 TEXT NOT NULL
) STRICT;

CREATE TRIGGER event_is_immutable BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'the log is append-only: event rows cannot be changed'); END;
CREATE TRIGGER event_is_permanent BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'the log is append-only: event rows cannot be deleted'); END;
CREATE TRIGGER event_has_no_gap BEFORE INSERT ON event
WHEN NEW.seq <> (SELECT COALESCE(MAX(seq) + 1, 0) FROM event)
BEGIN SELECT RAISE(ABORT, 'the log has no gaps: wrong event number'); END;

-- The opening of a person's commitment (docs/formats/registry-events.md, People). A row may be
-- deleted to honour an erasure; the entries stay valid without it.
CREATE TABLE person_opening (
    person   TEXT PRIMARY KEY,
    salt     BLOB NOT NULL CHECK (length(salt) = 32),
    identity TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

-- What a file outside the database must hold as of event `seq`, and what it held before
-- (both NULL-able: NULL means absent). A file that has `replaces_sha256` is owed its new content
-- and is repaired; a file that has neither is an edit from outside and is never overwritten.
-- `settled` is a hint that the file was seen with `content_sha256`, so that it is not looked at
-- again by every command.
CREATE TABLE owed_file (
    path            TEXT NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('pointer', 'metadata')),
    model           TEXT NOT NULL,
    name            TEXT NOT NULL,
    seq             INTEGER NOT NULL REFERENCES event (seq),
    content_sha256  TEXT,
    replaces_sha256 TEXT,
    settled         INTEGER NOT NULL DEFAULT 0 CHECK (settled IN (0, 1)),
    PRIMARY KEY (kind, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX owed_file_unsettled ON owed_file (kind) WHERE settled = 0;
CREATE INDEX owed_file_by_pointer ON owed_file (model, name) WHERE kind = 'pointer';
