-- Build logs that came in a request to the server wait here for the commit, in zstd; empty for those that are staged in the bucket.
ALTER TABLE push_logs ADD COLUMN body BYTEA NOT NULL DEFAULT '';
