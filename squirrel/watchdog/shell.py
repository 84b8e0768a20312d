"""Reads, flushes, judges, tells: the loop around the ledger. SQLite is spoken to in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from squirrel.model.clock import Clock
from squirrel.model.instants import format_instant
from squirrel.model.schedule import Row, decode_row
from squirrel.recurrence import CalendarLookup
from squirrel.watchdog.alarm import NAMED_MAX, Alarm
from squirrel.watchdog.ledger import Expected, Ledger
from squirrel.watchdog.missing import missing_runs
from squirrel.watchdog.step import Delivered, Kind, Reading
from squirrel.wire.expectations import LIMIT_MAX, AskExpectations, Expectations, decode_ask, encode_expectations

GRACE_MS: Final = 5_000  # an engine that is restarted is no news
LOOK_SECONDS: Final = 1.0  # between two flushes and judgements
PENDING_MAX: Final = 50_000  # changes in memory before a flush is made in between
MISSING_LOOKED_AT_MAX: Final = 50  # overdue schedules of one answer whose slots are worked out
T = TypeVar("T")


class Source(Protocol):
    """All partitions of the topics, from the positions given at start; `streams.whole_topics.WholeTopics` is one."""

    async def start(self, positions: Mapping[tuple[str, int], int]) -> bool:
        """False when what was read before is no longer there: the ledger begins anew."""
        ...

    async def stop(self) -> None: ...

    async def batches(self) -> Sequence[tuple[str, int, list[Any]]]:
        """(topic, partition, records) of what came; waits a bounded time for the first."""
        ...

    def positions(self) -> dict[tuple[str, int], int]:
        """Where reading stands."""
        ...

    @property
    def caught_up(self) -> bool:
        """Whether all that was there at the last answer has been read."""
        ...

    async def record(self, partition: int, offset: int) -> bytes | None:
        """The changelog's record at this place; None when it was compacted away."""
        ...


@dataclass(frozen=True, slots=True)
class WatchParts:
    """What the watchdog works with. `kinds`: topic name -> what it holds; `tell(title, text)` reaches people."""

    clock: Clock
    ledger: Ledger
    source: Source
    kinds: Mapping[str, Kind]
    calendars: Callable[[str], CalendarLookup]
    tell: Callable[[str, str], Awaitable[None]]
    threshold_ms: int
    log: Any


class Watch:
    """`run` until cancelled; `answer` at any time after `start`."""

    def __init__(self, parts: WatchParts) -> None:
        self._parts = parts
        self._reading = Reading(parts.ledger)
        self._alarm = Alarm(parts.threshold_ms)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._telling: set[asyncio.Task[None]] = set()
        self.as_of_ms = 0  # what is judged: all records up to here have been read
        self.overdue = 0
        self.unanswered = 0
        self.overdue_ms_max = 0
        self.notices = 0

    @property
    def read(self) -> int:
        """Records taken in."""
        return self._reading.read

    @property
    def unreadable(self) -> int:
        """Records that were none of ours."""
        return self._reading.unreadable

    @property
    def is_ready(self) -> bool:
        """Whether it has read all there was at some time."""
        return self.as_of_ms > 0

    async def start(self) -> None:
        """Opens the ledger and stands where it left off."""
        positions = await self._do(self._parts.ledger.open)
        if not await self._parts.source.start(positions):
            self._parts.log.warning("the topics no longer hold what was read of them; the ledger begins anew")
            await self._do(self._parts.ledger.forget)

    async def stop(self) -> None:
        """Writes what gathered."""
        for task in self._telling:
            task.cancel()
        await self._do(self._parts.ledger.close)
        self._thread.shutdown(wait=False)
        await self._parts.source.stop()

    async def run(self) -> None:
        """Raises what ended it: the process ends with it and goes on where the ledger stands."""
        clock = self._parts.clock
        look_at = clock.monotonic() + LOOK_SECONDS
        while True:
            for topic, _, records in await self._parts.source.batches():
                self._reading.take(self._parts.kinds[topic], records)
            if self._parts.ledger.pending > PENDING_MAX or clock.monotonic() >= look_at:
                await self._do(partial(self._parts.ledger.flush, self._parts.source.positions()))
                if self._parts.source.caught_up:
                    self.as_of_ms = clock.now_ms()
                if clock.monotonic() >= look_at:
                    await self._judge()
                    look_at = clock.monotonic() + LOOK_SECONDS

    async def answer(self, body: bytes) -> bytes:
        """An ask of a gateway. Raises ValueError for what is none."""
        ask = decode_ask(body)
        ledger, limit = self._parts.ledger, max(1, min(ask.limit, LIMIT_MAX))
        overdue_ms = self.as_of_ms - GRACE_MS
        counts = await self._do(partial(ledger.counts, overdue_ms, self.as_of_ms, ask.namespace))
        items = await self._items(ask, limit, overdue_ms)
        return encode_expectations(
            Expectations(
                as_of_ms=self.as_of_ms, ready=self.is_ready, overdue=counts[0], unanswered=counts[1], items=items
            )
        )

    async def _items(self, ask: AskExpectations, limit: int, overdue_ms: int) -> list[dict[str, Any]]:
        ledger = self._parts.ledger
        if ask.state == "ended":
            recent = [
                each
                for each in self._reading.recent
                if each.namespace == ask.namespace and ask.schedule in (None, each.schedule)
            ]
            return [_ended(each) for each in reversed(recent[-limit:])]
        if ask.state == "unanswered":
            late = await self._do(partial(ledger.unanswered, self.as_of_ms, limit, ask.namespace, ask.schedule))
            return [
                {
                    "schedule_id": each.schedule, "run": each.run, "attempt": each.attempt, "event": each.event,
                    "state": "unanswered", "due": format_instant(each.due_ms), "emitted": format_instant(each.emitted_ms),
                    "expected_by": format_instant(each.deadline_ms), "late_ms": self.as_of_ms - each.deadline_ms,
                }
                for each in late
            ]  # fmt: skip
        if ask.state == "coming":
            coming = await self._do(partial(ledger.coming, overdue_ms, limit, ask.namespace, ask.schedule))
            return [{**_expected(each), "state": "coming"} for each in coming]
        overdue = await self._do(partial(ledger.overdue, overdue_ms, limit, ask.namespace, ask.schedule))
        return [await self._overdue(each, at < MISSING_LOOKED_AT_MAX) for at, each in enumerate(overdue)]

    async def _overdue(self, expected: Expected, looks: bool) -> dict[str, Any]:
        """With the runs that should have been; the row is read from the changelog, where the ledger says it stands."""
        item = {**_expected(expected), "state": "overdue", "late_ms": self.as_of_ms - expected.due_ms}
        value = await self._parts.source.record(expected.partition, expected.place) if looks else None
        if value is not None:
            row: Row = decode_row(value)
            missing = missing_runs(row, self.as_of_ms, self._parts.calendars(expected.namespace))
            item |= {
                "missing": [format_instant(each) for each in missing.due_ms],
                "missing_count": missing.total,
                "missing_complete": missing.complete,
            }
        return item

    async def _judge(self) -> None:
        if not self.is_ready:
            return
        ledger, now_ms = self._parts.ledger, self.as_of_ms
        self.overdue, self.unanswered = await self._do(partial(ledger.counts, now_ms - GRACE_MS, now_ms))
        oldest = await self._do(partial(ledger.overdue, now_ms - GRACE_MS, 1))
        self.overdue_ms_max = now_ms - oldest[0].due_ms if oldest else 0
        limit_ms = now_ms - self._alarm.threshold_ms
        counts = await self._do(partial(ledger.counts, limit_ms, limit_ms))
        worst = await self._do(partial(ledger.overdue, limit_ms, NAMED_MAX)) if counts[0] else []
        names = [f"{each.namespace}/{each.id}" for each in worst]
        notice = self._alarm.look(now_ms, *counts, names, worst[0].due_ms if worst else None)
        if notice is not None:
            self.notices += 1
            self._parts.log.warning("watchdog", title=notice.title, text=notice.text)
            task = asyncio.ensure_future(self._parts.tell(notice.title, notice.text))
            self._telling.add(task)
            task.add_done_callback(self._told)

    def _told(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._parts.log.error("a notice could not be sent", reason=str(error))

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _expected(expected: Expected) -> dict[str, Any]:
    return {"schedule_id": expected.id, "event": expected.event, "due": format_instant(expected.due_ms)}


def _ended(ended: Delivered) -> dict[str, Any]:
    shown = {
        "schedule_id": ended.schedule, "run": ended.run, "event": ended.event, "state": ended.state,
        "due": format_instant(ended.due_ms), "delivered": format_instant(ended.finished_ms),
    }  # fmt: skip
    return {**shown, "emitted": format_instant(ended.emitted_ms)} if ended.emitted_ms else shown
