-- Runs of CI that have pushed: one job of one attempt each, as far as it can be told apart.
-- Texts are empty and numbers 0 where nobody has said anything.
CREATE TABLE runs (
    id           INTEGER PRIMARY KEY,
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
    used_at      INTEGER NOT NULL -- when it last opened a push, pushed, or was completed
);
CREATE INDEX runs_repository ON runs (repository, id);
CREATE INDEX runs_used ON runs (used_at);

-- Which runs have pushed a closure.
CREATE TABLE closure_runs (
    closure_id   INTEGER NOT NULL REFERENCES closures (id) ON DELETE CASCADE,
    run_id       INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    pushed_at    INTEGER NOT NULL,
    PRIMARY KEY (closure_id, run_id)
) WITHOUT ROWID;
CREATE INDEX closure_runs_run ON closure_runs (run_id);

ALTER TABLE pushes ADD COLUMN run_id INTEGER NOT NULL DEFAULT 0; -- the run that pushes, or 0
