-- What the cache held, an entry an hour.
CREATE TABLE cache_history (
    hour         INTEGER PRIMARY KEY, -- Unix time of its beginning
    paths        INTEGER NOT NULL,
    bytes        INTEGER NOT NULL, -- in the bucket
    nar_bytes    INTEGER NOT NULL, -- of NARs, unpacked
    closures     INTEGER NOT NULL
);
