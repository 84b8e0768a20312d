"""Reporting: alone at once, many together, one append per partition at a time, and never silently lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from squirrel.executor.reporting import APPEND_RESULTS_MAX, Reporter
from squirrel.executor.results import Record
from tests.eventually import eventually

RECORD: Record = (b"key", b"{}", [])


class Log:
    """Appends that end when the test says so."""

    def __init__(self) -> None:
        self.appends: list[tuple[int, int]] = []
        self.acknowledged: list[tuple[int, int, int]] = []
        self.crashes: list[BaseException] = []
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None
        self.reporter: Reporter[int] = Reporter("results", self.append, self.told, self.crashes.append)

    async def append(self, topic: str, partition: int, records: Sequence[Record]) -> int:
        self.appends.append((partition, len(records)))
        await self.open.wait()
        if self.error is not None:
            raise self.error
        return 41

    def told(self, partition: int, calls: list[int], last: int) -> None:
        self.acknowledged.append((partition, len(calls), last))


async def test_one_alone_leaves_at_once() -> None:
    log = Log()
    log.reporter.add(3, 1, RECORD)
    await log.reporter.flush()
    assert log.appends == [(3, 1)]
    assert log.acknowledged == [(3, 1, 41)]


async def test_results_gather_behind_an_append_of_their_partition() -> None:
    log = Log()
    log.open.clear()
    log.reporter.add(3, 0, RECORD)
    await eventually(lambda: len(log.appends) == 1)
    for number in range(5):
        log.reporter.add(3, number, RECORD)
    log.reporter.add(4, 9, RECORD)
    await eventually(lambda: (4, 1) in log.appends)
    assert log.appends == [(3, 1), (4, 1)]
    assert log.acknowledged == []
    log.open.set()
    await eventually(lambda: log.appends[-1] == (3, 5))
    await eventually(lambda: sum(count for _, count, _ in log.acknowledged) == 7)


async def test_an_append_is_bounded() -> None:
    log = Log()
    for number in range(APPEND_RESULTS_MAX + 1):
        log.reporter.add(0, number, RECORD)
    await eventually(lambda: len(log.acknowledged) == 2)
    assert log.appends == [(0, APPEND_RESULTS_MAX), (0, 1)]


async def test_what_kafka_refuses_ends_the_process_and_is_not_acknowledged() -> None:
    log = Log()
    log.error = RuntimeError("gone")
    log.reporter.add(0, 1, RECORD)
    await eventually(lambda: bool(log.crashes))
    log.reporter.add(1, 1, RECORD)
    await log.reporter.flush()
    assert log.crashes == [log.error]
    assert log.acknowledged == []
    assert log.appends == [(0, 1)]
