"""The ledger: what each schedule is expected to do next, and attempts that were emitted and not answered. One SQLite file.

Changes gather in memory and are written together with the offsets that they came from, so a restart goes on exactly there. What
came and went in between (an attempt and its result) is never written at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

VERSION: Final = 1
CACHE_KIB: Final = 16 * 1024
COUNTED_MAX: Final = 100_000  # more overdue ones than this are "at least" so many

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS positions (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, next_offset INTEGER NOT NULL, PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS expected (
  ns TEXT NOT NULL, id TEXT NOT NULL, due_ms INTEGER NOT NULL, event TEXT NOT NULL, partition INTEGER NOT NULL,
  place INTEGER NOT NULL, PRIMARY KEY (ns, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS expected_by_due ON expected (due_ms);
CREATE TABLE IF NOT EXISTS emitted (
  ns TEXT NOT NULL, run TEXT NOT NULL, attempt INTEGER NOT NULL, schedule TEXT NOT NULL, event TEXT NOT NULL,
  due_ms INTEGER NOT NULL, emitted_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL,
  PRIMARY KEY (ns, run, attempt)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS emitted_by_deadline ON emitted (deadline_ms);
"""
_OVERDUE: Final = """
SELECT * FROM expected WHERE due_ms < ? AND (? IS NULL OR ns = ?) AND (? IS NULL OR id = ?) ORDER BY due_ms LIMIT ?
"""
_COMING: Final = _OVERDUE.replace("due_ms < ?", "due_ms >= ?")
_UNANSWERED: Final = """
SELECT * FROM emitted WHERE deadline_ms < ? AND (? IS NULL OR ns = ?) AND (? IS NULL OR schedule = ?) ORDER BY deadline_ms LIMIT ?
"""
_COUNT_OVERDUE: Final = (
    "SELECT count(*) FROM (SELECT 1 FROM expected WHERE due_ms < ? AND (? IS NULL OR ns = ?) LIMIT ?)"
)
_COUNT_UNANSWERED: Final = _COUNT_OVERDUE.replace("expected WHERE due_ms", "emitted WHERE deadline_ms")


class Expected(NamedTuple):
    """A schedule whose row the engine must look at by `due_ms`; its row stands at (partition, place) of the changelog."""

    namespace: str
    id: str
    due_ms: int
    event: str
    partition: int
    place: int


class Emitted(NamedTuple):
    """An attempt that must have a result by `deadline_ms`."""

    namespace: str
    run: str
    attempt: int
    schedule: str
    event: str
    due_ms: int
    emitted_ms: int
    deadline_ms: int


class Ledger:
    """Used by one thread at a time. `pending` says how much waits to be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None
        self._rows: dict[tuple[str, str], Expected | None] = {}
        self._emitted: dict[tuple[str, str, int], Emitted] = {}
        self._answered: set[tuple[str, str, int]] = set()

    @property
    def pending(self) -> int:
        """Changes in memory."""
        return len(self._rows) + len(self._emitted) + len(self._answered)

    def open(self) -> dict[tuple[str, int], int]:
        """Opens or makes the file; -> where reading goes on, by (topic, partition). A file of another version begins anew."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        db = self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")  # after a power cut it is older, and reads the rest again
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        if db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            for table in ("positions", "expected", "emitted"):
                db.execute(f"DROP TABLE IF EXISTS {table}")
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.executescript(_SCHEMA)
        return {(topic, partition): at for topic, partition, at in db.execute("SELECT * FROM positions")}

    def close(self) -> None:
        """What was not flushed is read again next time."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def forget(self) -> None:
        """Begins anew: the changelog has lost what was read of it."""
        self._rows.clear()
        self._emitted.clear()
        self._answered.clear()
        for table in ("positions", "expected", "emitted"):
            self._open.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours

    def expect(self, expected: Expected) -> None:
        """The newest word on a schedule."""
        self._rows[expected.namespace, expected.id] = expected

    def expect_nothing(self, namespace: str, schedule_id: str) -> None:
        """It is over, waits for another, is paused, or is gone."""
        self._rows[namespace, schedule_id] = None

    def emit(self, emitted: Emitted) -> None:
        """The engine has ordered an attempt."""
        key = emitted[:3]
        self._answered.discard(key)
        self._emitted[key] = emitted

    def answer(self, namespace: str, run: str, attempt: int) -> Emitted | None:
        """An attempt has its result; -> what was known of it, unless only the file knows."""
        key = (namespace, run, attempt)
        known = self._emitted.pop(key, None)
        if known is None:
            self._answered.add(key)
        return known

    def flush(self, positions: Mapping[tuple[str, int], int]) -> None:
        """One transaction: all that gathered, and how far was read."""
        db = self._open
        rows, emitted, answered = self._rows, self._emitted, self._answered
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany(
                "INSERT OR REPLACE INTO expected VALUES (?, ?, ?, ?, ?, ?)",
                [each for each in rows.values() if each is not None],
            )
            db.executemany(
                "DELETE FROM expected WHERE ns = ? AND id = ?", [key for key, each in rows.items() if each is None]
            )
            db.executemany("INSERT OR REPLACE INTO emitted VALUES (?, ?, ?, ?, ?, ?, ?, ?)", list(emitted.values()))
            db.executemany("DELETE FROM emitted WHERE ns = ? AND run = ? AND attempt = ?", list(answered))
            db.executemany(
                "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)",
                [(topic, partition, at) for (topic, partition), at in positions.items()],
            )
            db.execute("COMMIT")
        except BaseException:
            db.rollback()
            raise
        self._rows, self._emitted, self._answered = {}, {}, set()

    def overdue(
        self, before_ms: int, limit: int, namespace: str | None = None, schedule: str | None = None
    ) -> list[Expected]:
        """Instants that passed before `before_ms`, oldest first."""
        rows = self._open.execute(_OVERDUE, (before_ms, namespace, namespace, schedule, schedule, limit))
        return [Expected(*row) for row in rows]

    def coming(
        self, from_ms: int, limit: int, namespace: str | None = None, schedule: str | None = None
    ) -> list[Expected]:
        """Instants from `from_ms`, soonest first."""
        rows = self._open.execute(_COMING, (from_ms, namespace, namespace, schedule, schedule, limit))
        return [Expected(*row) for row in rows]

    def unanswered(
        self, before_ms: int, limit: int, namespace: str | None = None, schedule: str | None = None
    ) -> list[Emitted]:
        """Attempts whose result is owed since before `before_ms`, longest first."""
        rows = self._open.execute(_UNANSWERED, (before_ms, namespace, namespace, schedule, schedule, limit))
        return [Emitted(*row) for row in rows]

    def counts(self, overdue_ms: int, unanswered_ms: int, namespace: str | None = None) -> tuple[int, int]:
        """(overdue schedules, attempts without a result), each up to COUNTED_MAX."""
        asked = ((_COUNT_OVERDUE, overdue_ms), (_COUNT_UNANSWERED, unanswered_ms))
        found = [
            self._open.execute(sql, (before_ms, namespace, namespace, COUNTED_MAX)).fetchone()[0]
            for sql, before_ms in asked
        ]
        return int(found[0]), int(found[1])

    @property
    def _open(self) -> sqlite3.Connection:
        assert self._db is not None, "the ledger is not open"
        return self._db
