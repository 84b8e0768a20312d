"""What is coming: the timeline up to an instant, recurring rules expanded, counted by bucket. Reads only, within limits.

The timeline holds each schedule at its next instant, so one that has nothing before the window's end is never looked at.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from squirrel.engine.slots import slot_after
from squirrel.model.limits import UPCOMING_ROW_SLOTS_MAX, UPCOMING_ROWS_MAX, UPCOMING_SLOTS_MAX
from squirrel.model.schedule import Row, State, decode_row, decode_row_head, is_recurring
from squirrel.recurrence import RuleError, spread_offset_ms
from squirrel.streams.timeline.keys import d_due_ms, d_prefix, d_s_key, d_start
from squirrel.wire.owner_link import Buckets, Crowd, Upcoming

if TYPE_CHECKING:
    from squirrel.engine.parts import EngineParts

SCAN_PAGE: Final = 200
CROWD_SAMPLE_MAX: Final = 50
UPCOMING_SECONDS_MAX: Final = 2.0  # the gateway waits five
STRETCH_SECONDS: Final = 0.002  # firing goes on after it

assert UPCOMING_ROW_SLOTS_MAX <= UPCOMING_SLOTS_MAX, "one schedule at its limit fits an answer"


class _Count:
    """The answer as it grows."""

    def __init__(self, ask: Upcoming) -> None:
        self.ask = ask
        self.counts: dict[int, int] = {}
        self.top: dict[int, list[tuple[int, str]]] = {}
        self.schedules = 0
        self.slots = 0
        self.complete = True

    def add(self, schedule_id: str, runs: dict[int, int]) -> None:
        """One schedule's runs, by bucket."""
        self.schedules += bool(runs)
        for bucket, count in runs.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
            top = self.top.setdefault(bucket, [])
            if len(top) < self.ask.top:
                heapq.heappush(top, (count, schedule_id))
            else:
                heapq.heappushpop(top, (count, schedule_id))

    def answer(self) -> Buckets:
        top = {
            bucket: [(name, count) for count, name in sorted(found, key=lambda each: (-each[0], each[1]))]
            for bucket, found in self.top.items()
        }
        return Buckets(self.counts, top, self.schedules, self.complete)


async def upcoming_runs(parts: EngineParts, partitions: Iterable[int], ask: Upcoming) -> Buckets:
    """The answer for these partitions; gives the loop back every few milliseconds."""
    count = _Count(ask)
    ends_at = parts.clock.monotonic() + UPCOMING_SECONDS_MAX
    turn_at = parts.clock.monotonic() + STRETCH_SECONDS
    for looked_at, row in enumerate(_rows(parts, partitions, ask)):
        now = parts.clock.monotonic()
        if looked_at >= UPCOMING_ROWS_MAX or count.slots >= UPCOMING_SLOTS_MAX or now >= ends_at:
            count.complete = False
            break
        if now >= turn_at:
            await asyncio.sleep(0)
            turn_at = parts.clock.monotonic() + STRETCH_SECONDS
        if row is not None:
            _expand(parts, row, count)
    return count.answer()


async def crowd(parts: EngineParts, partitions: Iterable[int], ask: Crowd) -> Buckets:
    """How many schedules have their next run within, by the timeline's keys alone.

    Finished schedules stand there too, until their retention ends; a sample of the rows says what share of the keys is live.
    """
    total = 0.0
    for partition in partitions:
        keys: list[bytes] = []
        after = d_start(d_prefix(ask.namespace), ask.from_ms)
        while parts.store.is_open(partition) and total + len(keys) < ask.limit:
            page = [key for key, _ in parts.store.scan(partition, d_prefix(ask.namespace), after, SCAN_PAGE)]
            inside = [key for key in page if d_due_ms(key) < ask.to_ms]
            keys += inside
            if len(inside) < SCAN_PAGE:
                break
            after = inside[-1]
            await asyncio.sleep(0)
        if keys and parts.store.is_open(partition):
            sample = keys[:: -(-len(keys) // CROWD_SAMPLE_MAX)]
            rows = parts.store.get_many(partition, [d_s_key(key) for key in sample])
            live = sum(row is not None and decode_row_head(row).state is State.ACTIVE for row in rows)
            total += len(keys) * live / len(sample)
    return Buckets({}, {}, round(total), total < ask.limit)


def _rows(parts: EngineParts, partitions: Iterable[int], ask: Upcoming) -> Iterator[Row | None]:
    """The namespace's active rows on the timeline before the window's end; None for one that is not active."""
    prefix = d_prefix(ask.namespace)
    for partition in partitions:
        if not parts.store.is_open(partition):
            continue
        first_ms = parts.store.next_due_ms(partition, ask.namespace)
        if first_ms is None:
            continue
        after = d_start(
            prefix, first_ms
        )  # from the first that is there: what was taken off before it costs time to pass
        while True:
            if not parts.store.is_open(partition):
                break  # revoked while the loop had its turn
            page = [key for key, _ in parts.store.scan(partition, prefix, after, SCAN_PAGE)]
            keys = [key for key in page if d_due_ms(key) < ask.to_ms]
            for value in parts.store.get_many(partition, [d_s_key(key) for key in keys]):
                row = decode_row(value) if value is not None else None
                yield row if row is not None and row.state is State.ACTIVE else None
            if len(keys) < SCAN_PAGE:
                break
            after = page[-1]


def _expand(parts: EngineParts, row: Row, count: _Count) -> None:
    """One schedule's runs within the window; `max_runs` ends them, a rule that cannot be evaluated has none."""
    ask, when = count.ask, row.spec.when
    spread_ms = spread_offset_ms(f"{row.namespace}/{row.id}", when.spread_seconds)
    calendars = parts.calendars(row.namespace)
    left = UPCOMING_ROW_SLOTS_MAX
    if when.max_runs is not None:
        left = min(left, when.max_runs - row.slots)
    runs: dict[int, int] = {}
    slot_ms = row.slot_ms
    try:
        if slot_ms is not None and is_recurring(when) and slot_ms + spread_ms < ask.from_ms and when.max_runs is None:
            slot_ms = slot_after(row, ask.from_ms - spread_ms - 1, calendars)
        while slot_ms is not None and slot_ms + spread_ms < ask.to_ms and left > 0:
            if slot_ms + spread_ms >= ask.from_ms:
                bucket = (slot_ms + spread_ms - ask.from_ms) // ask.bucket_ms
                runs[bucket] = runs.get(bucket, 0) + 1
            left -= 1
            count.slots += 1
            slot_ms = slot_after(row, slot_ms, calendars) if is_recurring(when) else None
    except RuleError:
        pass  # the engine parks it as failed when it comes to it
    if left == 0 and slot_ms is not None and slot_ms + spread_ms < ask.to_ms:
        count.complete = (
            count.complete and when.max_runs is not None and row.slots + sum(runs.values()) >= when.max_runs
        )
    count.add(row.id, runs)
