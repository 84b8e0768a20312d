"""The history in Cassandra: append-only tables bucketed by time, every row with its schedule's TTL, no deletes at all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, TypeVar

import msgspec

from squirrel.model.limits import PAGE_ITEMS_DEFAULT
from squirrel.stores.cassandra_address import CassandraAddress
from squirrel.stores.cassandra_rows import (
    DAY_MS,
    READS,
    SPANS_KNOWN_MAX,
    WRITES,
    BatchStatements,
    SpanKey,
    decode_attempt,
    decode_completion,
    decode_dead_letter,
    decode_mark,
    shard_of,
)
from squirrel.stores.cassandra_session import CassandraSession
from squirrel.stores.cassandra_walk import Walk
from squirrel.stores.cursors import NEWEST, Position, decode_cursor, encode_cursor, page_limit
from squirrel.stores.history import (
    PAGE_BYTES_MAX,
    RUN_ATTEMPTS_SHOWN_MAX,
    SCAN_LOADED_RUNS_MAX,
    SCAN_RUNS_MAX,
    SUMMARY_RUNS_MAX,
    SUMMARY_SECONDS_MAX,
    Counts,
    DeadLetterPage,
    DeadLetterRecord,
    HistoryBatch,
    HistoryRejects,
    HistoryUnavailable,
    LetterFilter,
    Run,
    RunFilter,
    RunPage,
    Summary,
)
from squirrel.stores.matching import letter_matches, run_matches
from squirrel.stores.run_view import body_chars, fold, last_duration_ms, view
from squirrel.stores.tally import Tally

SCAN_ROWS: Final = 500  # of one shard at a time, when a filter or a count walks
LETTER_ROWS: Final = 50  # each with its message
RUNS_LOADED_AT_ONCE: Final = 16
T = TypeVar("T")
_EVERYTHING: Final = RunFilter()
_EVERY_LETTER: Final = LetterFilter()


class CassandraHistory:
    """`History` in one keyspace. `timeout_seconds` is the deadline of every call."""

    def __init__(self, address: CassandraAddress, timeout_seconds: float = 5.0) -> None:
        self._session = CassandraSession(address, {**WRITES, **READS}, timeout_seconds)
        self._walk = Walk(self._session)
        self._known: set[SpanKey] = set()
        self._closed = False

    async def start(self) -> None:
        """Connects; makes keyspace and tables where they are missing."""
        await self._session.connect()

    async def close(self) -> None:
        """Ends the driver's threads."""
        if not self._closed:
            self._closed = True
            await self._session.close()

    async def healthy(self) -> bool:
        """Whether a node answers with our schema."""
        try:
            return bool(await self._session.query("version", ()))
        except HistoryUnavailable:
            return False

    async def write(self, batch: HistoryBatch) -> None:
        """Records before the indexes that lead to them; both again when any of it failed."""
        try:
            statements = BatchStatements(batch, self._known)
        except (ValueError, OverflowError) as error:
            raise HistoryRejects(f"Cassandra cannot hold this: {error}") from error
        try:
            await self._session.run_all(statements.records)
            await self._session.run_all(statements.indexes)
        except HistoryUnavailable:
            self._known.clear()  # the keyspace may be another one when it comes back
            raise
        if len(self._known) + len(statements.said) > SPANS_KNOWN_MAX:
            self._known.clear()
        self._known |= statements.said

    async def run(self, namespace: str, run_id: str) -> Run | None:
        """One partition."""
        return (await self._load(namespace, [run_id]))[0]

    async def runs_of(
        self, namespace: str, schedule_id: str, limit: int = PAGE_ITEMS_DEFAULT, cursor: str | None = None
    ) -> RunPage:
        """Day by day, newest first."""
        after, wanted = decode_cursor(cursor), page_limit(limit)
        found = await self._walk.schedule_runs(namespace, schedule_id, after, wanted + 1)
        return await self._page(namespace, found[:wanted], more=len(found) > wanted)

    async def runs(
        self, namespace: str, where: RunFilter | None = None, limit: int = PAGE_ITEMS_DEFAULT, cursor: str | None = None
    ) -> RunPage:
        """Hour by hour, newest first; filters walk a bounded stretch and the cursor goes on from there."""
        where, after, wanted = where or _EVERYTHING, decode_cursor(cursor), page_limit(limit)
        if where.looks_inside or where.schedule is not None:
            return await self._search(namespace, where, after, wanted)
        is_filtered = where.state is not None or where.event is not None
        found: list[Position] = []
        looked_at = 0
        async for position, state in self._walk.runs(namespace, where, after, SCAN_ROWS if is_filtered else wanted + 1):
            if state is not None:
                if len(found) == wanted:
                    return await self._page(namespace, found, more=True)
                found.append(position)
            looked_at += 1
            if looked_at == SCAN_RUNS_MAX:
                return await self._page(namespace, found, more=True, walked_to=position)
        return await self._page(namespace, found, more=False)

    async def dead_letters(
        self,
        namespace: str,
        where: LetterFilter | None = None,
        limit: int = PAGE_ITEMS_DEFAULT,
        cursor: str | None = None,
    ) -> DeadLetterPage:
        """Day by day, latest first; filters walk a bounded stretch."""
        where, after, wanted = where or _EVERY_LETTER, decode_cursor(cursor), page_limit(limit)
        items: list[DeadLetterRecord] = []
        size, last, looked_at = 0, after, 0
        walk = self._walk.dead_letters(namespace, where, after, min(wanted + 1, LETTER_ROWS))
        async for part in _in_parts(walk, LETTER_ROWS):
            places = [("mark_of", (namespace, position.run)) for position, _ in part]
            for (position, cell), marks in zip(part, await self._session.run_all(places), strict=True):
                letter = _marked(decode_dead_letter(cell), marks)
                looked_at += 1
                if letter_matches(where, letter):
                    size += len(cell)
                    if len(items) == wanted or (items and size > PAGE_BYTES_MAX):
                        return DeadLetterPage(tuple(items), encode_cursor(last))
                    items.append(letter)
                elif looked_at > SCAN_LOADED_RUNS_MAX:
                    return DeadLetterPage(tuple(items), encode_cursor(last))
                last = position
        return DeadLetterPage(tuple(items))

    async def dead_letter(self, namespace: str, run_id: str) -> DeadLetterRecord | None:
        """It lies where its run ended."""
        run = (await self._load(namespace, [run_id]))[0]
        if run is None or run.record.finished_ms is None:
            return None
        finished_ms = run.record.finished_ms
        place = (namespace, finished_ms // DAY_MS, shard_of(run_id), finished_ms, run_id)
        found, marks = await self._session.run_all([("letter", place), ("mark_of", (namespace, run_id))])
        letters = [decode_dead_letter(row.record) for row in found]
        return _marked(letters[0], marks) if letters else None

    async def _search(self, namespace: str, where: RunFilter, after: Position, wanted: int) -> RunPage:
        """What only whole runs can tell: they are read some at a time, a bounded number for one page."""
        found: list[tuple[Position, Run]] = []
        pending: list[Position] = []
        looked_at = read = size = 0
        async for position, fits in self._candidates(namespace, where, after):
            looked_at += 1
            if fits:
                pending.append(position)
            cut = looked_at == SCAN_RUNS_MAX or read + len(pending) >= SCAN_LOADED_RUNS_MAX
            if cut or len(pending) == RUNS_LOADED_AT_ONCE:
                matching = await self._matching(namespace, where, pending)
                found += matching
                size += sum(body_chars(run) for _, run in matching)
                read += len(pending)
                pending = []
                if len(found) > wanted or (size > PAGE_BYTES_MAX and len(found) > 1):
                    return _first_of(found, min(wanted, len(found) - 1))
            if cut:
                return RunPage(tuple(run for _, run in found), encode_cursor(position))
        found += await self._matching(namespace, where, pending)
        if len(found) > wanted:
            return _first_of(found, wanted)
        return RunPage(tuple(run for _, run in found))

    async def _matching(self, namespace: str, where: RunFilter, places: list[Position]) -> list[tuple[Position, Run]]:
        runs = await self._load(namespace, [place.run for place in places])
        pairs = zip(places, runs, strict=True)
        return [(place, run) for place, run in pairs if run is not None and run_matches(where, run)]

    async def _candidates(
        self, namespace: str, where: RunFilter, after: Position
    ) -> AsyncIterator[tuple[Position, bool]]:
        """(where it stands, whether it may match) of each run, newest first; ends where one page's walk must end."""
        if where.schedule is not None:
            async for position in self._walk.runs_of_schedule(namespace, where.schedule, where, after, SCAN_ROWS):
                yield position, True
            return
        async for position, state in self._walk.runs(namespace, where, after, SCAN_ROWS):
            yield position, state is not None

    async def counts(self, namespace: str, where: RunFilter | None = None) -> Counts:
        """Bounded walk over the index rows."""
        by_state: Counter[str] = Counter()
        if where is not None and (where.looks_inside or where.schedule is not None):
            page = await self._search(namespace, where, NEWEST, SCAN_LOADED_RUNS_MAX)
            by_state.update(run.record.state for run in page.items)
            return Counts(dict(by_state), complete=page.next_cursor is None)
        looked_at = 0
        async for _, state in self._walk.runs(namespace, where or _EVERYTHING, NEWEST, SCAN_ROWS):
            if state is not None:
                by_state[state] += 1
            looked_at += 1
            if looked_at == SCAN_RUNS_MAX:
                return Counts(dict(by_state), complete=False)
        return Counts(dict(by_state), complete=True)

    async def summary(self, namespace: str, schedule_id: str) -> Summary:
        """Newest first, some runs at a time: each must be read whole, so the time is what ends it."""
        tally = Tally()
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + SUMMARY_SECONDS_MAX
        walk = self._walk.runs_of_schedule(namespace, schedule_id, _EVERYTHING, NEWEST, SCAN_ROWS)
        async for part in _in_parts(walk, RUNS_LOADED_AT_ONCE):
            if tally.runs >= SUMMARY_RUNS_MAX or loop.time() >= ends_at:
                return tally.summary(complete=False)
            for run in await self._load(namespace, [position.run for position in part]):
                if run is not None:
                    tally.add(run.record.state, run.record.slot_ms, last_duration_ms(run))
        return tally.summary(complete=True)

    async def prune(self, now_ms: int) -> int:
        """Rows expire by themselves."""
        return 0

    async def _page(
        self, namespace: str, found: list[Position], *, more: bool, walked_to: Position | None = None
    ) -> RunPage:
        """Loads runs until the page is full of bodies; `walked_to` is where a filtered walk was cut."""
        items: list[Run] = []
        size = 0
        for start in range(0, len(found), RUNS_LOADED_AT_ONCE):
            part = found[start : start + RUNS_LOADED_AT_ONCE]
            for position, run in zip(part, await self._load(namespace, [each.run for each in part]), strict=True):
                if run is None:
                    continue  # expired between the two reads
                items.append(run)
                size += body_chars(run)
                if size > PAGE_BYTES_MAX and (more or position != found[-1]):
                    return RunPage(tuple(items), encode_cursor(position))
        return RunPage(tuple(items), encode_cursor(walked_to or found[-1]) if more else None)

    async def _load(self, namespace: str, run_ids: Sequence[str]) -> list[Run | None]:
        places = [("run", (namespace, run_id, RUN_ATTEMPTS_SHOWN_MAX)) for run_id in run_ids]
        runs: list[Run | None] = []
        for run_id, rows in zip(run_ids, await self._session.run_all(places), strict=True):
            attempts = [decode_attempt(row.record) for row in rows if row.record is not None]
            if len(attempts) == RUN_ATTEMPTS_SHOWN_MAX and attempts[-1].number > 1:
                # The run was due when its first attempt was, which is no longer among those shown.
                attempts += [decode_attempt(row.record) for row in await self._first(namespace, run_id)]
            done = [decode_completion(row.completion) for row in rows[:1] if row.completion is not None]
            folded = fold(HistoryBatch(tuple(attempts), tuple(done)))
            runs.append(view(next(iter(folded.values())), attempts) if folded else None)
        return runs

    async def _first(self, namespace: str, run_id: str) -> list[Any]:
        return await self._session.query("first_attempt", (namespace, run_id))


def _first_of(found: list[tuple[Position, Run]], wanted: int) -> RunPage:
    return RunPage(tuple(run for _, run in found[:wanted]), encode_cursor(found[wanted - 1][0]))


def _marked(letter: DeadLetterRecord, marks: list[Any]) -> DeadLetterRecord:
    return msgspec.structs.replace(letter, mark=decode_mark(marks[0].mark)) if marks else letter


async def _in_parts(walk: AsyncIterator[T], most: int) -> AsyncIterator[list[T]]:
    part: list[T] = []
    async for each in walk:
        part.append(each)
        if len(part) == most:
            yield part
            part = []
    if part:
        yield part
