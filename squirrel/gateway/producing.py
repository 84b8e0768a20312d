"""Micro-batches: what concurrent calls want to write is appended together, and each call learns its own offset.

A call waits for at most one append that is under way plus its own. While one is under way everything else collects, so the
batches grow with the load and a lone call waits for nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from squirrel.gateway.kafka_writer import Record
from squirrel.gateway.limits import WRITE_SECONDS_MAX
from squirrel.model.errors import Refused, Unavailable
from squirrel.model.limits import KIB, MIB, RECORD_BYTES_MAX

APPEND_BYTES_MAX: Final = 8 * MIB  # of one append, over all partitions
WAITING_RECORDS_MAX: Final = 100_000  # 100 full batches; beyond it callers hear 503 at once
WAITING_BYTES_MAX: Final = 256 * MIB  # the same in memory
APPENDS_IN_FLIGHT_MAX: Final = 2  # one on its way while the next is written: a third would only split the batches
VALUE_BYTES_MAX: Final = RECORD_BYTES_MAX - 2 * KIB  # key and Kafka's own framing fit beside it

Append = Callable[[int, Sequence[Record]], Awaitable[int]]
"""(partition, records) -> offset of the last one, acknowledged; never reorders within a partition; raises Unavailable."""


class _Waiting:
    """Records of one caller for one partition, and where their last offset goes."""

    __slots__ = ("offset", "partition", "records", "size")

    def __init__(self, partition: int, records: Sequence[Record], offset: asyncio.Future[int]) -> None:
        self.partition = partition
        self.records = records
        self.offset = offset
        self.size = sum(len(key) + len(value or b"") for key, value, _ in records)


class CommandLog:
    """Collects writes and appends them together, partition by partition. `timeout_seconds` bounds each caller's wait."""

    def __init__(self, append: Append, timeout_seconds: float = WRITE_SECONDS_MAX) -> None:
        self._append_to = append
        self._timeout_seconds = timeout_seconds
        self._waiting: deque[_Waiting] = deque()
        self._records = 0
        self._bytes = 0
        self._appends: set[asyncio.Task[None]] = set()
        self._beginning = False
        self._closed = False
        self.appended = 0  # records acknowledged, for metrics

    @property
    def waiting(self) -> int:
        """Records that are not acknowledged yet."""
        return self._records

    async def write(self, partition: int, records: Sequence[Record]) -> int:
        """The offset of the last of `records`; the ones before it stand right before it. Raises Refused, Unavailable."""
        if self._closed:
            raise Unavailable("the gateway is stopping; send again", 2)
        for key, value, _ in records:
            if len(value or b"") > VALUE_BYTES_MAX:
                reason = f"{key.decode()} makes a record of {len(value or b'')} bytes, the limit is {VALUE_BYTES_MAX}; send less"
                raise Refused.one("body", reason, code="too_large")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(partition, records, loop.create_future())
        if self._records + len(records) > WAITING_RECORDS_MAX or self._bytes + waiting.size > WAITING_BYTES_MAX:
            raise Unavailable("more writes wait for Kafka than this gateway holds; send again", 1)
        self._records += len(records)
        self._bytes += waiting.size
        self._waiting.append(waiting)
        self._begin()
        deadline = loop.call_later(self._timeout_seconds, self._give_up, waiting)
        try:
            return await waiting.offset
        finally:
            deadline.cancel()

    def _give_up(self, waiting: _Waiting) -> None:
        if not waiting.offset.done():
            reason = (
                f"Kafka did not acknowledge the write within {self._timeout_seconds:g} s; it may still be stored: send it "
                "again with the same id or Idempotency-Key, and nothing is done twice"
            )
            waiting.offset.set_exception(Unavailable(reason, 2))

    def _begin(self) -> None:
        """Makes sure that an append will take what waits; one that has not begun yet is enough."""
        if self._waiting and not self._beginning and len(self._appends) < APPENDS_IN_FLIGHT_MAX:
            self._beginning = True
            task = asyncio.get_running_loop().create_task(self._append())
            self._appends.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._appends.discard(task)
        self._begin()

    async def _append(self) -> None:
        self._beginning = False
        taken = self._take()
        self._begin()  # what did not fit goes at once, in an append of its own
        if taken:
            await asyncio.gather(*(self._append_partition(partition, taken[partition]) for partition in taken))

    def _take(self) -> dict[int, list[_Waiting]]:
        """What goes into the next append; callers that gave up are left out, for they were told so."""
        taken: dict[int, list[_Waiting]] = {}
        size = 0
        while self._waiting and (size == 0 or size + self._waiting[0].size <= APPEND_BYTES_MAX):
            waiting = self._waiting.popleft()
            if waiting.offset.done():
                self._forget(waiting)
            else:
                size += waiting.size
                taken.setdefault(waiting.partition, []).append(waiting)
        return taken

    async def _append_partition(self, partition: int, taken: list[_Waiting]) -> None:
        records = [record for waiting in taken for record in waiting.records]
        try:
            end = await self._append_to(partition, records) - len(records)
        except Unavailable as error:
            self._refuse(taken, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, every caller must hear of it
            self._refuse(taken, Unavailable(f"Kafka did not take the write ({type(error).__name__}); send it again", 2))
        else:
            self.appended += len(records)
            for waiting in taken:
                self._forget(waiting)
                end += len(waiting.records)
                if not waiting.offset.done():
                    waiting.offset.set_result(end)

    def _refuse(self, taken: Sequence[_Waiting], error: Unavailable) -> None:
        for waiting in taken:
            self._forget(waiting)
            if not waiting.offset.done():
                waiting.offset.set_exception(error)

    def _forget(self, waiting: _Waiting) -> None:
        self._records -= len(waiting.records)
        self._bytes -= waiting.size

    async def close(self) -> None:
        """Lets the appends under way end; what has not begun is refused."""
        self._closed = True
        waiting = list(self._waiting)
        self._waiting.clear()
        self._refuse(waiting, Unavailable("the gateway is stopping; send again", 2))
        if self._appends:
            await asyncio.wait(tuple(self._appends), timeout=self._timeout_seconds)
