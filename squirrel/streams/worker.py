"""One partition number's records: buffered per topic, bounded, handed to the lanes one batch at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from squirrel.model.errors import Fatal
from squirrel.streams.lanes import BUFFER_BATCHES_MAX, BUFFER_BYTES_MAX, LaneSettings, TopicPartition
from squirrel.streams.offsets import Offsets


class Fetching(Protocol):
    """How a worker keeps the fetcher from running ahead of it."""

    def hold(self, tp: TopicPartition) -> None: ...

    def release(self, tp: TopicPartition) -> None: ...


class _Buffer:
    """Records of one topic that wait for the lane. `next_offset`: behind the last record taken in; `done`: behind the last
    one a lane has finished. Both None until the first record."""

    __slots__ = ("done", "held", "next_offset", "records", "size_bytes", "tp")

    def __init__(self, tp: TopicPartition) -> None:
        self.tp = tp
        self.records: list[Any] = []
        self.size_bytes = 0
        self.held = False
        self.next_offset: int | None = None
        self.done: int | None = None

    def add(self, records: list[Any], replaying: bool) -> None:
        expected = self.next_offset
        if expected is not None and records[0].offset < expected:
            if not replaying:
                raise Fatal(
                    f"{self.tp.topic}/{self.tp.partition} went back from offset {expected} to {records[0].offset}: the topic "
                    "was emptied or recreated under a running service. Restart it once the topic is as it should be."
                )
            records = [record for record in records if record.offset >= expected]
            if not records:
                return
        self.records.extend(records)
        self.size_bytes += sum([_size(record) for record in records])
        self.next_offset = records[-1].offset + 1

    def take(self, limit: int) -> list[Any]:
        if len(self.records) <= limit:
            batch, self.records, self.size_bytes = self.records, [], 0
            return batch
        batch = self.records[:limit]
        del self.records[:limit]
        self.size_bytes -= sum([_size(record) for record in batch])
        return batch

    def full(self, limit: int) -> bool:
        return len(self.records) >= limit * BUFFER_BATCHES_MAX or self.size_bytes >= BUFFER_BYTES_MAX

    def low(self, limit: int) -> bool:
        return len(self.records) < limit and self.size_bytes < BUFFER_BYTES_MAX // 2

    def drop(self) -> None:
        """Forget what no lane was handed; it is fetched again."""
        self.records = []
        self.size_bytes = 0
        self.held = False
        self.next_offset = self.done


def _size(record: Any) -> int:
    return len(record.value or b"") + len(record.key or b"")


class PartitionWorker:
    """Runs the lanes of one partition number, one batch after another, over all its topics in turn."""

    def __init__(
        self, number: int, topics: Iterable[str], settings: LaneSettings, offsets: Offsets, fetching: Fetching
    ) -> None:
        self.number = number
        self.busy_since: float | None = None  # monotonic; while a lane has a batch
        self.busy_topic = ""
        self.replaying = False  # records below the last ones may still come, right after a seek
        self._settings = settings
        self._offsets = offsets
        self._fetching = fetching
        self._buffers = {topic: _Buffer(TopicPartition(topic, number)) for topic in sorted(topics)}
        self._turn = list(self._buffers.values())
        self._woken = asyncio.Event()
        self._draining = False
        self._task: asyncio.Task[None] | None = None

    @property
    def topics(self) -> list[str]:
        return list(self._buffers)

    def take_in(self, topic: str, records: list[Any]) -> None:
        """Records just fetched, in order. They wait until `start`, and while the lane is busy."""
        buffer = self._buffers[topic]
        buffer.add(records, self.replaying)
        if not buffer.held and buffer.full(self._settings.batch_records_max):
            buffer.held = True
            self._fetching.hold(buffer.tp)
        self._woken.set()

    def start(self, fail: Callable[[BaseException], None]) -> None:
        """Begin to hand records to the lanes."""
        self._draining = False
        self._task = asyncio.get_running_loop().create_task(self._run(fail), name=f"lane-{self.number}")

    async def drain(self) -> None:
        """Let the batch a lane has finish, hand out no other, forget the rest."""
        self._draining = True
        self._woken.set()
        task, self._task = self._task, None
        if task is not None:
            await asyncio.wait({task})
        for buffer in self._turn:
            buffer.drop()

    def halt(self) -> None:
        """Hand out nothing more; the batch a lane has is not waited for."""
        self._draining = True
        self._woken.set()

    def positions(self) -> dict[TopicPartition, int | None]:
        """Where each topic goes on for this worker: behind the last record a lane finished; None: where the group is."""
        return {buffer.tp: buffer.done for buffer in self._turn}

    def waiting(self) -> int:
        """Records that were fetched and wait for the lane."""
        return sum(len(buffer.records) for buffer in self._turn)

    async def _run(self, fail: Callable[[BaseException], None]) -> None:
        try:
            while not self._draining:
                buffer = self._next()
                if buffer is None:
                    self._woken.clear()
                    await self._woken.wait()
                    continue
                await self._hand_over(buffer, buffer.take(self._settings.batch_records_max))
        except Exception as error:  # noqa: BLE001 - the records are neither done nor committed: the process ends
            fail(error)

    def _next(self) -> _Buffer | None:
        for place, buffer in enumerate(self._turn):
            if buffer.records:
                self._turn.append(self._turn.pop(place))  # the next topic's turn
                return buffer
        return None

    async def _hand_over(self, buffer: _Buffer, batch: Sequence[Any]) -> None:
        topic, number = buffer.tp
        self.busy_since, self.busy_topic = self._settings.clock.monotonic(), topic
        await self._settings.lanes[topic](topic, number, batch)
        self.busy_since = None
        buffer.done = batch[-1].offset + 1
        if self._settings.auto_mark:
            self._offsets.mark(topic, number, buffer.done)
        if buffer.held and buffer.low(self._settings.batch_records_max):
            buffer.held = False
            self._fetching.release(buffer.tp)
        await asyncio.sleep(0)  # a lane that never waits must not keep the loop
