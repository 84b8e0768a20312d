"""Results on their way to Kafka: one append per partition at a time, and many results in it when there are many.

A result that comes alone leaves in the same turn of the loop. While an append is on its way the next results gather behind it,
and after a full one they are given a few milliseconds more: at 8,000 results a second an append of its own for each would cost
more than the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from squirrel.executor.results import Record

T = TypeVar("T")
GATHER_SECONDS: Final = 0.01
BUSY_RESULTS: Final = 8  # in one flush over all partitions: from here on gathering pays
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
        self._scheduled = False
        self._quiet_until = 0.0  # loop time; a busy reporter gathers until then
        self._failed = False

    def add(self, partition: int, call: T, record: Record) -> None:
        """Sends it soon; never waits."""
        pending = self._pending.get(partition)
        if pending is None:
            self._pending[partition] = ([call], [record])
        else:
            pending[0].append(call)
            pending[1].append(record)
        if not self._scheduled and partition not in self._sending:
            self._schedule()

    async def flush(self) -> None:
        """Returns when everything added so far is acknowledged, or the process is ending."""
        while (self._pending or self._tasks) and not self._failed:
            self._flush()
            await asyncio.wait(set(self._tasks))

    def _schedule(self) -> None:
        self._scheduled = True
        loop = asyncio.get_running_loop()
        wait = self._quiet_until - loop.time()
        if wait > 0:
            loop.call_later(wait, self._flush)
        else:
            loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        if self._failed:
            return
        loop = asyncio.get_running_loop()
        count = 0
        for partition in [each for each in self._pending if each not in self._sending]:
            calls, records = self._pending.pop(partition)
            if len(calls) > APPEND_RESULTS_MAX:
                self._pending[partition] = (calls[APPEND_RESULTS_MAX:], records[APPEND_RESULTS_MAX:])
                del calls[APPEND_RESULTS_MAX:], records[APPEND_RESULTS_MAX:]
            count += len(calls)
            self._sending.add(partition)
            task = loop.create_task(self._send(partition, calls, records))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._quiet_until = loop.time() + GATHER_SECONDS if count >= BUSY_RESULTS else 0.0

    async def _send(self, partition: int, calls: list[T], records: list[Record]) -> None:
        try:
            last = await self._append(self._topic, partition, records)
        except Exception as error:  # noqa: BLE001 - unreported results must not be marked: the process ends
            self._failed = True
            self._crash(error)
            return
        self._sending.discard(partition)
        self._acknowledged(partition, calls, last)
        if partition in self._pending and not self._scheduled:
            self._schedule()
