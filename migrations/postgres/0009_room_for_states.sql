-- A path changes its state twice in a commit. Where its page has room for the new row, none of the indexes has to
-- be written again.
ALTER TABLE paths SET (fillfactor = 60);
