"""One SQLite connection in one thread of its own, reopened when its file was replaced, with a deadline on every call.

A removed file does not disturb SQLite: it goes on writing into the nameless inode and everything said to be durable is gone
with it. So the file's identity is compared before and after each call.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from threading import Event
from typing import Final, TypeVar

from squirrel.stores.history import HistoryRejects, HistoryUnavailable

SCHEMA_VERSION: Final = 3
# What leads from the version before to this one.
SCHEMAS: Final = {1: "history.sql", 2: "history_2.sql", 3: "history_3.sql"}
_OPEN_TRIES: Final = 20
_OPEN_PAUSE_SECONDS: Final = 0.02  # two processes that create the same file at once: one waits for the other
_CACHE_KIB: Final = 32 * 1024
_WAL_PAGES: Final = 4000  # 16 MiB between checkpoints: random index pages are written back once, not ten times
_WAL_BYTES_KEPT: Final = 64 * 1024 * 1024

T = TypeVar("T")


class SqliteThread:
    """`call(work)` runs `work(connection)` in the thread; one call at a time, in order."""

    def __init__(self, path: Path, timeout_seconds: float, name: str, *, makes_directory: bool = False) -> None:
        self._path = path
        # Only until the file was open once: a directory that goes away later may be a volume that is not mounted.
        self._makes_directory = makes_directory
        self._timeout_seconds = timeout_seconds
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"history-{name}")
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._stuck: asyncio.Future[object] | None = None
        self.generation = 0  # of the connection: what was cached from an older one is void

    async def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Raises HistoryUnavailable within the deadline, HistoryRejects for content SQLite cannot hold."""
        if self._stuck is not None and not self._stuck.done():
            raise HistoryUnavailable(f"history file {self._path}: a call from before still hangs")
        future = asyncio.get_running_loop().run_in_executor(self._threads, self._run, work)
        done, _ = await asyncio.wait({future}, timeout=self._timeout_seconds)
        if done:
            return future.result()
        if not future.cancel():
            self._stuck = future  # type: ignore[assignment]
        future.add_done_callback(lambda late: late.cancelled() or late.exception())
        if self._connection is not None:
            self._connection.interrupt()
        raise HistoryUnavailable(f"history file {self._path}: no answer within {self._timeout_seconds:g} s")

    async def close(self) -> None:
        """Closes the connection; a hanging call is not waited for beyond the deadline."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, self._disconnect)
        await asyncio.wait({future}, timeout=self._timeout_seconds)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._connected()
            result = work(connection)
            if self._file_identity() != self._identity:
                raise HistoryUnavailable(f"history file {self._path} was removed or replaced while it was written")
        except (sqlite3.DataError, sqlite3.IntegrityError, OverflowError, UnicodeError) as error:
            self._rollback()
            raise HistoryRejects(f"history file {self._path} cannot hold this: {error}") from error
        except (sqlite3.Error, OSError) as error:
            self._disconnect()
            raise HistoryUnavailable(f"history file {self._path}: {error}") from error
        except BaseException:
            self._disconnect()
            raise
        return result

    def _rollback(self) -> None:
        self.generation += 1
        if self._connection is not None and self._connection.in_transaction:
            self._connection.rollback()

    def _disconnect(self) -> None:
        connection, self._connection, self._identity = self._connection, None, None
        self.generation += 1
        if connection is not None:
            connection.close()

    def _file_identity(self) -> tuple[int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_dev, stat.st_ino

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and self._file_identity() == self._identity:
            return self._connection
        self._disconnect()
        if self._makes_directory:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        pause = Event()
        for left in range(_OPEN_TRIES, 0, -1):
            try:
                self._connection = self._opened()
                break
            except sqlite3.OperationalError as error:
                if left == 1 or "locked" not in str(error):
                    raise
                pause.wait(_OPEN_PAUSE_SECONDS)
        self._identity = self._file_identity()
        self._makes_directory = False
        assert self._connection is not None
        return self._connection

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            timeout=self._timeout_seconds * 0.8,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=64,
        )
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only before the first page is written
                connection.execute("PRAGMA journal_mode = WAL")
            # A batch costs one fsync; without it a power cut would eat rows whose offsets Kafka has as done.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
            ensure_schema(connection, self._path)
        except BaseException:
            connection.close()
            raise
        return connection


def ensure_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Creates the tables once, and takes a file of an earlier release further. Raises HistoryUnavailable for a later one's."""
    if (_version(connection) or 0) < SCHEMA_VERSION:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for version in range((_version(connection) or 0) + 1, SCHEMA_VERSION + 1):
                for statement in _statements(SCHEMAS[version]):
                    connection.execute(statement)
        except BaseException:
            connection.rollback()
            raise
        connection.commit()
    version = _version(connection) or 0
    if version != SCHEMA_VERSION:
        raise HistoryUnavailable(
            f"history file {path} has schema version {version}, this release reads {SCHEMA_VERSION}: "
            "use the release that wrote it, or another file"
        )


def _version(connection: sqlite3.Connection) -> int | None:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone() is None:
        return None
    row = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    return int(row[0])


def _statements(name: str) -> list[str]:
    text = files("squirrel.stores").joinpath(f"schema/{name}").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("--"))
    return [statement.strip() for statement in "\n".join(lines).split(";") if statement.strip()]
