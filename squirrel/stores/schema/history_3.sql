-- Version 3: who asked for a run by hand; NULL for all others, so that an ordinary run pays nothing.
ALTER TABLE runs ADD COLUMN triggered_by TEXT;
INSERT OR IGNORE INTO schema_version VALUES (3);
