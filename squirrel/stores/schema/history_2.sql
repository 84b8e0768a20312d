-- Version 2: what people made of dead letters. mark: the LetterMark as msgpack; the newest one counts.
CREATE TABLE IF NOT EXISTS letter_marks (
  ns INTEGER NOT NULL, run BLOB NOT NULL, marked_ms INTEGER NOT NULL, mark BLOB NOT NULL, expires_ms INTEGER NOT NULL,
  PRIMARY KEY (ns, run)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS letter_marks_by_expiry ON letter_marks (expires_ms);
INSERT OR IGNORE INTO schema_version VALUES (2);
