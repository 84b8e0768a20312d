-- The history in one SQLite file. Version 1. One statement each, safe to run again.
CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY) WITHOUT ROWID;
INSERT OR IGNORE INTO schema_version VALUES (1);
-- Namespaces by number: the name would stand in every row and four times in its indexes.
CREATE TABLE IF NOT EXISTS namespaces (ns INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
-- run: 16 bytes for our own ids, text for any other. seen, final: see run_view.py; 0 when nothing was said.
-- odd: the state again when it is one that people look for and that is rare, else NULL.
CREATE TABLE IF NOT EXISTS runs (
  key INTEGER PRIMARY KEY, ns INTEGER NOT NULL, run BLOB NOT NULL, schedule TEXT NOT NULL, event TEXT NOT NULL,
  slot_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL, seen INTEGER NOT NULL, final INTEGER NOT NULL, state TEXT, odd TEXT,
  attempts INTEGER, finished_ms INTEGER, reason TEXT, status INTEGER, replay_of TEXT, tags BLOB,
  expires_hour INTEGER NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS runs_by_id ON runs (ns, run);
CREATE INDEX IF NOT EXISTS runs_by_schedule ON runs (ns, schedule, slot_ms, run);
CREATE INDEX IF NOT EXISTS runs_by_slot ON runs (ns, slot_ms, run);
CREATE INDEX IF NOT EXISTS runs_odd ON runs (ns, odd, slot_ms, run) WHERE odd IS NOT NULL;
CREATE INDEX IF NOT EXISTS runs_by_expiry ON runs (expires_hour);
-- The columns follow AttemptRecord.
CREATE TABLE IF NOT EXISTS attempts (
  key INTEGER NOT NULL, number INTEGER NOT NULL, due_ms INTEGER NOT NULL, emitted_ms INTEGER NOT NULL,
  picked_up_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL, state TEXT NOT NULL,
  target BLOB NOT NULL, status INTEGER, headers BLOB NOT NULL, body TEXT NOT NULL, body_truncated INTEGER NOT NULL,
  error_type TEXT NOT NULL, error_detail TEXT NOT NULL, stage INTEGER NOT NULL,
  PRIMARY KEY (key, number)) WITHOUT ROWID;
-- record: the DeadLetterRecord as msgpack.
CREATE TABLE IF NOT EXISTS dead_letters (
  ns INTEGER NOT NULL, finished_ms INTEGER NOT NULL, run BLOB NOT NULL, record BLOB NOT NULL, expires_ms INTEGER NOT NULL,
  PRIMARY KEY (ns, run));
CREATE INDEX IF NOT EXISTS dead_letters_by_finish ON dead_letters (ns, finished_ms, run);
CREATE INDEX IF NOT EXISTS dead_letters_by_expiry ON dead_letters (expires_ms);
