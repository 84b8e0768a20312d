"""Results on their way to Kafka: one append per partition at a time, and many results in it when there are many.

A result that comes alone leaves in the same turn of the loop; what follows within a few milliseconds gathers, over all partitions
alike, so that one request to the broker and one answer of its long poll carry them all. An append, a fetch and a step of its own
for each result cost three processes more than the calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from squirrel.executor.results import Record

T = TypeVar("T")
GATHER_SECONDS: Final = 0.025  # between two flushes; what waits for a result (retries, children) waits seconds
GATHER_RESULTS: Final = 64  # over all partitions: enough for one request
APPEND_RESULTS_MAX: Final = 500


class Append(Protocol):
    """The idempotent writer's `append`: all of it acknowledged, or Fatal."""

    async def __call__(self, topic: str, partition: int, records: Sequence[Record]) -> int: ...


class Reporter(Generic[T]):
    """`add` a result with the call it belongs to; `acknowledged(partition, calls, last offset)` when Kafka has it."""

    def __init__(
        self,
        topic: str,
        append: Append,
        acknowledged: Callable[[int, list[T], int], None],
        crash: Callable[[BaseException], None],
    ) -> None:
        self._topic = topic
        self._append = append
        self._acknowledged = acknowledged
        self._crash = crash
        self._pending: dict[int, tuple[list[T], list[Record]]] = {}
        self._sending: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._scheduled: asyncio.Handle | None = None
        self._gathered = 0
        self.unreported = 0  # added and not acknowledged: what a kill now would call again
        self._fewer = asyncio.Event()
        self._flushed_at = float("-inf")  # loop time
        self._failed = False

    def add(self, partition: int, call: T, record: Record) -> None:
        """Sends it soon; never waits."""
        self.unreported += 1
        self._gathered += 1
        pending = self._pending.get(partition)
        if pending is None:
            self._pending[partition] = ([call], [record])
        else:
            pending[0].append(call)
            pending[1].append(record)
        if partition not in self._sending:
            self._schedule()

    async def fewer_than(self, unreported_max: int) -> None:
        """Returns when fewer results than that wait for their acknowledgement, or the process is ending."""
        while self.unreported >= unreported_max and not self._failed:
            self._fewer.clear()
            await self._fewer.wait()

    async def flush(self) -> None:
        """Returns when everything added so far is acknowledged, or the process is ending."""
        while (self._pending or self._tasks) and not self._failed:
            self._flush()
            await asyncio.wait(set(self._tasks))

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        wait = self._flushed_at + GATHER_SECONDS - loop.time()
        if self._scheduled is None:
            self._scheduled = loop.call_later(wait, self._flush) if wait > 0 else loop.call_soon(self._flush)
        elif self._gathered == GATHER_RESULTS:
            self._scheduled.cancel()
            self._scheduled = loop.call_soon(self._flush)

    def _flush(self) -> None:
        if self._scheduled is not None:
            self._scheduled.cancel()
        self._scheduled = None
        self._gathered = 0
        if self._failed:
            return
        loop = asyncio.get_running_loop()
        for partition in [each for each in self._pending if each not in self._sending]:
            calls, records = self._pending.pop(partition)
            if len(calls) > APPEND_RESULTS_MAX:
                self._pending[partition] = (calls[APPEND_RESULTS_MAX:], records[APPEND_RESULTS_MAX:])
                del calls[APPEND_RESULTS_MAX:], records[APPEND_RESULTS_MAX:]
            self._sending.add(partition)
            task = loop.create_task(self._send(partition, calls, records))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._flushed_at = loop.time()

    async def _send(self, partition: int, calls: list[T], records: list[Record]) -> None:
        try:
            last = await self._append(self._topic, partition, records)
        except Exception as error:  # noqa: BLE001 - unreported results must not be marked: the process ends
            self._failed = True
            self._fewer.set()
            self._crash(error)
            return
        self._sending.discard(partition)
        self.unreported -= len(calls)
        self._fewer.set()
        self._acknowledged(partition, calls, last)
        if partition in self._pending:
            self._schedule()
