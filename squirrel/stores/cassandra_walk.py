"""Walks time-bucketed partitions from the newest down: which buckets exist, and their shards merged into one order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from squirrel.stores.cassandra_rows import DAY_MS, HOUR_MS
from squirrel.stores.cassandra_session import CassandraSession
from squirrel.stores.cursors import Position
from squirrel.stores.history import LetterFilter, RunFilter
from squirrel.stores.matching import row_matches

SPAN_ROWS: Final = 1000  # asked for at a time; far more than the shards and retentions of one span
SpanName = tuple[str, str, str]  # namespace, kind, name


class Walk:
    """Reads through one session; keeps nothing."""

    def __init__(self, session: CassandraSession) -> None:
        self._session = session

    async def spans(self, name: SpanName, newest: int, oldest: int = 0) -> AsyncIterator[tuple[int, list[int]]]:
        """(span, its shards) from `newest` down to `oldest`, only those that hold anything."""
        while True:
            rows = await self._session.query("spans", (*name, newest, SPAN_ROWS))
            found: dict[int, set[int]] = {}
            for row in rows:
                found.setdefault(row.span, set()).add(row.shard)
            more = len(rows) == SPAN_ROWS
            if more:
                newest = rows[-1].span
                found.pop(newest)  # perhaps cut in its middle: read again
            for span, shards in found.items():
                if span < oldest:
                    return
                yield span, sorted(shards)
            if not more:
                return

    async def merged(
        self, query: str, key: tuple[Any, ...], shards: list[int], after: Position, rows_each: int
    ) -> AsyncIterator[tuple[Position, Any]]:
        """The rows of several shards strictly below `after`, newest first. Rows begin with the instant and the run."""
        while shards:
            pages: list[list[Any]] = await asyncio.gather(
                *(self._session.query(query, (*key, shard, *after, rows_each)) for shard in shards)
            )
            cut = {
                shard: Position(page[-1][0], page[-1][1])
                for shard, page in zip(shards, pages, strict=True)
                if len(page) == rows_each
            }
            # A shard that has more to give says nothing of what lies below its last row; only above it the order is known.
            frontier = max(cut.values(), default=Position(-1, ""))
            rows = [(Position(row[0], row[1]), row) for page in pages for row in page]
            for each in sorted((each for each in rows if each[0] >= frontier), key=lambda pair: pair[0], reverse=True):
                yield each
            if not cut:
                return
            after = frontier

    async def schedule_runs(self, namespace: str, schedule_id: str, after: Position, wanted: int) -> list[Position]:
        """Up to `wanted` runs of a schedule strictly below `after`."""
        found: list[Position] = []
        async for day, _ in self.spans((namespace, "schedule", schedule_id), after.instant_ms // DAY_MS):
            place = (namespace, schedule_id, day, *after, wanted - len(found))
            found += [Position(row.slot_ms, row.run) for row in await self._session.query("schedule_runs", place)]
            if len(found) >= wanted:
                break
        return found

    async def runs(
        self, namespace: str, where: RunFilter, after: Position, rows_each: int
    ) -> AsyncIterator[tuple[Position, str | None]]:
        """Every run strictly below `after` and in the filter's time; its state when it matches, None when it does not."""
        if where.to_ms is not None:
            after = min(after, Position(max(0, where.to_ms), ""))
        oldest_ms = max(0, where.from_ms or 0)
        async for hour, shards in self.spans(
            (namespace, "hour", ""), after.instant_ms // HOUR_MS, oldest_ms // HOUR_MS
        ):
            async for position, row in self.merged("hour_runs", (namespace, hour), shards, after, rows_each):
                if position.instant_ms < oldest_ms:
                    return
                state = row.outcome or row.seen
                yield position, state if row_matches(where, state, row.event) else None

    async def runs_of_schedule(
        self, namespace: str, schedule_id: str, where: RunFilter, after: Position, rows_each: int
    ) -> AsyncIterator[Position]:
        """Every run of a schedule strictly below `after` and in the filter's time; what else it asks, only the run can tell."""
        if where.to_ms is not None:
            after = min(after, Position(max(0, where.to_ms), ""))
        while found := await self.schedule_runs(namespace, schedule_id, after, rows_each):
            for position in found:
                if position.instant_ms < (where.from_ms or 0):
                    return
                yield position
            if len(found) < rows_each:
                return
            after = found[-1]

    async def dead_letters(
        self, namespace: str, where: LetterFilter, after: Position, rows_each: int
    ) -> AsyncIterator[tuple[Position, bytes]]:
        """(where it stands, its cell) strictly below `after` and in the filter's time."""
        if where.to_ms is not None:
            after = min(after, Position(max(0, where.to_ms), ""))
        oldest_ms = max(0, where.from_ms or 0)
        async for day, shards in self.spans((namespace, "dead", ""), after.instant_ms // DAY_MS, oldest_ms // DAY_MS):
            async for position, row in self.merged("day_letters", (namespace, day), shards, after, rows_each):
                if position.instant_ms < oldest_ms:
                    return
                yield position, row.record
