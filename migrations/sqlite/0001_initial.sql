-- Times are Unix seconds. Hashes are raw bytes. `refs` is a packed list of
-- path ids, eight little-endian bytes each, in the order of the names.

-- Every store path anybody named: what the cache holds, what a push is about to
-- add, and what others only refer to.
CREATE TABLE paths (
    id           INTEGER PRIMARY KEY,
    hash         TEXT    NOT NULL UNIQUE,
    name         TEXT    NOT NULL,
    state        INTEGER NOT NULL DEFAULT 0, -- 0 absent, 1 publishing, 2 present
    nar_hash     BLOB    NOT NULL DEFAULT x'',
    nar_size     INTEGER NOT NULL DEFAULT 0,
    refs         BLOB    NOT NULL DEFAULT x'',
    deriver      TEXT    NOT NULL DEFAULT '',
    sigs         TEXT    NOT NULL DEFAULT '', -- one a line
    ca           TEXT    NOT NULL DEFAULT '',
    object_id    INTEGER NOT NULL DEFAULT 0,
    listing      TEXT    NOT NULL DEFAULT '', -- staging key until it is published
    listing_size INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL
);

-- Objects that paths share: NARs by file hash.
CREATE TABLE objects (
    id           INTEGER PRIMARY KEY,
    key          TEXT    NOT NULL UNIQUE,
    size         INTEGER NOT NULL,
    state        INTEGER NOT NULL DEFAULT 0, -- 0 pending, 1 present: its bytes were checked against its key
    created_at   INTEGER NOT NULL
);

CREATE TABLE pushes (
    id           INTEGER PRIMARY KEY,
    token        TEXT    NOT NULL UNIQUE,
    identity     TEXT    NOT NULL,
    state        INTEGER NOT NULL DEFAULT 0, -- 0 open, 1 committing, 2 committed, 3 aborted
    pin          TEXT    NOT NULL DEFAULT '',
    verify       INTEGER NOT NULL DEFAULT 0,
    revision     INTEGER NOT NULL DEFAULT 0, -- counts what is claimed and announced
    result       TEXT    NOT NULL DEFAULT '',
    created_at   INTEGER NOT NULL,
    lease_until  INTEGER NOT NULL
);
CREATE INDEX pushes_lease ON pushes (state, lease_until);

CREATE TABLE push_roots (
    push_id      INTEGER NOT NULL REFERENCES pushes (id) ON DELETE CASCADE,
    path_id      INTEGER NOT NULL,
    PRIMARY KEY (push_id, path_id)
) WITHOUT ROWID;

-- What a push relies on: each row keeps its path from being collected, and
-- carries what the push would make of the path if it is the first to commit it.
CREATE TABLE push_paths (
    push_id      INTEGER NOT NULL REFERENCES pushes (id) ON DELETE CASCADE,
    path_id      INTEGER NOT NULL,
    kind         INTEGER NOT NULL, -- 0 present, 1 needed, 2 external
    nar_hash     BLOB    NOT NULL DEFAULT x'',
    nar_size     INTEGER NOT NULL DEFAULT 0,
    refs         BLOB    NOT NULL DEFAULT x'',
    deriver      TEXT    NOT NULL DEFAULT '',
    sigs         TEXT    NOT NULL DEFAULT '',
    ca           TEXT    NOT NULL DEFAULT '',
    object_id    INTEGER NOT NULL DEFAULT 0,
    listing      TEXT    NOT NULL DEFAULT '',
    listing_size INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (push_id, path_id)
) WITHOUT ROWID;
CREATE INDEX push_paths_path ON push_paths (path_id);

-- Build logs, by the base name of their derivation.
CREATE TABLE logs (
    drv          TEXT    PRIMARY KEY,
    size         INTEGER NOT NULL,
    created_at   INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE push_logs (
    push_id      INTEGER NOT NULL REFERENCES pushes (id) ON DELETE CASCADE,
    drv          TEXT    NOT NULL,
    staging      TEXT    NOT NULL,
    size         INTEGER NOT NULL,
    PRIMARY KEY (push_id, drv)
) WITHOUT ROWID;

-- Realisations of content-addressed derivations, by the key of their object.
CREATE TABLE realisations (
    key          TEXT    PRIMARY KEY,
    path_id      INTEGER NOT NULL,
    body         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX realisations_path ON realisations (path_id);

CREATE TABLE push_realisations (
    push_id      INTEGER NOT NULL REFERENCES pushes (id) ON DELETE CASCADE,
    key          TEXT    NOT NULL,
    path_id      INTEGER NOT NULL,
    body         TEXT    NOT NULL,
    PRIMARY KEY (push_id, key)
) WITHOUT ROWID;

-- Uploads in parts belong to contents, not to a push: whoever pushes the same
-- contents with the same compressor goes on where the last one stopped.
CREATE TABLE multiparts (
    id           INTEGER PRIMARY KEY,
    nar_hash     BLOB    NOT NULL,
    nar_size     INTEGER NOT NULL,
    compressor   TEXT    NOT NULL,
    identity     TEXT    NOT NULL,
    part_size    INTEGER NOT NULL,
    staging      TEXT    NOT NULL,
    upload_id    TEXT    NOT NULL,
    state        INTEGER NOT NULL DEFAULT 0, -- 0 open, 1 completed, 2 given up
    object_id    INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    used_at      INTEGER NOT NULL
);
CREATE INDEX multiparts_contents ON multiparts (nar_hash, state);

CREATE TABLE multipart_parts (
    multipart_id INTEGER NOT NULL REFERENCES multiparts (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    sha256       BLOB    NOT NULL,
    PRIMARY KEY (multipart_id, number)
) WITHOUT ROWID;

-- A closure is a root that somebody pushed.
CREATE TABLE closures (
    id           INTEGER PRIMARY KEY,
    path_id      INTEGER NOT NULL UNIQUE,
    created_at   INTEGER NOT NULL,
    pushed_at    INTEGER NOT NULL
);
CREATE INDEX closures_pushed ON closures (pushed_at);

CREATE TABLE pins (
    name         TEXT    PRIMARY KEY,
    path_id      INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) WITHOUT ROWID;
