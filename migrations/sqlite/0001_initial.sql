-- Ids are never used again (AUTOINCREMENT): other tables, and requests in progress, refer to them.
-- Times are Unix seconds. Hashes are raw bytes. `refs` is a packed list of
-- path ids, eight little-endian bytes each, in the order of the names.
-- A reference ends before, or with, what it names. Most are foreign keys. Those of a commit's hot rows
-- (paths.object_id, push_paths.path_id, push_paths.object_id, gc_dirty.path_id) are none: in PostgreSQL, each of them
-- would take another second for 100,000 rows, twice as long as without, since it looks up and locks what each row names.
-- Instead, the statements that delete rows of `paths` and `objects` leave those that one of these columns names.
-- 0 names nothing there. `refs` names paths as well; a garbage collection deletes no path that is named there.

-- Every store path anybody named: what the cache holds, what a push is about to
-- add, and what others only refer to.
CREATE TABLE paths (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    hash         TEXT    NOT NULL UNIQUE,
    name         TEXT    NOT NULL,
    state        INTEGER NOT NULL DEFAULT 0, -- 0 absent, 1 publishing, 2 present, 3 deleting
    nar_hash     BLOB    NOT NULL DEFAULT x'',
    nar_size     INTEGER NOT NULL DEFAULT 0,
    refs         BLOB    NOT NULL DEFAULT x'',
    deriver      TEXT    NOT NULL DEFAULT '',
    sigs         TEXT    NOT NULL DEFAULT '', -- one a line
    ca           TEXT    NOT NULL DEFAULT '',
    signing_keys TEXT    NOT NULL DEFAULT '', -- as in pushes
    signed_by    TEXT    NOT NULL DEFAULT '', -- names of the keys by which this server has signed these contents, one a line
    object_id    INTEGER NOT NULL DEFAULT 0,
    listing      TEXT    NOT NULL DEFAULT '', -- staging key until it is published; 'nar': made by the server; 'replaced': the same, and the object is that of other contents
    listing_size INTEGER NOT NULL DEFAULT 0,
    condemned_at INTEGER NOT NULL DEFAULT 0, -- since when nothing needs it; 0: something does
    fence        INTEGER NOT NULL DEFAULT 0, -- while deleting: no request to delete can land after that
    left_out     INTEGER NOT NULL DEFAULT 0, -- 1: a push has referred to it without bringing it, on purpose
    left_to      TEXT    NOT NULL DEFAULT '', -- address of the upstream cache that it was left to last; for people
    publication  INTEGER NOT NULL DEFAULT 0, -- number of its last move after which its narinfo has to be written again, or may not be any more
    created_at   INTEGER NOT NULL
);
CREATE INDEX paths_object ON paths (object_id) WHERE object_id <> 0;

-- Objects that paths share: NARs. `key` is the full key in the bucket; nothing follows from it.
CREATE TABLE objects (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    key          TEXT    NOT NULL UNIQUE,
    size         INTEGER NOT NULL,
    state        INTEGER NOT NULL DEFAULT 0, -- 0 pending, 1 present: seen in the bucket, 2 deleting
    condemned_at INTEGER NOT NULL DEFAULT 0,
    fence        INTEGER NOT NULL DEFAULT 0,
    announced_at INTEGER NOT NULL, -- when the last URL to write it was given out
    file_hash    BLOB    NOT NULL DEFAULT x'', -- SHA-256 of its bytes; empty where nobody knows it
    compression  TEXT    NOT NULL DEFAULT 'zstd', -- as its narinfos name it
    encoding     TEXT    NOT NULL DEFAULT 'none', -- Content-Encoding on top of that
    created_at   INTEGER NOT NULL
);

-- NARs that came in parts are found by what is in them; the others by their names.
CREATE INDEX objects_file_hash ON objects (file_hash) WHERE size > 8388608;

-- What the server found when it read a NAR. A NAR without a row has not been read.
CREATE TABLE verifications (
    object_id    INTEGER PRIMARY KEY REFERENCES objects (id) ON DELETE CASCADE,
    nar_hash     BLOB    NOT NULL DEFAULT x'', -- empty where it holds no NAR
    nar_size     INTEGER NOT NULL, -- where it holds more than was read: after how many bytes reading ended
    flaw         TEXT    NOT NULL DEFAULT '', -- kind and words, with a tab between; '' for a NAR
    content_hashes TEXT  NOT NULL DEFAULT '', -- hashes of content addresses, one a line
    occurrences  TEXT  NOT NULL DEFAULT '', -- hash parts that were looked for in the NAR, one a line: + before one that occurs, - before another
    listing      BLOB    NOT NULL DEFAULT x'', -- JSON in zstd, until it is published
    listing_size INTEGER NOT NULL DEFAULT 0, -- bytes of the JSON
    verified_at  INTEGER NOT NULL
);

-- Contents of paths that a push with a higher-ranked key has replaced. NAR and references stay until `kept_until`: readers may have
-- the narinfo for as long. Then both are cleared here; the row goes a day after the replacement at the earliest.
CREATE TABLE replacements (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    path_id      INTEGER NOT NULL REFERENCES paths (id),
    object_id    INTEGER REFERENCES objects (id) ON DELETE SET NULL,
    nar_hash     BLOB    NOT NULL,
    nar_size     INTEGER NOT NULL,
    refs         BLOB    NOT NULL DEFAULT x'',
    signed_by    TEXT    NOT NULL, -- as in paths
    new_nar_hash BLOB    NOT NULL,
    new_signed_by TEXT    NOT NULL,
    identity     TEXT    NOT NULL, -- whose push has replaced it
    replaced_at  INTEGER NOT NULL,
    kept_until   INTEGER NOT NULL,
    tied         INTEGER NOT NULL, -- 1: of the same rank, whose references alone were replaced
    push         TEXT    NOT NULL, -- token of the push that has; it may be gone
    written      INTEGER NOT NULL DEFAULT 0 -- 1: the narinfo was written again when no request could land any more that writes the one before
);
CREATE INDEX replacements_path ON replacements (path_id, replaced_at);
CREATE INDEX replacements_object ON replacements (object_id) WHERE object_id IS NOT NULL;

-- Runs of CI that have pushed: one job of one attempt each, as far as it can be told apart.
-- Texts are empty and numbers 0 where nobody has said anything.
CREATE TABLE runs (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    token        TEXT    NOT NULL UNIQUE,
    run_key      TEXT    NOT NULL UNIQUE, -- hash of what makes it the same run
    identity     TEXT    NOT NULL, -- who recorded it
    verified     INTEGER NOT NULL, -- 1: out of the claims of a verified token
    claimed      INTEGER NOT NULL, -- what of it the claims say: 1 pull_request, 2 url
    provider     TEXT    NOT NULL,
    repository   TEXT    NOT NULL,
    repository_id TEXT   NOT NULL,
    owner        TEXT    NOT NULL,
    owner_id     TEXT    NOT NULL,
    git_ref      TEXT    NOT NULL,
    sha          TEXT    NOT NULL,
    event        TEXT    NOT NULL,
    workflow     TEXT    NOT NULL,
    job          TEXT    NOT NULL,
    job_id       TEXT    NOT NULL,
    run_id       TEXT    NOT NULL,
    attempt      TEXT    NOT NULL,
    actor        TEXT    NOT NULL,
    url          TEXT    NOT NULL,
    pull_request INTEGER NOT NULL,
    conclusion   TEXT    NOT NULL DEFAULT '',
    job_url      TEXT    NOT NULL DEFAULT '',
    created_at   INTEGER NOT NULL,
    uses_complete INTEGER NOT NULL DEFAULT 0, -- 1: it has reported all that it used
    used_at      INTEGER NOT NULL -- when it last opened a push, pushed, reported uses, or was completed
);
CREATE INDEX runs_repository ON runs (repository, id);
CREATE INDEX runs_used ON runs (used_at);

CREATE TABLE pushes (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    token        TEXT    NOT NULL UNIQUE,
    identity     TEXT    NOT NULL,
    state        INTEGER NOT NULL DEFAULT 0, -- 0 open, 1 committing, 2 committed, 3 aborted, 4 expired
    pin          TEXT    NOT NULL DEFAULT '',
    verify       INTEGER NOT NULL DEFAULT 0,
    revision     INTEGER NOT NULL DEFAULT 0, -- counts what is claimed and announced
    announced    INTEGER NOT NULL DEFAULT 0, -- bytes of everything that it has got upload URLs for
    result       TEXT    NOT NULL DEFAULT '',
    run_id       INTEGER REFERENCES runs (id) ON DELETE SET NULL, -- the run that pushes
    signing_keys TEXT    NOT NULL DEFAULT '', -- names of the keys that sign, one a line; '' for all that the server has
    exempt       INTEGER NOT NULL DEFAULT 0, -- 1: its NARs become visible before the server has read them
    created_at   INTEGER NOT NULL,
    lease_until  INTEGER NOT NULL,
    claimed_references INTEGER NOT NULL DEFAULT 0, -- of the paths that it claims
    paths_added  INTEGER NOT NULL DEFAULT 0, -- of the paths that it claims, those that its commit has decided so far
    commit_owner TEXT    NOT NULL DEFAULT '', -- the attempt to commit it that is in progress, or was the last
    commit_until INTEGER NOT NULL DEFAULT 0, -- end of that attempt's lease; 0: it has ended
    commit_problem TEXT  NOT NULL DEFAULT '' -- how that attempt failed, as JSON
);
CREATE INDEX pushes_lease ON pushes (state, lease_until);
CREATE INDEX pushes_run ON pushes (run_id) WHERE run_id IS NOT NULL;

CREATE TABLE push_roots (
    push_id      INTEGER NOT NULL REFERENCES pushes (id) ON DELETE CASCADE,
    path_id      INTEGER NOT NULL REFERENCES paths (id),
    PRIMARY KEY (push_id, path_id)
) WITHOUT ROWID;
CREATE INDEX push_roots_path ON push_roots (path_id);

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
    left_to      TEXT    NOT NULL DEFAULT '', -- of an external path, as in paths
    revision     INTEGER NOT NULL DEFAULT 0, -- of the push, when this row last changed
    PRIMARY KEY (push_id, path_id)
) WITHOUT ROWID;
CREATE INDEX push_paths_path ON push_paths (path_id);

-- Build logs, by the base name of their derivation.
CREATE TABLE logs (
    drv          TEXT    PRIMARY KEY,
    size         INTEGER NOT NULL,
    state        INTEGER NOT NULL DEFAULT 0, -- 0 present, 1 deleting, 2 publishing
    condemned_at INTEGER NOT NULL DEFAULT 0,
    fence        INTEGER NOT NULL DEFAULT 0, -- while publishing: the push has until then to move its log into place
    push_id      INTEGER NOT NULL DEFAULT 0, -- while publishing: of the push whose log it becomes
    created_at   INTEGER NOT NULL
) WITHOUT ROWID;

-- Derivers that a path was pushed with besides the one in its row: their logs are kept as long as the path.
CREATE TABLE path_derivers (
    path_id      INTEGER NOT NULL REFERENCES paths (id) ON DELETE CASCADE,
    drv          TEXT    NOT NULL,
    PRIMARY KEY (path_id, drv)
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
    path_id      INTEGER NOT NULL REFERENCES paths (id),
    body         TEXT    NOT NULL,
    signing_keys TEXT    NOT NULL DEFAULT '', -- as in pushes
    state        INTEGER NOT NULL DEFAULT 0, -- 0 present, 1 deleting, with its path
    created_at   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX realisations_path ON realisations (path_id);

-- Realisations that pushes have brought under keys that had one: when the path of that is gone, a collection puts the next
-- one in force.
CREATE TABLE realisation_candidates (
    key          TEXT    NOT NULL,
    path_id      INTEGER NOT NULL REFERENCES paths (id),
    body         TEXT    NOT NULL,
    signing_keys TEXT    NOT NULL DEFAULT '', -- as in pushes
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (key, path_id)
) WITHOUT ROWID;
CREATE INDEX realisation_candidates_path ON realisation_candidates (path_id);

CREATE TABLE push_realisations (
    push_id      INTEGER NOT NULL REFERENCES pushes (id) ON DELETE CASCADE,
    key          TEXT    NOT NULL,
    path_id      INTEGER NOT NULL REFERENCES paths (id),
    body         TEXT    NOT NULL,
    PRIMARY KEY (push_id, key)
) WITHOUT ROWID;
CREATE INDEX push_realisations_path ON push_realisations (path_id);

-- Debug information, `debuginfo/<build id>`, by the key of its object: it points into the NAR of a path, and goes with it.
CREATE TABLE debug_infos (
    key          TEXT    PRIMARY KEY,
    path_id      INTEGER NOT NULL REFERENCES paths (id),
    created_at   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX debug_infos_path ON debug_infos (path_id);

-- Uploads in parts belong to contents, not to a push: whoever pushes the same
-- contents with the same compressor goes on where the last one stopped.
CREATE TABLE multiparts (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    nar_hash     BLOB    NOT NULL,
    nar_size     INTEGER NOT NULL,
    compressor   TEXT    NOT NULL,
    identity     TEXT    NOT NULL,
    part_size    INTEGER NOT NULL,
    key          TEXT    NOT NULL, -- of the object that the parts become
    upload_id    TEXT    NOT NULL,
    state        INTEGER NOT NULL DEFAULT 0, -- 0 open, 1 completed, 2 given up
    object_id    INTEGER REFERENCES objects (id) ON DELETE SET NULL, -- what it became
    turn         TEXT    NOT NULL DEFAULT '', -- of the request that makes one object of the parts
    turn_until   INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    used_at      INTEGER NOT NULL
);
CREATE INDEX multiparts_contents ON multiparts (nar_hash, state);
CREATE INDEX multiparts_object ON multiparts (object_id) WHERE object_id IS NOT NULL;
CREATE INDEX multiparts_identity ON multiparts (identity, state);

CREATE TABLE multipart_parts (
    multipart_id INTEGER NOT NULL REFERENCES multiparts (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL,
    size         INTEGER NOT NULL,
    sha256       BLOB    NOT NULL,
    PRIMARY KEY (multipart_id, number)
) WITHOUT ROWID;

-- A closure is a root that somebody pushed.
CREATE TABLE closures (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    path_id      INTEGER NOT NULL UNIQUE REFERENCES paths (id),
    created_at   INTEGER NOT NULL,
    pushed_at    INTEGER NOT NULL, -- when it was last pushed; of one that no push but a use has made, when that was
    used_at      INTEGER NOT NULL DEFAULT 0, -- when a run last reported that it used it; 0: none has
    adopted      INTEGER NOT NULL DEFAULT 0 -- 1: a check has taken it in, and nobody has pushed or used it since
);
CREATE INDEX closures_pushed ON closures (pushed_at);

CREATE TABLE pins (
    name         TEXT    PRIMARY KEY,
    path_id      INTEGER NOT NULL REFERENCES paths (id),
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX pins_path ON pins (path_id);
-- Not unique: pins that differ in case alone may have come from another cache.
CREATE INDEX pins_lower_name ON pins (lower(name));

-- Pins whose object in the bucket may not be as `pins` has it: written down with each
-- change, forgotten once the bucket has confirmed.
CREATE TABLE pin_writes (
    name         TEXT    PRIMARY KEY,
    generation   INTEGER NOT NULL, -- counts the changes
    fence        INTEGER NOT NULL DEFAULT 0 -- until then a request that writes or deletes it may be under way
) WITHOUT ROWID;

-- Previous targets of pins whose object in the bucket may still name them. Each is a root until the
-- bucket has confirmed the last change, which deletes the row in pin_writes.
CREATE TABLE pin_targets (
    name         TEXT    NOT NULL REFERENCES pin_writes (name) ON DELETE CASCADE,
    path_id      INTEGER NOT NULL REFERENCES paths (id),
    PRIMARY KEY (name, path_id)
) WITHOUT ROWID;
CREATE INDEX pin_targets_path ON pin_targets (path_id);

-- `roots` counts the changes of closures and pins; `gc` is the id of the garbage
-- collection in progress, or 0; `publications` counts the moves that `paths.publication` numbers;
-- `losses` how often committed paths were withdrawn.
CREATE TABLE counters (
    name         TEXT    PRIMARY KEY,
    value        INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counters (name, value) VALUES ('roots', 0), ('gc', 0), ('publications', 0), ('losses', 0), ('replacements', 0);

-- Paths that were decided while a garbage collection was under way: it keeps them,
-- and what they refer to.
CREATE TABLE gc_dirty (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    path_id      INTEGER NOT NULL
);

-- Garbage collections and checks, under way and over.
CREATE TABLE tasks (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT    NOT NULL, -- gc or fsck; one of each at a time
    token        TEXT    NOT NULL UNIQUE,
    identity     TEXT    NOT NULL,
    request      TEXT    NOT NULL, -- JSON; equal texts are equal requests
    state        INTEGER NOT NULL DEFAULT 0, -- 0 running, 1 done, 2 failed, 3 cancelled
    progress     TEXT    NOT NULL, -- JSON: phase and counts
    error        TEXT    NOT NULL DEFAULT '',
    started_at   INTEGER NOT NULL,
    lease_until  INTEGER NOT NULL,
    finished_at  INTEGER NOT NULL DEFAULT 0
);

-- The closures that a garbage collection let go, or would.
CREATE TABLE gc_closures (
    run_id       INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL,
    root         TEXT    NOT NULL,
    pushed_at    INTEGER NOT NULL,
    paths        INTEGER NOT NULL, -- of its paths, those that nothing else keeps
    bytes        INTEGER NOT NULL, -- in the bucket, of their NARs
    PRIMARY KEY (run_id, number)
) WITHOUT ROWID;

-- What a check has found.
CREATE TABLE fsck_findings (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id      INTEGER NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    kind         TEXT    NOT NULL,
    subject      TEXT    NOT NULL, -- key of the object, or name of the row
    detail       TEXT    NOT NULL,
    reason       TEXT    NOT NULL DEFAULT '', -- why it was not mended, or what a repair would do
    state        INTEGER NOT NULL DEFAULT 0, -- 0 there, 1 mended, 2 it could not be mended
    left_to_gc   INTEGER NOT NULL DEFAULT 0, -- a garbage collection removes it
    found_at     INTEGER NOT NULL,
    UNIQUE (task_id, kind, subject)
);

-- Named tokens. Of a token only its SHA-256 is kept.
CREATE TABLE tokens (
    name         TEXT    PRIMARY KEY,
    hash         BLOB    NOT NULL UNIQUE,
    scopes       TEXT    NOT NULL, -- words with commas
    trusted      INTEGER NOT NULL DEFAULT 0, -- 1: what it uploads need not be read first, with --verify-uploads=untrusted
    created_by   TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL DEFAULT 0 -- 0: never
) WITHOUT ROWID;

-- Which runs have pushed a closure.
CREATE TABLE closure_runs (
    closure_id   INTEGER NOT NULL REFERENCES closures (id) ON DELETE CASCADE,
    run_id       INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    pushed_at    INTEGER NOT NULL,
    PRIMARY KEY (closure_id, run_id)
) WITHOUT ROWID;
CREATE INDEX closure_runs_run ON closure_runs (run_id);

-- Which runs have used a closure: they had its root from the cache.
CREATE TABLE closure_uses (
    closure_id   INTEGER NOT NULL REFERENCES closures (id) ON DELETE CASCADE,
    run_id       INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    used_at      INTEGER NOT NULL,
    PRIMARY KEY (closure_id, run_id)
) WITHOUT ROWID;
CREATE INDEX closure_uses_run ON closure_uses (run_id);
CREATE INDEX closure_uses_used ON closure_uses (used_at);

-- What the cache held, an entry an hour.
CREATE TABLE cache_history (
    hour         INTEGER PRIMARY KEY, -- Unix time of its beginning
    paths        INTEGER NOT NULL,
    bytes        INTEGER NOT NULL, -- in the bucket
    nar_bytes    INTEGER NOT NULL, -- of NARs, unpacked
    closures     INTEGER NOT NULL
);

-- Closures and pins of another cache's database that `niks3-server import` has read. `niks3 fsck --repair` makes closures
-- and pins of them once it has found their paths in the bucket.
CREATE TABLE imported_closures (
    hash         TEXT    PRIMARY KEY, -- hash part of the root
    pushed_at    INTEGER NOT NULL, -- there
    state        INTEGER NOT NULL DEFAULT 0 -- 0 waits for its root, 1 done
);

CREATE TABLE imported_pins (
    name         TEXT    PRIMARY KEY,
    path         TEXT    NOT NULL, -- base name of the store path
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    state        INTEGER NOT NULL DEFAULT 0 -- as in imported_closures
);

-- The bucket that this database belongs to, in one row; `niks3-owner.json` in the bucket names this database in turn.
CREATE TABLE ownership (
    id             INTEGER PRIMARY KEY CHECK (id = 1),
    database_id    TEXT    NOT NULL DEFAULT '', -- random; made at the first start, and again whenever the database takes over a bucket
    claim_id       TEXT    NOT NULL DEFAULT '', -- the next database_id while a bucket is being taken over
    bucket_id      TEXT    NOT NULL DEFAULT '', -- '' until the first start has claimed a bucket
    generation     INTEGER NOT NULL DEFAULT 0, -- counts writing transactions
    repair_reason  TEXT    NOT NULL DEFAULT '', -- why garbage collections wait for `niks3 fsck --repair`; '' if they do not
    repair_after   INTEGER NOT NULL DEFAULT 0 -- tasks with ids up to this one began before that
);
INSERT INTO ownership (id) VALUES (1);
