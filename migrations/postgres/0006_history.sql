-- What the cache held, an entry an hour.
CREATE TABLE cache_history (
    hour         BIGINT  PRIMARY KEY, -- Unix time of its beginning
    paths        BIGINT  NOT NULL,
    bytes        BIGINT  NOT NULL, -- in the bucket
    nar_bytes    BIGINT  NOT NULL, -- of NARs, unpacked
    closures     BIGINT  NOT NULL
);
