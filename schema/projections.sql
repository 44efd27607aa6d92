-- Tables that are a function of the log. They are written by the library's `store::apply` alone,
-- and an upgrade drops them and applies every entry again, so this file may change freely:
-- raise PROJECTION_SCHEMA in lineage-core/src/store/schema.rs when it does.
-- Digests are lower-case hex, times RFC 3339 UTC with six fractional digits, paths relative to the
-- project root with '/'.

CREATE TABLE projection_schema (number INTEGER NOT NULL) STRICT;

CREATE TABLE person (
    person     TEXT PRIMARY KEY,
    commitment TEXT NOT NULL,
    seq        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE model (
    name        TEXT PRIMARY KEY,
    created_seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    completed_seq  INTEGER PRIMARY KEY,
    session        TEXT NOT NULL UNIQUE,
    model          TEXT NOT NULL REFERENCES model (name),
    version        INTEGER,
    outcome        TEXT NOT NULL CHECK (outcome IN ('completed')),
    completed      TEXT NOT NULL,
    person         TEXT NOT NULL,
    request_sha256 TEXT NOT NULL,
    idempotency_key TEXT,
    model_type     TEXT,
    seed           TEXT,
    late           INTEGER NOT NULL CHECK (late IN (0, 1))
) STRICT;
-- Holds all that a question may ask of a session itself, so that those of a model are walked without their rows.
CREATE INDEX session_by_model ON session
    (model, completed_seq, completed, version, person, model_type, seed);
CREATE INDEX session_by_time ON session (completed, completed_seq);
CREATE INDEX session_by_person ON session (person, completed_seq);
CREATE INDEX session_by_version ON session (version, completed_seq) WHERE version IS NOT NULL;
CREATE INDEX session_by_model_type ON session (model_type, completed_seq)
WHERE model_type IS NOT NULL;
CREATE INDEX session_by_seed ON session (seed, completed_seq) WHERE seed IS NOT NULL;
CREATE UNIQUE INDEX session_by_key ON session (model, idempotency_key)
WHERE idempotency_key IS NOT NULL;

CREATE TABLE version (
    model               TEXT NOT NULL REFERENCES model (name),
    number              INTEGER NOT NULL CHECK (number > 0),
    label               TEXT,
    session             TEXT NOT NULL REFERENCES session (session),
    path                TEXT NOT NULL,
    kind                TEXT NOT NULL CHECK (kind IN ('file', 'directory')),
    sha256              TEXT NOT NULL,
    size_bytes          INTEGER NOT NULL,
    files               INTEGER NOT NULL,
    stored              INTEGER NOT NULL CHECK (stored IN (0, 1)),
    metadata_path       TEXT NOT NULL,
    largest_file_path   TEXT NOT NULL,
    largest_file_sha256 TEXT NOT NULL,
    seq                 INTEGER NOT NULL,
    created             TEXT NOT NULL,
    PRIMARY KEY (model, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX version_by_label ON version (label, model) WHERE label IS NOT NULL;
CREATE INDEX version_by_sha256 ON version (sha256, seq);
CREATE INDEX version_by_largest_file ON version (largest_file_sha256, seq);
CREATE INDEX version_by_path ON version (path, seq);

CREATE TABLE dataset_use (
    session        TEXT NOT NULL REFERENCES session (session),
    role           TEXT NOT NULL,
    name           TEXT NOT NULL,
    path           TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('file', 'directory')),
    sha256         TEXT NOT NULL,
    size_bytes     INTEGER NOT NULL,
    content_sha256 TEXT,
    rows           INTEGER,
    columns        INTEGER,
    completed_seq  INTEGER NOT NULL,
    PRIMARY KEY (session, role, name)
) STRICT, WITHOUT ROWID;
-- Searches take what they need from an index alone and go on by `completed_seq`, a session's number.
CREATE INDEX dataset_use_by_sha256 ON dataset_use (sha256, completed_seq);
CREATE INDEX dataset_use_by_content ON dataset_use (content_sha256, completed_seq)
WHERE content_sha256 IS NOT NULL;
CREATE INDEX dataset_use_by_path ON dataset_use (path, completed_seq);

-- split is '' for a metric that belongs to none. `value` is what compares and sorts, NULL for NaN;
-- `special` is the text of what a JSON number cannot carry.
CREATE TABLE metric (
    session       TEXT NOT NULL REFERENCES session (session),
    split         TEXT NOT NULL,
    name          TEXT NOT NULL,
    value         REAL,
    special       TEXT CHECK (special IN ('NaN', 'Infinity', '-Infinity', '-0')),
    completed_seq INTEGER NOT NULL,
    PRIMARY KEY (session, split, name),
    CHECK ((value IS NULL) = (special IS 'NaN'))
) STRICT, WITHOUT ROWID;
CREATE INDEX metric_by_value ON metric (split, name, value, completed_seq);

CREATE TABLE parameter (
    session       TEXT NOT NULL REFERENCES session (session),
    name          TEXT NOT NULL,
    text          TEXT NOT NULL,
    type          TEXT NOT NULL,
    completed_seq INTEGER NOT NULL,
    PRIMARY KEY (session, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX parameter_by_text ON parameter (name, text, type, completed_seq);

CREATE TABLE tag (
    session       TEXT NOT NULL REFERENCES session (session),
    name          TEXT NOT NULL,
    value         TEXT NOT NULL,
    completed_seq INTEGER NOT NULL,
    PRIMARY KEY (session, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_by_value ON tag (name, value, completed_seq);

-- Which versions a version was made from.
CREATE TABLE derivation (
    model        TEXT NOT NULL,
    version      INTEGER NOT NULL,
    base_model   TEXT NOT NULL,
    base_version INTEGER NOT NULL,
    PRIMARY KEY (model, version, base_model, base_version),
    FOREIGN KEY (model, version) REFERENCES version (model, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX derivation_by_base ON derivation (base_model, base_version);

-- The latest time in the log up to an entry: it never runs back, as a clock may.
CREATE TABLE latest_time (
    time TEXT NOT NULL,
    seq  INTEGER NOT NULL,
    PRIMARY KEY (time, seq)
) STRICT, WITHOUT ROWID;

-- Metrics over the steps of a training; the points are a payload.
CREATE TABLE metric_series (
    session        TEXT NOT NULL REFERENCES session (session),
    split          TEXT NOT NULL,
    name           TEXT NOT NULL,
    points         INTEGER NOT NULL,
    payload_sha256 TEXT NOT NULL,
    PRIMARY KEY (session, split, name)
) STRICT, WITHOUT ROWID;

-- Sessions that were recorded while they ran. A session recorded as a whole has no row.
CREATE TABLE training (
    started_seq INTEGER PRIMARY KEY,
    session     TEXT NOT NULL UNIQUE,
    model       TEXT NOT NULL REFERENCES model (name),
    state       TEXT NOT NULL CHECK (state IN ('open', 'completed', 'failed')),
    started     TEXT NOT NULL,
    last_seq    INTEGER NOT NULL,
    last        TEXT NOT NULL,
    person      TEXT NOT NULL,
    reason      TEXT,
    late        INTEGER NOT NULL DEFAULT 0 CHECK (late IN (0, 1)),
    idempotency_key TEXT
) STRICT;
CREATE INDEX training_by_model ON training (model, started_seq);
CREATE INDEX training_by_state ON training (state, started_seq);
CREATE UNIQUE INDEX training_by_key ON training (idempotency_key, model)
WHERE idempotency_key IS NOT NULL;

-- The entries that say something of such a session, but for its completion.
CREATE TABLE training_entry (
    session TEXT NOT NULL REFERENCES training (session),
    seq     INTEGER NOT NULL,
    step    TEXT NOT NULL,
    PRIMARY KEY (session, seq)
) STRICT, WITHOUT ROWID;

-- What may be given to such a session only once: datasets, parameters, the seed.
CREATE TABLE training_given (
    session TEXT NOT NULL REFERENCES training (session),
    what    TEXT NOT NULL,
    name    TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (session, what, name)
) STRICT, WITHOUT ROWID;

-- The data that such a session was given, for questions about those that have not become a `session`.
CREATE TABLE training_data (
    session        TEXT NOT NULL REFERENCES training (session),
    role           TEXT NOT NULL,
    name           TEXT NOT NULL,
    path           TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('file', 'directory')),
    sha256         TEXT NOT NULL,
    content_sha256 TEXT,
    seq            INTEGER NOT NULL,
    PRIMARY KEY (session, role, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX training_data_by_sha256 ON training_data (sha256);
CREATE INDEX training_data_by_content ON training_data (content_sha256)
WHERE content_sha256 IS NOT NULL;
CREATE INDEX training_data_by_path ON training_data (path);

-- Where a pointer stands now. version NULL: the pointer was unset.
CREATE TABLE pointer (
    model         TEXT NOT NULL REFERENCES model (name),
    pointer       TEXT NOT NULL,
    version       INTEGER,
    served_path   TEXT,
    served_from   TEXT CHECK (served_from IN ('recorded', 'checkout')),
    served_blake3 TEXT,
    seq           INTEGER NOT NULL,
    since         TEXT NOT NULL,
    person        TEXT NOT NULL,
    rolled_back_from INTEGER,
    PRIMARY KEY (model, pointer),
    FOREIGN KEY (model, version) REFERENCES version (model, number),
    CHECK ((version IS NULL) = (served_path IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX pointer_by_served_path ON pointer (served_path);

-- The pointer's stack, position 0 at the bottom; its top is what `pointer` shows.
CREATE TABLE holding (
    model    TEXT NOT NULL,
    pointer  TEXT NOT NULL,
    position INTEGER NOT NULL,
    version  INTEGER,
    seq      INTEGER NOT NULL,
    PRIMARY KEY (model, pointer, position)
) STRICT, WITHOUT ROWID;

-- Every version that ever held a pointer.
CREATE TABLE held (
    model     TEXT NOT NULL,
    pointer   TEXT NOT NULL,
    version   INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    PRIMARY KEY (model, pointer, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    model   TEXT NOT NULL,
    pointer TEXT NOT NULL,
    version INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    PRIMARY KEY (model, pointer, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE pointer_history (
    seq          INTEGER PRIMARY KEY,
    model        TEXT NOT NULL,
    pointer      TEXT NOT NULL,
    action       TEXT NOT NULL,
    from_version INTEGER,
    to_version   INTEGER,
    reason       TEXT,
    time         TEXT NOT NULL,
    person       TEXT NOT NULL
) STRICT;
CREATE INDEX pointer_history_by_model ON pointer_history (model, seq);

-- What a committed session claims can never be edited.
CREATE TRIGGER session_is_immutable BEFORE UPDATE ON session
BEGIN SELECT RAISE(ABORT, 'a recorded session cannot be changed'); END;
CREATE TRIGGER session_is_permanent BEFORE DELETE ON session
BEGIN SELECT RAISE(ABORT, 'a recorded session cannot be deleted'); END;
CREATE TRIGGER version_is_immutable BEFORE UPDATE ON version
BEGIN SELECT RAISE(ABORT, 'a version cannot be changed'); END;
CREATE TRIGGER version_is_permanent BEFORE DELETE ON version
BEGIN SELECT RAISE(ABORT, 'a version cannot be deleted'); END;
CREATE TRIGGER dataset_use_is_immutable BEFORE UPDATE ON dataset_use
BEGIN SELECT RAISE(ABORT, 'a recorded dataset use cannot be changed'); END;
CREATE TRIGGER dataset_use_is_permanent BEFORE DELETE ON dataset_use
BEGIN SELECT RAISE(ABORT, 'a recorded dataset use cannot be deleted'); END;
CREATE TRIGGER metric_is_immutable BEFORE UPDATE ON metric
BEGIN SELECT RAISE(ABORT, 'a recorded metric cannot be changed'); END;
CREATE TRIGGER metric_is_permanent BEFORE DELETE ON metric
BEGIN SELECT RAISE(ABORT, 'a recorded metric cannot be deleted'); END;
CREATE TRIGGER parameter_is_immutable BEFORE UPDATE ON parameter
BEGIN SELECT RAISE(ABORT, 'a recorded parameter cannot be changed'); END;
CREATE TRIGGER parameter_is_permanent BEFORE DELETE ON parameter
BEGIN SELECT RAISE(ABORT, 'a recorded parameter cannot be deleted'); END;
CREATE TRIGGER tag_is_immutable BEFORE UPDATE ON tag
BEGIN SELECT RAISE(ABORT, 'a recorded tag cannot be changed'); END;
CREATE TRIGGER tag_is_permanent BEFORE DELETE ON tag
BEGIN SELECT RAISE(ABORT, 'a recorded tag cannot be deleted'); END;
CREATE TRIGGER metric_series_is_immutable BEFORE UPDATE ON metric_series
BEGIN SELECT RAISE(ABORT, 'a recorded series cannot be changed'); END;
CREATE TRIGGER metric_series_is_permanent BEFORE DELETE ON metric_series
BEGIN SELECT RAISE(ABORT, 'a recorded series cannot be deleted'); END;
CREATE TRIGGER derivation_is_immutable BEFORE UPDATE ON derivation
BEGIN SELECT RAISE(ABORT, 'a recorded derivation cannot be changed'); END;
CREATE TRIGGER derivation_is_permanent BEFORE DELETE ON derivation
BEGIN SELECT RAISE(ABORT, 'a recorded derivation cannot be deleted'); END;
CREATE TRIGGER person_is_immutable BEFORE UPDATE ON person
BEGIN SELECT RAISE(ABORT, 'an introduced person cannot be changed'); END;
CREATE TRIGGER person_is_permanent BEFORE DELETE ON person
BEGIN SELECT RAISE(ABORT, 'an introduced person cannot be deleted'); END;
CREATE TRIGGER pointer_history_is_immutable BEFORE UPDATE ON pointer_history
BEGIN SELECT RAISE(ABORT, 'pointer history cannot be changed'); END;
CREATE TRIGGER pointer_history_is_permanent BEFORE DELETE ON pointer_history
BEGIN SELECT RAISE(ABORT, 'pointer history cannot be deleted'); END;
