"""The embedded history: one SQLite file, one writing thread, a few reading ones; other processes read the same file.

WAL, so that readers and the writer never wait for each other. Each batch is one transaction with one fsync.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from squirrel.model.limits import PAGE_ITEMS_DEFAULT
from squirrel.stores import sqlite_rows as rows
from squirrel.stores.cursors import Position, decode_cursor, encode_cursor, page_limit
from squirrel.stores.history import (
    PAGE_BYTES_MAX,
    PRUNE_SLICE_RUNS,
    RUN_ATTEMPTS_SHOWN_MAX,
    SCAN_LOADED_RUNS_MAX,
    SCAN_RUNS_MAX,
    SUMMARY_RUNS_MAX,
    SUMMARY_SECONDS_MAX,
    SUMMARY_SLICE_RUNS,
    Counts,
    DeadLetterPage,
    DeadLetterRecord,
    HistoryBatch,
    HistoryUnavailable,
    LetterFilter,
    Run,
    RunFilter,
    RunPage,
    Summary,
)
from squirrel.stores.matching import letter_matches, row_matches, run_matches
from squirrel.stores.run_view import ODD_STATES, body_chars, fold, retention, seen_state, view
from squirrel.stores.sqlite_thread import SqliteThread
from squirrel.stores.tally import Tally

READERS: Final = 2
VACUUM_PAGES: Final = 1000  # returned to the file system in one step, 4 MiB
FREE_SHARE_MAX: Final = 0.25  # of the file; below it the free pages wait for the next rows
_EVERYTHING: Final = RunFilter()
_EVERY_LETTER: Final = LetterFilter()
T = TypeVar("T")
_Found = tuple[int, Position, str]  # row key, where it stands, state


class SqliteHistory:
    """`History` in one file. `timeout_seconds` is the deadline of every call."""

    def __init__(self, path: Path, timeout_seconds: float = 5.0) -> None:
        self._timeout_seconds = timeout_seconds
        self._writer = SqliteThread(path, timeout_seconds, "writer", makes_directory=True)
        self._readers = [SqliteThread(path, timeout_seconds, f"reader-{n}") for n in range(READERS)]
        self._idle: asyncio.Queue[SqliteThread] = asyncio.Queue()
        for reader in self._readers:
            self._idle.put_nowait(reader)
        self._namespaces: dict[str, int] = {}
        self._namespaces_generation = -1
        self._closed = False

    async def start(self) -> None:
        """Makes directory, file and tables where they are missing."""
        await self._writer.call(lambda _: None)

    async def close(self) -> None:
        """Ends the threads."""
        if not self._closed:
            self._closed = True
            await asyncio.gather(*(thread.close() for thread in (self._writer, *self._readers)))

    async def healthy(self) -> bool:
        """Whether a reader answers."""
        try:
            await self._read(lambda connection: connection.execute("SELECT 1 FROM schema_version").fetchone())
        except HistoryUnavailable:
            return False
        return True

    async def write(self, batch: HistoryBatch) -> None:
        """One transaction."""
        await self._writer.call(lambda connection: self._write(connection, batch))

    def _write(self, connection: sqlite3.Connection, batch: HistoryBatch) -> None:
        folds = fold(batch)
        connection.execute("BEGIN IMMEDIATE")
        ns_of = self._namespace_numbers(connection, batch)
        connection.executemany(rows.WRITE_RUN, [rows.run_row(each, ns_of[each.namespace]) for each in folds.values()])
        connection.executemany(
            rows.WRITE_ATTEMPT, [rows.attempt_row(attempt, ns_of[attempt.namespace]) for attempt in batch.attempts]
        )
        connection.executemany(
            rows.WRITE_DEAD_LETTER,
            [
                (
                    ns_of[letter.namespace],
                    letter.finished_ms,
                    rows.stored_run(letter.run),
                    rows.encode_dead_letter(letter),
                    letter.finished_ms + retention(letter.retention_ms),
                )
                for letter in batch.dead_letters
            ],
        )
        connection.executemany(
            rows.WRITE_MARK,
            [
                (
                    ns_of[mark.namespace],
                    rows.stored_run(mark.run),
                    mark.marked_ms,
                    rows.encode_mark(mark),
                    mark.marked_ms + retention(mark.retention_ms),
                )
                for mark in batch.marks
            ],
        )
        connection.execute("COMMIT")

    def _namespace_numbers(self, connection: sqlite3.Connection, batch: HistoryBatch) -> dict[str, int]:
        """Inside the transaction; a rolled back one raises the thread's generation, which voids what was kept."""
        if self._namespaces_generation != self._writer.generation:
            self._namespaces.clear()
            self._namespaces_generation = self._writer.generation
        names = {each.namespace for each in batch.attempts} | {each.namespace for each in batch.completions}
        names |= {each.namespace for each in batch.dead_letters} | {each.namespace for each in batch.marks}
        for name in names - self._namespaces.keys():
            connection.execute("INSERT OR IGNORE INTO namespaces (name) VALUES (?)", (name,))
            number = _namespace_number(connection, name)
            assert number is not None
            self._namespaces[name] = number
        return self._namespaces

    async def run(self, namespace: str, run_id: str) -> Run | None:
        """One run."""

        def work(connection: sqlite3.Connection) -> Run | None:
            ns = _namespace_number(connection, namespace)
            row = ns and connection.execute(rows.READ_RUN, (ns, rows.stored_run(run_id))).fetchone()
            return _run_from(connection, row, namespace) if row else None

        return await self._read(work)

    async def runs_of(
        self, namespace: str, schedule_id: str, limit: int = PAGE_ITEMS_DEFAULT, cursor: str | None = None
    ) -> RunPage:
        """By slot, newest first."""
        after, wanted = decode_cursor(cursor), page_limit(limit)
        return await self._read(lambda connection: _page_of(connection, namespace, schedule_id, after, wanted))

    async def runs(
        self, namespace: str, where: RunFilter | None = None, limit: int = PAGE_ITEMS_DEFAULT, cursor: str | None = None
    ) -> RunPage:
        """By slot, newest first; the few odd states have an index, other filters walk a bounded stretch."""
        after, wanted = decode_cursor(cursor), page_limit(limit)

        def work(connection: sqlite3.Connection) -> RunPage:
            ns = _namespace_number(connection, namespace)
            found = _scan(connection, ns, where or _EVERYTHING, after) if ns is not None else iter(())
            return _page(connection, namespace, found, wanted, where or _EVERYTHING)

        return await self._read(work)

    async def dead_letters(
        self,
        namespace: str,
        where: LetterFilter | None = None,
        limit: int = PAGE_ITEMS_DEFAULT,
        cursor: str | None = None,
    ) -> DeadLetterPage:
        """Latest first; filters walk a bounded stretch."""
        after, wanted = decode_cursor(cursor), page_limit(limit)

        def work(connection: sqlite3.Connection) -> DeadLetterPage:
            return _letters(connection, _namespace_number(connection, namespace), where or _EVERY_LETTER, after, wanted)

        return await self._read(work)

    async def dead_letter(self, namespace: str, run_id: str) -> DeadLetterRecord | None:
        """One letter."""

        def work(connection: sqlite3.Connection) -> DeadLetterRecord | None:
            place = (_namespace_number(connection, namespace), rows.stored_run(run_id))
            row = connection.execute(rows.READ_DEAD_LETTER, place).fetchone()
            return None if row is None else rows.decode_dead_letter(row[2], row[3])

        return await self._read(work)

    async def counts(self, namespace: str, where: RunFilter | None = None) -> Counts:
        """Bounded walk."""

        def work(connection: sqlite3.Connection) -> Counts:
            ns, wanted = _namespace_number(connection, namespace), where or _EVERYTHING
            found = _scan(connection, ns, wanted, decode_cursor(None)) if ns is not None else iter(())
            complete = True
            by_state: Counter[str] = Counter()
            for each in found:
                if isinstance(each, Position):
                    complete = False
                elif not wanted.looks_inside or run_matches(wanted, _loaded(connection, each[0], namespace)):
                    by_state[each[2]] += 1
            return Counts(dict(by_state), complete)

        return await self._read(work)

    async def summary(self, namespace: str, schedule_id: str) -> Summary:
        """Slice by slice, newest first."""
        tally, after = Tally(), decode_cursor(None)
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + min(SUMMARY_SECONDS_MAX, self._timeout_seconds / 2)
        while tally.runs < SUMMARY_RUNS_MAX and loop.time() < ends_at:
            found = await self._read(partial(_summary_slice, namespace=namespace, schedule_id=schedule_id, after=after))
            for slot_ms, _, state, duration_ms in found:
                tally.add(seen_state(state) if isinstance(state, int) else state, slot_ms, duration_ms)
            if len(found) < SUMMARY_SLICE_RUNS:
                return tally.summary(complete=True)
            after = Position(found[-1][0], rows.shown_run(found[-1][1]))
            await asyncio.sleep(0)
        return tally.summary(complete=False)

    async def prune(self, now_ms: int) -> int:
        """Slice by slice through the writing thread, so that a batch never waits for more than one slice."""
        total = 0
        while True:
            runs, letters = await self._writer.call(lambda connection: _prune_slice(connection, now_ms))
            total += runs
            if runs < PRUNE_SLICE_RUNS and letters < PRUNE_SLICE_RUNS:
                break
        while total and await self._writer.call(_vacuum_step):
            pass
        return total

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """In an idle reader, as one snapshot."""

        def snapshot(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("ROLLBACK")

        try:
            reader = await asyncio.wait_for(self._idle.get(), self._timeout_seconds)
        except TimeoutError:
            raise HistoryUnavailable("history: all readers are busy") from None
        try:
            return await reader.call(snapshot)
        finally:
            self._idle.put_nowait(reader)


def _namespace_number(connection: sqlite3.Connection, namespace: str) -> int | None:
    row = connection.execute("SELECT ns FROM namespaces WHERE name = ?", (namespace,)).fetchone()
    return None if row is None else int(row[0])


def _run_from(connection: sqlite3.Connection, row: tuple[object, ...], namespace: str) -> Run:
    base = rows.fold_from(row, namespace)
    attempts = connection.execute(rows.READ_ATTEMPTS, (row[0], RUN_ATTEMPTS_SHOWN_MAX))
    return view(base, [rows.attempt_from(each, base) for each in attempts])


def _scan(connection: sqlite3.Connection, ns: int, where: RunFilter, after: Position) -> Iterator[_Found | Position]:
    """Rows that match, newest first; a `Position` at the end when the walk was cut there."""
    if where.to_ms is not None:
        after = min(after, Position(where.to_ms, ""))
    place = (after.instant_ms, rows.stored_run(after.run), where.from_ms or 0)
    if where.schedule is not None:
        found = connection.execute(rows.SCAN_SCHEDULE, (ns, where.schedule, *place))
    elif where.state in ODD_STATES:
        found = connection.execute(rows.SCAN_ODD, (ns, where.state, *place))
    else:
        found = connection.execute(rows.SCAN, (ns, *place))
    loaded = 0
    for looked_at, (key, slot_ms, run, state, event) in enumerate(found, start=1):
        shown = seen_state(state) if isinstance(state, int) else state
        position = Position(slot_ms, rows.shown_run(run))
        if row_matches(where, shown, event):
            loaded += 1
            yield key, position, shown
        if looked_at == SCAN_RUNS_MAX or (where.looks_inside and loaded == SCAN_LOADED_RUNS_MAX):
            yield position
            return


def _summary_slice(
    connection: sqlite3.Connection, namespace: str, schedule_id: str, after: Position
) -> list[tuple[int, Any, str | int, int | None]]:
    place = (_namespace_number(connection, namespace), schedule_id, after.instant_ms, rows.stored_run(after.run))
    return connection.execute(rows.SUMMARY_SLICE, (*place, SUMMARY_SLICE_RUNS)).fetchall()


def _page_of(connection: sqlite3.Connection, namespace: str, schedule_id: str, after: Position, wanted: int) -> RunPage:
    ns = _namespace_number(connection, namespace)
    place = (ns, schedule_id, after.instant_ms, rows.stored_run(after.run), 0)
    found = connection.execute(rows.SCAN_SCHEDULE, place)
    return _page(
        connection, namespace, ((row[0], Position(row[1], rows.shown_run(row[2])), "") for row in found), wanted
    )


def _page(
    connection: sqlite3.Connection,
    namespace: str,
    found: Iterator[_Found | Position],
    wanted: int,
    where: RunFilter = _EVERYTHING,
) -> RunPage:
    items: list[Run] = []
    size = 0
    last = None
    for each in found:
        if isinstance(each, Position):
            return RunPage(tuple(items), encode_cursor(each))
        if len(items) == wanted or size > PAGE_BYTES_MAX:
            assert last is not None
            return RunPage(tuple(items), encode_cursor(last))
        run = _loaded(connection, each[0], namespace)
        if where.looks_inside and not run_matches(where, run):
            continue
        items.append(run)
        size += body_chars(run)
        last = each[1]
    return RunPage(tuple(items))


def _loaded(connection: sqlite3.Connection, key: int, namespace: str) -> Run:
    return _run_from(connection, connection.execute(rows.READ_RUN_BY_KEY, (key,)).fetchone(), namespace)


def _letters(
    connection: sqlite3.Connection, ns: int | None, where: LetterFilter, after: Position, wanted: int
) -> DeadLetterPage:
    if where.to_ms is not None:
        after = min(after, Position(where.to_ms, ""))
    place = (ns, after.instant_ms, rows.stored_run(after.run), where.from_ms or 0)
    items: list[DeadLetterRecord] = []
    size, last = 0, after
    for looked_at, (finished_ms, run, record, mark) in enumerate(connection.execute(rows.READ_DEAD_LETTERS, place)):
        letter = rows.decode_dead_letter(record, mark)
        if letter_matches(where, letter):
            size += len(record)
            if len(items) == wanted or (items and size > PAGE_BYTES_MAX):
                return DeadLetterPage(tuple(items), encode_cursor(last))
            items.append(letter)
        elif looked_at >= SCAN_LOADED_RUNS_MAX:
            return DeadLetterPage(tuple(items), encode_cursor(last))
        last = Position(finished_ms, rows.shown_run(run))
    return DeadLetterPage(tuple(items))


def _prune_slice(connection: sqlite3.Connection, now_ms: int) -> tuple[int, int]:
    connection.execute("BEGIN IMMEDIATE")
    keys = connection.execute(rows.EXPIRED_RUNS, (now_ms // rows.HOUR_MS, PRUNE_SLICE_RUNS)).fetchall()
    connection.executemany("DELETE FROM attempts WHERE key = ?", keys)
    connection.executemany("DELETE FROM runs WHERE key = ?", keys)
    letters = connection.execute(rows.EXPIRED_DEAD_LETTERS, (now_ms, PRUNE_SLICE_RUNS)).rowcount
    connection.execute(rows.EXPIRED_MARKS, (now_ms,))  # few: people made them, one by one or by one operation
    connection.execute("COMMIT")
    return len(keys), letters


def _vacuum_step(connection: sqlite3.Connection) -> bool:
    """Gives some pages back when too many are free; -> whether there may be more to give."""
    pages, free = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count"))
    if free <= pages * FREE_SHARE_MAX:
        return False
    connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
    return True
