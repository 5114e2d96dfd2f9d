-- Retention: when closures were released, by which policies, and what is known of open pull requests.

-- When a closure was last pushed without a run of CI, adopted, imported or restored; 0: never.
ALTER TABLE closures ADD COLUMN direct_at INTEGER NOT NULL DEFAULT 0;
-- Since when nothing keeps it: it stays for the undo time. 0: it is not released.
ALTER TABLE closures ADD COLUMN released_at INTEGER NOT NULL DEFAULT 0;
-- Token of the garbage collection that has released it; '': somebody has, by hand.
ALTER TABLE closures ADD COLUMN released_by TEXT NOT NULL DEFAULT '';
UPDATE closures SET direct_at = pushed_at WHERE
    NOT EXISTS (SELECT 1 FROM closure_runs l WHERE l.closure_id = closures.id AND l.pushed_at >= closures.pushed_at)
    AND NOT EXISTS (SELECT 1 FROM closure_uses l WHERE l.closure_id = closures.id AND closures.created_at = closures.pushed_at);
CREATE INDEX closures_released ON closures (released_at) WHERE released_at <> 0;

-- What a garbage collection does with each closure, and why; '' in those without a policy.
ALTER TABLE gc_closures ADD COLUMN action TEXT NOT NULL DEFAULT '';
ALTER TABLE gc_closures ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE gc_closures ADD COLUMN delete_from INTEGER NOT NULL DEFAULT 0; -- when it is deleted unless something keeps it; 0: now, or never

-- Every policy that a garbage collection has gone by.
CREATE TABLE retention_policies (
    hash         TEXT    PRIMARY KEY, -- SHA-256 of the text
    text         TEXT    NOT NULL,
    first_used_at INTEGER NOT NULL
) WITHOUT ROWID;

-- The policy in force, in one row: that of the last garbage collection that was not held; '': none yet.
CREATE TABLE retention_state (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    policy       TEXT    NOT NULL DEFAULT ''
);
INSERT INTO retention_state (id) VALUES (1);

-- Running servers that have a policy file.
CREATE TABLE retention_servers (
    instance     TEXT    PRIMARY KEY, -- random, made at each start
    policy       TEXT    NOT NULL, -- hash
    seen_at      INTEGER NOT NULL
) WITHOUT ROWID;

-- The newest list of the open pull requests of each repository that sends them.
CREATE TABLE open_pulls (
    provider     TEXT    NOT NULL,
    repository   TEXT    NOT NULL, -- the number that it keeps when it is renamed
    numbers      TEXT    NOT NULL, -- JSON
    listed_at    INTEGER NOT NULL,
    PRIMARY KEY (provider, repository)
) WITHOUT ROWID;
