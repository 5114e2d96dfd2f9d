-- Names of the keys that sign, one a line; '' for all that the server has.
ALTER TABLE pushes ADD COLUMN signing_keys TEXT NOT NULL DEFAULT '';
ALTER TABLE paths ADD COLUMN signing_keys TEXT NOT NULL DEFAULT '';
ALTER TABLE realisations ADD COLUMN signing_keys TEXT NOT NULL DEFAULT '';
