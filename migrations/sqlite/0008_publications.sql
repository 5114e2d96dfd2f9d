-- Number of the path's last move after which its narinfo has to be written again, or may not be
-- any more. `publications` counts those moves, of all paths together.
ALTER TABLE paths ADD COLUMN publication INTEGER NOT NULL DEFAULT 0;
INSERT INTO counters (name, value) VALUES ('publications', 0) ON CONFLICT (name) DO NOTHING;
